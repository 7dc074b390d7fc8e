//! Sending the parts of an object: several at the same time, each verified,
//! none that is there already.
//!
//! Memory: at most [`AT_ONCE`] parts under way, fewer when they are large; one
//! waiting, one being made.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::multipart::{SentPart, Upload};
use super::{Crc64, Oss};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};

/// Parts under way at the same time, at most.
pub const AT_ONCE: usize = 4;

/// Bytes under way at the same time, unless one part is larger.
const BYTES_AT_ONCE: u64 = AT_ONCE as u64 * SMALLEST_PART;

/// Parts an object may have.
const MOST_PARTS: u64 = 10_000;

/// A part is not smaller, unless it is the last one. Seven are in memory at
/// times: [`AT_ONCE`] under way, one waiting, one being made, and the first one.
pub const SMALLEST_PART: u64 = 4 * MIB;

/// A part is not larger: 48.8 TB need no more.
const LARGEST_PART: u64 = 5 * 1024 * MIB;

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

/// Makes an object part by part, in any order.
pub trait PartSource: Send {
    /// The length in bytes of all parts but the last one.
    fn part_size(&self) -> u64;

    /// Makes all parts and puts each into the queue. It is called once, on a
    /// thread of its own, and may take its time.
    ///
    /// # Errors
    /// When a part cannot be made, or the queue does not take it; then the
    /// upload ends.
    fn run(&mut self, queue: &PartQueue) -> Result<()>;
}

/// Where a [`PartSource`] puts its parts.
#[derive(Debug)]
pub struct PartQueue {
    sender: mpsc::Sender<Prepared>,
}

impl PartQueue {
    /// A queue, and the end at which parts come out.
    fn new() -> (Self, mpsc::Receiver<Prepared>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { sender }, receiver)
    }

    /// Adds a part, as soon as there is room.
    ///
    /// # Errors
    /// [`Kind::Cancelled`] when the upload was given up, and
    /// [`Kind::Internal`] for a number that no object has.
    pub fn put(&self, part: Part) -> Result<()> {
        let prepared = checked(part)?;
        self.sender
            .blocking_send(prepared)
            .map_err(|_| Error::cancelled())
    }

    /// Whether a part waits for being sent.
    pub fn is_full(&self) -> bool {
        self.sender.capacity() == 0
    }

    /// Whether the upload was given up.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// How far an upload has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that OSS has.
    pub done: u64,
    /// Of these, bytes that it had before.
    pub skipped: u64,
}

#[derive(Debug)]
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
        let at_once = at_once(source.part_size());
        let (making, prepared) = make(source);
        let prepared = stream::unfold(prepared, async |mut parts| {
            let next = parts.recv().await?;
            Some((next, parts))
        });
        let sent = prepared
            .map(|prepared| self.send_part(upload, present, prepared, stop))
            .buffer_unordered(at_once);
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
        // No more parts may also mean that the source failed.
        made(making, stop).await?;
        Ok(parts.into_values().collect())
    }

    async fn send_part(
        &self,
        upload: &Upload,
        present: &BTreeMap<u32, SentPart>,
        prepared: Prepared,
        stop: &Stop,
    ) -> Result<(SentPart, bool)> {
        let Prepared { part, crc64 } = prepared;
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

/// All parts in their order, of an object that is small enough to be put in
/// one request.
///
/// # Errors
/// When the source fails.
pub async fn collect(source: Box<dyn PartSource>, stop: &Stop) -> Result<Bytes> {
    let (making, mut prepared) = make(source);
    let mut parts = BTreeMap::new();
    while let Some(Prepared { part, .. }) = stop.race(prepared.recv()).await? {
        parts.insert(part.number, part.bytes);
    }
    made(making, stop).await?;
    let bytes: Vec<_> = parts.into_values().collect();
    Ok(bytes.concat().into())
}

/// The CRC-64 of an object made of these parts.
pub fn whole(parts: &[SentPart]) -> Crc64 {
    parts
        .iter()
        .fold(Crc64::default(), |sum, part| sum.then(part.crc64))
}

/// How many parts may be under way.
fn at_once(part_size: u64) -> usize {
    let fit = usize::try_from(BYTES_AT_ONCE / part_size.max(1)).unwrap_or(AT_ONCE);
    fit.clamp(1, AT_ONCE)
}

/// Makes parts on a thread of its own, one ahead of what is wanted.
fn make(mut source: Box<dyn PartSource>) -> (JoinHandle<Result<()>>, mpsc::Receiver<Prepared>) {
    let (queue, parts) = PartQueue::new();
    let making = tokio::task::spawn_blocking(move || source.run(&queue));
    (making, parts)
}

async fn made(making: JoinHandle<Result<()>>, stop: &Stop) -> Result<()> {
    stop.race(making).await?.map_err(|error| {
        let message = "The thread that makes the parts of an upload died";
        Error::new(Kind::Internal, message).with_source(error)
    })?
}

fn checked(part: Part) -> Result<Prepared> {
    if part.number == 0 || u64::from(part.number) > MOST_PARTS {
        let message = format!("An object cannot have a part {}", part.number);
        return Err(Error::new(Kind::Internal, message));
    }
    let crc64 = Crc64::of(&part.bytes);
    Ok(Prepared { part, crc64 })
}
