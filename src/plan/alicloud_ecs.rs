//! The `alicloud-ecs` builder as typed options.
//!
//! Field names are Packer's; sizes are GiB; see the plugin's documentation
//! and the ECS API for what each one does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cloud::credential::{Profiles, Source as Credentials};
use crate::plan::options;
use crate::plan::reader::Reader;
use crate::secret::Secret;
use crate::template::decode::OptionSpec;
use crate::template::source::{Span, Spanned};

mod access;
mod disk;
mod image;
mod run;
mod source;
mod spot;
mod tags;
#[cfg(test)]
mod tests;

/// The tables of a builder block, with the communicator's.
pub const OPTIONS: &[&[OptionSpec]] = &[
    options::access::OPTIONS,
    options::image::OPTIONS,
    options::run::OPTIONS,
    options::communicator::OPTIONS,
];

/// What the command line and the environment add to a builder block.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults<'a> {
    /// The environment's region.
    pub region: Option<&'a str>,
    /// `-force`.
    pub force: bool,
    /// The profiles of the Alibaba Cloud CLI; none when they are of no use.
    pub profiles: Option<ProfileReading<'a>>,
}

/// The profiles of the Alibaba Cloud CLI.
#[derive(Debug, Clone, Copy)]
pub struct ProfileReading<'a> {
    /// Where they are.
    pub profiles: &'a Profiles,
    /// Whether nothing can be done without those a template names; else they
    /// may be missing, with a warning.
    pub is_needed: bool,
}

/// Reads a builder block. Problems become diagnostics; then the result is not
/// fit for use.
pub fn read(reader: &mut Reader<'_, '_>, defaults: Defaults<'_>) -> AlicloudEcs {
    let access = access::read(reader, defaults);
    AlicloudEcs {
        image: image::read(reader, &access, defaults.force),
        run: run::read(reader, &access),
        access,
    }
}

/// Reads the options of access and image, for whatever else makes images.
pub(super) fn read_access_and_image(
    reader: &mut Reader<'_, '_>,
    defaults: Defaults<'_>,
) -> (Access, ImageOptions) {
    let access = access::read(reader, defaults);
    let image = image::read(reader, &access, defaults.force);
    (access, image)
}

/// One of a closed set of words that the API takes as they are.
fn word(reader: &mut Reader<'_, '_>, name: &str, words: &[&str]) -> Option<String> {
    let same: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
    reader.one_of(name, &same).map(str::to_owned)
}

/// Everything the builder needs.
#[derive(Debug, Clone)]
pub struct AlicloudEcs {
    /// Who calls, and where.
    pub access: Access,
    /// What the image will be.
    pub image: ImageOptions,
    /// What the temporary instance will be.
    pub run: RunOptions,
}

/// Who calls, and where.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where keys come from.
    pub credentials: Credentials,
    /// The region the build runs in.
    pub region: Spanned<String>,
    /// ECS endpoint of the main region, host with optional scheme and port.
    pub custom_endpoint_ecs: Option<Spanned<String>>,
    /// Do not ask Alibaba Cloud whether the regions exist.
    pub skip_region_validation: bool,
}

/// What the image will be.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// `image_name`.
    pub name: Spanned<String>,
    /// `image_version`.
    pub version: Option<String>,
    /// `image_description`.
    pub description: Option<String>,
    /// `target_image_family`.
    pub target_family: Option<Spanned<String>>,
    /// `boot_mode`.
    pub boot_mode: Option<String>,
    /// `image_platform`.
    pub platform: Option<String>,
    /// `image_architecture`.
    pub architecture: Option<String>,
    /// `image_detection_strategy`.
    pub detection_strategy: Option<String>,
    /// `image_imds_support`.
    pub imds_support: Option<String>,
    /// `tags` and `tag` blocks.
    pub tags: BTreeMap<String, String>,
    /// `image_share_account`.
    pub share_accounts: Vec<String>,
    /// `image_unshare_account`.
    pub unshare_accounts: Vec<String>,
    /// `image_copy_regions` and `image_copy_names`, joined; without the main
    /// region and without repetitions.
    pub copies: Vec<Copy>,
    /// `image_encrypted`, when written.
    pub encrypted: Option<bool>,
    /// `kms_key_id` for the main region's encrypted copy.
    pub kms_key_id: Option<String>,
    /// `image_force_delete` or `-force`.
    pub force_delete: bool,
    /// `image_force_delete_snapshots` or `-force`.
    pub force_delete_snapshots: bool,
    /// `image_ignore_data_disks`.
    pub ignore_data_disks: bool,
    /// `image_delete_ssh_private_key`: detach the key pair and reboot before
    /// the image is made.
    pub delete_ssh_private_key: bool,
    /// `skip_create_image`.
    pub skip_create: bool,
    /// `skip_image_validation`: use `source_image` without looking at it.
    pub skip_validation: bool,
    /// `wait_snapshot_ready_timeout`, default one hour.
    pub ready_timeout: Duration,
    /// `wait_copying_image_ready_timeout`, default one hour.
    pub copy_timeout: Duration,
}

/// A copy in another region.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Where to.
    pub region: Spanned<String>,
    /// Its name; the image's own name when absent.
    pub name: Option<String>,
    /// `image_copy_kms_ids` or `kms_key_copy_ids`.
    pub kms_key_id: Option<String>,
}

/// What the temporary instance will be.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// `source_image`, `image_family` or `source_image_filter`.
    pub source: Source,
    /// `instance_type` or `instance_types`, the best first; at least one.
    pub instance_types: Vec<Spanned<String>>,
    /// `instance_name`.
    pub instance_name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `spot_strategy` and what belongs to it; a regular instance without.
    pub spot: Option<Spot>,
    /// `deployment_set_id`.
    pub deployment_set_id: Option<Spanned<String>>,
    /// `dedicated_host_id`.
    pub dedicated_host_id: Option<Spanned<String>>,
    /// `ipv6_address_count`.
    pub ipv6_addresses: Option<Spanned<u32>>,
    /// `credit_specification`.
    pub credit_specification: Option<String>,
    /// `http_endpoint`.
    pub http_endpoint: Option<String>,
    /// `http_tokens`.
    pub http_tokens: Option<String>,
    /// `login_as_non_root`, when written.
    pub login_as_non_root: Option<Spanned<bool>>,
    /// `zone_id`.
    pub zone_id: Option<Spanned<String>>,
    /// `io_optimized`, when written.
    pub io_optimized: Option<bool>,
    /// `internet_charge_type`.
    pub internet_charge_type: Option<String>,
    /// `internet_max_bandwidth_out` in Mbit/s, when positive.
    pub internet_max_bandwidth_out: Option<u32>,
    /// Which address is used and how it is made.
    pub address: Address,
    /// `vpc_id`, or how to make one.
    pub vpc_id: Option<Spanned<String>>,
    /// `vpc_name`.
    pub vpc_name: Option<String>,
    /// `vpc_cidr_block`.
    pub vpc_cidr_block: Option<Spanned<String>>,
    /// `vswitch_id`.
    pub vswitch_id: Option<Spanned<String>>,
    /// `vswitch_name`.
    pub vswitch_name: Option<String>,
    /// `security_group_id`.
    pub security_group_id: Option<Spanned<String>>,
    /// `security_group_name`.
    pub security_group_name: Option<String>,
    /// Address ranges the temporary security group lets in.
    pub security_group_source_cidrs: Vec<String>,
    /// `security_enhancement_strategy`.
    pub security_enhancement_strategy: Option<String>,
    /// `ecs_ram_role_name`.
    pub ecs_ram_role_name: Option<Spanned<String>>,
    /// `run_tags`, on every temporary resource.
    pub run_tags: BTreeMap<String, String>,
    /// `resource_group_id`, on everything that takes one.
    pub resource_group_id: Option<String>,
    /// `user_data` or the bytes of `user_data_file`, not yet base64.
    pub user_data: Option<Secret>,
    /// `ssh_keypair_name`.
    pub ssh_keypair_name: Option<Spanned<String>>,
    /// `ssh_password` or `winrm_password`.
    pub password: Option<Secret>,
    /// `system_disk_mapping`.
    pub system_disk: Disk,
    /// `image_disk_mappings`.
    pub data_disks: Vec<Disk>,
    /// `force_stop_instance`.
    pub force_stop: bool,
    /// `disable_stop_instance`.
    pub disable_stop: bool,
}

/// Where the instance's system disk comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// `source_image`.
    Image(Spanned<String>),
    /// `image_family`.
    Family(Spanned<String>),
    /// `source_image_filter`.
    Filter(SourceFilter),
}

/// What the source image must be like. What is absent does not matter.
#[derive(Debug, Clone, Default)]
pub struct SourceFilter {
    /// Where the filter stands.
    pub span: Option<Span>,
    /// Its name; `*` stands for any characters and `?` for one.
    pub name: Option<String>,
    /// Whose it is; what the API lists by itself when empty.
    pub owners: Vec<Owner>,
    /// Tags it has.
    pub tags: BTreeMap<String, String>,
    /// Its image family.
    pub family: Option<String>,
    /// `x86_64`, `arm64` or `i386`.
    pub architecture: Option<String>,
    /// Take the newest one when there are several.
    pub most_recent: bool,
}

/// Whose an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The caller's own.
    Own,
    /// Alibaba Cloud's public images.
    System,
    /// Shared with the caller by another account.
    Others,
    /// Published for everybody by another account.
    Community,
    /// Sold in the marketplace.
    Marketplace,
    /// Shared by the account of this id.
    Account(String),
}

/// How the instance is paid for when it is a spot instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The most to pay per hour; the market's price when absent.
    pub price_limit: Option<String>,
    /// Hours in which it is not reclaimed, 0 or 1; the API's default is 1.
    pub duration: Option<u32>,
}

impl Spot {
    /// `spot_strategy`, as the API has it.
    pub fn strategy(&self) -> &'static str {
        match self.price_limit {
            Some(_) => "SpotWithPriceLimit",
            None => "SpotAsPriceGo",
        }
    }
}

/// Which address is used and how it is made.
#[derive(Debug, Clone)]
pub enum Address {
    /// The private address; `also_eip` when the template asks for both.
    Private {
        /// Associate an EIP for egress all the same.
        also_eip: bool,
    },
    /// A temporary EIP, the default.
    TemporaryEip,
    /// The user's own EIP (`eip_id`).
    Eip(Spanned<String>),
    /// A public address made with the instance
    /// (`internet_max_bandwidth_out` > 0).
    InstancePublicIp,
}

/// A disk of the instance.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// `disk_name`.
    pub name: Option<String>,
    /// `disk_category`.
    pub category: Option<String>,
    /// `disk_size` in GiB, when positive.
    pub size_gib: Option<u32>,
    /// `disk_snapshot_id`.
    pub snapshot_id: Option<Spanned<String>>,
    /// `disk_description`.
    pub description: Option<String>,
    /// `disk_delete_with_instance`, when written.
    pub delete_with_instance: Option<bool>,
    /// `disk_device`, with its leading slash.
    pub device: Option<String>,
    /// `disk_performance_level`.
    pub performance_level: Option<String>,
    /// `disk_provisioned_iops`, when positive.
    pub provisioned_iops: Option<u32>,
    /// `disk_bursting_enabled`, when written.
    pub bursting_enabled: Option<bool>,
    /// `disk_encrypted`, when written.
    pub encrypted: Option<bool>,
    /// `disk_kms_key_id`.
    pub kms_key_id: Option<String>,
}
