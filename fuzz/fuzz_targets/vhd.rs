//! Untrusted Vhd images.

#![no_main]

mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    exercise::exercise(bytes, alicloud_image::disk::Format::Vhd);
});
