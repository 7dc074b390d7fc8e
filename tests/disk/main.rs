//! Disk images: what we read, check and write, compared with `qemu-img`.
//!
//! Every image is made by `qemu-img` here, in a directory of its own. Needs
//! `qemu-img` (and `mkfs.ext4`, `e2fsck`, `debugfs`, and `xfsprogs` for free
//! blocks).

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use alicloud_image::disk::stream::{self, Control, FreeSpace, Options, Window};
use alicloud_image::disk::{self, Disk, ExtentKind, Format};
use alicloud_image::error::Kind;

mod cli;
mod free;
mod hostile;
mod partition;
mod write;
mod xfs;

/// A directory for the images of a test, removed at its end.
struct Images(tempfile::TempDir);

impl Images {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program here; its words are separated by spaces.
    fn run(&self, command: &str) -> Output {
        let mut words = command.split(' ').filter(|word| !word.is_empty());
        Command::new(words.next().unwrap())
            .args(words)
            .env("PATH", programs())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn ok(&self, command: &str) -> String {
        let output = self.run(command);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Lets QEMU write to a qcow2, with a command of `qemu-io`.
    fn write(&self, name: &str, command: &str) {
        let output = Command::new("qemu-io")
            .args(["-f", "qcow2", "-c", command, name])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }

    fn json(&self, command: &str) -> serde_json::Value {
        let output = self.run(command);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{command}: {error}: {output:?}"))
    }

    /// A raw file with text, random bytes, zeros and holes, of an odd size.
    fn source(&self, name: &str, size: u64) -> PathBuf {
        use std::os::unix::fs::FileExt;
        let path = self.path(name);
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(size).unwrap();
        let mut noise = Noise(7);
        let mut offset = 0;
        while offset < size {
            let length = (noise.below(200_000) + 1).min(size - offset);
            let bytes: Vec<u8> = match noise.below(4) {
                0 => (0..length).map(|_| noise.next() as u8).collect(),
                1 => b"the same words again "
                    .iter()
                    .copied()
                    .cycle()
                    .take(length as usize)
                    .collect(),
                2 => vec![0; length as usize],
                _ => Vec::new(),
            };
            file.write_all_at(&bytes, offset).unwrap();
            offset += length + noise.below(100_000);
        }
        path
    }
}

/// Where programs are; those for file systems are not on every user's path.
fn programs() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap())
}

/// Random numbers that are the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// All bytes of a disk, read in pieces of odd sizes.
fn contents(disk: &dyn Disk) -> Vec<u8> {
    let mut bytes = vec![0; disk.virtual_size() as usize];
    let mut offset = 0;
    for piece in bytes.chunks_mut(77_777) {
        disk.read_at(offset, piece).unwrap();
        offset += piece.len() as u64;
    }
    bytes
}

/// The contents as `qemu-img` sees them.
fn expected(images: &Images, name: &str, format: &str) -> Vec<u8> {
    images.ok(&format!(
        "qemu-img convert -f {format} -O raw {name} expected.raw"
    ));
    std::fs::read(images.path("expected.raw")).unwrap()
}

fn assert_agrees(images: &Images, name: &str, format: &str) {
    let disk = disk::open(&images.path(name)).unwrap();
    let info = images.json(&format!("qemu-img info --output=json -f {format} {name}"));
    assert_eq!(
        disk.virtual_size(),
        info["virtual-size"].as_u64().unwrap(),
        "{name}"
    );
    if let Some(cluster) = info["cluster-size"].as_u64() {
        assert_eq!(disk.info().cluster_size, Some(cluster), "{name}");
    }
    let read = contents(disk.as_ref());
    assert!(
        read == expected(images, name, format),
        "{name}: other bytes"
    );
    assert_extents(disk.as_ref(), &read, name);
    if format == "qcow2" {
        assert_check_agrees(images, disk.as_ref(), name);
    } else {
        assert!(disk.check().unwrap().is_clean(), "{name}");
    }
}

/// Extents cover the disk without a gap, and only data may be other than zero.
fn assert_extents(disk: &dyn Disk, bytes: &[u8], name: &str) {
    let mut end = 0;
    for extent in disk::extents(disk) {
        let extent = extent.unwrap();
        assert_eq!(extent.start, end, "{name}");
        end = extent.end();
        let range = extent.start as usize..end as usize;
        let is_zero = bytes[range].iter().all(|byte| *byte == 0);
        assert!(
            is_zero || extent.kind == ExtentKind::Data,
            "{name}: {extent:?}"
        );
    }
    assert_eq!(end, disk.virtual_size(), "{name}");
}

fn assert_check_agrees(images: &Images, disk: &dyn Disk, name: &str) {
    let theirs = images.json(&format!("qemu-img check --output=json -f qcow2 {name}"));
    let ours = disk.check().unwrap();
    let count = |key: &str| theirs[key].as_u64().unwrap_or(0);
    assert_eq!(
        ours.corruptions,
        count("corruptions"),
        "{name}: {:?}",
        ours.findings
    );
    assert_eq!(ours.leaks, count("leaks"), "{name}: {:?}", ours.findings);
    assert_eq!(ours.total_clusters, count("total-clusters"), "{name}");
    assert_eq!(
        ours.allocated_clusters,
        count("allocated-clusters"),
        "{name}"
    );
    assert_eq!(
        ours.compressed_clusters,
        count("compressed-clusters"),
        "{name}"
    );
    assert_eq!(ours.image_end, count("image-end-offset"), "{name}");
}

#[test]
fn qcow2_of_all_kinds_is_read_as_qemu_img_does() {
    let images = Images::new();
    images.source("source.raw", 5_000_001);
    for options in [
        "compat=0.10",
        "compat=0.10,cluster_size=512",
        "cluster_size=512",
        "cluster_size=4k,refcount_bits=1",
        "cluster_size=64k,refcount_bits=64",
        "cluster_size=2M",
        "lazy_refcounts=on",
        "extended_l2=on,cluster_size=16k",
        "extended_l2=on,cluster_size=128k",
        "preallocation=metadata",
        "preallocation=falloc",
    ] {
        let name = format!("{}.qcow2", options.replace(['=', ','], "-"));
        images.ok(&format!(
            "qemu-img convert -O qcow2 -o {options} source.raw {name}"
        ));
        assert_agrees(&images, &name, "qcow2");
    }
}

#[test]
fn compressed_qcow2_is_read_as_qemu_img_does() {
    let images = Images::new();
    images.source("source.raw", 5_000_001);
    for options in [
        "cluster_size=64k",
        "cluster_size=512",
        "cluster_size=2M",
        "compat=0.10",
        "compression_type=zstd",
        "compression_type=zstd,cluster_size=512",
        "compression_type=zstd,cluster_size=2M",
        "extended_l2=on,compression_type=zstd",
    ] {
        let name = format!("{}.qcow2", options.replace(['=', ','], "-"));
        images.ok(&format!(
            "qemu-img convert -c -O qcow2 -o {options} source.raw {name}"
        ));
        assert_agrees(&images, &name, "qcow2");
    }
}

#[test]
fn other_formats_are_read_as_qemu_img_does() {
    let images = Images::new();
    images.source("source.raw", 5_000_001);
    assert_agrees(&images, "source.raw", "raw");
    for (options, format) in [
        ("-O vpc -o subformat=dynamic", "vpc"),
        ("-O vpc -o subformat=fixed", "vpc"),
        ("-O vpc -o subformat=dynamic,force_size=on", "vpc"),
        ("-O vpc -o subformat=fixed,force_size=on", "vpc"),
        ("-O vmdk", "vmdk"),
        ("-O vmdk -o subformat=streamOptimized", "vmdk"),
        ("-O vmdk -o zeroed_grain=on", "vmdk"),
    ] {
        let name = format!("{}.{format}", options.replace([' ', '=', ','], "-"));
        images.ok(&format!("qemu-img convert {options} source.raw ./{name}"));
        assert_agrees(&images, &format!("./{name}"), format);
    }
}

#[test]
fn empty_and_full_images_are_read() {
    let images = Images::new();
    for (name, create) in [
        ("nothing.qcow2", "-f qcow2 nothing.qcow2 0"),
        ("sector.qcow2", "-f qcow2 sector.qcow2 512"),
        ("empty.qcow2", "-f qcow2 empty.qcow2 3G"),
    ] {
        images.ok(&format!("qemu-img create {create}"));
        let disk = disk::open(&images.path(name)).unwrap();
        assert!(disk::extents(disk.as_ref()).all(|e| e.unwrap().kind == ExtentKind::Hole));
        assert_check_agrees(&images, disk.as_ref(), name);
    }
    std::fs::write(images.path("full.raw"), vec![b'x'; 3 << 20]).unwrap();
    images.ok("qemu-img convert -O qcow2 full.raw full.qcow2");
    assert_agrees(&images, "full.qcow2", "qcow2");
}

#[test]
fn a_chain_of_five_backing_files_is_read_through() {
    let images = Images::new();
    images.source("base.raw", 1_000_000);
    std::fs::create_dir(images.path("sub")).unwrap();
    images.ok("qemu-img create -f qcow2 -b base.raw -F raw 1.qcow2 2M");
    images.ok("qemu-img create -f qcow2 -b ../1.qcow2 -F qcow2 sub/2.qcow2 3M");
    images.ok("qemu-img create -f qcow2 -o extended_l2=on -b sub/2.qcow2 -F qcow2 3.qcow2");
    images.ok("qemu-img create -f qcow2 -b 3.qcow2 -F qcow2 4.qcow2 2500k");
    images.ok("qemu-img create -f qcow2 -b 4.qcow2 -F qcow2 top.qcow2 5M");
    for (name, writes) in [
        ("1.qcow2", "write -P 1 100k 300k"),
        ("sub/2.qcow2", "write -P 2 1900k 400k"),
        ("3.qcow2", "write -P 3 150001 3000"),
        ("4.qcow2", "write -z 200k 100k"),
        ("top.qcow2", "write -P 5 4M 70k"),
    ] {
        images.write(name, writes);
    }
    assert_agrees(&images, "top.qcow2", "qcow2");
    let disk = disk::open(&images.path("top.qcow2")).unwrap();
    assert_eq!(disk.info().backing.len(), 5);
}

#[test]
fn chains_that_cannot_be_followed_are_named() {
    let images = Images::new();
    images.ok("qemu-img create -f qcow2 a.qcow2 1M");
    images.ok("qemu-img create -f qcow2 -b a.qcow2 -F qcow2 b.qcow2");
    images.ok("qemu-img rebase -u -b b.qcow2 -F qcow2 a.qcow2");
    let error = disk::open(&images.path("a.qcow2")).unwrap_err();
    let text = alicloud_image::error::one_line(&error);
    assert!(text.contains("chain of backing files comes back"), "{text}");
    std::fs::remove_file(images.path("a.qcow2")).unwrap();
    let error = disk::open(&images.path("b.qcow2")).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
}

#[test]
fn an_external_data_file_is_read() {
    let images = Images::new();
    images.source("source.raw", 2_000_000);
    for raw in ["off", "on"] {
        let options = format!("data_file=data-{raw}.bin,data_file_raw={raw}");
        images.ok(&format!(
            "qemu-img convert -O qcow2 -o {options} source.raw {raw}.qcow2"
        ));
        assert_agrees(&images, &format!("{raw}.qcow2"), "qcow2");
    }
}

#[test]
fn snapshots_and_bitmaps_are_counted_and_ignored() {
    let images = Images::new();
    images.source("source.raw", 2_000_000);
    images.ok("qemu-img convert -O qcow2 source.raw s.qcow2");
    images.ok("qemu-img snapshot -c one s.qcow2");
    images.write("s.qcow2", "write -P 9 0 64k");
    images.ok("qemu-img bitmap --add s.qcow2 dirty");
    assert_agrees(&images, "s.qcow2", "qcow2");
    let disk = disk::open(&images.path("s.qcow2")).unwrap();
    assert_eq!(disk.info().snapshots, 1);
    assert!(disk.info().warnings[0].contains("snapshots are ignored"));
}

#[test]
fn what_cannot_be_read_says_why() {
    let images = Images::new();
    images.ok("qemu-img create -f vmdk -o subformat=monolithicFlat flat.vmdk 1M");
    images.ok("qemu-img create -f vhdx x.vhdx 1M");
    images.ok("qemu-img create --object secret,id=s,data=x -f qcow2 \
         -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 luks.qcow2 1M");
    images.ok("qemu-img create -f qcow2 aes.qcow2 1M");
    let mut bytes = std::fs::read(images.path("aes.qcow2")).unwrap();
    bytes[35] = 1;
    std::fs::write(images.path("aes.qcow2"), bytes).unwrap();
    for (name, expected) in [
        ("aes.qcow2", "encrypted (AES)"),
        ("flat.vmdk", "a VMDK descriptor of other files"),
        ("x.vhdx", "a VHDX image"),
        ("luks.qcow2", "encrypted (LUKS)"),
    ] {
        let error = disk::open(&images.path(name)).unwrap_err();
        assert_eq!(error.kind(), Kind::Disk);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn unknown_features_have_the_names_that_the_image_gives() {
    let images = Images::new();
    images.ok("qemu-img create -f qcow2 a.qcow2 1M");
    let mut bytes = std::fs::read(images.path("a.qcow2")).unwrap();
    bytes[72] = 0x80;
    std::fs::write(images.path("a.qcow2"), &bytes).unwrap();
    let error = disk::open(&images.path("a.qcow2")).unwrap_err();
    assert!(
        error.message().contains("unknown features: bit 63"),
        "{error}"
    );
    let at = bytes
        .windows(9)
        .position(|text| text == b"dirty bit")
        .unwrap();
    bytes[at - 1] = 63;
    std::fs::write(images.path("a.qcow2"), &bytes).unwrap();
    let error = disk::open(&images.path("a.qcow2")).unwrap_err();
    assert!(error.message().contains("`dirty bit`"), "{error}");
}

#[test]
fn leaks_and_corruptions_are_counted_as_qemu_img_does() {
    let images = Images::new();
    images.source("source.raw", 2_000_000);
    images.ok("qemu-img convert -O qcow2 source.raw good.qcow2");
    let good = std::fs::read(images.path("good.qcow2")).unwrap();
    let table = u64::from_be_bytes(good[48..56].try_into().unwrap()) as usize;
    let block = u64::from_be_bytes(good[table..table + 8].try_into().unwrap()) as usize;
    for (name, cluster, count) in [("leak", 7, 2_u16), ("corrupt", 7, 0), ("unused", 300, 1)] {
        let mut bytes = good.clone();
        let at = block + cluster * 2;
        bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
        let name = format!("{name}.qcow2");
        std::fs::write(images.path(&name), &bytes).unwrap();
        let disk = disk::open(&images.path(&name)).unwrap();
        assert_check_agrees(&images, disk.as_ref(), &name);
        assert!(
            !disk.check().unwrap().is_clean() || cluster == 300,
            "{name}"
        );
    }
}
