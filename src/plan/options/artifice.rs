//! Options of the `artifice` post-processor.

use super::{K, OptionSpec, required};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[required(
    "files",
    K::StringList,
    "Files that become the artifact; patterns with `*`, `?` and `[a-z]` stand for all that fit.",
)];
