//! Options of the `breakpoint` provisioner.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "note",
        K::String,
        "Text to show, for example with ``{{ build `Host` }}``.",
    ),
    defaulted("disable", K::Bool, "false", "Do not stop here."),
];
