//! Options of the `sleep` provisioner.

use super::{K, OptionSpec, required};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[required(
    "duration",
    K::Duration,
    "How long to wait, for example `30s`.",
)];
