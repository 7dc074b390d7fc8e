//! Damaged images: any answer but a panic, an endless loop, or much memory.

use std::time::{Duration, Instant};

use super::*;

/// For all mutations of one image; most need far less than a millisecond.
const LIMIT: Duration = Duration::from_secs(20);

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
