//! One pass from a disk image to another: read what is allocated, drop zeros
//! (and what the file system says is free), compress on all cores, and hand
//! out parts in order, with no intermediate file.
//!
//! ```text
//! part 1 (held back) | part 2 | part 3 | …           order of bytes
//! part 2, part 3, …, and part 1 last                 order of handing out
//! ```
//!
//! The head of the output – qcow2's header, VHD's header and block table – is
//! known only at the end, so the parts it touches wait in memory. Object
//! storage takes parts in any order. Memory does not grow with the disk: a
//! few units per thread, the parts in flight, and tables of 16 bytes per GiB.
//!
//! The same input, options and version make the same bytes, however many
//! threads work. An adaptive level makes them depend on how fast parts were
//! taken, so its choices can be noted and repeated ([`Control::settle_level`]).

use bytes::Bytes;

use super::free::FreeBlocks;
use super::{Disk, ExtentKind, SECTOR};
use crate::error::{Error, Kind, Result};

mod compress;
mod file;
mod level;
mod parts;
mod pool;
mod qcow2;
mod raw;
mod unit;
mod vhd;

pub use file::write_file;

use compress::Plan;
use level::Levels;
use parts::Parts;
use unit::{Piece, Work};

/// The level that is smaller than `qemu-img convert -c` and needs a quarter of
/// its time.
pub const DEFAULT_LEVEL: u8 = 2;

/// More threads only add memory: sending is slower than sixteen cores.
const MAX_THREADS: usize = 16;

/// Where parts go.
pub trait PartSink {
    /// Takes the part with a number from 1 on. Parts come in ascending order
    /// except that the first ones, up to [`Options::held_parts`], come last,
    /// in descending order. All but the part with the highest number have the
    /// same length. Blocking here slows the reading down: that is how memory
    /// stays bounded.
    ///
    /// # Errors
    /// Any error ends the pass and is its result.
    fn part(&mut self, number: u32, bytes: Bytes) -> Result<()>;
}

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// qcow2 version 3 with compressed clusters of 64 KiB.
    Qcow2,
    /// Every byte of the disk.
    Raw,
    /// VHD that holds every byte of the disk.
    VhdFixed,
    /// VHD that holds blocks of 2 MiB that are not zero.
    VhdDynamic,
}

/// How hard to compress, from 1 (fast) to 12 (small).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Always the same; the output is deterministic.
    Fixed(u8),
    /// From [`DEFAULT_LEVEL`] on, harder while [`Control::is_send_queue_full`],
    /// faster while it is not. The output is deterministic only when the
    /// levels are, see [`Control::settle_level`].
    Adaptive,
}

/// How far back a compressed cluster may refer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// 32 KiB. QEMU reads it, as it inflates whole clusters at once.
    Full,
    /// 4 KiB, as the format's description asks. Larger and slower.
    Strict,
}

/// What is done with blocks that the file system says are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeSpace {
    /// Become zeros, where the file system is clean and understood.
    Drop,
    /// Stay as they are.
    Keep,
}

/// What to write and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The format.
    pub output: Output,
    /// How hard to compress, where the format compresses.
    pub level: Level,
    /// How far back compressed data refers.
    pub window: Window,
    /// What happens to free blocks.
    pub free_space: FreeSpace,
    /// How many threads read and compress; at least 1 is used, at most 16.
    pub threads: usize,
    /// Length of a part in bytes, at least 1.
    pub part_size: usize,
}

impl Options {
    /// The usual choices for a format: level 2, full window, all cores, free
    /// blocks dropped, parts of 8 MiB.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            level: Level::Fixed(DEFAULT_LEVEL),
            window: Window::Full,
            free_space: FreeSpace::Drop,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            part_size: 8 << 20,
        }
    }

    /// How many of the first parts are handed out last.
    pub fn held_parts(&self, virtual_size: u64) -> u32 {
        let head = self.head_length(virtual_size);
        u32::try_from(head.div_ceil(self.part_size.max(1) as u64)).unwrap_or(u32::MAX)
    }

    fn head_length(&self, virtual_size: u64) -> u64 {
        match self.output {
            Output::Qcow2 => qcow2::CLUSTER,
            Output::VhdDynamic => vhd::head_length(virtual_size),
            Output::Raw | Output::VhdFixed => 0,
        }
    }
}

/// No output of the disk is longer than this, in bytes: for choosing a part
/// size where the number of parts is limited. Only what is stored counts, so
/// that a large empty disk has small parts.
///
/// # Errors
/// As [`Disk::extent_at`].
pub fn longest_output(disk: &dyn Disk, output: Output) -> Result<u64> {
    /// Heads, first-level tables and roundings.
    const SLACK: u64 = 16 << 20;
    let size = disk.virtual_size();
    let (cluster, per_table) = match output {
        Output::Raw | Output::VhdFixed => return Ok(size + SECTOR),
        Output::Qcow2 => (qcow2::CLUSTER, qcow2::CLUSTER / 8),
        Output::VhdDynamic => (vhd::BLOCK, u64::MAX / vhd::BLOCK),
    };
    let stored = stored_clusters(disk, cluster)?;
    let tables = stored.min(size.div_ceil(cluster * per_table));
    let bytes = (stored + tables).saturating_mul(cluster);
    // Refcounts and bitmaps are below 1/1000.
    Ok(bytes.saturating_add(bytes / 1000 + SLACK))
}

/// How many clusters have stored data in them.
fn stored_clusters(disk: &dyn Disk, cluster: u64) -> Result<u64> {
    let (mut stored, mut next) = (0, 0);
    for extent in super::extents(disk) {
        let extent = extent?;
        if extent.kind == ExtentKind::Data {
            let end = extent.end().div_ceil(cluster);
            stored += end - next.max(extent.start / cluster).min(end);
            next = end;
        }
    }
    Ok(stored)
}

/// What the caller has to say while a pass runs.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Whether the pass is to end with [`Kind::Cancelled`].
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
    /// For [`Level::Adaptive`]: whether parts wait for being sent.
    pub is_send_queue_full: &'a (dyn Fn() -> bool + Sync),
    /// For [`Level::Adaptive`]: is asked before each epoch of the disk, by its
    /// number and the level that the queue suggests, and answers the level to
    /// use. Who notes the answers and repeats them gets the same output. An
    /// error ends the pass.
    pub settle_level: &'a (dyn Fn(u64, u8) -> Result<u8> + Sync),
    /// Told how far the pass is, in bytes of the virtual disk.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control<'_> {
    /// Never stopped, never full, any level is fine, told nothing.
    pub fn none() -> Self {
        Self {
            is_stopped: &|| false,
            is_send_queue_full: &|| false,
            settle_level: &|_, level| Ok(level),
            progress: &|_| {},
        }
    }
}

/// What a pass did. Lengths are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Length of the output.
    pub length: u64,
    /// Number of parts.
    pub parts: u32,
    /// Stored data of the disk that was read.
    pub read: u64,
    /// Data that was not read as the file system says that it is free.
    pub dropped_free: u64,
    /// Data that was read and left out as it was zero.
    pub dropped_zero: u64,
    /// Data that was kept as it does not compress.
    pub incompressible: u64,
    /// What was found about free blocks, a sentence per partition.
    pub notes: Vec<String>,
}

/// Where pieces of the disk go in a format. Pieces come in ascending order.
trait Layout {
    /// Writes a piece.
    fn put(&mut self, piece: &Piece, bytes: &[u8], parts: &mut Parts<'_>) -> Result<()>;

    /// Writes what comes after all pieces and answers the head.
    fn finish(&mut self, parts: &mut Parts<'_>) -> Result<Vec<u8>>;
}

/// Writes the disk to the sink.
///
/// # Errors
/// [`Kind::Disk`] and [`Kind::Io`] from reading, [`Kind::Usage`] for a disk
/// that the format cannot hold, [`Kind::Cancelled`], and the sink's errors.
pub fn write_to(
    disk: &dyn Disk,
    options: &Options,
    sink: &mut dyn PartSink,
    control: Control<'_>,
) -> Result<Summary> {
    let size = disk.virtual_size();
    let mut layout = layout(size, options)?;
    let free = match options.free_space {
        FreeSpace::Drop => FreeBlocks::find(disk)?,
        FreeSpace::Keep => FreeBlocks::default(),
    };
    let work = Work::new(disk, &free, Plan::new(options), options.output);
    let head_length = options.head_length(size);
    let mut sink = Stoppable {
        sink,
        is_stopped: control.is_stopped,
    };
    let mut parts = Parts::new(&mut sink, options.part_size, options.held_parts(size));
    parts.zeros(head_length)?;
    let mut summary = Summary::default();
    let threads = options.threads.clamp(1, MAX_THREADS);
    let levels = Levels::new(options.level, control);
    pool::run(&work, threads, levels, control.is_stopped, &mut |unit| {
        for piece in &unit.pieces {
            layout.put(piece, &unit.bytes[piece.range.clone()], &mut parts)?;
        }
        summary.read += unit.read;
        summary.dropped_free += unit.dropped_free;
        summary.dropped_zero += unit.dropped_zero;
        summary.incompressible += unit.incompressible;
        (control.progress)(unit.end);
        Ok(())
    })?;
    let head = layout.finish(&mut parts)?;
    (summary.length, summary.parts) = parts.finish(&head)?;
    summary.notes = free.notes.clone();
    (control.progress)(size);
    Ok(summary)
}

/// Ends a pass between parts, too: a run of zeros is one unit of work, and may
/// be long.
struct Stoppable<'a> {
    sink: &'a mut dyn PartSink,
    is_stopped: &'a (dyn Fn() -> bool + Sync),
}

impl PartSink for Stoppable<'_> {
    fn part(&mut self, number: u32, bytes: Bytes) -> Result<()> {
        if (self.is_stopped)() {
            return Err(Error::cancelled());
        }
        self.sink.part(number, bytes)
    }
}

fn layout(size: u64, options: &Options) -> Result<Box<dyn Layout>> {
    let too_large = |what: &str| {
        let message = format!("A disk of {size} bytes does not fit {what}");
        Err(Error::new(Kind::Usage, message))
    };
    match options.output {
        Output::Qcow2 if size > qcow2::MAX_SIZE => too_large("qcow2 with clusters of 64 KiB"),
        Output::VhdFixed | Output::VhdDynamic if size > vhd::MAX_SIZE => too_large("a VHD"),
        Output::Qcow2 => Ok(Box::new(qcow2::Qcow2::new(size))),
        Output::Raw => Ok(Box::new(raw::Raw::new(size))),
        Output::VhdFixed => Ok(Box::new(vhd::Fixed::new(size))),
        Output::VhdDynamic => Ok(Box::new(vhd::Dynamic::new(size))),
    }
}
