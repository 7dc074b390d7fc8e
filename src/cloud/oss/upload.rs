//! Sending the parts of an object: several at the same time, each verified,
//! none that is there already.
//!
//! Memory: at most [`AT_ONCE`] parts under way, one waiting, one being made.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use super::multipart::{SentPart, Upload};
use super::{Crc64, Oss};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

/// Parts under way at the same time.
pub const AT_ONCE: usize = 4;

/// Parts an object may have.
pub const MOST_PARTS: u64 = 10_000;

/// A part is not smaller, unless it is the last one.
pub const SMALLEST_PART: u64 = 6 * MIB;

/// A part is not larger: 48.8 TB need no more.
pub const LARGEST_PART: u64 = 5 * 1024 * MIB;

const MIB: u64 = 1024 * 1024;

/// The size of the parts for so many bytes: small, because a lost part is
/// sent again and some are in memory, but not so small that there are too
/// many.
pub fn part_size(bytes: u64) -> u64 {
    let least = bytes.div_ceil(MOST_PARTS);
    (least.div_ceil(MIB) * MIB).clamp(SMALLEST_PART, LARGEST_PART)
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1 to 10,000; its place in the object.
    pub number: u32,
    /// Its content: at least 100 KiB unless it is the last one.
    pub bytes: Bytes,
}

/// Makes an object part by part, in any order. It is used on a thread of its
/// own and may take its time; it is dropped when the upload is given up.
pub trait PartSource: Send {
    /// The next part; none when there are no more.
    ///
    /// # Errors
    /// When it cannot be made; then the upload ends.
    fn next(&mut self) -> Result<Option<Part>>;
}

/// How far an upload has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that OSS has.
    pub done: u64,
    /// Of these, bytes that it had before.
    pub skipped: u64,
}

struct Prepared {
    part: Part,
    crc64: Crc64,
}

impl Oss {
    /// Sends the parts that OSS does not have yet (`present` is what it has)
    /// and gives all of them in their order.
    ///
    /// # Errors
    /// When the source fails, or a part cannot be sent.
    pub async fn send_parts(
        &self,
        upload: &Upload,
        present: &BTreeMap<u32, SentPart>,
        source: Box<dyn PartSource>,
        progress: impl Fn(Progress),
        stop: &Stop,
    ) -> Result<Vec<SentPart>> {
        let prepared = stream::unfold(prepare(source), async |mut parts| {
            let next = parts.recv().await?;
            Some((next, parts))
        });
        let sent = prepared
            .map(|prepared| self.send_part(upload, present, prepared, stop))
            .buffer_unordered(AT_ONCE);
        let mut sent = std::pin::pin!(sent);
        let mut parts = BTreeMap::new();
        let mut so_far = Progress::default();
        while let Some(part) = stop.race(sent.next()).await? {
            let (part, skipped) = part?;
            so_far.done += part.crc64.length;
            so_far.skipped += if skipped { part.crc64.length } else { 0 };
            progress(so_far);
            parts.insert(part.number, part);
        }
        Ok(parts.into_values().collect())
    }

    async fn send_part(
        &self,
        upload: &Upload,
        present: &BTreeMap<u32, SentPart>,
        prepared: Result<Prepared>,
        stop: &Stop,
    ) -> Result<(SentPart, bool)> {
        let Prepared { part, crc64 } = prepared?;
        if let Some(there) = present
            .get(&part.number)
            .filter(|there| there.crc64 == crc64)
        {
            return Ok((there.clone(), true));
        }
        let sent = self.upload_part(upload, part.number, part.bytes, crc64, stop);
        Ok((sent.await?, false))
    }
}

/// The CRC-64 of an object made of these parts.
pub fn whole(parts: &[SentPart]) -> Crc64 {
    parts
        .iter()
        .fold(Crc64::default(), |sum, part| sum.then(part.crc64))
}

/// Makes parts on a thread of its own, one ahead of what is wanted.
fn prepare(mut source: Box<dyn PartSource>) -> mpsc::Receiver<Result<Prepared>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        loop {
            let next = match source.next() {
                Ok(None) => return,
                Ok(Some(part)) => checked(part),
                Err(error) => Err(error),
            };
            let is_last = next.is_err();
            // The other side is gone when the upload was given up.
            if sender.blocking_send(next).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}

fn checked(part: Part) -> Result<Prepared> {
    if part.number == 0 || u64::from(part.number) > MOST_PARTS {
        let message = format!("An object cannot have a part {}", part.number);
        return Err(Error::new(Kind::Internal, message));
    }
    let crc64 = Crc64::of(&part.bytes);
    Ok(Prepared { part, crc64 })
}
