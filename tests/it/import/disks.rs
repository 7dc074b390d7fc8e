//! What is sent and what is known before: formats, checks, fields, data disks.

use std::process::Command;

use super::{IMPORT, MIB, assert_nothing, bucket, import, lab, noise, raw_disk};
use crate::harness::Lab;

/// Runs a program in the lab's directory; words are separated by spaces.
#[track_caller]
fn run(lab: &Lab, command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap())
        .args(words)
        .current_dir(lab.path("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
}

/// Imports a file and leaves what was sent in `sent.qcow2`.
async fn sent(lab: &Lab, file: &str, more: &[&str]) {
    let object = format!("{file}.{}", lab.calls("ImportImage").len());
    let key = format!("--oss-key-name={object}");
    let mut arguments = vec!["import", file, "--skip-clean", "--force", &key];
    arguments.extend(&IMPORT[2..]);
    arguments.extend(more);
    lab.run(&arguments).await.success();
    let object = lab.sandbox.object("images", &object).unwrap();
    std::fs::write(lab.path("sent.qcow2"), object).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn any_format_and_a_chain_arrive_as_one_qcow2() {
    let mut lab = lab().await;
    lab.may_leave_resources();
    let mut disk = raw_disk(2 * MIB);
    disk.resize(8 * MIB, 0);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    run(&lab, "qemu-img convert -O qcow2 disk.raw disk.qcow2");
    run(&lab, "qemu-img convert -O vpc disk.raw disk.vhd");
    run(&lab, "qemu-img convert -O vmdk disk.raw disk.vmdk");
    run(
        &lab,
        "qemu-img create -q -f qcow2 -b disk.qcow2 -F qcow2 top.qcow2",
    );
    let write = ["-c", "write -q -P 7 4M 1M", "top.qcow2"];
    let mut qemu_io = Command::new("qemu-io");
    let output = qemu_io.args(write).current_dir(lab.path(".")).output();
    assert!(output.unwrap().status.success());
    for file in [
        "disk.raw",
        "disk.qcow2",
        "disk.vhd",
        "disk.vmdk",
        "top.qcow2",
    ] {
        sent(&lab, file, &[]).await;
        run(&lab, "qemu-img check -q sent.qcow2");
        run(&lab, &format!("qemu-img compare -q {file} sent.qcow2"));
        let mapping = &lab.calls("ImportImage").pop().unwrap().params;
        assert_eq!(mapping["DiskDeviceMapping.1.Format"], "QCOW2", "{file}");
        assert!(!mapping.contains_key("DiskDeviceMapping.2.Format"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_is_asked_for_is_made() {
    let mut lab = lab().await;
    lab.may_leave_resources();
    std::fs::write(lab.path("disk.raw"), raw_disk(2 * MIB)).unwrap();
    for (format, driver) in [("RAW", "raw"), ("VHD", "vpc"), ("QCOW2", "qcow2")] {
        sent(&lab, "disk.raw", &[&format!("--option=format={format}")]).await;
        run(
            &lab,
            &format!("qemu-img compare -q -f raw -F {driver} disk.raw sent.qcow2"),
        );
        let params = lab.calls("ImportImage").pop().unwrap().params;
        assert_eq!(params["DiskDeviceMapping.1.Format"], format);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_system_marks_as_free_is_not_sent_unless_asked() {
    let mut lab = lab().await;
    lab.may_leave_resources();
    // A partition behind the first MiB, and in it a file that is deleted.
    let mut disk = vec![0; 24 * MIB];
    disk[446..512].copy_from_slice(&raw_disk(MIB)[446..512]);
    (disk[454..458]).copy_from_slice(&2048_u32.to_le_bytes());
    (disk[458..462]).copy_from_slice(&(23 * 2048_u32).to_le_bytes());
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    std::fs::write(lab.path("deleted"), noise(8 * MIB)).unwrap();
    let at = "disk.raw?offset=1048576";
    run(
        &lab,
        "/usr/sbin/mke2fs -q -t ext4 -E offset=1048576 disk.raw 23M",
    );
    for command in ["write deleted deleted", "rm deleted"] {
        let output = Command::new("/usr/sbin/debugfs")
            .args(["-w", "-R", command, at])
            .current_dir(lab.path("."))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let size = || std::fs::metadata(lab.path("sent.qcow2")).unwrap().len();
    sent(&lab, "disk.raw", &["--option=keep_free_blocks=true"]).await;
    assert!(size() > 8 << 20);
    run(&lab, "qemu-img compare -q disk.raw sent.qcow2");
    sent(&lab, "disk.raw", &[]).await;
    assert!(size() < 2 << 20, "{}", size());
    run(&lab, "qemu-img convert -O raw sent.qcow2 result.raw");
    run(&lab, "/usr/sbin/e2fsck -fn result.raw?offset=1048576");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_disks_are_sent_beside_the_systems() {
    let lab = lab().await;
    std::fs::write(lab.path("disk.raw"), raw_disk(7 * MIB)).unwrap();
    // A data disk needs no boot record.
    std::fs::write(lab.path("data.raw"), noise(MIB)).unwrap();
    let more = ["--data-disk=data.raw", "--oss-key-name=d/x.qcow2"];
    import(&lab, &more).await.success();
    let params = lab.call("ImportImage").params;
    let field = |name: &str| params[&format!("DiskDeviceMapping.{name}")].clone();
    assert_eq!(field("1.OSSObject"), "d/x.qcow2");
    assert_eq!(field("2.OSSObject"), "d/x-data-1.qcow2");
    assert_eq!(field("2.OSSBucket"), "images");
    assert_eq!(
        (field("2.Format"), field("2.DiskImageSize")),
        ("QCOW2".into(), "1".into())
    );
    let mappings = &lab.sandbox.images()[0]["DiskDeviceMappings"]["DiskDeviceMapping"];
    assert_eq!(mappings.as_array().unwrap().len(), 2, "{mappings}");
    assert_eq!(lab.temporary(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_reaches_the_call() {
    let lab = lab().await;
    lab.sandbox.seed().role(
        "Importer",
        r#"{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":["ecs.aliyuncs.com"]}}],"Version":"1"}"#,
        &["AliyunECSImageImportRolePolicy"],
    );
    std::fs::write(lab.path("disk.raw"), raw_disk(MIB)).unwrap();
    let table = [
        ("image_architecture", "arm64", "Architecture"),
        ("image_os_type", "linux", "OSType"),
        ("image_platform", "Debian", "Platform"),
        ("boot_mode", "UEFI", "BootMode"),
        ("image_description", "From a test", "Description"),
        ("image_license_type", "BYOL", "LicenseType"),
        ("image_import_role_name", "Importer", "RoleName"),
        ("image_detection_strategy", "Standard", "DetectionStrategy"),
        ("image_nvme_support", "supported", "Features.NvmeSupport"),
        ("image_imds_support", "v2", "Features.ImdsSupport"),
        ("resource_group_id", "rg-1", "ResourceGroupId"),
        (
            "image_system_size",
            "40",
            "DiskDeviceMapping.1.DiskImageSize",
        ),
    ];
    let options = table.map(|(name, value, _)| format!("--option={name}={value}"));
    let mut more: Vec<_> = options.iter().map(String::as_str).collect();
    more.extend(["--tag=team=web", "--option=target_image_family=debian"]);
    import(&lab, &more).await.success();
    let params = lab.call("ImportImage").params;
    for (name, value, field) in table {
        assert_eq!(params.get(field).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(params["Tag.1.Key"], "team");
    assert!(params.contains_key("ClientToken"));
    assert_eq!(
        lab.call("ModifyImageAttribute").params["ImageFamily"],
        "debian"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_is_private_and_encrypted_when_asked() {
    let lab = lab().await;
    let more = ["--option=oss_server_side_encryption=AES256"];
    let outcome = import(&lab, &more).await;
    let params = lab.call("InitiateMultipartUpload").params;
    assert_eq!(params["x-oss-server-side-encryption"], "AES256");
    assert_eq!(params["x-oss-object-acl"], "private");
    // The simulated ECS refuses it, as the real one refuses encrypted buckets.
    assert_ne!(outcome.code, 0);
    let said = "InvalidOSSBucket.EncryptUnsupported";
    assert!(outcome.text().contains(said), "{}", outcome.text());
    assert_nothing(&lab);
}

/// A GPT with an EFI system partition and nothing for a BIOS.
fn gpt(disk: &mut [u8]) {
    disk[446..510].fill(0);
    disk[450] = 0xee;
    disk[454] = 1;
    disk[458..462].fill(0xff);
    let header = &mut disk[512..1024];
    header.fill(0);
    header[..8].copy_from_slice(b"EFI PART");
    header[72] = 2;
    header[80] = 1;
    header[84] = 128;
    let esp = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b,
    ];
    disk[1024..1152].fill(0);
    disk[1024..1040].copy_from_slice(&esp);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_boots_by_uefi_only_gets_that_mode() {
    let lab = lab().await;
    let mut disk = raw_disk(MIB);
    gpt(&mut disk);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    let outcome = import(&lab, &[]).await.success();
    let said = "the image gets boot mode UEFI";
    assert!(outcome.stdout.contains(said), "{}", outcome.stdout);
    assert_eq!(lab.call("ImportImage").params["BootMode"], "UEFI");
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_that_cannot_become_an_image_are_refused_at_once() {
    let lab = super::empty_lab().await;
    lab.sandbox
        .seed()
        .import_role()
        .bucket(&bucket("cn-beijing"));
    let mut mbr = raw_disk(MIB);
    mbr[450] = 0x83;
    std::fs::write(lab.path("mbr.raw"), &mbr).unwrap();
    gpt(&mut mbr);
    std::fs::write(lab.path("gpt.raw"), &mbr).unwrap();
    std::fs::write(lab.path("part.raw"), noise(MIB)).unwrap();
    std::fs::write(lab.path("cut.raw"), &raw_disk(MIB)[..MIB - 100]).unwrap();
    std::fs::write(lab.path("empty.raw"), b"").unwrap();
    std::fs::write(lab.path("packed.gz"), b"\x1f\x8b\x08 and more").unwrap();
    run(&lab, "qemu-img convert -O qcow2 mbr.raw whole.qcow2");
    run(
        &lab,
        "qemu-img create -q -f qcow2 -b whole.qcow2 -F qcow2 top.qcow2",
    );
    run(
        &lab,
        "qemu-img create -q -f qcow2 -u -b gone.qcow2 -F qcow2 orphan.qcow2 1M",
    );
    run(&lab, "qemu-img create -q -f qcow2 large.qcow2 3T");
    // The entry of the second cluster points far behind the end of the file.
    let mut broken = std::fs::read(lab.path("whole.qcow2")).unwrap();
    let l1 = u64::from_be_bytes(broken[40..48].try_into().unwrap()) as usize;
    let l2 = u64::from_be_bytes(broken[l1..l1 + 8].try_into().unwrap()) as usize & 0xff_ffff;
    broken[l2 + 8 + 3] = 0x70;
    std::fs::write(lab.path("broken.qcow2"), broken).unwrap();
    let as_it_is = "--option=skip_conversion=true";
    let table: [(&str, &[&str], &str); 12] = [
        (
            "mbr.raw",
            &["--boot-mode=UEFI"],
            "has no EFI system partition",
        ),
        ("gpt.raw", &["--boot-mode=BIOS"], "boots by UEFI only"),
        ("part.raw", &[], "no partition table"),
        ("cut.raw", &[], "has a part of a sector"),
        ("empty.raw", &[], "is empty"),
        ("packed.gz", &[], "is compressed with gzip"),
        ("missing.raw", &[], "There is no disk image"),
        ("top.qcow2", &[as_it_is], "has a backing file"),
        ("orphan.qcow2", &[], "gone.qcow2"),
        ("large.qcow2", &[], "has 3072 GiB; ECS imports 2048"),
        ("broken.qcow2", &[], "is damaged"),
        (
            "mbr.raw",
            &[as_it_is, "--option=format=VHD"],
            "is RAW, but `format` says VHD",
        ),
    ];
    for (file, more, expected) in table {
        let mut arguments = vec!["import", file];
        arguments.extend(&IMPORT[2..]);
        arguments.extend(more);
        let outcome = lab.run(&arguments).await;
        let text = outcome.text();
        assert!(
            outcome.code != 0 && text.contains(expected),
            "{file}: {text}"
        );
    }
    assert_eq!(
        lab.sandbox
            .calls()
            .iter()
            .filter(|call| call.product == "Oss")
            .count(),
        0
    );
    assert_nothing(&lab);
}
