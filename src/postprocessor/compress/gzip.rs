//! gzip on all processors: pieces are compressed at the same time, each as a
//! member of its own.
//!
//! A file of several members is what `cat a.gz b.gz` makes; RFC 1952, section
//! 2.2, has every reader take it as one. Not here: reading.

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

/// Compresses what is written to it. Without [`Gzip::finish`] the end is
/// missing.
pub(super) struct Gzip<W> {
    output: W,
    piece: Vec<u8>,
    work: Sender<Work>,
    pending: VecDeque<Receiver<Vec<u8>>>,
    most_pending: usize,
    is_empty: bool,
}

/// A piece, and where its member goes.
struct Work {
    piece: Vec<u8>,
    reply: Sender<Vec<u8>>,
}

impl<W: Write> Gzip<W> {
    /// Starts the threads. They end with it.
    pub(super) fn new(output: W, level: Option<u8>) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let (work, waiting) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::spawn(move || compress(&waiting, level));
        }
        Self {
            output,
            piece: Vec::with_capacity(PIECE),
            work,
            pending: VecDeque::new(),
            most_pending: threads * AHEAD,
            is_empty: true,
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
fn compress(waiting: &Mutex<Receiver<Work>>, level: Option<u8>) {
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
        let mut member = vec![0; compressor.gzip_compress_bound(piece.len())];
        let size = compressor
            .gzip_compress(&piece, &mut member)
            .expect("the bound is enough for any piece");
        member.truncate(size);
        // Nobody waits for it after a failure.
        let _ = reply.send(member);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn round_trip(content: &[u8], level: Option<u8>) -> (usize, Vec<u8>) {
        let mut compressed = Vec::new();
        let mut gzip = Gzip::new(&mut compressed, level);
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap();
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
            let (size, read) = round_trip(content, None);
            assert!(size > 0 && read == content, "{} bytes", content.len());
        }
    }

    #[test]
    fn the_level_counts() {
        let text: Vec<u8> = (0..40_000)
            .flat_map(|n: u32| (n * n).to_string().into_bytes())
            .collect();
        assert!(round_trip(&text, Some(9)).0 < round_trip(&text, Some(1)).0);
    }
}
