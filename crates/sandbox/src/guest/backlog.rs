//! Input a process has not read yet.
//!
//! An SSH connection carries all its channels in one stream: if one channel
//! waited for its process, a process that writes as much as it reads (`cat`)
//! would block the very messages it waits for. So input is always taken, up
//! to a few megabytes into memory and then into a file.

use std::{collections::VecDeque, fs::File, io, os::unix::fs::FileExt};

use bytes::Bytes;

/// What is kept in memory, in bytes.
const IN_MEMORY: usize = 4 << 20;

/// What is read back from the file at once, in bytes.
const CHUNK: usize = 64 << 10;

/// A queue of bytes of any length and bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    memory: VecDeque<Bytes>,
    in_memory: usize,
    /// Younger than everything in memory.
    file: Option<File>,
    written: u64,
    read: u64,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.read == self.written
    }

    /// Appends; the errors are those of the temporary file. Writing to it
    /// goes to the page cache, so it hardly blocks.
    pub(crate) fn push(&mut self, data: Bytes) -> io::Result<()> {
        if self.read == self.written && self.in_memory + data.len() <= IN_MEMORY {
            self.in_memory += data.len();
            self.memory.push_back(data);
            return Ok(());
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        file.write_all_at(&data, self.written)?;
        self.written += data.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// The oldest bytes, or nothing if there are none.
    pub(crate) fn front(&mut self) -> io::Result<Bytes> {
        if self.memory.is_empty() && self.read < self.written {
            self.load()?;
        }
        Ok(self.memory.front().cloned().unwrap_or_default())
    }

    /// Removes bytes from the front; they have to be part of [`Self::front`].
    pub(crate) fn consume(&mut self, count: usize) {
        let Some(front) = self.memory.front_mut() else {
            return;
        };
        let _ = front.split_to(count.min(front.len()));
        self.in_memory -= count;
        if front.is_empty() {
            self.memory.pop_front();
        }
    }

    fn load(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let left = usize::try_from(self.written - self.read).unwrap_or(CHUNK);
        let mut chunk = vec![0; left.min(CHUNK)];
        file.read_exact_at(&mut chunk, self.read)?;
        self.read += chunk.len() as u64;
        self.in_memory += chunk.len();
        self.memory.push_back(chunk.into());
        if self.read == self.written {
            // The next overflow starts a new file.
            (self.file, self.read, self.written) = (None, 0, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order() {
        let mut backlog = Backlog::default();
        let mut expected = 0_u32;
        let mut check = |backlog: &mut Backlog, most: usize| {
            let mut left = most;
            while left > 0 && !backlog.is_empty() {
                let front = backlog.front().unwrap();
                let count = front.len().min(left) & !3;
                for word in front[..count].chunks(4) {
                    assert_eq!(word, expected.to_be_bytes());
                    expected += 1;
                }
                backlog.consume(count);
                left -= count;
            }
        };
        let mut next = 0_u32;
        for round in 0..12 {
            // Rounds end with more than memory holds, or with nothing left.
            for _ in 0..90 {
                let block: Vec<u8> = (next..next + 8192).flat_map(u32::to_be_bytes).collect();
                next += 8192;
                backlog.push(block.into()).unwrap();
            }
            assert!(backlog.in_memory <= IN_MEMORY);
            check(
                &mut backlog,
                if round % 4 == 3 { usize::MAX } else { 1 << 20 },
            );
        }
        assert!(backlog.is_empty());
        assert_eq!(expected, next);
    }
}
