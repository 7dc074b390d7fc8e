//! Bringing the disk into the bucket: what is small in one request, the rest
//! in parts, going on where a run that died had got to.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::source::{DiskSource, SentSize, SettleLevel};
use super::{Importer, Object};
use crate::builder::BuildContext;
use crate::cloud::oss::multipart::{SentPart, Upload};
use crate::cloud::oss::object::ObjectOptions;
use crate::cloud::oss::upload::{self, Progress, SMALLEST_PART, part_size, whole};
use crate::cloud::oss::{Crc64, Oss};
use crate::engine::event::{EventKind, Resource};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::Journal;
use crate::journal::marker::METADATA;
use crate::journal::resource::Kind;
use crate::journal::upload::{Adopted, Wanted, upload_id, upload_name};

const MIB: u64 = 1 << 20;

/// A disk on its way to an object.
struct Transfer<'a> {
    importer: &'a Importer<'a>,
    oss: &'a Oss,
    source: &'a DiskSource,
    /// 0 is the system disk.
    index: usize,
}

impl Importer<'_> {
    /// Gives the objects in the order of the disks; they are in the journal.
    pub(super) async fn upload(
        &self,
        cx: &BuildContext<'_>,
        has_bucket: bool,
    ) -> Result<Vec<Object>> {
        let oss = self.cloud.oss(self.region())?;
        if !has_bucket {
            self.create_bucket(cx, &oss).await?;
        }
        let mut objects = Vec::new();
        for (index, source) in self.disks.iter().enumerate() {
            let transfer = Transfer {
                importer: self,
                oss: &oss,
                source,
                index,
            };
            objects.push(transfer.run(cx).await?);
        }
        Ok(objects)
    }

    async fn create_bucket(&self, cx: &BuildContext<'_>, oss: &Oss) -> Result<()> {
        let bucket = &self.options.bucket;
        cx.events.say(format!(
            "Creating private OSS bucket {bucket} in {}...",
            self.region()
        ));
        let intent = self.intent(cx, Kind::OssBucket, &bucket.value);
        let made = cx.journal.create(cx.events, intent, async |slot| {
            oss.create_bucket(&bucket.value, &slot.permit, cx.stop)
                .await?;
            Ok((bucket.value.clone(), ()))
        });
        made.await.map_err(|error| error.at(bucket.span))
    }

    fn object_options(&self, marker: String) -> ObjectOptions {
        ObjectOptions {
            metadata: vec![(METADATA, marker)],
            encryption: self.options.object_encryption.clone(),
            tags: self.options.object_tags.clone().into_iter().collect(),
            ..ObjectOptions::default()
        }
    }
}

impl Transfer<'_> {
    /// Gives the object, which is in the journal.
    async fn run(&self, cx: &BuildContext<'_>) -> Result<Object> {
        let (object, crc64) = match self.source.size() {
            SentSize::Exactly(bytes) if bytes <= SMALLEST_PART => self.put_whole(cx).await?,
            _ => self.send_in_parts(cx).await?,
        };
        self.say_what_was_left_out(cx);
        self.verify(cx, &object, crc64).await?;
        Ok(object)
    }

    /// A name no other run uses, unless the template has one.
    fn object(&self, cx: &BuildContext<'_>) -> Object {
        let own = || {
            let run = cx.journal.run().split('-').next().unwrap_or_default();
            let name = &self.importer.options.image.name.value;
            let suffix = self.source.format().suffix();
            numbered(&format!("alicloud-image-{run}/{name}.{suffix}"), self.index)
        };
        Object {
            bucket: self.importer.options.bucket.value.clone(),
            key: self.key().unwrap_or_else(own),
        }
    }

    /// The name the template has for the object of this disk.
    fn key(&self) -> Option<String> {
        self.importer.key.map(|key| numbered(key, self.index))
    }

    fn say_uploading(&self, cx: &BuildContext<'_>, object: &Object) -> Result<()> {
        let address = self.oss.address_of(&object.bucket, &object.key)?;
        let name = self.source.name();
        let how = match self.source.is_sent_as_it_is() {
            true => "as it is".to_owned(),
            false => format!("as {}", self.source.format().name()),
        };
        cx.events
            .say(format!("Uploading {name} {how} to {address}..."));
        Ok(())
    }

    async fn put_whole(&self, cx: &BuildContext<'_>) -> Result<(Object, Crc64)> {
        let object = self.object(cx);
        self.say_uploading(cx, &object)?;
        let parts = self
            .source
            .parts(SMALLEST_PART, Box::new(|_, level| Ok(level)))?;
        let bytes = upload::collect(parts, cx.stop).await?;
        let crc64 = Crc64::of(&bytes);
        let marker = self.importer.mark(cx, self.oss, &object).await?;
        let (id, options) = (object.id(), self.importer.object_options(marker));
        let intent = self.importer.intent(cx, Kind::OssObject, &id);
        let put = cx.journal.create(cx.events, intent, async |slot| {
            let Object { bucket, key } = &object;
            let put = self
                .oss
                .put_object(bucket, key, bytes, &options, &slot.permit, cx.stop);
            put.await?;
            Ok((id.clone(), ()))
        });
        put.await.map_err(|error| cannot_upload(error, &object))?;
        Ok((object, crc64))
    }

    async fn send_in_parts(&self, cx: &BuildContext<'_>) -> Result<(Object, Crc64)> {
        let part_size = part_size(self.source.size().most());
        let (Adopted { upload, levels, .. }, present) = self.begin(cx, part_size).await?;
        let object = Object {
            bucket: upload.bucket.clone(),
            key: upload.key.clone(),
        };
        self.say_uploading(cx, &object)?;
        let settle = settle_level(cx.journal.clone(), &upload, levels);
        let source = self.source.parts(part_size, settle)?;
        let shown = Cell::new(0);
        let show = |progress| self.show(cx, progress, &shown);
        let sent = self
            .oss
            .send_parts(&upload, &present, source, show, cx.stop);
        let parts = sent.await.map_err(|error| cannot_upload(error, &object))?;
        self.complete(cx, &upload, &parts, &object).await?;
        Ok((object, whole(&parts)))
    }

    /// The upload of a run that died, or a new one, and the parts it has.
    async fn begin(
        &self,
        cx: &BuildContext<'_>,
        part_size: u64,
    ) -> Result<(Adopted, BTreeMap<u32, SentPart>)> {
        let source = format!("{} in parts of {part_size}", self.source.identity());
        let key = self.key();
        let wanted = Wanted {
            build: cx.build,
            region: self.importer.region(),
            bucket: &self.importer.options.bucket.value,
            key: key.as_deref(),
            source: &source,
        };
        while let Some(adopted) = cx.journal.adopt_upload(&wanted)? {
            let upload = &adopted.upload;
            if let Some(present) = self.oss.list_parts(upload, cx.stop).await? {
                cx.events.say(format!(
                    "Going on with an upload that was interrupted: {} parts are there",
                    present.len()
                ));
                self.importer.mark_again(cx, self.oss, &adopted).await?;
                return Ok((adopted, present));
            }
            cx.journal.used_up(&upload_id(upload))?;
        }
        Ok((self.initiate(cx, &source).await?, BTreeMap::new()))
    }

    async fn initiate(&self, cx: &BuildContext<'_>, source: &str) -> Result<Adopted> {
        let object = self.object(cx);
        let Object { bucket, key } = &object;
        let name = upload_name(bucket, key, source);
        let marker = self.importer.mark(cx, self.oss, &object).await?;
        let options = self.importer.object_options(marker.clone());
        let intent = self.importer.intent(cx, Kind::OssUpload, name);
        let begun = cx.journal.create(cx.events, intent, async |slot| {
            let upload = self
                .oss
                .initiate_upload(bucket, key, &options, &slot.permit, cx.stop)
                .await?;
            Ok((upload_id(&upload), upload))
        });
        let upload = begun.await.map_err(|error| cannot_upload(error, &object))?;
        Ok(Adopted {
            upload,
            levels: Vec::new(),
            marker: Some(marker),
        })
    }

    /// Says how far it is at each tenth of the file or the disk.
    fn show(&self, cx: &BuildContext<'_>, progress: Progress, shown: &Cell<u64>) {
        let most = self.source.size().most().max(1);
        let percent = self.source.percent_read();
        let tenth = percent.unwrap_or(progress.done * 100 / most) / 10;
        if tenth <= shown.get() {
            return;
        }
        shown.set(tenth);
        let done = progress.done / MIB;
        cx.events.message(match percent {
            None => format!("Uploaded {} % ({done} of {} MiB)", tenth * 10, most / MIB),
            Some(_) => format!("Uploaded {done} MiB for {} % of the disk", tenth * 10),
        });
    }

    /// What became of the disk's bytes, after a pass.
    fn say_what_was_left_out(&self, cx: &BuildContext<'_>) {
        let Some(summary) = self.source.summary() else {
            return;
        };
        cx.events.message(format!(
            "Made {} MiB of {} MiB on the disk; left out {} MiB that are free and {} MiB of zeros",
            summary.length / MIB,
            (summary.read + summary.dropped_free) / MIB,
            summary.dropped_free / MIB,
            summary.dropped_zero / MIB
        ));
        for note in &summary.notes {
            cx.events.message(note.clone());
        }
    }

    /// The upload becomes the object; from then on only the object is to be
    /// deleted.
    async fn complete(
        &self,
        cx: &BuildContext<'_>,
        upload: &Upload,
        parts: &[SentPart],
        object: &Object,
    ) -> Result<()> {
        let (id, options) = (object.id(), ObjectOptions::default());
        let intent = self.importer.intent(cx, Kind::OssObject, &id);
        let completed = cx.journal.create(cx.events, intent, async |slot| {
            self.oss
                .complete_upload(upload, parts, &options, &slot.permit, cx.stop)
                .await?;
            Ok((id.clone(), ()))
        });
        completed
            .await
            .map_err(|error| cannot_upload(error, object))?;
        let id = upload_id(upload);
        cx.journal.used_up(&id)?;
        // As the object it goes on; what a summary lists as an upload is gone.
        let resource = Resource {
            kind: Kind::OssUpload.name().to_owned(),
            id,
            region: self.importer.region().to_owned(),
        };
        cx.events.emit(EventKind::ResourceDeleted(resource));
        Ok(())
    }

    /// The object is what was sent.
    async fn verify(&self, cx: &BuildContext<'_>, object: &Object, sent: Crc64) -> Result<()> {
        let stored = self
            .oss
            .head_object(&object.bucket, &object.key, cx.stop)
            .await
            .map_err(|error| error.context(format!("Cannot look at OSS object {}", object.id())))?;
        let Some(stored) = stored else {
            let message = format!("OSS object {} vanished after its upload", object.id());
            return Err(Error::new(ErrorKind::Cloud, message).with_hint(
                "Look for a life cycle rule of the bucket, or for someone who deletes",
            ));
        };
        let is_same =
            stored.size == sent.length && stored.crc64.is_none_or(|crc64| crc64 == sent.value);
        if is_same {
            cx.events.message(format!(
                "Uploaded {} bytes, CRC-64 {}",
                sent.length, sent.value
            ));
            return Ok(());
        }
        let message = format!(
            "OSS object {} is not what was sent: {} bytes with CRC-64 {}, not {} with {}",
            object.id(),
            stored.size,
            stored.crc64.unwrap_or_default(),
            sent.length,
            sent.value
        );
        Err(Error::new(ErrorKind::Cloud, message)
            .with_hint("Do not change the file while it is uploaded; then try again"))
    }
}

/// Repeats the levels that were noted, and notes the others before they are
/// used: a run that goes on with the upload then makes the same parts.
fn settle_level(journal: Journal, upload: &Upload, noted: Vec<u8>) -> SettleLevel {
    let id = upload_id(upload);
    Box::new(move |epoch, level| {
        let noted = usize::try_from(epoch)
            .ok()
            .and_then(|epoch| noted.get(epoch));
        match noted {
            Some(level) => Ok(*level),
            None => journal.note_level(&id, level).map(|()| level),
        }
    })
}

/// The key of the object of a disk: a data disk's has its number before the
/// suffix.
fn numbered(key: &str, index: usize) -> String {
    match (index, key.rsplit_once('.')) {
        (0, _) => key.to_owned(),
        (index, Some((stem, suffix))) if !suffix.contains('/') => {
            format!("{stem}-data-{index}.{suffix}")
        }
        (index, _) => format!("{key}-data-{index}"),
    }
}

fn cannot_upload(error: Error, object: &Object) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => error,
        _ => error.context(format!("Cannot upload OSS object {}", object.id())),
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn data_disks_have_keys_of_their_own() {
        let table = [
            ("a/b.qcow2", 0, "a/b.qcow2"),
            ("a/b.qcow2", 2, "a/b-data-2.qcow2"),
            ("a.d/b", 1, "a.d/b-data-1"),
        ];
        for (key, index, expected) in table {
            assert_eq!(numbered(key, index), expected);
        }
    }
}
