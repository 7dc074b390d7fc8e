//! `compress`: what a file's name says about its format.
//!
//! Packer's rule: the last extension is the format; before a compression,
//! `.tar` makes it that of an archive; a name that says nothing means a
//! compressed archive. Difference from Packer: an extension of a format that
//! cannot be written is refused; Packer would write gzip under that name.

use crate::plan::reader::Reader;

const OUTPUT: &str = "packer_{{.BuildName}}_{{.BuilderType}}";
const FIELDS: &[&str] = &["BuildName", "BuilderType"];

/// Extensions of formats that are not written here.
const UNWRITTEN: &[&str] = &[
    "7z", "br", "bz2", "bzip2", "lzma", "rar", "tbz2", "txz", "xz", "zst", "zstd",
];

/// Options of `compress`.
#[derive(Debug, Clone)]
pub struct Compress {
    /// The file; rendered at run time with BuildName, BuilderType.
    pub output: String,
    /// What is written.
    pub format: Format,
    /// From 1 to 9; the format's own choice when absent.
    pub level: Option<u8>,
}

/// What `compress` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A ZIP archive.
    Zip,
    /// A tar archive, perhaps compressed.
    Tar(Option<Codec>),
    /// A single file, compressed.
    Single(Codec),
}

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// gzip (RFC 1952).
    Gzip,
    /// gzip in blocks that can be read from any of them on.
    Bgzf,
    /// An LZ4 frame.
    Lz4,
}

impl Format {
    /// Whether a level makes a difference.
    fn has_levels(self) -> bool {
        matches!(
            self,
            Self::Zip
                | Self::Tar(Some(Codec::Gzip | Codec::Bgzf))
                | Self::Single(Codec::Gzip | Codec::Bgzf)
        )
    }
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Compress {
    let output = reader.late_or("output", OUTPUT, FIELDS);
    let (option, name) = match reader.plain("format") {
        Some(format) => ("format", format!("{output}.{format}")),
        None => ("output", output.clone()),
    };
    let format = of_name(&name).unwrap_or_else(|extension| {
        let what = format!("asks for the format `{extension}`, which cannot be written");
        let help = "Write `tar.gz`, `tar.lz4`, `tar`, `zip`, `gz`, `bgzf` or `lz4`, or call a program with `shell-local`";
        reader.error(option, &what, help);
        Format::Tar(None)
    });
    Compress {
        level: level(reader, format),
        output,
        format,
    }
}

fn level(reader: &mut Reader<'_, '_>, format: Format) -> Option<u8> {
    let level = reader.between("compression_level", -1, 9)?;
    let level = u8::try_from(level).ok().filter(|level| *level > 0)?;
    if !format.has_levels() {
        let help = "Remove it, or choose `gz` or `zip`";
        reader.warning("compression_level", "has no effect on this format", help);
    }
    Some(level)
}

/// The format for a name, or the extension that cannot be written.
fn of_name(name: &str) -> Result<Format, String> {
    let name = without_actions(name);
    let name = name.rsplit('/').next().unwrap_or_default();
    let mut extensions = name.rsplit('.');
    let last = extensions.next().unwrap_or_default();
    let is_tar = extensions.next() == Some("tar");
    let codec = match last {
        "zip" => return Ok(Format::Zip),
        "tar" => return Ok(Format::Tar(None)),
        "gz" => Codec::Gzip,
        "bgzf" => Codec::Bgzf,
        "lz4" => Codec::Lz4,
        _ if last != name && UNWRITTEN.contains(&last) => return Err(last.to_owned()),
        _ => return Ok(Format::Tar(Some(Codec::Gzip))),
    };
    Ok(match is_tar {
        true => Format::Tar(Some(codec)),
        false => Format::Single(codec),
    })
}

/// The name without what is rendered at run time.
fn without_actions(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_format() {
        let gzip = Codec::Gzip;
        for (name, format) in [
            ("a.zip", Ok(Format::Zip)),
            ("a.tar", Ok(Format::Tar(None))),
            ("a.tar.gz", Ok(Format::Tar(Some(gzip)))),
            ("a.tar.lz4", Ok(Format::Tar(Some(Codec::Lz4)))),
            ("disk.qcow2.gz", Ok(Format::Single(gzip))),
            ("disk.lz4", Ok(Format::Single(Codec::Lz4))),
            ("disk.bgzf", Ok(Format::Single(Codec::Bgzf))),
            ("a", Ok(Format::Tar(Some(gzip)))),
            ("a.box", Ok(Format::Tar(Some(gzip)))),
            ("v1.zip/a", Ok(Format::Tar(Some(gzip)))),
            ("a_{{.BuildName}}.tar.gz", Ok(Format::Tar(Some(gzip)))),
            ("a.{{.BuildName}}", Ok(Format::Tar(Some(gzip)))),
            ("xz", Ok(Format::Tar(Some(gzip)))),
            ("a.tar.xz", Err("xz".to_owned())),
            ("a.bzip2", Err("bzip2".to_owned())),
            ("a.tar.zst", Err("zst".to_owned())),
        ] {
            assert_eq!(of_name(name), format, "{name}");
        }
    }
}
