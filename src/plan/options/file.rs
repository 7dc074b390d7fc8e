//! Options of the `file` provisioner.

use super::{K, OptionSpec, defaulted, option, required};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "source",
        K::Path,
        "File or directory to copy; a directory that ends with `/` means its contents.",
    ),
    option("sources", K::StringList, "Several of them."),
    option("content", K::String, "Text to write, instead of a source."),
    required(
        "destination",
        K::String,
        "Where to copy to; a file goes into a directory that ends with `/`.",
    ),
    defaulted(
        "direction",
        K::String,
        "upload",
        "`upload` to the machine or `download` from it.",
    ),
    defaulted(
        "generated",
        K::Bool,
        "false",
        "The source is made during the build; do not look for it before.",
    ),
];
