//! Templates: text to an evaluated model in which every value keeps its place
//! in the source.
//!
//! `source` holds texts and spans, `value` the syntax-independent values,
//! `diagnostic` what is said about them.

pub mod diagnostic;
pub mod source;
pub mod value;
