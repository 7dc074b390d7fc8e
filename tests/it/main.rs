//! The program as users run it: the real binary against the sandbox.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod build;
mod harness;
mod qemu;
