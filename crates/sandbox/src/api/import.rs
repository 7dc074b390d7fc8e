//! ImportImage. The call checks what can be known at once; the object is read
//! then too, but what is wrong with it makes the task fail, not the call.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::image::{
    blank_image, check_quota, check_texts, detection, mapping_of, new_name, plain_image,
    snapshot_for,
};
use super::run::device_name;
use super::{Answer, Context, check_tags};
use crate::error::ApiError;
use crate::faults::StateFault;
use crate::imported::{DiskFormat, ImportedDisk, Refusal};
use crate::machine::DiskImage;
use crate::oss::content::Content;
use crate::state::Common;
use crate::state::bucket::Object;
use crate::state::image::{Image, Mapping};
use crate::state::instance::Disk;
use crate::state::role::IMPORT_ROLE;
use crate::state::task::{Task, TaskStatus};
use crate::state::{Tags, Transition};

const GIB: u64 = 1 << 30;

/// System disk and 16 data disks.
const MOST_DISKS: usize = 17;

/// How long an import takes that never ends.
const NEVER: Duration = Duration::from_secs(400 * 24 * 3600);

const PLATFORMS: &[&str] = &[
    "Aliyun",
    "Anolis",
    "CentOS",
    "Ubuntu",
    "CoreOS",
    "SUSE",
    "Debian",
    "OpenSUSE",
    "FreeBSD",
    "RedHat",
    "Kylin",
    "UOS",
    "Fedora",
    "Fedora CoreOS",
    "CentOS Stream",
    "AlmaLinux",
    "Rocky Linux",
    "Gentoo",
    "Customized Linux",
    "Others Linux",
    "Windows Server 2022",
    "Windows Server 2019",
    "Windows Server 2016",
    "Windows Server 2012",
    "Windows Server 2008",
    "Windows Server 2003",
    "Other Windows",
];

/// A disk the call names, found in OSS.
struct Source {
    bucket: String,
    key: String,
    content: Content,
    format: Option<DiskFormat>,
    /// GiB.
    size: Option<u64>,
}

pub(super) fn import_image(context: &mut Context<'_>) -> Answer {
    check_tags(context)?;
    let name = new_name(context, "ImageName")?;
    check_texts(context)?;
    check_quota(context)?;
    check_system(context)?;
    let role = context.get("RoleName").unwrap_or(IMPORT_ROLE);
    if !context.cloud.may_import(role, context.now) {
        return Err(context.error("NoSetRoletoECSServiceAcount"));
    }
    let sources = find_sources(context)?;
    let common = context.common("m", name);
    let image = begin_import(context, common, &sources);
    Ok(json!({
        "ImageId": image.0,
        "TaskId": image.1,
        "RegionId": context.region,
    }))
}

/// Checks what the call says about the operating system.
fn check_system(context: &Context<'_>) -> Result<(), ApiError> {
    let checked: [(&str, &[&str], &str); 4] = [
        (
            "Architecture",
            &["i386", "x86_64", "arm64"],
            "InvalidArchitecture.Malformed",
        ),
        ("OSType", &["linux", "windows"], "InvalidOSType.Malformed"),
        ("Platform", PLATFORMS, "InvalidPlatform.Malformed"),
        ("BootMode", &["BIOS", "UEFI"], "InvalidBootMode.Malformed"),
    ];
    for (name, values, code) in checked {
        if context
            .get(name)
            .is_some_and(|value| !values.contains(&value))
        {
            return Err(context.error(code));
        }
    }
    let license = context.get("LicenseType");
    if license.is_some_and(|l| !["Auto", "Aliyun", "BYOL"].contains(&l)) {
        return Err(context.error("InvalidLicenseType.NotSupported"));
    }
    let windows = context.get("OSType") == Some("windows");
    if context.get("Architecture") == Some("arm64") {
        if context.get("BootMode") != Some("UEFI") {
            return Err(context.error("InvalidBootMode.NotSupport"));
        }
        if windows {
            return Err(context.error("InvalidArchitecture.PlatformUnsupported"));
        }
    }
    match context.get("DetectionStrategy") {
        Some("Standard") if windows => Err(context.error("ImageCheckUnsupported.WindowsImage")),
        Some("Standard") | None => Ok(()),
        Some(_) => Err(context.error("InvalidParameter.DetectionStrategy")),
    }
}

fn find_sources(context: &Context<'_>) -> Result<Vec<Source>, ApiError> {
    let mappings = context.params.objects("DiskDeviceMapping");
    if mappings.is_empty() || mappings.len() > MOST_DISKS {
        return Err(context.error("MissingParameter.DiskDeviceMapping"));
    }
    let disks = mappings.iter().enumerate();
    disks
        .map(|(index, mapping)| find_source(context, index, mapping))
        .collect()
}

fn find_source(
    context: &Context<'_>,
    index: usize,
    mapping: &BTreeMap<String, String>,
) -> Result<Source, ApiError> {
    let need = |name: &str| {
        let value = mapping.get(name).filter(|value| !value.is_empty());
        let full = format!("DiskDeviceMapping.{}.{name}", index + 1);
        value
            .cloned()
            .ok_or_else(|| ApiError::missing_parameter(&full))
    };
    let (bucket, key) = (need("OSSBucket")?, need("OSSObject")?);
    let format = mapping.get("Format").map(|format| {
        DiskFormat::parse(format).ok_or_else(|| context.error("InvalidImageFormat.Malformed"))
    });
    let size = mapping.get("DiskImageSize").or(mapping.get("DiskImSize"));
    let size = size.and_then(|size| size.parse().ok());
    if size.is_some_and(|size| !(1..=2048).contains(&size)) {
        return Err(match index {
            0 => {
                let message = "The specified DiskImageSize must be between 1 and 2048.";
                ApiError::new(400, "InvalidImageSize", message)
            }
            _ => context.error("InvalidDataDiskSize"),
        });
    }
    let object = find_object(context, &bucket, &key)?;
    Ok(Source {
        content: object.content.clone(),
        format: format.transpose()?,
        size,
        bucket,
        key,
    })
}

fn find_object<'a>(
    context: &'a Context<'_>,
    bucket: &str,
    key: &str,
) -> Result<&'a Object, ApiError> {
    let bucket = context.cloud.buckets.get(bucket);
    let bucket = bucket.ok_or_else(|| context.error("InvalidOSSBucket.NotFound"))?;
    if bucket.foreign {
        return Err(context.error("InvalidOSS.NotAuthorized"));
    }
    if bucket.common.region != context.region {
        let message = format!(
            "The specified OSS bucket is incorrect, the bucket is in region {}.",
            bucket.common.region
        );
        return Err(ApiError::new(400, "InvalidOSSBucket.NotMatched", message));
    }
    if bucket.encryption.is_some() {
        return Err(context.error("InvalidOSSBucket.EncryptUnsupported"));
    }
    let object = bucket.objects.get(key);
    let object = object.ok_or_else(|| context.error("InvalidOSSObject.NotFound"))?;
    if object.attributes.storage_class.ends_with("Archive") {
        return Err(context.error("InvalidOSSObject.NeedRestore"));
    }
    if object.attributes.encryption.is_some() {
        return Err(context.error("InvalidOSSBucket.EncryptUnsupported"));
    }
    if object.content.size == 0 {
        return Err(context.error("InvalidOSSObject.Size"));
    }
    Ok(object)
}

/// Starts the work; returns the ids of image and task.
fn begin_import(context: &mut Context<'_>, common: Common, sources: &[Source]) -> (String, String) {
    let id = common.id.clone();
    let transition = if context.takes_fault(StateFault::ImportStuck) {
        Transition {
            began: context.now,
            ready: context.now + NEVER,
        }
    } else {
        context.begin("import", &id, context.cloud.delays.import)
    };
    let mut image = system_of(context, common);
    image.transition = Some(transition);
    image.detection = detection(context, transition);
    let planned = "Importing image is failed, Please contact the administrator.";
    let planned = image
        .fails
        .then(|| ("ImportImageFailed", planned.to_owned()));
    let refused = add_disks(context, &mut image, sources, transition);
    let error = refused.err().or(planned);
    let task = Task {
        id: context.cloud.new_id("t", &context.region),
        region: context.region.clone(),
        image: id.clone(),
        status: TaskStatus::Processing,
        transition,
        error: error.map(|(code, message)| (code.to_owned(), message)),
        sources: sources
            .iter()
            .map(|s| (s.bucket.clone(), s.key.clone()))
            .collect(),
        created: context.wall(),
        finished: context.clock.wall(transition.ready),
    };
    let key = (image.common.region.clone(), id.clone());
    context.cloud.images.insert(key.clone(), image);
    if task.error.is_some() {
        context.cloud.doom_image(&key);
    }
    let task_id = task.id.clone();
    context.cloud.tasks.insert(task_id.clone(), task);
    (id, task_id)
}

/// The image as the call describes it, without disks.
fn system_of(context: &mut Context<'_>, common: Common) -> Image {
    let base = plain_image(context);
    let mut image = blank_image(context, common, &base);
    let or = |name: &str, default: &str| context.get(name).unwrap_or(default).to_owned();
    image.os_type = or("OSType", "linux");
    image.platform = or("Platform", "Others Linux");
    image.architecture = or("Architecture", "x86_64");
    image.boot_mode = or("BootMode", "BIOS");
    image.os_name = image.platform.clone();
    image
}

/// Reads the objects and adds them with their snapshots. The first refusal is
/// the reason the task will fail for.
fn add_disks(
    context: &mut Context<'_>,
    image: &mut Image,
    sources: &[Source],
    transition: Transition,
) -> Result<(), Refusal> {
    let mut result = Ok(());
    for (index, source) in sources.iter().enumerate() {
        let read = read_disk(source);
        let size = match (&read, source.size) {
            (_, Some(size)) => size,
            (Ok(disk), None) => disk.virtual_size.div_ceil(GIB),
            (Err(_), None) => 1,
        };
        let (kind, device) = match index {
            0 => ("system", "/dev/xvda".to_owned()),
            _ => ("data", device_name(index - 1)),
        };
        let snapshot = snapshot_for(context, image, &blank_disk(image, kind, size), transition);
        image.mappings.push(Mapping {
            imported_from: Some((source.bucket.clone(), source.key.clone())),
            ..mapping_of(&snapshot, device)
        });
        let id = snapshot.common.id.clone();
        context.cloud.snapshots.insert(id, snapshot);
        if index == 0 {
            image.size = size;
        }
        match read {
            Ok(disk) if index == 0 => image.disk = Some(DiskImage::new(disk)),
            Ok(_) => {}
            Err(refusal) => result = result.and(Err(refusal)),
        }
    }
    result
}

fn read_disk(source: &Source) -> Result<ImportedDisk, Refusal> {
    let disk = ImportedDisk::inspect(&source.content, source.format)?;
    let needed = disk.virtual_size.div_ceil(GIB);
    match source.size {
        Some(size) if size < needed => {
            let why = format!(
                "The virtual size of the image is {needed} GiB, which is larger than the specified DiskImageSize {size}."
            );
            Err(("InvalidImageSize", why))
        }
        _ => Ok(disk),
    }
}

fn blank_disk(image: &Image, kind: &'static str, size: u64) -> Disk {
    Disk {
        common: Common {
            id: String::new(),
            tags: Tags::new(),
            ..image.common.clone()
        },
        zone: String::new(),
        instance: None,
        kind,
        device: String::new(),
        category: String::new(),
        size,
        delete_with_instance: true,
        encrypted: false,
        snapshot: String::new(),
        image: image.common.id.clone(),
    }
}
