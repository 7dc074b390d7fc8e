//! The RAM actions a build with this builder calls, from its options.
//!
//! It follows the calls of this module, of `publish` and of the journal's
//! sweep; a test runs builds under exactly this policy.

use crate::plan::alicloud_ecs::{Address, AlicloudEcs, ImageOptions, RunOptions, Source};
use crate::plan::communicator::Communicator;
use crate::policy::Permissions;

/// Adds what a build calls.
pub fn add(permissions: &mut Permissions, options: &AlicloudEcs, communicator: &Communicator) {
    let (run, image) = (&options.run, &options.image);
    permissions.need(&[
        "ecs:DescribeImages",
        "ecs:RunInstances",
        "ecs:TagResources",
        "ecs:DescribeInstances",
        "ecs:DeleteInstance",
    ]);
    permissions.need_if(!run.disable_stop, &["ecs:StopInstance"]);
    permissions.need_if(run.ecs_ram_role_name.is_some(), &["ram:PassRole"]);
    let by_family = matches!(run.source, Source::Family(_));
    permissions.need_if(by_family, &["ecs:DescribeImageFromFamily"]);
    let makes_key = match communicator {
        Communicator::Ssh(ssh) => ssh.needs_temporary_key() && run.ssh_keypair_name.is_none(),
        _ => false,
    };
    permissions.need_if(
        makes_key,
        &[
            "ecs:ImportKeyPair",
            "ecs:DescribeKeyPairs",
            "ecs:DeleteKeyPairs",
        ],
    );
    let detaches_key = makes_key && image.delete_ssh_private_key;
    permissions.need_if(detaches_key, &["ecs:DetachKeyPair", "ecs:RebootInstance"]);
    add_network(permissions, run);
    add_address(permissions, &run.address);
    if !image.skip_create {
        add_image(permissions, image);
    }
    permissions.useful.extend([
        "ecs:DescribeAvailableResource",
        "ecs:DescribeInstanceTypes",
        "ecs:DescribeRegions",
        "ecs:DescribeZones",
    ]);
}

fn add_network(permissions: &mut Permissions, run: &RunOptions) {
    permissions.need(&[
        "vpc:DescribeVpcs",
        "vpc:DescribeVSwitches",
        "ecs:DescribeSecurityGroups",
    ]);
    let makes_group = run.security_group_id.is_none();
    permissions.need_if(
        makes_group,
        &[
            "ecs:CreateSecurityGroup",
            "ecs:AuthorizeSecurityGroup",
            "ecs:DeleteSecurityGroup",
        ],
    );
    let makes_vswitch = run.vswitch_id.is_none();
    permissions.need_if(makes_vswitch, &["vpc:CreateVSwitch", "vpc:DeleteVSwitch"]);
    // A vSwitch or security group of the user tells its VPC.
    let makes_vpc = makes_vswitch && makes_group && run.vpc_id.is_none();
    permissions.need_if(makes_vpc, &["vpc:CreateVpc", "vpc:DeleteVpc"]);
}

fn add_address(permissions: &mut Permissions, address: &Address) {
    let (makes, uses) = match address {
        Address::TemporaryEip | Address::Private { also_eip: true } => (true, true),
        Address::Eip(_) => (false, true),
        Address::Private { also_eip: false } | Address::InstancePublicIp => (false, false),
    };
    permissions.need_if(makes, &["vpc:AllocateEipAddress", "vpc:ReleaseEipAddress"]);
    permissions.need_if(
        uses,
        &[
            "vpc:AssociateEipAddress",
            "vpc:DescribeEipAddresses",
            "vpc:UnassociateEipAddress",
        ],
    );
}

fn add_image(permissions: &mut Permissions, image: &ImageOptions) {
    permissions.need(&["ecs:CreateImage"]);
    permissions.need_if(
        image.ignore_data_disks,
        &[
            "ecs:DescribeDisks",
            "ecs:CreateSnapshot",
            "ecs:DescribeSnapshots",
        ],
    );
    add_publishing(permissions, image);
}

/// Adds what becomes of an available image, built or imported.
pub(crate) fn add_publishing(permissions: &mut Permissions, image: &ImageOptions) {
    let is_copied = !image.copies.is_empty() || image.encrypted == Some(true);
    // An image of a failed build is deleted with its snapshots.
    permissions.need(&["ecs:DeleteImage", "ecs:DeleteSnapshot"]);
    permissions.need_if(is_copied, &["ecs:CopyImage", "ecs:CancelCopyImage"]);
    let is_completed = is_copied
        && (image.target_family.is_some()
            || image.boot_mode.is_some()
            || image.imds_support.is_some());
    let is_changed = image.force_delete || is_completed;
    permissions.need_if(is_changed, &["ecs:ModifyImageAttribute"]);
    let is_shared = !image.share_accounts.is_empty() || !image.unshare_accounts.is_empty();
    permissions.need_if(is_shared, &["ecs:ModifyImageSharePermission"]);
    permissions.need_if(!image.tags.is_empty(), &["ecs:TagResources"]);
}
