//! Damaged images: any answer but a panic, an endless loop, or much memory.

use std::time::{Duration, Instant};

use super::*;

/// For all mutations of one image, which need a second or two: what is longer
/// is a loop.
const LIMIT: Duration = Duration::from_secs(60);

const MUTATIONS: u64 = 700;

fn exercise(path: &Path) {
    let Ok(disk) = disk::open(path) else { return };
    let _ = disk.check();
    // Sizes are part of what is damaged: look at a bounded part of the disk.
    let mut buffer = vec![0; 8192];
    let size = disk.virtual_size();
    for offset in (0..size).step_by((size / 16).max(4096) as usize).take(20) {
        let _ = disk.read_at(offset, &mut buffer);
    }
    for extent in disk::extents(disk.as_ref()).take(200) {
        if extent.is_err() {
            break;
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, noise: &mut Noise) {
    let length = bytes.len() as u64;
    match noise.below(8) {
        0 => bytes.truncate(noise.below(length) as usize),
        1 => {
            // A word of a header or table becomes extreme.
            let at = noise.below(length / 8) as usize * 8;
            let word = [0, u64::MAX, 1 << 62, 1 << 55, length][noise.below(5) as usize];
            bytes[at..at + 8].copy_from_slice(&word.to_be_bytes());
        }
        2..=4 => {
            let at = noise.below(length.min(1024)) as usize;
            bytes[at] = noise.next() as u8;
        }
        _ => {
            let at = noise.below(length) as usize;
            bytes[at] ^= 1 << noise.below(8);
        }
    }
}

fn assert_survives(images: &Images, name: &str) {
    let good = std::fs::read(images.path(name)).unwrap();
    let (start, mut noise) = (Instant::now(), Noise(99));
    for round in 0..MUTATIONS {
        let mut bytes = good.clone();
        for _ in 0..=noise.below(3) {
            if bytes.len() > 8 {
                mutate(&mut bytes, &mut noise);
            }
        }
        let path = images.path("mutant");
        std::fs::write(&path, bytes).unwrap();
        exercise(&path);
        let elapsed = start.elapsed();
        assert!(
            elapsed < LIMIT,
            "{name}: {round} mutations took {elapsed:?}"
        );
    }
}

#[test]
fn damaged_qcow2_never_panics() {
    let images = Images::new();
    images.source("source.raw", 150_000);
    for (name, options) in [
        ("plain.qcow2", "-o cluster_size=4k"),
        ("small.qcow2", "-c -o cluster_size=512"),
        ("zstd.qcow2", "-c -o compression_type=zstd,cluster_size=4k"),
        ("extended.qcow2", "-o extended_l2=on,cluster_size=16k"),
    ] {
        images.ok(&format!(
            "qemu-img convert -O qcow2 {options} source.raw {name}"
        ));
        assert_survives(&images, name);
    }
}

#[test]
fn damaged_vhd_and_vmdk_never_panic() {
    let images = Images::new();
    images.source("source.raw", 150_000);
    for (name, options) in [
        ("fixed.vhd", "-O vpc -o subformat=fixed"),
        ("dynamic.vhd", "-O vpc -o subformat=dynamic"),
        ("sparse.vmdk", "-O vmdk"),
        ("stream.vmdk", "-O vmdk -o subformat=streamOptimized"),
    ] {
        images.ok(&format!("qemu-img convert {options} source.raw {name}"));
        assert_survives(&images, name);
    }
}

/// A disk in memory of which a little is stored, so that a pass over it looks
/// for free blocks and does hardly anything else.
#[derive(Debug)]
struct Memory {
    bytes: std::sync::Mutex<Vec<u8>>,
    info: disk::Info,
}

impl Memory {
    fn new(path: &Path) -> Self {
        Self {
            bytes: std::fs::read(path).unwrap().into(),
            info: disk::open_as(path, Format::Raw).unwrap().info().clone(),
        }
    }

    /// Puts bytes in a place and answers what was there.
    fn swap(&self, at: usize, new: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.lock().unwrap();
        let place = &mut bytes[at..at + new.len()];
        let old = place.to_vec();
        place.copy_from_slice(new);
        old
    }
}

impl Disk for Memory {
    fn info(&self) -> &disk::Info {
        &self.info
    }

    fn extent_at(&self, offset: u64) -> alicloud_image::error::Result<disk::Extent> {
        const STORED: u64 = 64 << 10;
        let middle = self.virtual_size() / 2 / STORED * STORED;
        let (end, kind) = match offset {
            0..STORED => (STORED, ExtentKind::Data),
            _ if offset < middle => (middle, ExtentKind::Hole),
            _ if offset < middle + STORED => (middle + STORED, ExtentKind::Data),
            _ => (self.virtual_size(), ExtentKind::Hole),
        };
        Ok(disk::Extent {
            start: offset,
            length: end - offset,
            kind,
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> alicloud_image::error::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        let end = start.saturating_add(buffer.len()).min(bytes.len());
        let (inside, outside) = buffer.split_at_mut(end - start);
        inside.copy_from_slice(&bytes[start..end]);
        outside.fill(0);
        Ok(())
    }

    fn check(&self) -> alicloud_image::error::Result<disk::Check> {
        Ok(disk::Check::default())
    }
}

/// Takes parts and forgets them.
struct Nowhere;

impl stream::PartSink for Nowhere {
    fn part(&mut self, _: u32, _: bytes::Bytes) -> alicloud_image::error::Result<()> {
        Ok(())
    }
}

/// Looks for free blocks after each of many changes of what is in `places`;
/// answers how often some were still found.
fn found_after_changes(images: &Images, name: &str, places: &[std::ops::Range<usize>]) -> u64 {
    let disk = Memory::new(&images.path(name));
    let options = Options {
        free_space: FreeSpace::Drop,
        threads: 1,
        ..Options::new(stream::Output::Qcow2)
    };
    let (start, mut noise, mut found) = (Instant::now(), Noise(99), 0);
    for round in 0..MUTATIONS {
        let changes = 1 + noise.below(2);
        let undo: Vec<_> = (0..changes)
            .map(|_| {
                let place = &places[noise.below(places.len() as u64) as usize];
                let at = place.start + noise.below(place.len() as u64 - 4) as usize;
                let word = [0, u64::MAX, 1 << 62, noise.next(), noise.below(300)];
                let word = word[noise.below(5) as usize].to_be_bytes();
                let length = [1, 2, 4][noise.below(3) as usize];
                (at, disk.swap(at, &word[8 - length..]))
            })
            .collect();
        if let Ok(summary) = stream::write_to(&disk, &options, &mut Nowhere, Control::none()) {
            found += u64::from(summary.notes.iter().any(|note| note.contains("are free")));
        }
        for (at, old) in undo.iter().rev() {
            disk.swap(*at, old);
        }
        let elapsed = start.elapsed();
        assert!(elapsed < LIMIT, "{name}: {round} changes took {elapsed:?}");
    }
    found
}

#[test]
fn damaged_file_systems_never_panic() {
    const KIB: usize = 1 << 10;
    let images = Images::new();
    for options in [
        "-O ^metadata_csum",
        "-O ^metadata_csum,^64bit -b 1024 -g 2048",
    ] {
        free::deleted_on(&images, "ext.raw", options, "16M");
        let found = found_after_changes(&images, "ext.raw", &[KIB..2 * KIB, 2 * KIB..5 * KIB]);
        assert!((1..MUTATIONS).contains(&found), "{options}: {found}");
    }
    // Without checksums damage is not seen at once.
    xfs::file_system(&images, "-m crc=0 -b size=1024");
    let log = xfs::log(&std::fs::read(images.path("fs.raw")).unwrap());
    let places = [0..256, 512..640, 2 * KIB..8 * KIB, log..log + 2 * KIB];
    let found = found_after_changes(&images, "fs.raw", &places);
    assert!((1..MUTATIONS).contains(&found), "{found}");
}

#[test]
fn damaged_partition_tables_never_panic() {
    let images = Images::new();
    let gpt = partition::gpt(&[(1 << 20, 1 << 20), (3 << 20, 1 << 20)], 8 << 20);
    let mut logical = partition::boot_sector(&[(5, 4096, 1 << 20)]).to_vec();
    logical.resize(4096, 0);
    logical.extend(partition::boot_sector(&[(0x83, 512, 512), (5, 512, 512)]));
    for table in [gpt, logical] {
        std::fs::write(images.path("disk.raw"), &table).unwrap();
        let length = table.len();
        found_after_changes(&images, "disk.raw", &[440..512, 512..600, 440..length]);
    }
}
