//! What is written: `qemu-img` must find it clean and identical.

use super::*;
use alicloud_image::disk::stream::{PartSink, Summary};

/// Collects parts as object storage does: by number.
#[derive(Default)]
struct Store {
    parts: std::collections::BTreeMap<u32, bytes::Bytes>,
    order: Vec<u32>,
}

impl PartSink for Store {
    fn part(&mut self, number: u32, bytes: bytes::Bytes) -> alicloud_image::error::Result<()> {
        self.order.push(number);
        assert!(self.parts.insert(number, bytes).is_none());
        Ok(())
    }
}

impl Store {
    fn object(&self) -> Vec<u8> {
        self.parts.values().flat_map(|part| part.to_vec()).collect()
    }
}

fn options(output: stream::Output) -> Options {
    Options {
        free_space: FreeSpace::Keep,
        part_size: 300_000,
        threads: 3,
        ..Options::new(output)
    }
}

fn write(images: &Images, source: &Path, options: &Options, name: &str) -> (Store, Summary) {
    let disk = disk::open(source).unwrap();
    let mut store = Store::default();
    let summary = stream::write_to(disk.as_ref(), options, &mut store, Control::none()).unwrap();
    let object = store.object();
    assert_eq!(summary.length, object.len() as u64);
    assert!(summary.length <= stream::longest_output(disk.as_ref(), options.output).unwrap());
    std::fs::write(images.path(name), object).unwrap();
    (store, summary)
}

const OUTPUTS: [(stream::Output, &str); 4] = [
    (stream::Output::Qcow2, "qcow2"),
    (stream::Output::Raw, "raw"),
    (stream::Output::VhdFixed, "vpc"),
    (stream::Output::VhdDynamic, "vpc"),
];

#[test]
fn every_output_is_identical_to_its_input() {
    let images = Images::new();
    images.ok("qemu-img create -f qcow2 empty.qcow2 60M");
    images.source("odd.raw", 9_000_001);
    images.ok("qemu-img convert -c -O qcow2 -o cluster_size=2M odd.raw big.qcow2");
    images.ok("qemu-img convert -O vmdk -o subformat=streamOptimized odd.raw odd.vmdk");
    images.ok("qemu-img create -f qcow2 -b odd.raw -F raw top.qcow2 70M");
    for (source, format) in [
        ("empty.qcow2", "qcow2"),
        ("odd.raw", "raw"),
        ("big.qcow2", "qcow2"),
        ("odd.vmdk", "vmdk"),
        ("top.qcow2", "qcow2"),
    ] {
        for (output, target) in OUTPUTS {
            let (store, summary) = write(&images, &images.path(source), &options(output), "out");
            images.ok(&format!(
                "qemu-img compare -f {format} -F {target} {source} out"
            ));
            if target == "qcow2" {
                images.ok("qemu-img check -f qcow2 out");
            }
            let disk = disk::open_as(
                &images.path("out"),
                match target {
                    "qcow2" => Format::Qcow2,
                    "vpc" => Format::Vhd,
                    _ => Format::Raw,
                },
            );
            assert!(disk.unwrap().check().unwrap().is_clean());
            assert_eq!(store.order.len() as u32, summary.parts);
        }
    }
}

#[test]
fn the_strict_window_and_all_levels_are_identical_too() {
    let images = Images::new();
    images.source("odd.raw", 3_000_001);
    for level in [1, 2, 6, 12] {
        for window in [Window::Full, Window::Strict] {
            let options = Options {
                window,
                level: stream::Level::Fixed(level),
                ..options(stream::Output::Qcow2)
            };
            write(&images, &images.path("odd.raw"), &options, "out");
            images.ok("qemu-img check -f qcow2 out");
            images.ok("qemu-img compare -f raw -F qcow2 odd.raw out");
        }
    }
}

#[test]
fn the_same_input_makes_the_same_parts_in_the_same_order() {
    let images = Images::new();
    let source = images.source("odd.raw", 9_000_001);
    for (output, _) in OUTPUTS {
        let mut results = [1, 2, 5].map(|threads| {
            let options = Options {
                threads,
                ..options(output)
            };
            let (store, _) = write(&images, &source, &options, "out");
            (store.order, store.parts)
        });
        let held = options(output).held_parts(9_000_448) as usize;
        let order = &results[0].0;
        assert_eq!(
            order.last().copied(),
            Some(if held > 0 { 1 } else { order.len() as u32 })
        );
        assert!(order[..order.len() - held].is_sorted());
        results.sort();
        assert!(results[0] == results[2]);
    }
}

#[test]
fn a_disk_of_two_tib_needs_no_more_than_its_data() {
    let images = Images::new();
    images.ok("qemu-img create -f qcow2 huge.qcow2 2T");
    images.ok("qemu-img create -f raw far.raw 1536G");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(images.path("far.raw"))
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (1536 << 30) - 512).unwrap();
    for source in ["huge.qcow2", "far.raw"] {
        let (_, summary) = write(
            &images,
            &images.path(source),
            &options(stream::Output::Qcow2),
            "out",
        );
        assert!(summary.length < 1 << 20, "{summary:?}");
        images.ok("qemu-img check -f qcow2 out");
    }
}

#[test]
fn a_pass_can_be_stopped_and_a_failing_sink_ends_it() {
    struct Full;
    impl PartSink for Full {
        fn part(&mut self, _: u32, _: bytes::Bytes) -> alicloud_image::error::Result<()> {
            Err(alicloud_image::error::Error::new(Kind::Cloud, "No"))
        }
    }
    let images = Images::new();
    let disk = disk::open(&images.source("odd.raw", 9_000_001)).unwrap();
    let options = options(stream::Output::Qcow2);
    let error = stream::write_to(disk.as_ref(), &options, &mut Full, Control::none());
    assert_eq!(error.unwrap_err().kind(), Kind::Cloud);
    let stopped = Control {
        is_stopped: &|| true,
        ..Control::none()
    };
    let error = stream::write_to(disk.as_ref(), &options, &mut Store::default(), stopped);
    assert_eq!(error.unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn a_file_appears_only_when_it_is_complete() {
    let images = Images::new();
    let source = images.source("odd.raw", 9_000_001);
    let disk = disk::open(&source).unwrap();
    let target = images.path("out.qcow2");
    let stopped = Control {
        is_stopped: &|| true,
        ..Control::none()
    };
    let options = Options::new(stream::Output::Qcow2);
    stream::write_file(disk.as_ref(), &options, &target, stopped).unwrap_err();
    assert_eq!(std::fs::read_dir(images.0.path()).unwrap().count(), 1);
    stream::write_file(disk.as_ref(), &options, &target, Control::none()).unwrap();
    images.ok("qemu-img compare -f raw -F qcow2 odd.raw out.qcow2");
}

#[test]
fn levels_that_were_noted_make_the_same_bytes_again() {
    // 64 KiB in every other unit: epochs are counted in units, not in bytes.
    let images = Images::new();
    let file = std::fs::File::create(images.path("sparse.raw")).unwrap();
    file.set_len(200 << 20).unwrap();
    let lines = (0..400_000_u64).map(|n| format!("{} of {n}\n", n * n % 9973));
    let text = lines.collect::<String>().into_bytes();
    for unit in 0..200_u64 {
        let from = unit as usize * 20_000;
        std::os::unix::fs::FileExt::write_all_at(&file, &text[from..from + 65536], unit << 20)
            .unwrap();
    }
    let pass = |is_full: bool, noted: &[u8]| {
        let disk = disk::open(&images.path("sparse.raw")).unwrap();
        let levels = std::sync::Mutex::new(Vec::new());
        let settle = |epoch: u64, level: u8| {
            let level = noted.get(epoch as usize).copied().unwrap_or(level);
            levels.lock().unwrap().push(level);
            Ok(level)
        };
        let control = Control {
            is_send_queue_full: &|| is_full,
            settle_level: &settle,
            ..Control::none()
        };
        let options = Options {
            level: stream::Level::Adaptive,
            ..options(stream::Output::Qcow2)
        };
        let mut store = Store::default();
        stream::write_to(disk.as_ref(), &options, &mut store, control).unwrap();
        (store.object(), levels.into_inner().unwrap())
    };
    let (slow, levels) = pass(true, &[]);
    assert_eq!(levels, [2, 4, 6, 6]);
    let (fast, _) = pass(false, &[]);
    assert!(fast.len() > slow.len());
    assert!(pass(false, &levels).0 == slow);
}
