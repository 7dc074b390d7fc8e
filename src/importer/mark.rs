//! The marker beside an object: by it a clean-up finds what a lost run left in
//! the bucket. See [`crate::journal::marker`].

use super::{Importer, Object};
use crate::builder::BuildContext;
use crate::cloud::oss::Oss;
use crate::cloud::oss::multipart::Upload;
use crate::cloud::oss::object::ObjectOptions;
use crate::cloud::{is_code, is_forbidden};
use crate::error::{Kind as ErrorKind, Result, one_line};
use crate::journal::marker::{Marker, marker_name, new_marker_key};
use crate::journal::resource::Kind;
use crate::journal::upload::Adopted;

impl Importer<'_> {
    /// Marks an object before its upload begins; gives the marker's name.
    pub(super) async fn mark(
        &self,
        cx: &BuildContext<'_>,
        oss: &Oss,
        object: &Object,
    ) -> Result<String> {
        let name = new_marker_key();
        self.put_marker(cx, oss, object, &name, None).await?;
        Ok(name)
    }

    /// Puts this run's name and expiry into the marker of an upload that is
    /// gone on with.
    pub(super) async fn mark_again(
        &self,
        cx: &BuildContext<'_>,
        oss: &Oss,
        adopted: &Adopted,
    ) -> Result<()> {
        let upload = &adopted.upload;
        let object = Object {
            bucket: upload.bucket.clone(),
            key: upload.key.clone(),
        };
        let name = adopted.marker.clone().unwrap_or_else(new_marker_key);
        let is_put = self
            .put_marker(cx, oss, &object, &name, Some(upload))
            .await?;
        match is_put && adopted.marker.is_some() {
            // It has two entries now, the older one from the run before.
            true => cx.journal.used_up(&format!("{}/{name}", object.bucket)),
            false => Ok(()),
        }
    }

    /// Says whether it is there: who may not put one imports all the same.
    async fn put_marker(
        &self,
        cx: &BuildContext<'_>,
        oss: &Oss,
        object: &Object,
        name: &str,
        upload: Option<&Upload>,
    ) -> Result<bool> {
        let Object { bucket, key } = object;
        let marker = Marker {
            keep: self.options.skip_clean,
            upload: upload.map(|upload| upload.id.clone()),
            ..Marker::new(cx.tags, key)
        };
        let options = ObjectOptions {
            overwrite: true,
            ..ObjectOptions::default()
        };
        let id = format!("{bucket}/{name}");
        let intent = self.intent(cx, Kind::OssMarker, marker_name(bucket, name, key));
        let put = cx.journal.create(cx.events, intent, async |slot| {
            oss.put_object(
                bucket,
                name,
                marker.to_json(),
                &options,
                &slot.permit,
                cx.stop,
            )
            .await?;
            Ok((id.clone(), ()))
        });
        match put.await {
            Ok(()) => Ok(true),
            Err(error) if is_forbidden(&error) || is_code(&error, &["AccessDenied"]) => {
                cx.events.warn(format!(
                    "Should this run be lost, no clean-up finds what it leaves in OSS bucket {bucket}: {}",
                    one_line(&error)
                ));
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => Err(error.context(format!("Cannot put OSS object {id}"))),
        }
    }
}
