//! gzip on all processors: pieces are compressed at the same time, each as a
//! member of its own, or as several of the size that BGZF has.
//!
//! A file of several members is what `cat a.gz b.gz` makes; RFC 1952, section
//! 2.2, has every reader take it as one. BGZF is such a file, too, with the size of each
//! member in it: section 4.1 of the SAM specification. Not here: reading.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

/// Large enough that members cost nothing, small enough for all threads to
/// have one.
const PIECE: usize = 1024 * 1024;

/// Pieces that may wait for an earlier one, per thread.
const AHEAD: usize = 2;

/// Content of one block of BGZF; with all it may grow by, 64 KiB hold it.
const BLOCK: usize = 0xff00;

/// What a block of BGZF begins with; its size minus one follows.
const BLOCK_HEAD: [u8; 16] = *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0";

/// The block without content that ends a BGZF file.
const LAST_BLOCK: [u8; 28] =
    *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x1b\0\x03\0\0\0\0\0\0\0\0\0";

/// What becomes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One member.
    Members,
    /// Blocks of BGZF.
    Blocks,
}

/// Compresses what is written to it. Without [`Gzip::finish`] the end is
/// missing.
pub(super) struct Gzip<W> {
    output: W,
    piece: Vec<u8>,
    work: Sender<Work>,
    pending: VecDeque<Receiver<Vec<u8>>>,
    most_pending: usize,
    is_empty: bool,
    framing: Framing,
}

/// A piece, and where its member goes.
struct Work {
    piece: Vec<u8>,
    reply: Sender<Vec<u8>>,
}

impl<W: Write> Gzip<W> {
    /// Starts the threads. They end with it.
    pub(super) fn new(output: W, level: Option<u8>, framing: Framing) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (work, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::spawn(move || compress(&waiting, level, framing));
        }
        Self {
            output,
            piece: Vec::with_capacity(PIECE),
            work,
            pending: VecDeque::new(),
            most_pending: threads * AHEAD,
            is_empty: true,
            framing,
        }
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        // An empty file is one member without content.
        if self.is_empty || !self.piece.is_empty() {
            self.send()?;
        }
        while !self.pending.is_empty() {
            self.receive()?;
        }
        if self.framing == Framing::Blocks {
            self.output.write_all(&LAST_BLOCK)?;
        }
        self.output.flush()
    }

    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let (reply, member) = mpsc::channel();
        self.work.send(Work { piece, reply }).map_err(|_| died())?;
        self.pending.push_back(member);
        self.is_empty = false;
        if self.pending.len() > self.most_pending {
            self.receive()?;
        }
        Ok(())
    }

    /// Writes the oldest member, which may still be in the making.
    fn receive(&mut self) -> io::Result<()> {
        let Some(member) = self.pending.pop_front() else {
            return Ok(());
        };
        let member = member.recv().map_err(|_| died())?;
        self.output.write_all(&member)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&data[..taken]);
        if self.piece.len() == PIECE {
            self.send()?;
        }
        Ok(taken)
    }

    /// Does nothing: a flush in the middle would only make small members.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn died() -> io::Error {
    io::Error::other("a thread that compresses died")
}

/// One thread's life.
fn compress(waiting: &Mutex<Receiver<Work>>, level: Option<u8>, framing: Framing) {
    let level = level.and_then(|level| CompressionLvl::new(i32::from(level)).ok());
    let mut compressor = Compressor::new(level.unwrap_or_default());
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(Work { piece, reply }) = next else {
            return;
        };
        let members = match framing {
            Framing::Members => member(&mut compressor, &piece),
            Framing::Blocks => piece
                .chunks(BLOCK)
                .flat_map(|content| block(&mut compressor, content))
                .collect(),
        };
        // Nobody waits for it after a failure.
        let _ = reply.send(members);
    }
}

fn member(compressor: &mut Compressor, content: &[u8]) -> Vec<u8> {
    let mut member = vec![0; compressor.gzip_compress_bound(content.len())];
    let size = compressor
        .gzip_compress(content, &mut member)
        .expect("the bound is enough for any piece");
    member.truncate(size);
    member
}

fn block(compressor: &mut Compressor, content: &[u8]) -> Vec<u8> {
    let head = BLOCK_HEAD.len() + 2;
    let mut block = vec![0; head + compressor.deflate_compress_bound(content.len())];
    let size = compressor
        .deflate_compress(content, &mut block[head..])
        .expect("the bound is enough for any block");
    block.truncate(head + size);
    block.extend(libdeflater::crc32(content).to_le_bytes());
    // A block has less than 64 KiB of content, and deflate adds a few bytes.
    let length = u32::try_from(content.len()).expect("a block is small");
    block.extend(length.to_le_bytes());
    let last = u16::try_from(block.len() - 1).expect("a block is below 64 KiB");
    block[..BLOCK_HEAD.len()].copy_from_slice(&BLOCK_HEAD);
    block[BLOCK_HEAD.len()..head].copy_from_slice(&last.to_le_bytes());
    block
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn compressed(content: &[u8], level: Option<u8>, framing: Framing) -> Vec<u8> {
        let mut compressed = Vec::new();
        let mut gzip = Gzip::new(&mut compressed, level, framing);
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap();
        compressed
    }

    fn round_trip(content: &[u8], level: Option<u8>, framing: Framing) -> (usize, Vec<u8>) {
        let compressed = compressed(content, level, framing);
        let mut read = Vec::new();
        MultiGzDecoder::new(compressed.as_slice())
            .read_to_end(&mut read)
            .unwrap();
        (compressed.len(), read)
    }

    #[test]
    fn what_goes_in_comes_out() {
        let long: Vec<u8> = (0..3 * PIECE as u32 + 7)
            .map(|number| (number.wrapping_mul(2_654_435_761) >> 20) as u8)
            .collect();
        for content in [&b""[..], b"x", &long[..PIECE], &long] {
            for framing in [Framing::Members, Framing::Blocks] {
                let (size, read) = round_trip(content, None, framing);
                let length = content.len();
                assert!(size > 0 && read == content, "{length} bytes {framing:?}");
            }
        }
    }

    #[test]
    fn every_block_says_its_size() {
        // Nothing of it can be compressed.
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .take(3 * BLOCK + 1)
        .collect();
        let file = compressed(&noise, Some(9), Framing::Blocks);
        let mut rest = file.as_slice();
        let mut blocks = 0;
        while !rest.is_empty() {
            assert!(rest.starts_with(&BLOCK_HEAD));
            let size = usize::from(u16::from_le_bytes([rest[16], rest[17]])) + 1;
            rest = &rest[size..];
            blocks += 1;
        }
        assert_eq!(blocks, 5);
        assert!(file.ends_with(&LAST_BLOCK));
    }

    #[test]
    fn the_level_counts() {
        let text: Vec<u8> = (0..40_000)
            .flat_map(|n: u32| (n * n).to_string().into_bytes())
            .collect();
        let size = |level| round_trip(&text, Some(level), Framing::Members).0;
        assert!(size(9) < size(1));
    }
}
