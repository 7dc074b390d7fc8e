//! Partition tables: each partition is looked at on its own.

use std::os::unix::fs::FileExt;

use super::free::deleted_on;
use super::*;
use alicloud_image::disk::stream::Summary;

const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;

/// Length of the file systems in these disks.
const LENGTH: u64 = 16 * MIB;

/// Places and contents of partitions.
struct Parts<'a> {
    images: &'a Images,
    disk: std::fs::File,
}

impl<'a> Parts<'a> {
    fn new(images: &'a Images, size: u64) -> Self {
        let disk = std::fs::File::create(images.path("disk.raw")).unwrap();
        disk.set_len(size).unwrap();
        Self { images, disk }
    }

    fn ext(&self, start: u64) {
        deleted_on(self.images, "fs.img", "", "16M");
        let bytes = std::fs::read(self.images.path("fs.img")).unwrap();
        self.put(start, &bytes);
    }

    fn put(&self, start: u64, bytes: &[u8]) {
        self.disk.write_all_at(bytes, start).unwrap();
    }

    fn convert(&self) -> Summary {
        let disk = disk::open(&self.images.path("disk.raw")).unwrap();
        let options = Options {
            free_space: FreeSpace::Drop,
            ..Options::new(stream::Output::Raw)
        };
        let out = self.images.path("out.raw");
        stream::write_file(disk.as_ref(), &options, &out, Control::none()).unwrap()
    }

    /// The file system of the result is whole, and its free blocks are gone.
    fn assert_dropped(&self, start: u64) {
        let all = std::fs::read(self.images.path("out.raw")).unwrap();
        let after = &all[start as usize..(start + LENGTH) as usize];
        std::fs::write(self.images.path("after.img"), after).unwrap();
        self.images.ok("e2fsck -fn after.img");
        self.images.assert_file_stayed("after.img");
    }

    fn assert_kept(&self, range: std::ops::Range<u64>) {
        let read = |name| {
            let bytes = std::fs::read(self.images.path(name)).unwrap();
            bytes[range.start as usize..range.end as usize].to_vec()
        };
        assert!(read("disk.raw") == read("out.raw"), "{range:?}");
    }
}

/// A boot sector: kind, first sector and length of up to four partitions.
pub(super) fn boot_sector(entries: &[(u8, u64, u64)]) -> [u8; 512] {
    let mut sector = [0; 512];
    for (index, &(kind, start, length)) in entries.iter().enumerate() {
        let entry = &mut sector[446 + index * 16..][..16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&((start / SECTOR) as u32).to_le_bytes());
        entry[12..].copy_from_slice(&((length / SECTOR) as u32).to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Protective MBR, header and entries of a GPT, with their checksums.
pub(super) fn gpt(partitions: &[(u64, u64)], size: u64) -> Vec<u8> {
    let mut bytes = boot_sector(&[(0xee, SECTOR, size - SECTOR)]).to_vec();
    bytes.resize(2 * SECTOR as usize + 128 * 128, 0);
    let (head, entries) = bytes.split_at_mut(2 * SECTOR as usize);
    for (index, &(start, length)) in partitions.iter().enumerate() {
        let entry = &mut entries[index * 128..][..128];
        entry[..16].fill(0x0f);
        entry[16] = index as u8 + 1;
        entry[32..40].copy_from_slice(&(start / SECTOR).to_le_bytes());
        entry[40..48].copy_from_slice(&((start + length) / SECTOR - 1).to_le_bytes());
    }
    let header = &mut head[SECTOR as usize..];
    header[..8].copy_from_slice(b"EFI PART");
    header[12..16].copy_from_slice(&92_u32.to_le_bytes());
    header[72..80].copy_from_slice(&2_u64.to_le_bytes());
    header[80..84].copy_from_slice(&128_u32.to_le_bytes());
    header[84..88].copy_from_slice(&128_u32.to_le_bytes());
    header[88..92].copy_from_slice(&libdeflater::crc32(entries).to_le_bytes());
    let sum = libdeflater::crc32(&header[..92]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn each_partition_of_a_gpt_is_looked_at() {
    let images = Images::new();
    let parts = Parts::new(&images, 48 * MIB);
    let starts = [MIB, 18 * MIB, 20 * MIB, 22 * MIB, 24 * MIB];
    let table = starts.map(|start| {
        (
            start,
            if start == MIB || start == 24 * MIB {
                LENGTH
            } else {
                MIB
            },
        )
    });
    parts.put(0, &gpt(&table, 48 * MIB));
    parts.ext(starts[0]);
    parts.put(starts[1], b"any bytes");
    parts.put(starts[2] + 512, b"LABELONE");
    parts.put(starts[3], b"LUKS\xba\xbe");
    parts.ext(starts[4]);
    let summary = parts.convert();
    for (note, expected) in summary.notes.iter().zip([
        "Partition 1: ext file system, ",
        "Partition 2: all blocks are kept: there is no ext or XFS file system",
        "Partition 3: all blocks are kept: it is a physical volume of LVM",
        "Partition 4: all blocks are kept: it is encrypted (LUKS)",
        "Partition 5: ext file system, ",
    ]) {
        assert!(note.starts_with(expected), "{note}");
    }
    assert_eq!(summary.notes.len(), 5);
    assert!(summary.dropped_free > 4 * MIB, "{summary:?}");
    parts.assert_dropped(starts[0]);
    parts.assert_dropped(starts[4]);
    parts.assert_kept(0..MIB);
    parts.assert_kept(18 * MIB..24 * MIB);
}

#[test]
fn logical_partitions_are_found() {
    let images = Images::new();
    let parts = Parts::new(&images, 60 * MIB);
    let extended = 20 * MIB;
    let table = [(0x83, MIB, LENGTH), (0x05, extended, 40 * MIB)];
    parts.put(0, &boot_sector(&table));
    // Each table: a partition from here on, and the next table from the
    // extended partition on.
    parts.put(
        extended,
        &boot_sector(&[(0x83, MIB, LENGTH), (0x05, 18 * MIB, 20 * MIB)]),
    );
    parts.put(
        extended + 18 * MIB,
        &boot_sector(&[(0x83, 2 * MIB, LENGTH)]),
    );
    let starts = [MIB, extended + MIB, extended + 20 * MIB];
    starts.iter().for_each(|start| parts.ext(*start));
    let summary = parts.convert();
    for (note, name) in summary
        .notes
        .iter()
        .zip(["Partition 1", "Partition 5", "Partition 6"])
    {
        assert!(
            note.starts_with(&format!("{name}: ext file system, ")),
            "{note}"
        );
    }
    assert_eq!(summary.notes.len(), 3);
    starts.iter().for_each(|start| parts.assert_dropped(*start));
}

/// What is written over a disk with one good partition, and what is said.
type Case = (&'static str, fn(&Parts<'_>));

#[test]
fn a_table_that_is_not_certain_keeps_the_whole_disk() {
    const SIZE: u64 = 20 * MIB;
    let cases: [Case; 6] = [
        ("the GPT is damaged", |parts| {
            let mut bytes = gpt(&[(MIB, LENGTH)], SIZE);
            bytes[512 + 80] ^= 1;
            parts.put(0, &bytes);
        }),
        ("the entries of the GPT are damaged", |parts| {
            let mut bytes = gpt(&[(MIB, LENGTH)], SIZE);
            bytes[1024 + 40] ^= 1;
            parts.put(0, &bytes);
        }),
        ("partitions overlap", |parts| {
            parts.put(0, &gpt(&[(MIB, LENGTH), (2 * MIB, MIB)], SIZE));
        }),
        ("a partition reaches beyond the disk", |parts| {
            parts.put(0, &gpt(&[(MIB, LENGTH), (18 * MIB, LENGTH)], SIZE));
        }),
        ("the chain of logical partitions is endless", |parts| {
            let table = [(0x83, MIB, LENGTH), (0x05, 18 * MIB, MIB)];
            parts.put(0, &boot_sector(&table));
            parts.put(18 * MIB, &boot_sector(&[(0x05, 0, MIB)]));
        }),
        ("the chain of logical partitions is damaged", |parts| {
            let table = [(0x83, MIB, LENGTH), (0x05, 18 * MIB, MIB)];
            parts.put(0, &boot_sector(&table));
        }),
    ];
    for (reason, damage) in cases {
        let images = Images::new();
        let parts = Parts::new(&images, SIZE);
        parts.ext(MIB);
        damage(&parts);
        let summary = parts.convert();
        assert_eq!(summary.notes, [format!("All blocks are kept: {reason}")]);
        parts.assert_kept(0..SIZE);
    }
}
