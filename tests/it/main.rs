//! The program as users run it: the real binary against the sandbox.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod action;
mod build;
mod chaos;
mod ci;
mod clock;
mod command_line;
mod container;
mod credential;
mod features;
mod github;
mod gitlab;
mod harness;
mod hcl;
mod import;
mod interrupt;
mod iso;
mod matrix;
mod network;
mod pipeline;
mod plan;
mod policy;
mod provision;
mod qemu;
mod record;
mod reference;
mod secrets;
mod template;
mod trouble;
mod unfinished;
mod web;
mod windows;
