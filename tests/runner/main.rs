//! The action as GitHub's runner runs it.
//!
//! A stand-in for actions/runner and Docker reads `action.yml`, makes the
//! container's environment and mounts, starts the image's root file system
//! with the program as process 1, obeys workflow commands and file commands,
//! cancels with the runner's signals, and runs the post step. What the program
//! talks to is a sandbox outside of the container.
//!
//! `ALICLOUD_IMAGE_TEST_ROOTFS` names the unpacked root file system of a real
//! image; without it one is put together around the test binary.
//! Facts: the source of actions/runner, GitHub's documentation.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod action;
mod build;
mod cancel;
mod commands;
mod container;
mod files;
mod guard;
mod image;
mod job;
mod readme;
mod setup;
mod step;
mod workflow;
mod world;
