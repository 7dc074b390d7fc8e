//! Templates: text to an evaluated model in which every value keeps its place
//! in the source.
//!
//! `source` holds texts and spans, `value` the syntax-independent values,
//! `diagnostic` what is said about them. `decode` turns evaluated values into
//! typed options for `plan`.

pub mod decode;
pub mod diagnostic;
pub mod go_duration;
pub mod go_time;
pub mod interpolate;
pub mod json;
pub mod nearest;
pub mod source;
pub mod value;

/// The version of Packer that templates are told they run under.
pub const PACKER_VERSION: &str = "1.15.0";
