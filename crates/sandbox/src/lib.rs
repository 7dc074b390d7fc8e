//! A simulated Alibaba Cloud: ECS, VPC, STS, RAM, OSS, instance metadata and the machines inside, for
//! testing image builds without an account.
//!
//! It shares no type with the product on purpose: a wire bug in one must not
//! be hidden by the same bug in the other.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use alicloud_image_sandbox::{Sandbox, SandboxOptions};
//!
//! let sandbox = Sandbox::start(SandboxOptions {
//!     time_scale: 0.001,
//!     ..SandboxOptions::default()
//! })
//! .await?;
//! // … let a client work on `sandbox.url()` …
//! assert!(sandbox.alive().is_empty());
//! # Ok(()) }
//! ```

pub mod guest;
pub mod host;
pub mod machine;
pub mod qemu;
pub mod signature;

mod alive;
mod api;
mod auth;
mod calls;
mod catalogue;
mod clock;
mod driver;
mod error;
mod faults;
mod gateway;
pub mod imported;
mod instance_metadata;
mod key_stock;
mod metadata;
mod observe;
mod options;
pub mod oss;
mod parameters;
mod policy;
mod report;
mod request;
mod sandbox;
mod seed;
mod server;
mod state;
mod winrm;
mod world;
mod xml;

pub use alive::Alive;
pub use calls::Call;
pub use error::ApiError;
pub use faults::{Effect, Fault, StateFault, When};
pub use options::{AccessKey, Delays, MetadataOptions, OssOptions, Quotas, SandboxOptions};
pub use report::{Report, Wait};
pub use sandbox::Sandbox;
pub use seed::{Seed, SeedBucket, SeedImage};
