//! Free blocks: dropped from clean ext file systems, and from nothing else.

use std::os::unix::fs::FileExt;

use super::*;
use alicloud_image::disk::stream::Summary;

const MIB: u64 = 1 << 20;

/// Where the file system of [`disk_with`] begins.
const START: u64 = MIB;

/// A file system with files, and with random bytes in blocks that were used by
/// a deleted file.
pub(super) fn deleted_on(images: &Images, name: &str, mkfs: &str, size: &str) {
    let tree = images.path("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    let mut noise = Noise(3);
    let random: Vec<u8> = (0..3 * MIB).map(|_| noise.next() as u8).collect();
    std::fs::write(tree.join("etc/kept"), &random[..MIB as usize]).unwrap();
    std::fs::write(tree.join("deleted"), &random).unwrap();
    images.ok(&format!("mkfs.ext4 -q -F {mkfs} -d tree {name} {size}"));
    images.debugfs(name, "rm /deleted");
}

/// A raw disk with one partition that holds such a file system.
fn disk_with(images: &Images, mkfs: &str) {
    deleted_on(images, "fs.img", mkfs, "24M");
    let fs = std::fs::read(images.path("fs.img")).unwrap();
    let disk = std::fs::File::create(images.path("disk.raw")).unwrap();
    disk.set_len(START + fs.len() as u64 + MIB).unwrap();
    disk.write_all_at(&fs, START).unwrap();
    disk.write_all_at(&mbr(fs.len() as u64), 0).unwrap();
}

fn mbr(length: u64) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[450] = 0x83;
    sector[454..458].copy_from_slice(&((START / 512) as u32).to_le_bytes());
    sector[458..462].copy_from_slice(&((length / 512) as u32).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

impl Images {
    fn debugfs(&self, image: &str, command: &str) {
        let output = Command::new("debugfs")
            .env("PATH", programs())
            .args(["-w", "-R", command, image])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// The file system has the file that [`deleted_on`] put there.
    pub(super) fn assert_file_stayed(&self, image: &str) {
        self.debugfs(image, "dump /etc/kept kept.after");
        let read = |name| std::fs::read(self.path(name)).unwrap();
        assert!(read("kept.after") == read("tree/etc/kept"), "{image}");
    }

    /// Converts with free blocks dropped and takes the file system out again.
    fn dropped(&self, source: &str) -> Summary {
        let disk = disk::open(&self.path(source)).unwrap();
        let options = Options {
            free_space: FreeSpace::Drop,
            ..Options::new(stream::Output::Qcow2)
        };
        let out = self.path("out.qcow2");
        let summary = stream::write_file(disk.as_ref(), &options, &out, Control::none()).unwrap();
        self.ok("qemu-img check -f qcow2 out.qcow2");
        let out = disk::open(&out).unwrap();
        let bytes = contents(out.as_ref());
        std::fs::write(self.path("after.img"), &bytes[START as usize..]).unwrap();
        summary
    }

    fn assert_everything_kept(&self, source: &str, reason: &str) {
        let summary = self.dropped(source);
        assert_eq!(summary.dropped_free, 0);
        assert!(summary.notes[0].contains(reason), "{:?}", summary.notes);
        self.ok(&format!(
            "qemu-img compare -f raw -F qcow2 {source} out.qcow2"
        ));
    }
}

#[test]
fn free_blocks_are_dropped_and_files_stay() {
    for mkfs in [
        "",
        "-b 1024",
        "-b 2048 -O ^64bit",
        "-O ^metadata_csum,uninit_bg",
        "-O ^metadata_csum",
        "-t ext2",
        "-t ext3",
        "-O metadata_csum_seed,sparse_super2",
        "-O orphan_file,large_dir,ea_inode,inline_data",
        "-O casefold,verity,stable_inodes -G 4 -g 4096",
        "-O ^has_journal,^resize_inode,^flex_bg,^64bit,^extent",
    ] {
        let images = Images::new();
        disk_with(&images, mkfs);
        let summary = images.dropped("disk.raw");
        assert!(summary.dropped_free >= 2 * MIB, "{mkfs}: {summary:?}");
        images.ok("e2fsck -fn after.img");
        images.assert_file_stayed("after.img");
    }
}

/// Options of `mkfs`, why nothing is dropped, and what makes it so.
type Case = (&'static str, &'static str, fn(&mut Vec<u8>));

#[test]
fn nothing_is_dropped_where_anything_is_uncertain() {
    let cases: [Case; 9] = [
        ("-O bigalloc", "read-only compatible features", |_| ()),
        ("-O meta_bg,^resize_inode", "incompatible features", |_| ()),
        ("-O mmp", "incompatible features", |_| ()),
        ("-O encrypt", "incompatible features", |_| ()),
        ("", "its journal must be replayed", |bytes| {
            bytes[START as usize + 1024 + 0x60] |= 4;
        }),
        ("-O ^metadata_csum", "it is not clean", |bytes| {
            bytes[START as usize + 1024 + 0x3a] = 2;
        }),
        ("", "its superblock is damaged", |bytes| {
            bytes[START as usize + 1024 + 0x70] ^= 1;
        }),
        (
            "-O ^metadata_csum",
            "read-only compatible features",
            |bytes| {
                bytes[START as usize + 1024 + 0x65] |= 2;
            },
        ),
        ("", "partitions overlap", |bytes| {
            let entry: Vec<u8> = bytes[446..462].to_vec();
            bytes[462..478].copy_from_slice(&entry);
        }),
    ];
    for (mkfs, reason, damage) in cases {
        let images = Images::new();
        disk_with(&images, mkfs);
        let path = images.path("disk.raw");
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        if reason.contains("journal") {
            // The checksum must be right for the flag to be believed.
            fix_superblock(&mut bytes[START as usize + 1024..][..1024]);
        }
        std::fs::write(&path, bytes).unwrap();
        images.assert_everything_kept("disk.raw", reason);
    }
}

fn fix_superblock(superblock: &mut [u8]) {
    let sum = superblock[..0x3fc].iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    });
    superblock[0x3fc..].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_wrong_bitmap_keeps_everything() {
    let images = Images::new();
    disk_with(&images, "-b 4096 -O ^metadata_csum");
    let path = images.path("disk.raw");
    let mut bytes = std::fs::read(&path).unwrap();
    let descriptor = START as usize + 4096;
    let bitmap = u32::from_le_bytes(bytes[descriptor..descriptor + 4].try_into().unwrap());
    bytes[START as usize + bitmap as usize * 4096] ^= 0x80;
    std::fs::write(&path, bytes).unwrap();
    images.assert_everything_kept("disk.raw", "wrong count of free blocks");
}

#[test]
fn other_disks_are_kept() {
    let images = Images::new();
    images.source("source.raw", 3_000_000);
    images.assert_everything_kept("source.raw", "no ext or XFS file system");
}
