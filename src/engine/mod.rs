//! Runs a plan: all builds at once, each to its end, then the summary.

pub mod event;
pub mod stop;
