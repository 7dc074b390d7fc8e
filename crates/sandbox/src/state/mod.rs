//! Everything that lives in the simulated cloud. Transitions are not driven by
//! timers: whoever looks first calls [`Cloud::settle`], which applies what has
//! become due.

pub(crate) mod bucket;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod network;
pub(crate) mod role;
pub(crate) mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Moment;
use crate::options::{Delays, Quotas, SandboxOptions};
use crate::report::Waits;
use bucket::Bucket;
use image::{Image, Snapshot};
use instance::{Disk, Instance, KeyPair};
use network::{Eip, SecurityGroup, VSwitch, Vpc};
use role::Role;
use task::Task;

/// Tags of a resource.
pub(crate) type Tags = BTreeMap<String, String>;

/// Key of what is unique in its region only: region and id or name.
pub(crate) type Regional = (String, String);

/// The state of the cloud.
#[derive(Clone)]
pub(crate) struct Cloud {
    pub(crate) images: BTreeMap<Regional, Image>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) disks: BTreeMap<String, Disk>,
    pub(crate) key_pairs: BTreeMap<Regional, KeyPair>,
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    pub(crate) vswitches: BTreeMap<String, VSwitch>,
    pub(crate) security_groups: BTreeMap<String, SecurityGroup>,
    pub(crate) eips: BTreeMap<String, Eip>,
    /// By name: buckets of all accounts share it.
    pub(crate) buckets: BTreeMap<String, Bucket>,
    /// By name.
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) lingering: Vec<LingeringInterface>,
    pub(crate) waits: Waits,
    pub(crate) quotas: Quotas,
    pub(crate) out_of_stock: BTreeSet<(String, String)>,
    /// By region and id.
    pub(crate) deployment_sets: BTreeSet<Regional>,
    /// The zone of each, by region and id.
    pub(crate) dedicated_hosts: BTreeMap<Regional, String>,
    pub(crate) delays: Delays,
    pub(crate) guest_port: u16,
    pub(crate) fuzzy_image_names: bool,
    jitter: f64,
    jitter_seed: u64,
    jitters: BTreeMap<&'static str, Random>,
    time_scale: f64,
    random: Random,
    next_address: u16,
}

/// The network interface of an instance that is gone; it still counts as a
/// user of its security groups and vSwitch.
#[derive(Clone)]
pub(crate) struct LingeringInterface {
    pub(crate) security_groups: Vec<String>,
    pub(crate) vswitch: String,
    pub(crate) until: Moment,
}

/// A span in which a resource is on its way to the next state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    pub(crate) began: Moment,
    pub(crate) ready: Moment,
}

impl Transition {
    pub(crate) fn is_over(self, now: Moment) -> bool {
        now >= self.ready
    }

    /// Progress in percent, at most 99 before the end.
    pub(crate) fn percent(self, now: Moment) -> u64 {
        if self.is_over(now) {
            return 100;
        }
        let whole = (self.ready - self.began).as_secs_f64();
        let passed = now.saturating_sub(self.began).as_secs_f64();
        ((passed / whole * 100.0) as u64).min(99)
    }
}

/// Whether an optional transition has come to its end.
pub(crate) fn is_due(transition: Option<Transition>, now: Moment) -> bool {
    transition.is_some_and(|t| t.is_over(now))
}

impl Cloud {
    pub(crate) fn new(options: &SandboxOptions, guest_port: u16) -> Self {
        let seed = options.seed.unwrap_or_else(rand::random);
        let mut random = Random(seed);
        let next_address = (random.next() % 0xffff) as u16;
        let jitter_seed = random.next();
        Self {
            images: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            instances: BTreeMap::new(),
            disks: BTreeMap::new(),
            key_pairs: BTreeMap::new(),
            vpcs: BTreeMap::new(),
            vswitches: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            eips: BTreeMap::new(),
            buckets: BTreeMap::new(),
            roles: BTreeMap::new(),
            tasks: BTreeMap::new(),
            lingering: Vec::new(),
            waits: Waits::default(),
            quotas: options.quotas.clone(),
            out_of_stock: options.out_of_stock.iter().cloned().collect(),
            deployment_sets: BTreeSet::new(),
            dedicated_hosts: BTreeMap::new(),
            delays: options.delays.clone(),
            guest_port,
            fuzzy_image_names: options.fuzzy_image_names,
            jitter: options.jitter,
            jitter_seed,
            jitters: BTreeMap::new(),
            time_scale: options.time_scale,
            random,
            next_address,
        }
    }

    /// Applies everything that has become due.
    pub(crate) fn settle(&mut self, now: Moment) {
        self.settle_network(now);
        self.settle_images(now);
        self.settle_tasks(now);
        self.settle_instances(now);
    }

    /// A delay as it happens this time: with jitter, scaled. How long the
    /// third VPC takes does not depend on what was made between the others, so
    /// that with one seed different clients meet the same cloud.
    pub(crate) fn draw(&mut self, what: &'static str, delay: Duration) -> Duration {
        let seed = self.jitter_seed;
        let random = self.jitters.entry(what).or_insert_with(|| {
            let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            Random(what.bytes().fold(seed, mix))
        });
        let spread = 1.0 + self.jitter * (2.0 * random.unit() - 1.0);
        delay.mul_f64((spread * self.time_scale).max(0.0))
    }

    /// Begins a transition of a resource and notes it for the report.
    pub(crate) fn begin(
        &mut self,
        what: &'static str,
        id: &str,
        delay: Duration,
        now: Moment,
        causes: &[String],
    ) -> Transition {
        let ready = now + self.draw(what, delay);
        self.waits.begin(what, id, (now, ready), causes);
        Transition { began: now, ready }
    }

    /// A new id such as `i-bp1…`.
    pub(crate) fn new_id(&mut self, prefix: &str, region: &str) -> String {
        let length = match prefix {
            "vpc" | "vsw" | "eip" | "vrt" | "vtb" => 21,
            _ => 20,
        };
        let head = region_mark(region);
        let tail: String = (head.len()..length).map(|_| self.random.base36()).collect();
        format!("{prefix}-{head}{tail}")
    }

    /// Random letters and digits.
    pub(crate) fn new_secret(&mut self, length: usize) -> String {
        (0..length).map(|_| self.random.base36()).collect()
    }

    /// A new RequestId.
    pub(crate) fn new_request_id(&mut self) -> String {
        let (a, b) = (self.random.next(), self.random.next());
        let (low, high) = (a & 0xffff, (a >> 16) & 0xffff);
        format!(
            "{:08X}-{high:04X}-4{:03X}-8{:03X}-{:012X}",
            a >> 32,
            low & 0xfff,
            (b >> 48) & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }

    /// A new request id of OSS.
    pub(crate) fn new_object_request_id(&mut self) -> String {
        let (a, b) = (self.random.next(), self.random.next());
        format!("{:08X}{b:016X}", a >> 32)
    }

    /// An address in 127.`block`.0.0/16 that nobody has, and whose guest port
    /// no other process on this host has either.
    pub(crate) fn new_address(&mut self, block: u8) -> Ipv4Addr {
        loop {
            self.next_address = self.next_address.wrapping_add(1);
            let [x, y] = self.next_address.to_be_bytes();
            let address = Ipv4Addr::new(127, block, x, y);
            let edge = y == 0 || y == 255;
            if !edge && !self.has_address(address) && is_free(address, self.guest_port) {
                return address;
            }
        }
    }

    fn has_address(&self, address: Ipv4Addr) -> bool {
        let mut instances = self.instances.values();
        self.eips.values().any(|eip| eip.address == address)
            || instances.any(|i| i.private_address == address || i.public_address == Some(address))
    }
}

/// Only a definite "in use" counts: a port the process may not bind is not
/// taken by another sandbox.
fn is_free(address: Ipv4Addr, port: u16) -> bool {
    match TcpListener::bind(SocketAddr::from((address, port))) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrInUse,
    }
}

/// The letters ids of a region begin with.
fn region_mark(region: &str) -> &'static str {
    match region {
        "cn-hangzhou" => "bp1",
        "cn-beijing" => "2ze",
        "cn-shanghai" => "uf6",
        "cn-shenzhen" => "wz9",
        "cn-hongkong" => "j6c",
        "ap-southeast-1" => "t4n",
        "us-west-1" => "rj9",
        "eu-central-1" => "gw8",
        _ => "k1a",
    }
}

/// A small generator (SplitMix64): state that can be cloned and replayed, no
/// secrets depend on it.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn base36(&mut self) -> char {
        char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(self.next() % 36) as usize])
    }
}

/// What every resource has.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) id: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) resource_group: String,
    pub(crate) tags: Tags,
    pub(crate) created: Timestamp,
    /// Placed by the test, not made by a call.
    pub(crate) seeded: bool,
}
