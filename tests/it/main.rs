//! The program as users run it: the real binary against the sandbox.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod build;
mod chaos;
mod ci;
mod command_line;
mod container;
mod credential;
mod features;
mod harness;
mod import;
mod interrupt;
mod iso;
mod network;
mod policy;
mod provision;
mod qemu;
mod record;
mod reference;
mod secrets;
mod template;
mod trouble;
mod web;
mod windows;
