//! From a disk image to an ECS image: checks, upload, ImportImage, and what
//! makes the image the one that was asked for.
//!
//! ```text
//! DiskSource ─ check ─► upload ─► import ─► publish ─► artifact
//!                │         │         │
//!                └ role    └ OSS     └ ECS        all of it in the journal
//! ```
//!
//! It serves the post-processor `alicloud-import` and the command `import`.
//! Like a builder it deletes nothing of its own: [`run`] sweeps the journal
//! at the end. What needs no disk can be checked before there is one
//! ([`preflight`]). Not here: how a disk is read and made smaller (`disk`).

use crate::artifact::Artifact;
use crate::builder::BuildContext;
use crate::cloud::Cloud;
use crate::engine::event::Leftover;
use crate::error::Result;
use crate::journal::Intent;
use crate::journal::resource::Kind;
use crate::journal::sweep::{self, Scope};
use crate::plan::import::{DEFAULT_ROLE, Import};
use crate::publish::Publisher;

mod check;
mod check_disk;
mod mark;
mod role;
pub mod source;
mod task;
mod transfer;

use source::DiskSource;

/// Packer's id of this post-processor, in manifests.
pub const BUILDER_ID: &str = "packer.post-processor.alicloud-import";

/// The type as templates write it.
pub const TYPE: &str = "alicloud-import";

/// What an import ended with.
pub struct Outcome {
    /// The image, or why there is none.
    pub artifact: Result<Artifact>,
    /// What could not be deleted.
    pub leftovers: Vec<Leftover>,
}

/// One import.
struct Importer<'a> {
    cloud: &'a Cloud,
    options: &'a Import,
    /// The system disk, then data disks; none in a [`preflight`].
    disks: &'a [DiskSource],
    /// The object's name, when the template says it.
    key: Option<&'a str>,
}

/// Where an object is.
#[derive(Debug, Clone)]
struct Object {
    bucket: String,
    key: String,
}

impl Object {
    /// As in the journal.
    fn id(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}

/// Looks for what would make an import fail, and needs no disk to be known:
/// keys, names, bucket and role. It creates nothing.
///
/// # Errors
/// What the import would fail with.
pub async fn preflight(cx: &BuildContext<'_>, cloud: &Cloud, options: &Import) -> Result<()> {
    let importer = Importer {
        cloud,
        options,
        disks: &[],
        key: None,
    };
    importer.check_place(cx).await.map(drop)
}

/// Imports disks, the system's first, and deletes what it took to do that,
/// also when it fails or is stopped. `key` is `oss_key_name`, rendered.
///
/// `cx.build` must be a name of its own: all that the journal has under it is
/// deleted at the end.
pub async fn run(
    cx: &BuildContext<'_>,
    cloud: &Cloud,
    options: &Import,
    disks: &[DiskSource],
    key: Option<&str>,
) -> Outcome {
    let importer = Importer {
        cloud,
        options,
        disks,
        key,
    };
    let artifact = importer.make(cx).await;
    let stop = cx.stop.for_cleanup();
    let scope = Scope::build(cx.build);
    let leftovers = sweep::sweep(cx.journal, &scope, Some(cloud), cx.events, &stop).await;
    Outcome {
        artifact,
        leftovers,
    }
}

impl Importer<'_> {
    async fn make(&self, cx: &BuildContext<'_>) -> Result<Artifact> {
        let checked = cx.step("Check", self.check(cx)).await?;
        let objects = cx
            .step("Upload to OSS", self.upload(cx, checked.has_bucket))
            .await?;
        let made = cx
            .step("Import image", self.import(cx, &objects, &checked))
            .await?;
        let publisher = self.publisher();
        let mut artifact = cx
            .step("Publish image", publisher.publish(cx, made))
            .await?;
        self.keep_what_stays(cx, &objects)?;
        if let Some(object) = objects.first().filter(|_| self.options.skip_clean) {
            for image in &mut artifact.images {
                image.oss_object = Some(format!("oss://{}", object.id()));
            }
        }
        Ok(artifact)
    }

    /// A bucket that holds what a user asked to keep, or that the next run
    /// will want, stays.
    fn keep_what_stays(&self, cx: &BuildContext<'_>, objects: &[Object]) -> Result<()> {
        cx.journal.keep(&self.options.bucket.value)?;
        if !self.options.skip_clean {
            return Ok(());
        }
        for object in objects {
            let id = object.id();
            cx.events.say(format!("Keeping OSS object {id}"));
            cx.journal.keep(&id)?;
        }
        Ok(())
    }

    fn region(&self) -> &str {
        &self.options.access.region.value
    }

    fn role(&self) -> &str {
        self.options.role_name.as_deref().unwrap_or(DEFAULT_ROLE)
    }

    fn intent(&self, cx: &BuildContext<'_>, kind: Kind, name: impl Into<String>) -> Intent {
        cx.intent(kind, self.region(), name)
    }

    fn publisher(&self) -> Publisher<'_> {
        Publisher {
            cloud: self.cloud,
            region: self.region(),
            options: &self.options.image,
            resource_group: self.options.resource_group_id.as_deref(),
            builder_id: BUILDER_ID,
            builder_type: TYPE,
        }
    }
}
