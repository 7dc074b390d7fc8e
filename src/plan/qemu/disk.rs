//! Reads the disks and where they go.

use std::path::Path;

use super::{Defaults, Disks, Format, ImageArguments, Interface, Source};
use crate::plan::options;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

const CACHES: &[(&str, &str)] = &[
    ("writethrough", "writethrough"),
    ("writeback", "writeback"),
    ("none", "none"),
    ("unsafe", "unsafe"),
    ("directsync", "directsync"),
];
const DISCARDS: &[(&str, &str)] = &[("unmap", "unmap"), ("ignore", "ignore")];
const DETECTIONS: &[(&str, &str)] = &[("unmap", "unmap"), ("on", "on"), ("off", "off")];
const FORMATS: &[(&str, Format)] = &[("qcow2", Format::Qcow2), ("raw", Format::Raw)];
pub(super) const INTERFACES: &[(&str, Interface)] = &[
    ("ide", Interface::Ide),
    ("sata", Interface::Sata),
    ("scsi", Interface::Scsi),
    ("sd", Interface::Sd),
    ("virtio", Interface::Virtio),
    ("virtio-scsi", Interface::VirtioScsi),
];

/// Reads the options.
pub(super) fn read(reader: &mut Reader<'_, '_>, source: &Source, defaults: Defaults<'_>) -> Disks {
    let format = reader.one_of("format", FORMATS).unwrap_or_default();
    let use_backing_file = backing_file(reader, source, format);
    let skips = use_backing_file || format == Format::Raw;
    let skip_compaction = reader.tri("skip_compaction");
    Disks {
        output_directory: output_directory(reader, defaults),
        vm_name: vm_name(reader, defaults.build),
        force: defaults.force,
        size: size(reader),
        additional_sizes: additional_sizes(reader),
        format,
        interface: reader
            .one_of("disk_interface", INTERFACES)
            .unwrap_or(Interface::Virtio),
        cache: reader.one_of("disk_cache", CACHES).unwrap_or("writeback"),
        discard: reader.one_of("disk_discard", DISCARDS).unwrap_or("ignore"),
        detect_zeroes: reader
            .one_of("disk_detect_zeroes", DETECTIONS)
            .unwrap_or("off"),
        compression: compression(reader, format),
        skip_compaction: skip_compaction.unwrap_or(false) || skips,
        use_backing_file,
        skip_resize: skip_resize(reader, source),
        image_arguments: image_arguments(reader),
    }
}

fn backing_file(reader: &mut Reader<'_, '_>, source: &Source, format: Format) -> bool {
    let wanted = reader.flag("use_backing_file");
    if wanted && !(source.disk_image && format == Format::Qcow2) {
        let what = "can only be used for a disk";
        let help = "Set `disk_image` to `true` and `format` to `qcow2`";
        reader.error("use_backing_file", what, help);
    }
    wanted
}

fn skip_resize(reader: &mut Reader<'_, '_>, source: &Source) -> bool {
    let wanted = reader.flag("skip_resize_disk");
    if wanted && !source.disk_image {
        let what = "can only be used for a disk";
        reader.error("skip_resize_disk", what, "Set `disk_image` to `true`");
    }
    wanted
}

fn compression(reader: &mut Reader<'_, '_>, format: Format) -> bool {
    let wanted = reader.flag("disk_compression");
    if wanted && format == Format::Raw {
        let what = "has no effect on raw disks";
        reader.warning("disk_compression", what, "Set `format` to `qcow2`");
    }
    wanted && format == Format::Qcow2
}

fn output_directory(
    reader: &mut Reader<'_, '_>,
    defaults: Defaults<'_>,
) -> Spanned<std::path::PathBuf> {
    let written = reader.text("output_directory");
    let span = written.as_ref().and_then(|text| text.span);
    let path = written.map_or_else(|| format!("output-{}", defaults.build), |text| text.value);
    let exists = reader.places().problem(Path::new(&path)).is_none();
    if exists && !defaults.force {
        let what = format!("names `{path}`, which exists already");
        let help = "Remove it, choose another one, or use `-force` to replace it";
        reader.error("output_directory", &what, help);
    }
    Spanned {
        value: path.into(),
        span,
    }
}

fn vm_name(reader: &mut Reader<'_, '_>, build: &str) -> String {
    let Some(name) = reader.text("vm_name") else {
        return format!("packer-{build}");
    };
    if name.value.contains(['/', ',']) || name.value.starts_with('.') {
        let what = format!("is `{}`, which cannot be a disk's file name", name.value);
        let help = "Use neither `/` nor `,`, and no dot at the beginning";
        reader.error("vm_name", &what, help);
    }
    name.value
}

/// Packer's default unit is MiB, that of qemu-img bytes.
fn size(reader: &mut Reader<'_, '_>) -> String {
    const DEFAULT: &str = "40960M";
    let Some(text) = reader.text("disk_size") else {
        return DEFAULT.to_owned();
    };
    if !is_size(&text.value) {
        bad_size(reader, "disk_size", &text);
    }
    match text.value.as_str() {
        "0" => DEFAULT.to_owned(),
        size if size.ends_with(|c: char| c.is_ascii_digit()) => format!("{size}M"),
        size => size.to_owned(),
    }
}

fn additional_sizes(reader: &mut Reader<'_, '_>) -> Vec<String> {
    const NAME: &str = "disk_additional_size";
    let sizes = reader.texts(NAME);
    for size in &sizes {
        if !is_size(&size.value) {
            bad_size(reader, NAME, size);
        } else if size.value.ends_with(|c: char| c.is_ascii_digit()) {
            let what = format!("contains `{size}`, which counts bytes");
            let help = format!("Write `{size}M` if you mean MiB");
            reader.warning(NAME, &what, help);
        }
    }
    sizes.into_iter().map(|size| size.value).collect()
}

fn bad_size(reader: &mut Reader<'_, '_>, name: &str, size: &Spanned<String>) {
    let what = format!("contains `{size}`, which is not a size");
    let help = "Write digits and perhaps one of `b`, `k`, `m`, `g`, `t`, for example `40g`";
    reader.error_at(size.span, name, &what, help);
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(['b', 'k', 'm', 'g', 't', 'B', 'K', 'M', 'G', 'T']);
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits_only && text.len() - digits.len() <= 1
}

fn image_arguments(reader: &mut Reader<'_, '_>) -> ImageArguments {
    let Some(object) = reader.object("qemu_img_args") else {
        return ImageArguments::default();
    };
    let tables: &[&[_]] = &[options::qemu::QEMU_IMG_ARGS];
    let mut nested = reader.nested(object, tables, "`qemu_img_args`");
    let arguments = ImageArguments {
        create: nested.plain_list("create"),
        convert: nested.plain_list("convert"),
        resize: nested.plain_list("resize"),
    };
    nested.finish();
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, good) in [
            ("40960M", true),
            ("10g", true),
            ("0", true),
            ("", false),
            ("g", false),
            ("10gb", false),
            ("1.5G", false),
            ("-1", false),
        ] {
            assert_eq!(is_size(text), good, "{text}");
        }
    }
}
