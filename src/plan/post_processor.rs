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
