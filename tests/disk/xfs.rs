//! Free blocks of XFS: `xfs_db` says which they are, `xfs_repair` that the
//! rest is whole. Needs `mkfs.xfs`, `xfs_repair` and `xfs_db`.

use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::*;
use alicloud_image::disk::stream::Summary;

const MIB: usize = 1 << 20;

/// A length that is no multiple of a block.
const LENGTH: usize = 48_000_000;

/// Files for `mkfs.xfs -p`, which writes them in place of a mount.
const PROTOTYPE: &str = "/dev/null\n0 0\nd--755 0 0\n\
    kept ---644 0 0 kept\nsub d--755 0 0\nkept ---644 0 0 kept\n$\n$\n";

/// A file system over the whole disk, made on top of random bytes, which free
/// blocks then still hold.
pub(super) fn file_system(images: &Images, options: &str) {
    let mut noise = Noise(5);
    let mut random = || (0..MIB).map(|_| noise.next() as u8).collect::<Vec<_>>();
    std::fs::write(images.path("kept"), &random()[..300_000]).unwrap();
    std::fs::write(images.path("prototype"), PROTOTYPE).unwrap();
    let disk = std::fs::File::create(images.path("fs.raw")).unwrap();
    disk.set_len(LENGTH as u64).unwrap();
    let garbage = random();
    for offset in (0..LENGTH - MIB).step_by(4 * MIB) {
        disk.write_all_at(&garbage, offset as u64).unwrap();
    }
    let output = Command::new("mkfs.xfs")
        .args("-q -f -K -p prototype".split(' '))
        .args(options.split(' ').filter(|word| !word.is_empty()))
        .arg("fs.raw")
        .env("PATH", programs())
        // Without these it makes none of less than 300 MB.
        .envs([("TEST_DIR", "-"), ("TEST_DEV", "-"), ("QA_CHECK_FS", "-")])
        .current_dir(images.0.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{options}: {output:?}");
}

/// Converts with free blocks dropped; answers the bytes of the result.
fn dropped(images: &Images) -> (Summary, Vec<u8>) {
    let disk = disk::open(&images.path("fs.raw")).unwrap();
    let options = Options {
        free_space: FreeSpace::Drop,
        ..Options::new(stream::Output::Raw)
    };
    let out = images.path("after.raw");
    let summary = stream::write_file(disk.as_ref(), &options, &out, Control::none()).unwrap();
    (summary, std::fs::read(out).unwrap())
}

/// The answer of a command of `xfs_db`.
fn xfs_db(images: &Images, command: &str) -> String {
    let output = Command::new("xfs_db")
        .args(["-r", "-c", command, "fs.raw"])
        .env("PATH", programs())
        .current_dir(images.0.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The bytes of the extents that `xfs_db` calls free, in order; among them
/// are the blocks of the free list.
fn named_free(images: &Images, superblock: &[u8]) -> Vec<Range<usize>> {
    let (block, group) = (be32(superblock, 4), be32(superblock, 84));
    let extent = |line: &str| {
        let words: Result<Vec<usize>, _> = line.split_whitespace().map(str::parse).collect();
        match words.as_deref() {
            Ok([number, start, count]) => {
                let start = (number * group + start) * block;
                Some(start..start + count * block)
            }
            _ => None,
        }
    };
    let table = xfs_db(images, "freesp -d");
    table.lines().skip(1).map_while(extent).collect()
}

fn be32(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

#[test]
fn only_what_xfs_db_calls_free_is_dropped() {
    for options in [
        "",
        "-m crc=0",
        "-b size=1024",
        "-m rmapbt=1,reflink=1,inobtcount=1,bigtime=1 -i nrext64=1",
        "-m crc=0,finobt=0 -l version=1",
        "-s size=4096 -l su=32k",
    ] {
        let images = Images::new();
        file_system(&images, options);
        let (summary, after) = dropped(&images);
        let before = std::fs::read(images.path("fs.raw")).unwrap();
        let note = &summary.notes[0];
        assert!(note.contains("Whole disk: XFS, "), "{options}: {note}");
        assert!(summary.dropped_free > 5 << 20, "{options}: {summary:?}");
        let mut end = 0;
        for free in named_free(&images, &before) {
            assert!(
                before[end..free.start] == after[end..free.start],
                "{options}"
            );
            let is_list = free.len() <= be32(&before, 4);
            let is_zero = after[free.clone()].iter().all(|byte| *byte == 0);
            assert!(is_zero || is_list, "{options}: {free:?}");
            end = free.end;
        }
        assert!(before[end..] == after[end..before.len()], "{options}");
        images.ok("xfs_repair -n after.raw");
    }
}

/// Where the log begins.
pub(super) fn log(bytes: &[u8]) -> usize {
    let (place, bits) = (be32(bytes, 52), bytes[124]);
    let block = (place >> bits) * be32(bytes, 84) + (place & ((1 << bits) - 1));
    block * be32(bytes, 4)
}

/// Options of `mkfs.xfs`, why nothing is dropped, and what makes it so.
type Case = (&'static str, &'static str, fn(&mut Vec<u8>));

const UNCERTAIN: [Case; 12] = [
    ("", "its superblock is damaged", |bytes| bytes[110] ^= 1),
    ("", "its log must be replayed first", |bytes| {
        // The last record's operation is then any but an unmount.
        let at = log(bytes) + 512 + 9;
        bytes[at] = 0;
    }),
    ("", "its log must be replayed first", |bytes| {
        // Something was written after the unmount: the rest of the cycle.
        let at = log(bytes);
        bytes[at + 1024..at + 1028].copy_from_slice(&[0, 0, 0, 1]);
    }),
    ("", "its log is damaged", |bytes| {
        let at = log(bytes) + 40 * 512;
        bytes[at + 3] = 1;
    }),
    ("", "group 1: its header is damaged", |bytes| {
        let at = be32(bytes, 84) * be32(bytes, 4) + 512;
        bytes[at + 100] ^= 1;
    }),
    ("", "group 0: its B+tree is damaged", |bytes| {
        let at = be32(bytes, 512 + 16) * be32(bytes, 4);
        bytes[at + 200] ^= 1;
    }),
    ("-m crc=0", "group 0: its B+tree is damaged", |bytes| {
        // The extent begins in the group's header.
        let at = be32(bytes, 512 + 16) * be32(bytes, 4);
        bytes[at + 16..at + 20].fill(0);
    }),
    ("-m crc=0", "group 0: it has a wrong count", |bytes| {
        bytes[512 + 55] ^= 1;
    }),
    ("-m crc=0", "it has a wrong count of free blocks", |bytes| {
        bytes[151] ^= 1;
    }),
    ("-m crc=0", "version features", |bytes| bytes[100] |= 2),
    ("-m crc=0", "it has a realtime device", |bytes| {
        bytes[23] = 9;
    }),
    ("-m crc=0", "its log is on another device", |bytes| {
        bytes[48..56].fill(0);
    }),
];

#[test]
fn nothing_is_dropped_from_an_xfs_that_is_not_certain() {
    for (options, reason, damage) in UNCERTAIN {
        let images = Images::new();
        file_system(&images, options);
        let mut bytes = std::fs::read(images.path("fs.raw")).unwrap();
        damage(&mut bytes);
        std::fs::write(images.path("fs.raw"), &bytes).unwrap();
        let (summary, after) = dropped(&images);
        assert!(summary.notes[0].contains(reason), "{:?}", summary.notes);
        assert_eq!(summary.dropped_free, 0);
        assert!(after[..LENGTH] == bytes, "{reason}");
    }
}
