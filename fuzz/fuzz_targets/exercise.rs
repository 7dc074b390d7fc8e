//! Opens bytes as an image, checks it and reads parts of it. Memory must stay
//! far below libFuzzer's limit whatever the bytes claim.

use alicloud_image::disk::{self, Format};

pub fn exercise(bytes: &[u8], format: Format) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let path = directory.path().join("image");
    std::fs::write(&path, bytes).expect("there is room for a file");
    let Ok(disk) = disk::open_as(&path, format) else {
        return;
    };
    let _ = disk.check();
    let mut buffer = vec![0; 8192];
    let size = disk.virtual_size();
    for offset in (0..size).step_by((size / 16).max(4096) as usize).take(20) {
        let _ = disk.read_at(offset, &mut buffer);
    }
    let _ = disk::extents(disk.as_ref()).take(200).find(|extent| extent.is_err());
}
