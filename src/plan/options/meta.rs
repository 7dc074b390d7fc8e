//! Options that every provisioner or post-processor has beside its own.
//!
//! The template's model takes them out of a block before its own options are
//! read; the tables are for documentation.

use super::{K, OptionSpec, defaulted, option, required};

/// Of a provisioner.
pub const PROVISIONER: &[OptionSpec] = &[
    required("type", K::String, "What it is."),
    option("only", K::StringList, "Builds it runs in; all by default."),
    option(
        "except",
        K::StringList,
        "Builds it does not run in; not together with `only`.",
    ),
    option(
        "override",
        K::Object,
        "Other options for single builds, by the build's name; lists are laid over each other element by element.",
    ),
    defaulted("pause_before", K::Duration, "0s", "Wait before it starts."),
    defaulted(
        "timeout",
        K::Duration,
        "0s",
        "Limit for one try; none when zero.",
    ),
    defaulted("max_retries", K::Int, "0", "Further tries after a failure."),
    defaulted(
        "continue_on_error",
        K::Bool,
        "false",
        "A failure is only a warning.",
    ),
];

/// Of a post-processor.
pub const POST_PROCESSOR: &[OptionSpec] = &[
    required("type", K::String, "What it is."),
    option(
        "name",
        K::String,
        "Name for `-except`; by default the type.",
    ),
    option("only", K::StringList, "Builds it runs in; all by default."),
    option(
        "except",
        K::StringList,
        "Builds it does not run in; not together with `only`.",
    ),
    option(
        "keep_input_artifact",
        K::Bool,
        "Whether the artifact it was given is kept; by default that depends on the type.",
    ),
];
