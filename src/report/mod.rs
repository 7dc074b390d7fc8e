//! Everything the user sees.
pub mod settings;
pub use settings::{Format, GitHub, Settings};
