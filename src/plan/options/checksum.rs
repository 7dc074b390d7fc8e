//! Options of the `checksum` post-processor.

use super::{K, OptionSpec, defaulted};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    defaulted(
        "checksum_types",
        K::StringList,
        "[\"md5\"]",
        "Digests to make: `md5`, `sha1`, `sha224`, `sha256`, `sha384`, `sha512`.",
    ),
    defaulted(
        "output",
        K::String,
        "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum",
        "File to append to, one for each digest.",
    ),
];
