//! Tests of the sandbox over its only interface, HTTP.

// A panic is how a test fails, in its helpers too.
#![allow(clippy::unwrap_used)]

mod behaviour;
mod build;
mod client;
mod import;
mod machines;
mod oss;
mod oss_signatures;
mod qemu;
mod signatures;
