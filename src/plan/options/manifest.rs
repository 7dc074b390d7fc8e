//! Options of the `manifest` post-processor.

use super::{K, OptionSpec, defaulted, option, renamed};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    defaulted(
        "output",
        K::Path,
        "packer-manifest.json",
        "File to write; builds are appended to an existing one.",
    ),
    renamed("filename", K::String, "output"),
    defaulted("strip_path", K::Bool, "false", "Only base names of files."),
    defaulted("strip_time", K::Bool, "false", "Leave `build_time` out."),
    option(
        "custom_data",
        K::StringMap,
        "Values added to the entry; may use `{{build}}`.",
    ),
];
