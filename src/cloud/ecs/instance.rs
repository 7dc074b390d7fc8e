//! Instances.

use serde::{Deserialize, Serialize};

use crate::cloud::answer::{list, number};
use crate::cloud::parameters::{JsonList, secret, secret_base64};
use crate::cloud::{Action, Call, Done, Product, Repeat, Tag};
use crate::secret::Secret;

/// Makes and starts instances.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunInstances {
    pub image_id: Option<String>,
    pub image_family: Option<String>,
    pub instance_type: String,
    pub instance_name: Option<String>,
    pub description: Option<String>,
    pub host_name: Option<String>,
    /// How many to make at most; 1 when absent.
    pub amount: Option<u32>,
    /// How many to make at least; fewer is an error.
    pub min_amount: Option<u32>,
    pub zone_id: Option<String>,
    pub security_group_id: Option<String>,
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: Option<String>,
    pub private_ip_address: Option<String>,
    pub internet_charge_type: Option<String>,
    /// Mbit/s; above 0 the instance gets a public address.
    pub internet_max_bandwidth_out: Option<u32>,
    pub key_pair_name: Option<String>,
    #[serde(serialize_with = "secret")]
    pub password: Option<Secret>,
    pub password_inherit: Option<bool>,
    /// Plain; it is sent in base64. At most 32 KiB in base64.
    #[serde(serialize_with = "secret_base64")]
    pub user_data: Option<Secret>,
    pub ram_role_name: Option<String>,
    /// `optimized` or `none`.
    pub io_optimized: Option<String>,
    /// `Active` or `Deactive`.
    pub security_enhancement_strategy: Option<String>,
    pub system_disk: SystemDisk,
    pub data_disk: Vec<DataDisk>,
    pub image_options: ImageOptions,
    /// `enabled` or `disabled`: whether there is a metadata service.
    pub http_endpoint: Option<String>,
    /// `optional` or `required` (IMDSv2 only).
    pub http_tokens: Option<String>,
    pub instance_charge_type: Option<String>,
    /// `NoSpot`, `SpotAsPriceGo` or `SpotWithPriceLimit`.
    pub spot_strategy: Option<String>,
    /// Per hour, with up to three decimals.
    pub spot_price_limit: Option<String>,
    /// Hours the instance is safe from being reclaimed: 0 or 1.
    pub spot_duration: Option<u32>,
    pub deployment_set_id: Option<String>,
    pub dedicated_host_id: Option<String>,
    /// 1 to 10, of the vSwitch's IPv6 range.
    pub ipv6_address_count: Option<u32>,
    /// `Standard` or `Unlimited`.
    pub credit_specification: Option<String>,
    /// `2026-01-02T03:04:05Z`; the API rounds to its minute.
    pub auto_release_time: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
}
action!(Ecs RunInstances -> RunInstancesResponse, WithClientToken, Create);

/// Asks whether [`RunInstances`] would succeed, and makes nothing. Stock is
/// checked by some zones only.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TryRunInstances {
    #[serde(flatten)]
    request: RunInstances,
    dry_run: bool,
}

impl TryRunInstances {
    /// Asks about this request.
    pub fn new(request: RunInstances) -> Self {
        Self {
            request,
            dry_run: true,
        }
    }
}

// Not by `action!`: its name is another request's.
impl Action for TryRunInstances {
    type Response = Done;
    const PRODUCT: Product = Product::Ecs;
    const NAME: &'static str = RunInstances::NAME;
    const REPEAT: Repeat = Repeat::Always;
}
impl Call for TryRunInstances {}

/// The system disk of new instances.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemDisk {
    pub category: Option<String>,
    /// GiB.
    pub size: Option<u32>,
    pub disk_name: Option<String>,
    pub description: Option<String>,
    /// `PL0` to `PL3`, of a `cloud_essd`.
    pub performance_level: Option<String>,
    /// Of a `cloud_auto`.
    pub provisioned_iops: Option<u32>,
    /// Of a `cloud_auto`.
    pub bursting_enabled: Option<bool>,
    pub encrypted: Option<bool>,
    #[serde(rename = "KMSKeyId")]
    pub kms_key_id: Option<String>,
}

/// A data disk of new instances.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DataDisk {
    pub category: Option<String>,
    /// GiB.
    pub size: Option<u32>,
    pub disk_name: Option<String>,
    pub description: Option<String>,
    pub device: Option<String>,
    pub snapshot_id: Option<String>,
    pub delete_with_instance: Option<bool>,
    /// `PL0` to `PL3`, of a `cloud_essd`.
    pub performance_level: Option<String>,
    /// Of a `cloud_auto`.
    pub provisioned_iops: Option<u32>,
    /// Of a `cloud_auto`.
    pub bursting_enabled: Option<bool>,
    pub encrypted: Option<bool>,
    #[serde(rename = "KMSKeyId")]
    pub kms_key_id: Option<String>,
}

/// How the image is used.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageOptions {
    /// Log in as `ecs-user` instead of `root`.
    #[serde(rename = "LoginAsNonRoot")]
    pub login_as_non_root: Option<bool>,
}

/// The new instances.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunInstancesResponse {
    #[serde(rename = "InstanceIdSets", deserialize_with = "list")]
    pub instance_ids: Vec<String>,
}

/// Finds instances.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstances {
    pub instance_ids: Option<JsonList>,
    pub instance_name: Option<String>,
    pub key_pair_name: Option<String>,
    pub vpc_id: Option<String>,
    pub security_group_id: Option<String>,
    pub status: Option<String>,
    pub resource_group_id: Option<String>,
    pub tag: Vec<Tag>,
    pub page_number: Option<u32>,
    /// At most 100; 10 when absent.
    pub page_size: Option<u32>,
}
action!(Ecs DescribeInstances -> DescribeInstancesResponse, Always, Call);
pages!(DescribeInstances.instances: Instance, 100);

/// One page of instances.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DescribeInstancesResponse {
    #[serde(deserialize_with = "number")]
    pub total_count: u32,
    #[serde(deserialize_with = "list")]
    pub instances: Vec<Instance>,
}

/// An instance.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Instance {
    pub instance_id: String,
    pub instance_name: String,
    pub instance_type: String,
    /// `Pending`, `Starting`, `Running`, `Stopping` or `Stopped`.
    pub status: String,
    pub zone_id: String,
    pub image_id: String,
    pub key_pair_name: String,
    pub creation_time: String,
    pub auto_release_time: String,
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// Public addresses made with the instance.
    #[serde(deserialize_with = "list")]
    pub public_ip_address: Vec<String>,
    pub eip_address: InstanceEip,
    pub vpc_attributes: VpcAttributes,
    #[serde(deserialize_with = "list")]
    pub security_group_ids: Vec<String>,
    #[serde(deserialize_with = "list")]
    pub operation_locks: Vec<OperationLock>,
    #[serde(deserialize_with = "list")]
    pub tags: Vec<Tag>,
}

impl Instance {
    /// The public address, if it has one: an EIP or its own.
    pub fn public_ip(&self) -> Option<&str> {
        let eip = Some(self.eip_address.ip_address.as_str()).filter(|ip| !ip.is_empty());
        eip.or_else(|| self.public_ip_address.first().map(String::as_str))
    }

    /// The first private address in its VPC.
    pub fn private_ip(&self) -> Option<&str> {
        self.vpc_attributes
            .private_ip_address
            .first()
            .map(String::as_str)
    }
}

/// The EIP of an instance; empty strings without one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InstanceEip {
    pub allocation_id: String,
    pub ip_address: String,
}

/// Where an instance is in its VPC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VpcAttributes {
    pub vpc_id: String,
    #[serde(rename = "VSwitchId")]
    pub vswitch_id: String,
    #[serde(deserialize_with = "list")]
    pub private_ip_address: Vec<String>,
}

/// Why an instance cannot be used, for example `financial`; `Recycling` is a
/// spot instance that is about to be released.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct OperationLock {
    pub lock_reason: String,
    pub lock_msg: String,
}

/// Starts a stopped instance. One in another state refuses: look first.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartInstance {
    pub instance_id: String,
}
action!(Ecs StartInstance -> Done, Always, Call);

/// Stops a running instance; `force_stop` cuts its power. One in another
/// state refuses: look first.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StopInstance {
    pub instance_id: String,
    pub force_stop: Option<bool>,
    /// Demanded for instance types with local disks, which lose their data.
    pub confirm_stop: Option<bool>,
    /// `KeepCharging` or `StopCharging`.
    pub stopped_mode: Option<String>,
}
action!(Ecs StopInstance -> Done, Always, Call);

/// Restarts a running instance.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RebootInstance {
    pub instance_id: String,
    pub force_stop: Option<bool>,
}
action!(Ecs RebootInstance -> Done, Always, Call);

/// Releases an instance; `force` also when it runs.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteInstance {
    pub instance_id: String,
    pub force: Option<bool>,
}
action!(Ecs DeleteInstance -> Done, Always, Call);
