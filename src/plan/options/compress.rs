//! Options of the `compress` post-processor.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    defaulted(
        "output",
        K::String,
        "packer_{{.BuildName}}_{{.BuilderType}}",
        "File to write; its last extensions choose the format: `.tar`, `.zip`, `.tar.gz`, `.tar.lz4` of all files, `.gz`, `.bgzf`, `.lz4` of a single one, anything else as `.tar.gz`.",
    ),
    option(
        "format",
        K::String,
        "Extension that counts instead, for example `tar.gz`.",
    ),
    defaulted(
        "compression_level",
        K::Int,
        "-1",
        "From 1 (fast) to 9 (small) for `gz`, `bgzf` and `zip`; -1 and 0 leave the choice to the format.",
    ),
];
