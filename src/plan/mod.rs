//! The plan: everything a run will do, typed, checked and complete.
//!
//! Planning is pure: no network, no clock of its own. It finds every error
//! that can be known before the first call, all at once.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;
use crate::template::source::Span;

pub mod alicloud_ecs;
pub mod build;
pub mod check;
pub mod communicator;
pub mod compatibility;
pub mod docs;
pub mod files;
pub mod import;
pub mod options;
pub mod outline;
pub mod policy;
pub mod post_processor;
pub mod provisioner;
pub mod qemu;
pub mod reader;
pub mod select;
#[cfg(test)]
pub(crate) mod testing;

/// What a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The template's path as the user gave it.
    pub template_path: PathBuf,
    /// The builds that were selected, in template order.
    pub builds: Vec<Build>,
    /// Values that must never be shown.
    pub secrets: Vec<Secret>,
}

/// One build: a builder with what follows it.
#[derive(Debug, Clone)]
pub struct Build {
    /// The name after `==> `.
    pub name: String,
    /// The name that scripts and files see: the source's in HCL2 templates.
    pub source_name: String,
    /// Where the builder block stands.
    pub span: Span,
    /// What makes the machine and the image.
    pub builder: Builder,
    /// How to reach the machine.
    pub communicator: communicator::Communicator,
    /// What runs on it, in order.
    pub provisioners: Vec<provisioner::Provisioner>,
    /// What runs when a provisioner failed.
    pub error_cleanup_provisioner: Option<provisioner::Provisioner>,
    /// Sequences the artifact flows through.
    pub post_processors: Vec<Vec<post_processor::PostProcessor>>,
}

/// The builders there are.
#[derive(Debug, Clone)]
pub enum Builder {
    /// A temporary ECS instance that becomes a custom image.
    AlicloudEcs(Box<alicloud_ecs::AlicloudEcs>),
    /// A virtual machine on this machine that becomes a disk image.
    Qemu(Box<qemu::Qemu>),
}

impl Builder {
    /// The type as templates write it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::AlicloudEcs(_) => "alicloud-ecs",
            Self::Qemu(_) => "qemu",
        }
    }

    /// The region the build calls, if it calls any.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::AlicloudEcs(options) => Some(&options.access.region.value),
            Self::Qemu(_) => None,
        }
    }
}

/// What happens to the machine after a failed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Everything temporary is deleted.
    #[default]
    Cleanup,
    /// Everything is kept, and how to delete it is printed.
    Abort,
    /// The error-cleanup-provisioner runs, then as [`OnError::Abort`].
    RunCleanupProvisioner,
}

/// When and how often a provisioner runs (Packer's meta keys).
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Wait before it starts.
    pub pause_before: Duration,
    /// Limit for one try; none when zero.
    pub timeout: Duration,
    /// Further tries after a failure.
    pub max_retries: u32,
    /// A failure is a warning.
    pub continue_on_error: bool,
}
