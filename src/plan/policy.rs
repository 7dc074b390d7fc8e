//! The least RAM policy with which a plan can be built and cleaned up.
//!
//! Pure: it follows from the options which calls a build makes. Calls that a
//! build can do without are not in it. Not here: what happens when a
//! permission is missing; see `cloud::hints`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::alicloud_ecs::{Address, AlicloudEcs, ImageOptions, Source};
use super::communicator::Communicator;
use super::import::Import;
use super::post_processor::Kind;
use super::{Build, Builder, Plan};
use crate::cloud::credential;

/// Always: what is there, the instance, its image, and deleting what is left
/// of them.
const INSTANCE: &[&str] = &[
    "ecs:CreateImage",
    "ecs:DeleteImage",
    "ecs:DeleteInstance",
    "ecs:DeleteSnapshot",
    "ecs:DescribeImages",
    "ecs:DescribeInstances",
    "ecs:RunInstances",
    "ecs:StopInstance",
    "ecs:UntagResources",
];

const KEY_PAIR: &[&str] = &[
    "ecs:DeleteKeyPairs",
    "ecs:DescribeKeyPairs",
    "ecs:ImportKeyPair",
];

const SECURITY_GROUP: &[&str] = &[
    "ecs:AuthorizeSecurityGroup",
    "ecs:CreateSecurityGroup",
    "ecs:DeleteSecurityGroup",
];

const VSWITCH: &[&str] = &["vpc:CreateVSwitch", "vpc:DeleteVSwitch"];

const VPC: &[&str] = &["vpc:CreateVpc", "vpc:DeleteVpc"];

const NEW_EIP: &[&str] = &["vpc:AllocateEipAddress", "vpc:ReleaseEipAddress"];

const EIP: &[&str] = &[
    "vpc:AssociateEipAddress",
    "vpc:DescribeEipAddresses",
    "vpc:UnassociateEipAddress",
];

/// Always: what is there, the upload, the import, and the role for it.
const IMPORT: &[&str] = &[
    "ecs:CancelTask",
    "ecs:DeleteImage",
    "ecs:DeleteSnapshot",
    "ecs:DescribeImages",
    "ecs:DescribeSnapshots",
    "ecs:DescribeTasks",
    "ecs:ImportImage",
    "ecs:UntagResources",
    "oss:AbortMultipartUpload",
    "oss:DeleteBucket",
    "oss:DeleteObject",
    "oss:GetBucketInfo",
    "oss:GetObject",
    "oss:ListMultipartUploads",
    "oss:ListObjects",
    "oss:ListParts",
    "oss:PutBucket",
    "oss:PutObject",
    "ram:AttachPolicyToRole",
    "ram:CreateRole",
    "ram:GetPolicy",
    "ram:GetRole",
    "ram:ListPoliciesForRole",
    "ram:PassRole",
];

/// More than one of those: what images of any template may want.
const ANY_IMAGE: &[&str] = &[
    "ecs:CancelCopyImage",
    "ecs:CopyImage",
    "ecs:ModifyImageAttribute",
    "ecs:ModifyImageSharePermission",
    "ecs:TagResources",
];

/// And what instances of any template may want.
const ANY_INSTANCE: &[&str] = &[
    "ecs:CreateSnapshot",
    "ecs:DescribeAvailableResource",
    "ecs:DescribeDisks",
    "ecs:DescribeImageFromFamily",
    "ecs:DescribeSecurityGroups",
    "ecs:DescribeSnapshots",
    "ecs:DetachKeyPair",
    "ecs:RebootInstance",
    "ram:PassRole",
    "vpc:DescribeVSwitches",
    "vpc:DescribeVpcs",
];

/// The policies for sessions of a role that need no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// All that builds with `alicloud-ecs` may do.
    Build,
    /// All that imports may do.
    Import,
}

/// A policy that fits every template of a kind, for
/// `role-policy: preset:build`.
pub fn preset(preset: Preset) -> Value {
    let parts: &[&[&str]] = match preset {
        Preset::Build => &[
            INSTANCE,
            ANY_INSTANCE,
            ANY_IMAGE,
            KEY_PAIR,
            SECURITY_GROUP,
            VSWITCH,
            VPC,
            NEW_EIP,
            EIP,
        ],
        Preset::Import => &[IMPORT, ANY_IMAGE],
    };
    allowing(&parts.iter().copied().flatten().copied().collect())
}

/// The policy, for `alicloud-image policy`.
pub fn document(plan: &Plan) -> Value {
    let mut actions = BTreeSet::new();
    for build in &plan.builds {
        of_build(build, &mut actions);
    }
    allowing(&actions)
}

fn allowing(actions: &Actions) -> Value {
    json!({
        "Version": "1",
        "Statement": [{
            "Effect": "Allow",
            "Action": actions,
            "Resource": ["*"],
        }],
    })
}

type Actions = BTreeSet<&'static str>;

fn of_build(build: &Build, actions: &mut Actions) {
    if let Builder::AlicloudEcs(options) = &build.builder {
        of_source(&options.access.credentials, actions);
        of_instance(options, &build.communicator, actions);
        of_image(&options.image, actions);
    }
    let post_processors = build.post_processors.iter().flatten();
    for post_processor in post_processors {
        if let Kind::AlicloudImport(import) = &post_processor.kind {
            of_import(import, actions);
        }
    }
}

fn of_source(source: &credential::Source, actions: &mut Actions) {
    if matches!(source, credential::Source::AssumedRole(_)) {
        actions.insert("sts:AssumeRole");
    }
}

fn of_instance(options: &AlicloudEcs, communicator: &Communicator, actions: &mut Actions) {
    let run = &options.run;
    actions.extend(INSTANCE);
    let has_temporary_key =
        matches!(communicator, Communicator::Ssh(ssh) if ssh.needs_temporary_key());
    let wanted = [
        (
            matches!(run.source, Source::Family(_)),
            &["ecs:DescribeImageFromFamily"][..],
        ),
        (
            run.zone_id.is_none() && run.vswitch_id.is_none(),
            &["ecs:DescribeAvailableResource"],
        ),
        (
            run.ssh_keypair_name.is_none() && has_temporary_key,
            KEY_PAIR,
        ),
        (run.security_group_id.is_none(), SECURITY_GROUP),
        (true, &["ecs:DescribeSecurityGroups"]),
        (run.vswitch_id.is_none(), VSWITCH),
        (true, &["vpc:DescribeVSwitches", "vpc:DescribeVpcs"]),
        (makes_vpc(options), VPC),
        (run.ecs_ram_role_name.is_some(), &["ram:PassRole"]),
        (
            options.image.ignore_data_disks,
            &[
                "ecs:CreateSnapshot",
                "ecs:DescribeDisks",
                "ecs:DescribeSnapshots",
            ],
        ),
        (
            options.image.delete_ssh_private_key,
            &["ecs:DetachKeyPair", "ecs:RebootInstance"],
        ),
    ];
    let wanted = wanted.into_iter().filter(|(is_wanted, _)| *is_wanted);
    actions.extend(wanted.flat_map(|(_, some)| some));
    match run.address {
        Address::TemporaryEip | Address::Private { also_eip: true } => {
            actions.extend(NEW_EIP.iter().chain(EIP));
        }
        Address::Eip(_) => actions.extend(EIP),
        Address::Private { also_eip: false } | Address::InstancePublicIp => {}
    }
}

/// A vSwitch or a security group tells its VPC.
fn makes_vpc(options: &AlicloudEcs) -> bool {
    let run = &options.run;
    run.vpc_id.is_none() && run.vswitch_id.is_none() && run.security_group_id.is_none()
}

fn of_image(image: &ImageOptions, actions: &mut Actions) {
    if !image.copies.is_empty() || image.encrypted.is_some() {
        actions.extend(["ecs:CancelCopyImage", "ecs:CopyImage"]);
    }
    if !image.share_accounts.is_empty() || !image.unshare_accounts.is_empty() {
        actions.insert("ecs:ModifyImageSharePermission");
    }
    if !image.tags.is_empty() {
        // Its snapshots are tagged, too.
        actions.insert("ecs:TagResources");
    }
    let is_copied = !image.copies.is_empty() || image.encrypted == Some(true);
    let is_said_of_copies =
        image.target_family.is_some() || image.boot_mode.is_some() || image.imds_support.is_some();
    if image.force_delete || (is_copied && is_said_of_copies) {
        actions.insert("ecs:ModifyImageAttribute");
    }
}

fn of_import(import: &Import, actions: &mut Actions) {
    of_source(&import.access.credentials, actions);
    actions.extend(IMPORT);
    of_image(&import.image, actions);
    if import.image.target_family.is_some() {
        // ImportImage knows no family.
        actions.insert("ecs:ModifyImageAttribute");
    }
}
