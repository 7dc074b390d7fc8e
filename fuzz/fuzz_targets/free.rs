//! Untrusted partition tables and file systems: the bytes are a raw disk whose
//! free blocks are looked for.

#![no_main]

use alicloud_image::disk::stream::{self, Control, FreeSpace, Options, Output, PartSink};
use alicloud_image::disk::{self, Format};

struct Nowhere;

impl PartSink for Nowhere {
    fn part(&mut self, _: u32, _: bytes::Bytes) -> alicloud_image::error::Result<()> {
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("image");
    std::fs::write(&path, bytes).expect("there is room for a file");
    let disk = disk::open_as(&path, Format::Raw).expect("every file is a raw disk");
    let options = Options {
        free_space: FreeSpace::Drop,
        threads: 1,
        ..Options::new(Output::Raw)
    };
    let _ = stream::write_to(disk.as_ref(), &options, &mut Nowhere, Control::none());
});
