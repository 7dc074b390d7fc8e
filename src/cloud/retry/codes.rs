//! What error codes mean, as data.
//!
//! Facts: error tables of the ECS and VPC API reference, and the lists that
//! terraform-provider-alicloud and Packer's plugin learned in production.
//! Misspelt codes are the API's own.

/// A pattern is a code, or the beginning of one with a `*` at its end.
pub(in crate::cloud) fn matches(patterns: &[&str], code: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => code.starts_with(beginning),
            None => *pattern == code,
        })
}

/// Whether an action was refused because its object does not exist any more.
pub(in crate::cloud) fn is_gone(action: &str, code: &str) -> bool {
    row(action).is_some_and(|row| matches(row.gone, code))
}

/// Whether this refusal of a repeated request means that the first one, whose
/// answer was lost, did its work.
pub(in crate::cloud) fn is_done_already(action: &str, code: &str) -> bool {
    is_gone(action, code)
        || (SETS_POWER.contains(&action) && code == "IncorrectInstanceStatus")
        || DONE.contains(&(action, code))
}

/// Refusals that only a request that was carried out can cause. Whoever calls
/// them looks at the result anyway.
const DONE: &[(&str, &str)] = &[
    ("AttachPolicyToRole", "EntityAlreadyExists.Role.Policy"),
    ("CompleteMultipartUpload", "NoSuchUpload"),
    ("CreateRole", "EntityAlreadyExists.Role"),
    // The object may not be overwritten, and was not there before.
    ("PutObject", "FileAlreadyExists"),
];

/// Actions that an instance refuses once they have begun. Whoever calls them
/// waits for the new state anyway.
const SETS_POWER: &[&str] = &["StartInstance", "StopInstance", "RebootInstance"];

/// Whether an action was refused because something else must end first.
pub(super) fn is_busy(action: &str, code: &str) -> bool {
    matches(IN_PROGRESS, code) || row(action).is_some_and(|row| matches(row.busy, code))
}

/// Whether the code says for sure that nothing was done.
pub(in crate::cloud) fn is_refusal(code: &str) -> bool {
    matches(THROTTLED, code) || matches(UNAVAILABLE, code) || matches(IN_PROGRESS, code)
}

/// Whether the caller lacks keys or permissions.
pub(in crate::cloud) fn is_about_credentials(code: &str) -> bool {
    matches(CREDENTIALS, code)
}

/// Too many requests.
pub(super) const THROTTLED: &[&str] = &[
    "Throttling*",
    "Rejected.Throttling",
    "FrequentPurchase.EIP",
    // OSS
    "DownloadTrafficRateLimitExceeded",
    "QpsLimitExceeded",
    "UploadTrafficRateLimitExceeded",
];

/// The service says that it did nothing and that it will be back.
pub(super) const UNAVAILABLE: &[&str] = &["ServiceUnavailable*"];

/// The service failed and does not say how far it came.
pub(super) const INTERNAL: &[&str] = &[
    "InternalError*",
    "UnknownError",
    // OSS: the body arrived late or not as it was sent.
    "BadRequest",
    "InvalidDigest",
    "RequestTimeout",
];

/// An earlier request, perhaps the same one, is still being worked on.
const IN_PROGRESS: &[&str] = &[
    "Idempotence.Processing",
    "IdempotentProcessing",
    "LastTokenProcessing",
    "OperationConflict",
    "OperationFailed.DistibuteLock",
    "OperationFailed.IdempotentTokenProcessing",
    "OperationFailed.LastTokenProcessing",
    "OperationFailed.SystemBusy",
    "System.ServiceBusy",
    "SystemBusy",
    "TOKEN_PROCESSING",
    "TaskConflict",
];

const CREDENTIALS: &[&str] = &[
    "AccessDenied",
    "AccessKeyIdAndSecurityTokenNotMatch",
    "AuthenticationFail*",
    "Forbidden.AccessKeyDisabled",
    "Forbidden.PassRole*",
    "Forbidden.RAM",
    "Forbidden.SubUser",
    "InvalidAccessKeyId*",
    "InvalidAccessKeySecret",
    "InvalidSecurityToken*",
    "InvalidUser.PassRoleForbidden",
    "MissingSecurityToken",
    "NoPermission",
    "SecurityTokenExpired",
    "SignatureDoesNotMatch",
];

struct Row {
    action: &'static str,
    /// Try again: something else must end first.
    busy: &'static [&'static str],
    /// The object is not there any more.
    gone: &'static [&'static str],
}

fn row(action: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.action == action)
}

const INSTANCE_GONE: &[&str] = &[
    "Forbidden.InstanceNotFound",
    "InvalidInstanceId.NotFound",
    "InvalidInstanceIds.NotFound",
];

const EIP_GONE: &[&str] = &["InvalidAllocationId.NotFound"];

const EIP_BUSY: &[&str] = &[
    "IncorrectEipStatus",
    "IncorrectInstanceStatus",
    "IncorrectStatus*",
    "InvalidBindingStatus",
    "InvalidStatus.EcsStatusNotSupport",
    "InvalidStatus.EniStatusNotSupport",
    "InvalidStatus.InstanceHasBandWidth",
    "OperationFailed.EcsMigrating",
    "TaskConflict.AssociateGlobalAccelerationInstance",
];

const ROWS: &[Row] = &[
    Row {
        action: "RunInstances",
        busy: &["IncorrectInstanceStatus", "IncorrectVSwitchStatus"],
        gone: &[],
    },
    Row {
        action: "StartInstance",
        busy: &[
            "IncorrectInstanceStatus",
            "InstanceNotReady",
            "InvalidOperation.Conflict",
        ],
        gone: INSTANCE_GONE,
    },
    Row {
        action: "StopInstance",
        busy: &["IncorrectInstanceStatus*", "InvalidOperation.Conflict"],
        gone: INSTANCE_GONE,
    },
    Row {
        action: "RebootInstance",
        busy: &["IncorrectInstanceStatus*", "InvalidOperation.Conflict"],
        gone: INSTANCE_GONE,
    },
    Row {
        action: "DeleteInstance",
        busy: &["DependencyViolation.RouteEntry", "IncorrectInstanceStatus*"],
        gone: INSTANCE_GONE,
    },
    Row {
        action: "DetachKeyPair",
        busy: &[],
        gone: &["InvalidKeyPair.NotFound", "InvalidKeyPairName.NotFound"],
    },
    Row {
        action: "DeleteKeyPairs",
        busy: &["InvalidParameter.KeypairAlreadyAttachedInstance"],
        gone: &["InvalidKeyPair.NotFound", "InvalidKeyPairName.NotFound"],
    },
    // The network interface of a released instance lingers.
    Row {
        action: "DeleteSecurityGroup",
        busy: &["DependencyViolation"],
        gone: &["InvalidSecurityGroupId.NotFound"],
    },
    Row {
        action: "DeleteDisk",
        busy: &["IncorrectDiskStatus*", "DiskCreatingSnapshot"],
        gone: &["InvalidDiskId.NotFound"],
    },
    Row {
        action: "CreateSnapshot",
        busy: &["IncorrectDiskStatus", "IncorrectInstanceStatus"],
        gone: &[],
    },
    Row {
        action: "DeleteSnapshot",
        busy: &[
            "InvalidOperation.RelatedSnapshotNotFinished",
            "Operation.Conflict",
            // Its image was deleted a moment ago.
            "SnapshotCreatedImage",
        ],
        gone: &["InvalidResource.NotFound", "InvalidSnapshotId.NotFound"],
    },
    Row {
        action: "CreateImage",
        busy: &[
            "IncorrectDiskStatus",
            "IncorrectDiskStatus.CreatingSnapshot",
            "IncorrectDiskStatus.Transferring",
            "IncorrectInstanceStatus",
            "InvalidSnapshotId.NotReady",
            "SnapshotNotReady",
            "TooManySnapshot.Unfinished",
        ],
        gone: &[],
    },
    Row {
        action: "DeleteImage",
        busy: &[
            "ImageIsExporting",
            "ImageIsImporting",
            "OperationDenied.ImageCopying",
        ],
        gone: &["InvalidImageId.NotFound"],
    },
    Row {
        action: "CancelTask",
        busy: &[],
        // It has ended, one way or the other.
        gone: &["InvalidTaskId*"],
    },
    Row {
        action: "AbortMultipartUpload",
        busy: &[],
        gone: &["NoSuchUpload", "NoSuchBucket"],
    },
    Row {
        action: "DeleteObject",
        busy: &[],
        gone: &["NoSuchKey", "NoSuchBucket"],
    },
    Row {
        action: "DeleteBucket",
        busy: &[],
        gone: &["NoSuchBucket"],
    },
    Row {
        action: "CancelCopyImage",
        busy: &[],
        gone: &["InvalidImageId.NotFound"],
    },
    Row {
        action: "CreateVpc",
        busy: &["UnknownError"],
        gone: &[],
    },
    Row {
        action: "DeleteVpc",
        busy: &[
            "DependencyViolation.Instance",
            "DependencyViolation.RouteEntry",
            "DependencyViolation.SecurityGroup",
            "DependencyViolation.VSwitch",
            "Forbbiden",
            "IncorrectStatus.cbnStatus",
            "IncorrectVpcStatus",
        ],
        gone: &[
            "Forbidden.VpcNotFound",
            "InvalidResource.NotFound",
            "InvalidVpcID.NotFound",
            "InvalidVpcId.NotFound",
        ],
    },
    Row {
        action: "CreateVSwitch",
        busy: &[
            "CreateVSwitch.IncorrectStatus.cbnStatus",
            "IncorrectStatus*",
            "IncorrectVSwitchStatus",
            "InvalidStatus.RouteEntry",
            "OperationFailed.NotifyCenCreate",
        ],
        gone: &[],
    },
    Row {
        action: "DeleteVSwitch",
        busy: &[
            "DependencyViolation*",
            "DeleteVSwitch.IncorrectStatus.cbnStatus",
            "IncorrectStatus",
            "IncorrectRouteEntryStatus",
            "IncorrectVSwitchStatus",
            "OperationDenied.OtherSubnetProcessing",
        ],
        gone: &["InvalidVSwitchId.NotFound", "InvalidVswitchID.NotFound"],
    },
    Row {
        action: "AllocateEipAddress",
        busy: &["IncorrectStatus"],
        gone: &[],
    },
    Row {
        action: "AssociateEipAddress",
        busy: EIP_BUSY,
        gone: &[],
    },
    Row {
        action: "UnassociateEipAddress",
        // Whoever calls it looks at the EIP between attempts: it may have been
        // unbound by the end of its instance, and then this never ends.
        busy: &[],
        gone: EIP_GONE,
    },
    Row {
        action: "ReleaseEipAddress",
        busy: EIP_BUSY,
        gone: EIP_GONE,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_codes_or_beginnings() {
        assert!(matches(&["Throttling*"], "Throttling.User"));
        assert!(matches(&["A", "B"], "B"));
        assert!(!matches(&["Throttling"], "Throttling.User"));
        assert!(!matches(
            &["DependencyViolation"],
            "DependencyViolation.NatGateway"
        ));
    }

    #[test]
    fn gone_is_said_per_action() {
        assert!(is_gone("DeleteInstance", "InvalidInstanceId.NotFound"));
        assert!(!is_gone("RunInstances", "InvalidInstanceId.NotFound"));
        assert!(!is_gone("DeleteInstance", "InvalidRegionId.NotFound"));
    }
}
