//! Cuts a stream of bytes into parts and holds the first ones back.

use bytes::Bytes;

use super::PartSink;
use crate::error::{Error, Kind, Result};

/// Bytes in order, handed to a sink in parts.
pub(super) struct Parts<'a> {
    sink: &'a mut dyn PartSink,
    size: usize,
    held: Vec<Vec<u8>>,
    to_hold: u32,
    current: Vec<u8>,
    /// Number of the current part.
    number: u32,
    position: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(sink: &'a mut dyn PartSink, size: usize, to_hold: u32) -> Self {
        Self {
            sink,
            size: size.max(1),
            held: Vec::new(),
            to_hold,
            current: Vec::new(),
            number: 1,
            position: 0,
        }
    }

    /// Offset of the next byte in the output.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.current.extend_from_slice(now);
            self.position += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    pub(super) fn zeros(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let now = (self.room()? as u64).min(count);
            self.current.resize(self.current.len() + now as usize, 0);
            self.position += now;
            count -= now;
        }
        Ok(())
    }

    /// Writes zeros up to a multiple of `unit`.
    pub(super) fn align(&mut self, unit: u64) -> Result<()> {
        self.zeros(self.position.next_multiple_of(unit) - self.position)
    }

    /// Room in the current part, which is handed on when it is full.
    fn room(&mut self) -> Result<usize> {
        if self.current.len() == self.size {
            let full = std::mem::take(&mut self.current);
            self.hand_on(full)?;
            self.number = self
                .number
                .checked_add(1)
                .ok_or_else(|| Error::new(Kind::Internal, "More parts than can be numbered"))?;
        }
        if self.current.capacity() == 0 {
            self.current.reserve_exact(self.size);
        }
        Ok(self.size - self.current.len())
    }

    fn hand_on(&mut self, part: Vec<u8>) -> Result<()> {
        if self.number <= self.to_hold {
            self.held.push(part);
            return Ok(());
        }
        self.sink.part(self.number, Bytes::from(part))
    }

    /// Puts the head in its place and hands on all that is left; answers
    /// length and number of parts.
    pub(super) fn finish(mut self, head: &[u8]) -> Result<(u64, u32)> {
        let last = std::mem::take(&mut self.current);
        if !last.is_empty() || self.number == 1 {
            self.hand_on(last)?;
        }
        for (part, piece) in self.held.iter_mut().zip(head.chunks(self.size)) {
            part[..piece.len()].copy_from_slice(piece);
        }
        for (number, part) in (1..)
            .zip(std::mem::take(&mut self.held))
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            self.sink.part(number, Bytes::from(part))?;
        }
        Ok((self.position, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Vec<(u32, Vec<u8>)>);

    impl PartSink for Log {
        fn part(&mut self, number: u32, bytes: Bytes) -> Result<()> {
            self.0.push((number, bytes.to_vec()));
            Ok(())
        }
    }

    fn cut(head: &[u8], body: &[u8], size: usize, to_hold: u32) -> Vec<(u32, Vec<u8>)> {
        let mut log = Log::default();
        let mut parts = Parts::new(&mut log, size, to_hold);
        parts.zeros(head.len() as u64).unwrap();
        parts.write(body).unwrap();
        let (length, _) = parts.finish(head).unwrap();
        assert_eq!(length, (head.len() + body.len()) as u64);
        log.0
    }

    #[test]
    fn the_first_parts_come_last() {
        let parts = cut(b"abc", b"defgh", 2, 2);
        let expected: [(u32, &[u8]); 4] = [(3, b"ef"), (4, b"gh"), (2, b"cd"), (1, b"ab")];
        assert_eq!(parts, expected.map(|(n, bytes)| (n, bytes.to_vec())));
    }

    #[test]
    fn a_short_output_is_one_part_and_an_empty_one_too() {
        assert_eq!(cut(b"a", b"b", 8, 1), [(1, b"ab".to_vec())]);
        assert_eq!(cut(b"", b"", 8, 0), [(1, Vec::new())]);
    }

    #[test]
    fn without_a_head_parts_are_in_order() {
        let numbers: Vec<_> = cut(b"", b"abcde", 2, 0)
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}
