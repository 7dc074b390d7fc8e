//! The program as users run it: the real binary against the sandbox.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod build;
mod command_line;
mod features;
mod harness;
mod import;
mod interrupt;
mod network;
mod provision;
mod qemu;
mod record;
mod reference;
mod template;
mod trouble;
mod web;
mod windows;
