//! What the options of a template do, beyond the documented examples.

mod builds;
mod image;
mod instance;
mod network;
mod replace;
mod source;
mod stock;
