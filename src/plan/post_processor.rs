//! What happens to an artifact: Packer's post-processors as typed options.

use crate::plan::import::Import;
use crate::plan::provisioner::ShellLocal;
use crate::template::source::{Span, Spanned};

mod compress;
mod read;
#[cfg(test)]
mod tests;

pub use compress::{Codec, Compress, Format};
pub use read::{TYPES, Type};

/// One step of a sequence.
#[derive(Debug, Clone)]
pub struct PostProcessor {
    /// Where its block stands.
    pub span: Span,
    /// The name, by default the type.
    pub name: String,
    /// `keep_input_artifact`, when written.
    pub keep_input_artifact: Option<bool>,
    /// What it does.
    pub kind: Kind,
}

/// The post-processors there are.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Packer's manifest file.
    Manifest(Manifest),
    /// Checksum files of the artifact's files.
    Checksum(Checksum),
    /// Scripts on this machine.
    ShellLocal(Box<ShellLocal>),
    /// An image made of the artifact's disk.
    AlicloudImport(Box<Import>),
    /// One file made of the artifact's files.
    Compress(Compress),
    /// Other files as the artifact.
    Artifice(Artifice),
}

impl Kind {
    /// The type as templates write it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Manifest(_) => "manifest",
            Self::Checksum(_) => "checksum",
            Self::ShellLocal(_) => "shell-local",
            Self::AlicloudImport(_) => "alicloud-import",
            Self::Compress(_) => "compress",
            Self::Artifice(_) => "artifice",
        }
    }
}

impl Kind {
    /// Whether it can do nothing with an artifact that has no files.
    fn needs_files(&self) -> bool {
        matches!(self, Self::Compress(_) | Self::AlicloudImport(_))
    }

    /// Whether its artifact has files, as its input has some or none.
    fn gives_files(&self, gets_some: bool) -> bool {
        match self {
            Self::Compress(_) | Self::Artifice(_) => true,
            Self::AlicloudImport(_) => false,
            Self::Manifest(_) | Self::Checksum(_) | Self::ShellLocal(_) => gets_some,
        }
    }
}

/// The steps of a sequence that need files and get an artifact without any.
pub fn without_files(sequence: &[PostProcessor], builder_makes_files: bool) -> Vec<&PostProcessor> {
    let mut has_files = builder_makes_files;
    let mut without = Vec::new();
    for step in sequence {
        if step.kind.needs_files() && !has_files {
            without.push(step);
        }
        has_files = step.kind.gives_files(has_files);
    }
    without
}

/// Options of `manifest`.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Default `packer-manifest.json`.
    pub output: String,
    /// Only base names of files.
    pub strip_path: bool,
    /// Leave `build_time` out.
    pub strip_time: bool,
    /// Values rendered at run time with build data.
    pub custom_data: Option<Vec<(String, String)>>,
}

/// Options of `artifice`.
#[derive(Debug, Clone)]
pub struct Artifice {
    /// Paths and patterns; rendered again at run time.
    pub files: Vec<Spanned<String>>,
}

/// Options of `checksum`.
#[derive(Debug, Clone)]
pub struct Checksum {
    /// Default `[md5]`.
    pub checksum_types: Vec<ChecksumType>,
    /// Rendered at run time with BuildName, BuilderType, ChecksumType.
    pub output: String,
}

/// The digests `checksum` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumType {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}
