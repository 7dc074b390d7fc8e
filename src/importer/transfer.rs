//! Bringing the disk into the bucket: what is small in one request, the rest
//! in parts, going on where a run that died had got to.

use std::cell::Cell;
use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::source::SentSize;
use super::{Importer, Object};
use crate::builder::BuildContext;
use crate::cloud::oss::multipart::{SentPart, Upload};
use crate::cloud::oss::object::ObjectOptions;
use crate::cloud::oss::upload::{Progress, SMALLEST_PART, part_size, whole};
use crate::cloud::oss::{Crc64, Oss};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::resource::Kind;
use crate::journal::upload::{Wanted, upload_id, upload_name};

const MIB: u64 = 1 << 20;

impl Importer<'_> {
    /// Gives the object, which is in the journal.
    pub(super) async fn upload(&self, cx: &BuildContext<'_>, has_bucket: bool) -> Result<Object> {
        let oss = self.cloud.oss(self.region())?;
        if !has_bucket {
            self.create_bucket(cx, &oss).await?;
        }
        let sent = match self.source.size() {
            SentSize::Exactly(bytes) if bytes <= SMALLEST_PART => self.put_whole(cx, &oss).await?,
            _ => self.send_in_parts(cx, &oss).await?,
        };
        let (object, crc64) = sent;
        self.verify(cx, &oss, &object, crc64).await?;
        Ok(object)
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

    /// A name no other run uses, unless the template has one.
    fn object(&self, cx: &BuildContext<'_>) -> Object {
        let own = || {
            let run = cx.journal.run().split('-').next().unwrap_or_default();
            let name = &self.options.image.name.value;
            let suffix = self.source.format().suffix();
            format!("alicloud-image-{run}/{name}.{suffix}")
        };
        Object {
            bucket: self.options.bucket.value.clone(),
            key: self.key.map_or_else(own, str::to_owned),
        }
    }

    fn object_options(&self) -> ObjectOptions {
        ObjectOptions {
            tags: self.options.object_tags.clone().into_iter().collect(),
            ..ObjectOptions::default()
        }
    }

    fn say_uploading(&self, cx: &BuildContext<'_>, oss: &Oss, object: &Object) -> Result<()> {
        let address = oss.address_of(&object.bucket, &object.key)?;
        let name = self.source.name();
        cx.events.say(format!("Uploading {name} to {address}..."));
        Ok(())
    }

    async fn put_whole(&self, cx: &BuildContext<'_>, oss: &Oss) -> Result<(Object, Crc64)> {
        let object = self.object(cx);
        self.say_uploading(cx, oss, &object)?;
        let bytes = self.read_whole()?;
        let crc64 = Crc64::of(&bytes);
        let (id, options) = (object.id(), self.object_options());
        let intent = self.intent(cx, Kind::OssObject, &id);
        let put = cx.journal.create(cx.events, intent, async |slot| {
            let Object { bucket, key } = &object;
            oss.put_object(bucket, key, bytes, &options, &slot.permit, cx.stop)
                .await?;
            Ok((id.clone(), ()))
        });
        put.await.map_err(|error| cannot_upload(error, &object))?;
        Ok((object, crc64))
    }

    /// Parts may come in any order, also of something small.
    fn read_whole(&self) -> Result<Bytes> {
        let mut parts = self.source.parts(SMALLEST_PART)?;
        let mut by_number = BTreeMap::new();
        while let Some(part) = parts.next()? {
            by_number.insert(part.number, part.bytes);
        }
        let mut bytes = BytesMut::new();
        for part in by_number.into_values() {
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }

    async fn send_in_parts(&self, cx: &BuildContext<'_>, oss: &Oss) -> Result<(Object, Crc64)> {
        let part_size = part_size(self.source.size().most());
        let (upload, present) = self.begin(cx, oss, part_size).await?;
        let object = Object {
            bucket: upload.bucket.clone(),
            key: upload.key.clone(),
        };
        self.say_uploading(cx, oss, &object)?;
        let source = self.source.parts(part_size)?;
        let shown = Cell::new(0);
        let show = |progress| self.show(cx, progress, &shown);
        let sent = oss.send_parts(&upload, &present, source, show, cx.stop);
        let parts = sent.await.map_err(|error| cannot_upload(error, &object))?;
        self.complete(cx, oss, &upload, &parts, &object).await?;
        Ok((object, whole(&parts)))
    }

    /// The upload of a run that died, or a new one, and the parts it has.
    async fn begin(
        &self,
        cx: &BuildContext<'_>,
        oss: &Oss,
        part_size: u64,
    ) -> Result<(Upload, BTreeMap<u32, SentPart>)> {
        let source = format!("{} in parts of {part_size}", self.source.identity());
        let wanted = Wanted {
            build: cx.build,
            region: self.region(),
            bucket: &self.options.bucket.value,
            key: self.key,
            source: &source,
        };
        while let Some(upload) = cx.journal.adopt_upload(&wanted)? {
            if let Some(present) = oss.list_parts(&upload, cx.stop).await? {
                cx.events.say(format!(
                    "Going on with an upload that was interrupted: {} parts are there",
                    present.len()
                ));
                return Ok((upload, present));
            }
            cx.journal.used_up(&upload_id(&upload))?;
        }
        let object = self.object(cx);
        let Object { bucket, key } = &object;
        let name = upload_name(bucket, key, &source);
        let options = self.object_options();
        let intent = self.intent(cx, Kind::OssUpload, name);
        let begun = cx.journal.create(cx.events, intent, async |slot| {
            let upload = oss
                .initiate_upload(bucket, key, &options, &slot.permit, cx.stop)
                .await?;
            Ok((upload_id(&upload), upload))
        });
        let upload = begun.await.map_err(|error| cannot_upload(error, &object))?;
        Ok((upload, BTreeMap::new()))
    }

    /// Says how far it is at each tenth.
    fn show(&self, cx: &BuildContext<'_>, progress: Progress, shown: &Cell<u64>) {
        let SentSize::Exactly(size) = self.source.size() else {
            const STEP: u64 = 256 * MIB;
            if progress.done / STEP > shown.get() {
                shown.set(progress.done / STEP);
                let done = progress.done / MIB;
                cx.events.message(format!("Uploaded {done} MiB"));
            }
            return;
        };
        let tenth = progress.done * 10 / size.max(1);
        if tenth > shown.get() {
            shown.set(tenth);
            let (done, size) = (progress.done / MIB, size / MIB);
            cx.events
                .message(format!("Uploaded {} % ({done} of {size} MiB)", tenth * 10));
        }
    }

    /// The upload becomes the object; from then on only the object is to be
    /// deleted.
    async fn complete(
        &self,
        cx: &BuildContext<'_>,
        oss: &Oss,
        upload: &Upload,
        parts: &[SentPart],
        object: &Object,
    ) -> Result<()> {
        let (id, options) = (object.id(), self.object_options());
        let intent = self.intent(cx, Kind::OssObject, &id);
        let completed = cx.journal.create(cx.events, intent, async |slot| {
            oss.complete_upload(upload, parts, &options, &slot.permit, cx.stop)
                .await?;
            Ok((id.clone(), ()))
        });
        completed
            .await
            .map_err(|error| cannot_upload(error, object))?;
        cx.journal.used_up(&upload_id(upload))
    }

    /// The object is what was sent.
    async fn verify(
        &self,
        cx: &BuildContext<'_>,
        oss: &Oss,
        object: &Object,
        sent: Crc64,
    ) -> Result<()> {
        let stored = oss
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

fn cannot_upload(error: Error, object: &Object) -> Error {
    match error.kind() {
        ErrorKind::Cancelled => error,
        _ => error.context(format!("Cannot upload OSS object {}", object.id())),
    }
}
