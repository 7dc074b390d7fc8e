//! Resources that are there before the test: their ids are chosen, and they do
//! not count as alive.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use russh::keys::ssh_key::PublicKey;
use serde::Deserialize;

use crate::api::fingerprint;
use crate::auth::{ACCOUNT_ID, OidcProvider};
use crate::catalogue::public_images;
use crate::signature::hex;
use crate::state::bucket::{Attributes, Bucket, Object};
use crate::state::image::{ImageStatus, Mapping, Snapshot, SnapshotStatus};
use crate::state::instance::KeyPair;
use crate::state::network::{Eip, EipStatus, SecurityGroup, VSwitch, Vpc};
use crate::state::role::{IMPORT_ROLE, Role};
use crate::state::{Common, Tags};
use crate::world::Shared;

/// Places resources.
pub struct Seed<'a> {
    shared: &'a Shared,
}

/// An own or shared image to place.
#[derive(Clone, Debug, Default)]
pub struct SeedImage {
    /// Region.
    pub region: String,
    /// Id, `m-…`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Family, possibly empty.
    pub family: String,
    /// Id of the snapshot of its system disk; placed with it when not empty.
    pub snapshot: String,
    /// Tags.
    pub tags: Tags,
    /// `x86_64`, which is also what empty means, or `arm64`, which boots by
    /// UEFI.
    pub architecture: String,
    /// When it was made; now when absent.
    pub created: Option<Timestamp>,
    /// The account that shares it; an own image when empty.
    pub owner: String,
}

/// One resource to place, as `POST /_sandbox/seed` takes a list of.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum SeedItem {
    Vpc {
        region: String,
        id: String,
        cidr: String,
    },
    Vswitch {
        vpc: String,
        id: String,
        zone: String,
        cidr: String,
    },
    SecurityGroup {
        vpc: String,
        id: String,
    },
    KeyPair {
        region: String,
        name: String,
        public_key: String,
    },
    Eip {
        region: String,
        id: String,
    },
    Snapshot {
        region: String,
        id: String,
        size: u64,
    },
    DeploymentSet {
        region: String,
        id: String,
    },
    DedicatedHost {
        region: String,
        id: String,
        zone: String,
    },
}

impl SeedItem {
    pub(crate) fn place(&self, seed: &Seed<'_>) {
        match self {
            Self::Vpc { region, id, cidr } => {
                seed.vpc(region, id, cidr);
            }
            Self::Vswitch {
                vpc,
                id,
                zone,
                cidr,
            } => {
                seed.vswitch(vpc, id, zone, cidr);
            }
            Self::SecurityGroup { vpc, id } => {
                seed.security_group(vpc, id);
            }
            Self::KeyPair {
                region,
                name,
                public_key,
            } => {
                seed.key_pair(region, name, public_key);
            }
            Self::Eip { region, id } => {
                seed.eip(region, id);
            }
            Self::Snapshot { region, id, size } => {
                seed.snapshot(region, id, *size);
            }
            Self::DeploymentSet { region, id } => {
                seed.deployment_set(region, id);
            }
            Self::DedicatedHost { region, id, zone } => {
                seed.dedicated_host(region, id, zone);
            }
        }
    }
}

/// A bucket to place.
#[derive(Clone, Debug, Default)]
pub struct SeedBucket {
    /// Region.
    pub region: String,
    /// Name.
    pub name: String,
    /// Server-side encryption of the bucket, such as `AES256`.
    pub encryption: Option<String>,
    /// Whether another account owns it.
    pub foreign: bool,
}

impl<'a> Seed<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// A VPC with a CIDR block such as `172.16.0.0/12`.
    pub fn vpc(&self, region: &str, id: &str, cidr: &str) -> &Self {
        let vpc = Vpc {
            common: common(region, id),
            cidr: cidr.to_owned(),
            pending: None,
        };
        let (mut world, _) = self.shared.world();
        world.cloud.vpcs.insert(id.to_owned(), vpc);
        drop(world);
        self
    }

    /// A vSwitch of a VPC that was placed or made before.
    pub fn vswitch(&self, vpc: &str, id: &str, zone: &str, cidr: &str) -> &Self {
        let (mut world, _) = self.shared.world();
        let region = world.cloud.vpcs.get(vpc).map(|v| v.common.region.clone());
        let vswitch = VSwitch {
            common: common(&region.unwrap_or_default(), id),
            vpc: vpc.to_owned(),
            zone: zone.to_owned(),
            cidr: cidr.to_owned(),
            ipv6: false,
            pending: None,
            deleting: None,
        };
        world.cloud.vswitches.insert(id.to_owned(), vswitch);
        drop(world);
        self
    }

    /// Gives IPv6 to a vSwitch that was placed or made before.
    pub fn ipv6(&self, vswitch: &str) -> &Self {
        let (mut world, _) = self.shared.world();
        if let Some(vswitch) = world.cloud.vswitches.get_mut(vswitch) {
            vswitch.ipv6 = true;
        }
        drop(world);
        self
    }

    /// A security group of a VPC that was placed or made before.
    pub fn security_group(&self, vpc: &str, id: &str) -> &Self {
        let (mut world, _) = self.shared.world();
        let region = world.cloud.vpcs.get(vpc).map(|v| v.common.region.clone());
        let group = SecurityGroup {
            common: common(&region.unwrap_or_default(), id),
            vpc: vpc.to_owned(),
            rules: Vec::new(),
        };
        world.cloud.security_groups.insert(id.to_owned(), group);
        drop(world);
        self
    }

    /// A key pair with an OpenSSH public key line. A line that is no key is
    /// placed as it is.
    pub fn key_pair(&self, region: &str, name: &str, public_key: &str) -> &Self {
        let parsed = PublicKey::from_openssh(public_key.trim());
        let pair = KeyPair {
            common: Common {
                id: format!("ssh-{name}"),
                ..common(region, name)
            },
            public_key: public_key
                .split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" "),
            fingerprint: parsed.map(|key| fingerprint(&key)).unwrap_or_default(),
        };
        let key = (region.to_owned(), name.to_owned());
        let (mut world, _) = self.shared.world();
        world.cloud.key_pairs.insert(key, pair);
        drop(world);
        self
    }

    /// A deployment set.
    pub fn deployment_set(&self, region: &str, id: &str) -> &Self {
        let (mut world, _) = self.shared.world();
        let key = (region.to_owned(), id.to_owned());
        world.cloud.deployment_sets.insert(key);
        drop(world);
        self
    }

    /// A dedicated host in a zone.
    pub fn dedicated_host(&self, region: &str, id: &str, zone: &str) -> &Self {
        let (mut world, _) = self.shared.world();
        let key = (region.to_owned(), id.to_owned());
        world.cloud.dedicated_hosts.insert(key, zone.to_owned());
        drop(world);
        self
    }

    /// An elastic IP address; returns the address.
    pub fn eip(&self, region: &str, id: &str) -> Ipv4Addr {
        let (mut world, _) = self.shared.world();
        let address = world.cloud.new_address(1);
        let eip = Eip {
            common: common(region, id),
            address,
            bandwidth: "5".to_owned(),
            charge_type: "PayByTraffic".to_owned(),
            instance: None,
            status: EipStatus::Available,
            transition: None,
        };
        world.cloud.eips.insert(id.to_owned(), eip);
        address
    }

    /// A finished snapshot of a data disk, with its size in GiB.
    pub fn snapshot(&self, region: &str, id: &str, size: u64) -> &Self {
        self.add_snapshot(region, id, size, "data");
        self
    }

    /// An available image.
    pub fn image(&self, seed: &SeedImage) -> &Self {
        let mut images = public_images(&seed.region).into_iter();
        let base = images.next().expect("the catalogue has images");
        let mut image = base;
        image.common = Common {
            name: seed.name.clone(),
            tags: seed.tags.clone(),
            ..common(&seed.region, &seed.id)
        };
        if let Some(created) = seed.created {
            image.common.created = created;
        }
        if seed.architecture == "arm64" {
            image.architecture.clone_from(&seed.architecture);
            image.boot_mode = "UEFI".to_owned();
        }
        image.family.clone_from(&seed.family);
        (image.owner_alias, image.owner_id) = match seed.owner.as_str() {
            "" => ("self", ACCOUNT_ID.to_owned()),
            other => ("others", other.to_owned()),
        };
        image.status = ImageStatus::Available;
        image.mappings.clear();
        if !seed.snapshot.is_empty() {
            self.add_snapshot(&seed.region, &seed.snapshot, image.size, "system");
            image.mappings.push(Mapping {
                snapshot: seed.snapshot.clone(),
                device: "/dev/xvda".to_owned(),
                size: image.size,
                kind: "system",
                imported_from: None,
            });
        }
        let key = (seed.region.clone(), seed.id.clone());
        let (mut world, _) = self.shared.world();
        world.cloud.images.insert(key, image);
        drop(world);
        self
    }

    /// A bucket.
    pub fn bucket(&self, seed: &SeedBucket) -> &Self {
        let bucket = Bucket {
            encryption: seed.encryption.clone(),
            foreign: seed.foreign,
            ..Bucket::new(common(&seed.region, &seed.name))
        };
        let (mut world, _) = self.shared.world();
        world.cloud.buckets.insert(seed.name.clone(), bucket);
        drop(world);
        self
    }

    /// An object in a bucket that was placed or made before.
    ///
    /// # Errors
    /// When its content cannot be stored.
    pub fn object(&self, bucket: &str, key: &str, content: &[u8]) -> std::io::Result<&Self> {
        let received = self.shared.store.put(content)?;
        let (mut world, _) = self.shared.world();
        if let Some(bucket) = world.cloud.buckets.get_mut(bucket) {
            let id = format!("{}/{key}", bucket.common.id);
            let object = Object {
                common: common(&bucket.common.region, &id),
                content: received.content,
                etag: hex(&received.md5).to_ascii_uppercase(),
                kind: "Normal",
                attributes: Attributes {
                    storage_class: bucket.storage_class.clone(),
                    ..Attributes::default()
                },
            };
            bucket.objects.insert(key.to_owned(), object);
        }
        drop(world);
        Ok(self)
    }

    /// The role with which ECS reads objects, complete and in effect.
    pub fn import_role(&self) -> &Self {
        let policy = "AliyunECSImageImportRolePolicy";
        let trust = r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#;
        self.role(IMPORT_ROLE, trust, &[policy])
    }

    /// A role with a trust policy and system policies, in effect.
    pub fn role(&self, name: &str, trust: &str, policies: &[&str]) -> &Self {
        let created = Timestamp::now();
        let attached = |policy: &&str| (("System".to_owned(), (*policy).to_owned()), created);
        let role = Role {
            name: name.to_owned(),
            id: "300000000000000001".to_owned(),
            description: String::new(),
            max_session: 3600,
            trust: trust.to_owned(),
            created,
            updated: created,
            policies: policies.iter().map(attached).collect(),
            effective: Default::default(),
        };
        let (mut world, _) = self.shared.world();
        world.cloud.roles.insert(name.to_owned(), role);
        drop(world);
        self
    }

    /// What sessions of a role may do: a RAM policy document. Roles of which
    /// nothing is said may do everything.
    pub fn role_policy(&self, role: &str, policy: serde_json::Value) -> &Self {
        let (mut world, _) = self.shared.world();
        world.authority.limit_role(role, policy);
        drop(world);
        self
    }

    /// An OpenID Connect provider that RAM trusts.
    pub fn oidc_provider(&self, name: &str, issuer: &str, client_ids: &[&str]) -> &Self {
        let provider = OidcProvider {
            issuer: issuer.to_owned(),
            client_ids: client_ids.iter().map(|id| (*id).to_owned()).collect(),
        };
        let (mut world, _) = self.shared.world();
        let providers = &mut world.authority.oidc_providers;
        providers.insert(name.to_owned(), provider);
        drop(world);
        self
    }

    fn add_snapshot(&self, region: &str, id: &str, size: u64, kind: &'static str) {
        let snapshot = Snapshot {
            common: common(region, id),
            disk: String::new(),
            disk_kind: kind,
            size,
            status: SnapshotStatus::Accomplished,
            transition: None,
            fails: false,
            content: None,
            platform: "CentOS".to_owned(),
        };
        let (mut world, _) = self.shared.world();
        world.cloud.snapshots.insert(id.to_owned(), snapshot);
    }
}

fn common(region: &str, id: &str) -> Common {
    Common {
        id: id.to_owned(),
        region: region.to_owned(),
        name: id.to_owned(),
        description: String::new(),
        resource_group: String::new(),
        tags: BTreeMap::new(),
        created: Timestamp::now(),
        seeded: true,
    }
}
