//! What a user can do about a refused request.
//!
//! Facts: error tables of the ECS and VPC API reference, "Troubleshoot RAM
//! permission errors", and field reports.

use super::endpoint::{is_known_region, nearest_region};
use super::failure::Refusal;
use super::retry::codes::matches;
use super::transport::SendFailure;

/// Hints for a refusal, each a sentence without final dot.
pub(super) fn of(refusal: &Refusal) -> Vec<String> {
    let code = refusal.failure.code.as_str();
    let known = KNOWN
        .iter()
        .find(|(codes, _)| matches(codes, code))
        .map(|(_, hint)| (*hint).to_owned());
    known.into_iter().chain(particular(refusal, code)).collect()
}

/// Hints for a request without answer.
pub(super) fn of_silence(failure: &SendFailure, region: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if failure.source.to_string().contains("certificate") {
        hints.push("Name the certificates of your proxy in SSL_CERT_FILE".to_owned());
    }
    if failure.unsent && !is_known_region(region) {
        hints.extend(nearest_region(region).map(|near| format!("Did you mean {near}?")));
    }
    if failure.unsent && hints.is_empty() {
        hints.push("Check the network, and HTTPS_PROXY if one is needed".to_owned());
    }
    hints
}

/// Hints that depend on more than the code.
fn particular(refusal: &Refusal, code: &str) -> Option<String> {
    match code {
        "Forbidden.RAM" | "NoPermission" | "Forbidden.SubUser" => Some(missing_permission(refusal)),
        "AccessDenied" => Some(denied_by_oss(refusal)),
        // At an endpoint that serves buckets of all regions.
        "InvalidArgument" if refusal.failure.message.contains("signing region") => Some(format!(
            "The bucket is in another region than {}: an image is imported from a bucket of its own region",
            refusal.failure.region
        )),
        "SignatureDoesNotMatch" | "IncompleteSignature" => Some(bad_signature(refusal)),
        "InvalidRegionId.NotFound" | "InvalidRegionId" => wrong_region(&refusal.failure.region),
        _ => None,
    }
}

/// What Alibaba Cloud's documentation has users attach.
const PASS_ROLE: &str = "Attach this RAM policy to the user or role whose keys are used, as it gives a role to \
     the instance (`ecs_ram_role_name`): {\"Version\": \"1\", \"Statement\": [{\"Effect\": \"Allow\", \
     \"Action\": \"ram:PassRole\", \"Resource\": \"*\"}]}";

fn missing_permission(refusal: &Refusal) -> String {
    match &refusal.missing_permission {
        Some(permission) if permission == "ram:PassRole" => PASS_ROLE.to_owned(),
        Some(permission) => format!(
            "Attach a RAM policy that allows {permission} to the user or role whose keys are used"
        ),
        None => format!(
            "Attach a RAM policy that allows {} to the user or role whose keys are used",
            refusal.failure.action
        ),
    }
}

/// OSS says the same for a missing permission and for a bucket of another
/// region, but names that region's endpoint.
fn denied_by_oss(refusal: &Refusal) -> String {
    match &refusal.endpoint {
        Some(endpoint) => format!(
            "The bucket is reached at {endpoint}, so it is not in {}: an image is imported from a \
             bucket of its own region",
            refusal.failure.region
        ),
        None => missing_permission(refusal),
    }
}

fn bad_signature(refusal: &Refusal) -> String {
    let hint = match refusal.same_string_to_sign {
        Some(true) => {
            "The AccessKey secret does not belong to the AccessKey id: check for a stale, cut or padded value"
        }
        Some(false) => {
            "The request was changed on its way, perhaps by a proxy; without one this is a bug, please report it"
        }
        None => "Check the AccessKey secret: it may be stale, cut or padded",
    };
    hint.to_owned()
}

fn wrong_region(region: &str) -> Option<String> {
    if is_known_region(region) {
        return Some(format!("This account may not use {region}"));
    }
    nearest_region(region).map(|near| format!("Did you mean {near}?"))
}

const TOKEN_EXPIRED: &str =
    "The temporary keys have ended: get new ones, or give them a longer duration";

const KNOWN: &[(&[&str], &str)] = &[
    (
        &["PublicEndpointForbidden"],
        "This account may not use OSS's public endpoint for data in mainland China: set `oss_endpoint` to `internal` \
         on a machine in the region, or to a custom domain of the bucket; or import in another region and copy the image",
    ),
    (
        &["SecondLevelDomainForbidden"],
        "OSS wants the bucket in the host name: set the endpoint to a host such as oss-cn-hangzhou.aliyuncs.com, not to an address",
    ),
    (
        &["NoSuchBucket"],
        "Check the bucket's name; a bucket that was deleted a moment ago takes a while to be free again",
    ),
    (
        &["BucketAlreadyExists"],
        "The names of all buckets of all accounts are different: choose another `oss_bucket_name`",
    ),
    (
        &["TooManyBuckets"],
        "An account has at most 100 buckets in a region: use one that is there, or delete one",
    ),
    (
        &["FileAlreadyExists"],
        "The bucket has an object of that name: choose another `oss_key_name`, or delete the object",
    ),
    (
        &["UserDisable"],
        "OSS is switched off for this account: activate it in the console, and check the account's balance",
    ),
    (
        &["AccessKeyIdAndSecurityTokenNotMatch"],
        "The security token belongs to other keys: take id, secret and token from the same place, and no token for permanent keys",
    ),
    (&["SecurityTokenExpired"], TOKEN_EXPIRED),
    (
        &["RequestTimeTooSkewed"],
        "Set this machine's clock: it must be within 15 minutes of the right time",
    ),
    (
        &["KmsServiceNotEnabled"],
        "Activate Key Management Service, or use no encryption: an encrypted object cannot be imported",
    ),
    (
        &["NoSetRoletoECSServiceAcount"],
        "ECS needs a RAM role that lets it read the object: AliyunECSImageImportDefaultRole with the policy \
         AliyunECSImageImportRolePolicy, or the one named by `image_import_role_name`",
    ),
    (
        &["InvalidOSSBucket.NotMatched", "InvalidOSSBucket.NotFound"],
        "The bucket must be in the region of the image",
    ),
    (
        &["InvalidOSS.NotAuthorized"],
        "The role must be allowed to read the bucket: oss:GetObject, oss:GetBucketLocation and oss:GetBucketInfo",
    ),
    (
        &["InvalidOSSBucket.EncryptUnsupported"],
        "Use a bucket without encryption on the server",
    ),
    (
        &["InvalidImageSize", "InvalidDataDiskSize"],
        "`image_system_size` must be at least the disk's virtual size, and at most 2048 GiB",
    ),
    (
        &[
            "InvalidImageFormat.Malformed",
            "UnsupportedSuffix.OSSObject",
        ],
        "Images are imported as RAW, VHD or QCOW2, and the object's name ends in .raw, .vhd or .qcow2",
    ),
    (
        &[
            "InvalidPlatform.Malformed",
            "InvalidArchitecture.PlatformUnsupported",
        ],
        "Check `image_platform` and `image_architecture`: a platform is written as in `Ubuntu`, `CentOS Stream`, `Windows Server 2022` or `Others Linux`",
    ),
    (
        &["InvalidBootMode.NotSupport"],
        "arm64 images boot with UEFI; others with `BIOS` or `UEFI`",
    ),
    (
        &["InvalidLicenseType.BYOLOnly"],
        "Set `image_license_type` to `BYOL`",
    ),
    (
        &["UserNotInTheWhiteList"],
        "Ask Alibaba Cloud's support to enable this format for the account, or convert the disk to QCOW2",
    ),
    (
        &[
            "OperationDenied.NoStock",
            "Zone.NotOnSale",
            "Zone.NotOpen*",
            "InvalidResourceType.NotSupported",
            "InstanceType.Offline",
        ],
        "The zone has none left: choose another zone, instance type or disk category",
    ),
    (
        &[
            "Account.Arrearage",
            "InvalidAccountStatus.NotEnoughBalance",
            "InsufficientBalance*",
        ],
        "Top up the account: pay-as-you-go resources need a positive balance",
    ),
    (
        &["InvalidAccountStatus.SnapshotServiceUnavailable"],
        "Activate the snapshot service in the ECS console and check the account's balance",
    ),
    (
        &[
            "QuotaExceed*",
            "QuotaExceeded*",
            "OperationDenied.QuotaExceed",
            "ImageQuotaExceed*",
            "ImageFamilyQuotaExceed",
            "ExceedQuota*",
        ],
        "Delete resources that are not needed any more, or ask for more in the Quota Center",
    ),
    (
        &["InvalidUser.PassRoleForbidden", "Forbidden.PassRole*"],
        PASS_ROLE,
    ),
    (
        &["InvalidRamRole.NotEcsRole", "InvalidRamRole.NotFound"],
        "The instance's role must exist and trust ecs.aliyuncs.com",
    ),
    (
        &["InvalidImageName.Duplicated"],
        "Choose a name that no image in the region has, for example one with a timestamp, or delete the other image",
    ),
    (
        &["InvalidTimeStamp*"],
        "Set this machine's clock: it must be within 15 minutes of the right time",
    ),
    (
        &["InvalidAccessKeyId.NotFound"],
        "Check the AccessKey id for typos; keys of the Chinese and the international site are different accounts",
    ),
    (
        &["InvalidAccessKeyId.Inactive", "Forbidden.AccessKeyDisabled"],
        "Enable the AccessKey in the RAM console, or use another one",
    ),
    (
        &["InvalidSecurityToken.MismatchWithAccessKey"],
        "The security token belongs to other keys: take id, secret and token from the same place, and no token for permanent keys",
    ),
    (&["InvalidSecurityToken.Expired"], TOKEN_EXPIRED),
    (
        &["InvalidSecurityToken*", "MissingSecurityToken"],
        "Temporary keys, whose id starts with STS., need the security token that came with them, whole",
    ),
    (
        &[
            "InvalidInstanceType*",
            "ImageNotSupportInstanceType",
            "InvalidInstanceType.ValueNotSupported",
            "InvalidInstanceType.ValueUnauthorized",
        ],
        "Choose an instance type that the zone offers and that fits image, disks and network",
    ),
    (
        &[
            "InvalidSystemDiskCategory*",
            "InvalidDiskCategory*",
            "InvalidDataDiskCategory*",
        ],
        "Choose a disk category that zone and instance type offer, for example cloud_essd",
    ),
    (
        &["IdempotentParameterMismatch", "IdempotenceParamNotMatch"],
        "This is a bug, please report it",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiFailure;

    fn refusal(code: &str, region: &str) -> Refusal {
        Refusal {
            endpoint: None,
            failure: ApiFailure {
                action: "RunInstances",
                region: region.into(),
                http_status: 403,
                code: code.into(),
                message: String::new(),
                request_id: String::new(),
            },
            retry_after: None,
            date: None,
            missing_permission: None,
            same_string_to_sign: None,
        }
    }

    #[test]
    fn codes_have_their_hints() {
        let table = [
            ("OperationDenied.NoStock", "cn-hangzhou", "another zone"),
            ("Account.Arrearage", "cn-hangzhou", "Top up"),
            ("QuotaExceed.ElasticQuota", "cn-hangzhou", "Quota Center"),
            (
                "InvalidUser.PassRoleForbidden",
                "cn-hangzhou",
                "ram:PassRole",
            ),
            (
                "InvalidImageName.Duplicated",
                "cn-hangzhou",
                "no image in the region has",
            ),
            ("InvalidTimeStamp.Expired", "cn-hangzhou", "clock"),
            ("InvalidAccessKeyId.NotFound", "cn-hangzhou", "typos"),
            ("InvalidSecurityToken.Malformed", "cn-hangzhou", "whole"),
            (
                "InvalidInstanceType.NotSupported",
                "cn-hangzhou",
                "instance type that the zone",
            ),
            (
                "InvalidRegionId.NotFound",
                "cn-hangzou",
                "Did you mean cn-hangzhou?",
            ),
            (
                "InvalidRegionId.NotFound",
                "cn-hangzhou",
                "may not use cn-hangzhou",
            ),
            ("Forbidden.RAM", "cn-hangzhou", "allows RunInstances"),
        ];
        for (code, region, expected) in table {
            let hints = of(&refusal(code, region));
            assert!(
                hints.len() == 1 && hints[0].contains(expected),
                "{code}: {hints:?}"
            );
        }
        assert!(of(&refusal("SomethingElse", "cn-hangzhou")).is_empty());
    }

    #[test]
    fn the_missing_permission_and_the_guilty_secret_are_named() {
        let mut denied = refusal("Forbidden.RAM", "cn-hangzhou");
        denied.missing_permission = Some("ecs:RunInstances".into());
        assert!(of(&denied)[0].contains("ecs:RunInstances"));
        let mut unsigned = refusal("SignatureDoesNotMatch", "cn-hangzhou");
        unsigned.same_string_to_sign = Some(true);
        assert!(of(&unsigned)[0].contains("secret does not belong"));
        unsigned.same_string_to_sign = Some(false);
        assert!(of(&unsigned)[0].contains("proxy"));
    }

    #[test]
    fn silence_is_explained() {
        let table = [
            (
                true,
                "failed to lookup address",
                "cn-hangzou",
                "Did you mean cn-hangzhou?",
            ),
            (true, "connection refused", "cn-hangzhou", "HTTPS_PROXY"),
            (
                true,
                "invalid peer certificate: UnknownIssuer",
                "cn-hangzhou",
                "SSL_CERT_FILE",
            ),
        ];
        for (unsent, source, region, expected) in table {
            let failure = SendFailure {
                unsent,
                host: "h".into(),
                source: source.into(),
            };
            let hints = of_silence(&failure, region);
            assert!(hints.len() == 1 && hints[0].contains(expected), "{hints:?}");
        }
    }

    #[test]
    fn hints_have_no_final_dot() {
        assert!(KNOWN.iter().all(|(_, hint)| !hint.ends_with('.')));
    }
}
