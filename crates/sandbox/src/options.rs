//! What a sandbox is started with. Defaults are the times and limits seen on
//! the real service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use crate::machine::{MachineHost, NoMachines};

/// Options of a sandbox.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Access keys; the first one is the default of clients.
    pub access_keys: Vec<AccessKey>,
    /// Durations of the asynchronous transitions, before `time_scale`.
    pub delays: Delays,
    /// Relative spread of the delays: 0.3 is ±30 %.
    pub jitter: f64,
    /// Time each call takes on top, before `time_scale`.
    pub latency: Duration,
    /// Factor on `delays` and `latency`.
    pub time_scale: f64,
    /// Seed of ids, addresses and jitter; `None` is random.
    pub seed: Option<u64>,
    /// Port of the guests' SSH servers; `None` is 22 when the process may bind
    /// it, otherwise a free port.
    pub guest_port: Option<u16>,
    /// Limits on the number of resources.
    pub quotas: Quotas,
    /// Whether `ImageName` of DescribeImages finds every image whose name
    /// contains it; otherwise only `*` matches more than the exact name.
    pub fuzzy_image_names: bool,
    /// `(zone, instance type)` pairs that are sold out.
    pub out_of_stock: Vec<(String, String)>,
    /// Behaviour of OSS.
    pub oss: OssOptions,
    /// The metadata of the instance that clients run on.
    pub metadata: MetadataOptions,
    /// How long all sessions of roles live, before `time_scale`; `None` is as
    /// long as was asked for.
    pub session_life: Option<Duration>,
    /// How far its clock is ahead of this machine's; negative when behind.
    pub clock_ahead: SignedDuration,
    /// What boots the machines behind instances.
    pub machines: Arc<dyn MachineHost>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            port: 0,
            access_keys: vec![AccessKey::new(
                "LTAI5tSandboxDefaultKey0",
                "sandbox-default-secret",
            )],
            delays: Delays::default(),
            jitter: 0.3,
            latency: Duration::from_millis(120),
            time_scale: 1.0,
            seed: None,
            guest_port: None,
            quotas: Quotas::default(),
            fuzzy_image_names: false,
            out_of_stock: Vec::new(),
            oss: OssOptions::default(),
            metadata: MetadataOptions::default(),
            session_life: None,
            clock_ahead: SignedDuration::ZERO,
            machines: Arc::new(NoMachines),
        }
    }
}

/// The metadata of the instance that clients run on. The default has no role
/// and answers requests with and without a token.
#[derive(Clone, Debug, Default)]
pub struct MetadataOptions {
    /// The RAM role that is attached to the instance.
    pub role: Option<String>,
    /// Whether requests without a token are refused, as on hardened instances.
    pub requires_token: bool,
    /// Whether it knows no tokens, as old metadata servers.
    pub has_no_tokens: bool,
    /// Whether it never answers.
    pub hangs: bool,
}

/// Behaviour of OSS that depends on the account.
#[derive(Clone, Debug)]
pub struct OssOptions {
    /// Whether data in mainland China cannot be reached through public
    /// endpoints and IP addresses, as it is for new accounts.
    pub public_endpoint_forbidden: bool,
    /// Whether V1 signatures are refused, as they are for new accounts.
    pub v1_refused: bool,
    /// Largest body of one PutObject or UploadPart, in bytes.
    pub max_put_size: u64,
    /// Custom domains and the buckets they are bound to.
    pub domains: BTreeMap<String, String>,
}

impl Default for OssOptions {
    fn default() -> Self {
        Self {
            public_endpoint_forbidden: false,
            v1_refused: false,
            max_put_size: 5 << 30,
            domains: BTreeMap::new(),
        }
    }
}

/// An access key and what it may do.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// AccessKeyId.
    pub id: String,
    /// AccessKeySecret.
    pub secret: String,
    /// RAM user name; `None` is the root account.
    pub user: Option<String>,
    /// RAM policy document; `None` allows everything.
    pub policy: Option<Value>,
}

impl AccessKey {
    /// A key of the root account, allowed everything.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            user: None,
            policy: None,
        }
    }
}

/// Durations of asynchronous transitions, as seen on the real service.
#[derive(Clone, Debug)]
pub struct Delays {
    /// CreateVpc to Available.
    pub vpc: Duration,
    /// CreateVSwitch to Available.
    pub vswitch: Duration,
    /// DeleteVSwitch until it is gone.
    pub delete_vswitch: Duration,
    /// AllocateEipAddress to Available.
    pub eip_allocate: Duration,
    /// AssociateEipAddress to InUse.
    pub eip_associate: Duration,
    /// UnassociateEipAddress to Available.
    pub eip_unassociate: Duration,
    /// ReleaseEipAddress until it is gone.
    pub eip_release: Duration,
    /// RunInstances to Running.
    pub run: Duration,
    /// CreateInstance to Stopped.
    pub create: Duration,
    /// StartInstance to Running.
    pub start: Duration,
    /// RebootInstance to Running.
    pub reboot: Duration,
    /// Running until the SSH server accepts.
    pub sshd: Duration,
    /// StopInstance to Stopped.
    pub stop: Duration,
    /// DeleteInstance until it is gone.
    pub delete_instance: Duration,
    /// How long the network interface of a gone instance still blocks its
    /// security group and vSwitch.
    pub eni_release: Duration,
    /// CreateSnapshot to accomplished.
    pub snapshot: Duration,
    /// CreateImage to Available.
    pub image: Duration,
    /// CopyImage to Available.
    pub copy: Duration,
    /// ImportImage to Available.
    pub import: Duration,
    /// An available image until its examination has ended.
    pub detection: Duration,
    /// A change of a RAM role until ECS sees it.
    pub role: Duration,
}

impl Delays {
    /// Everything is ready at once.
    pub fn none() -> Self {
        let now = Duration::ZERO;
        Self {
            vpc: now,
            vswitch: now,
            delete_vswitch: now,
            eip_allocate: now,
            eip_associate: now,
            eip_unassociate: now,
            eip_release: now,
            run: now,
            create: now,
            start: now,
            reboot: now,
            sshd: now,
            stop: now,
            delete_instance: now,
            eni_release: now,
            snapshot: now,
            image: now,
            copy: now,
            import: now,
            detection: now,
            role: now,
        }
    }
}

impl Default for Delays {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            vpc: s(2),
            vswitch: s(3),
            delete_vswitch: s(1),
            eip_allocate: s(2),
            eip_associate: s(3),
            eip_unassociate: s(2),
            eip_release: s(2),
            run: s(20),
            create: s(4),
            start: s(15),
            reboot: s(25),
            sshd: s(8),
            stop: s(15),
            delete_instance: s(3),
            eni_release: s(1),
            snapshot: s(40),
            image: s(60),
            copy: s(120),
            import: s(240),
            detection: s(90),
            role: s(10),
        }
    }
}

/// Limits per region, as a new account has them.
#[derive(Clone, Debug)]
pub struct Quotas {
    /// VPCs.
    pub vpcs: usize,
    /// VSwitches of one VPC.
    pub vswitches: usize,
    /// Elastic IP addresses.
    pub eips: usize,
    /// Own images.
    pub images: usize,
    /// Security groups.
    pub security_groups: usize,
    /// Key pairs.
    pub key_pairs: usize,
    /// Instances.
    pub instances: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            vpcs: 10,
            vswitches: 24,
            eips: 20,
            images: 100,
            security_groups: 100,
            key_pairs: 500,
            instances: 50,
        }
    }
}
