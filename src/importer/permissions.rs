//! The RAM actions an import calls, from its options.

use crate::builder::alicloud_ecs::permissions::add_publishing;
use crate::plan::import::Import;
use crate::policy::Permissions;

/// Adds what an import calls.
pub fn add(permissions: &mut Permissions, import: &Import) {
    permissions.need(&[
        "oss:GetBucketInfo",
        "oss:PutBucket",
        "oss:DeleteBucket",
        "oss:PutObject",
        "oss:GetObject",
        "oss:ListParts",
        "oss:AbortMultipartUpload",
        "oss:DeleteObject",
        "ecs:ImportImage",
        "ecs:DescribeImages",
    ]);
    let in_family = import.image.target_family.is_some();
    permissions.need_if(in_family, &["ecs:ModifyImageAttribute"]);
    permissions.useful.extend([
        "ecs:DescribeTasks",
        "ecs:CancelTask",
        "oss:ListMultipartUploads",
        "ram:GetRole",
        "ram:GetPolicy",
        "ram:ListPoliciesForRole",
    ]);
    if import.role_name.is_none() {
        permissions
            .useful
            .extend(["ram:CreateRole", "ram:AttachPolicyToRole"]);
    }
    add_publishing(permissions, &import.image);
}
