//! Reads the options of post-processors.

use super::{Artifice, Checksum, ChecksumType, Kind, Manifest, compress};
use crate::plan::alicloud_ecs::Defaults;
use crate::plan::provisioner::read_shell_local;
use crate::plan::reader::{Reader, alternatives};
use crate::plan::{import, options};
use crate::template::decode::OptionSpec;

/// A post-processor type: how it is read.
#[derive(Clone, Copy)]
pub struct Type {
    /// The name as templates write it.
    pub name: &'static str,
    /// Its options.
    pub options: &'static [&'static [OptionSpec]],
    /// Reads them.
    pub read: fn(&mut Reader<'_, '_>, Defaults<'_>) -> Kind,
}

/// The post-processors there are.
pub const TYPES: &[Type] = &[
    Type {
        name: "manifest",
        options: &[options::manifest::OPTIONS],
        read: |reader, _| Kind::Manifest(manifest(reader)),
    },
    Type {
        name: "checksum",
        options: &[options::checksum::OPTIONS],
        read: |reader, _| Kind::Checksum(checksum(reader)),
    },
    Type {
        name: "shell-local",
        options: &[options::shell_local::OPTIONS],
        read: |reader, _| Kind::ShellLocal(Box::new(read_shell_local(reader))),
    },
    Type {
        name: "alicloud-import",
        options: import::OPTIONS,
        read: |reader, defaults| Kind::AlicloudImport(Box::new(import::read(reader, defaults))),
    },
    Type {
        name: "compress",
        options: &[options::compress::OPTIONS],
        read: |reader, _| Kind::Compress(compress::read(reader)),
    },
    Type {
        name: "artifice",
        options: &[options::artifice::OPTIONS],
        read: |reader, _| Kind::Artifice(artifice(reader)),
    },
];

const CHECKSUM_OUTPUT: &str = "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum";
const CHECKSUM_FIELDS: &[&str] = &["BuildName", "BuilderType", "ChecksumType"];
const DIGESTS: &[(&str, ChecksumType)] = &[
    ("md5", ChecksumType::Md5),
    ("sha1", ChecksumType::Sha1),
    ("sha224", ChecksumType::Sha224),
    ("sha256", ChecksumType::Sha256),
    ("sha384", ChecksumType::Sha384),
    ("sha512", ChecksumType::Sha512),
];

fn manifest(reader: &mut Reader<'_, '_>) -> Manifest {
    reader.confine("filename");
    reader.confine("output");
    let old_name = reader.plain("filename");
    let output = reader.plain("output").or(old_name);
    let custom_data = reader.map("custom_data");
    Manifest {
        output: output.unwrap_or_else(|| "packer-manifest.json".to_owned()),
        strip_path: reader.flag("strip_path"),
        strip_time: reader.flag("strip_time"),
        custom_data: (!custom_data.is_empty()).then(|| custom_data.into_iter().collect()),
    }
}

fn artifice(reader: &mut Reader<'_, '_>) -> Artifice {
    let files = reader.texts("files");
    for file in &files {
        reader.check_late("files", file, &[]);
    }
    if files.is_empty() && !reader.is_set("files") {
        reader.missing("files", "Name the files that become the artifact");
    }
    Artifice { files }
}

fn checksum(reader: &mut Reader<'_, '_>) -> Checksum {
    let mut checksum_types = Vec::new();
    for word in reader.texts("checksum_types") {
        match DIGESTS.iter().find(|(name, _)| *name == word.value) {
            Some((_, digest)) => checksum_types.push(*digest),
            None => {
                let known: Vec<_> = DIGESTS.iter().map(|(name, _)| *name).collect();
                let what = format!("contains `{}`, which is not a digest", word.value);
                let help = format!("Write {}", alternatives(&known));
                reader.error_at(word.span, "checksum_types", &what, help);
            }
        }
    }
    if checksum_types.is_empty() {
        checksum_types.push(ChecksumType::Md5);
    }
    Checksum {
        checksum_types,
        output: reader.late_or("output", CHECKSUM_OUTPUT, CHECKSUM_FIELDS),
    }
}
