//! Builds Alibaba Cloud ECS images from Packer templates, in CI, leaving
//! nothing behind.
//!
//! Data flows one way: `inputs` → `template` → `plan` → `engine` → `builder`
//! with `communicator` and `provisioner` → `artifact` → `postprocessor` →
//! `report`. See `docs/architecture.md` for the rules each module keeps.

pub mod app;
pub mod artifact;
pub mod builder;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod communicator;
pub mod disk;
pub mod engine;
pub mod error;
pub mod fanout;
pub mod github;
mod glob;
pub mod importer;
pub mod init;
pub mod inputs;
pub mod journal;
pub mod owner;
pub mod plan;
pub mod postprocessor;
pub mod process;
pub mod provisioner;
pub mod publish;
pub mod report;
pub mod secret;
pub mod template;
