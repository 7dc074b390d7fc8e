//! Cuts a byte stream into lines, in bounded memory.
//!
//! Packer's rule: a line ends at `\n` or at `\r` (progress bars), and the last
//! partial line counts. `\r\n` is one end.

use super::Output;
use crate::engine::event::Stream;

/// A line is handed over in pieces of this size when it is longer.
const LONGEST: usize = 64 * 1024;

/// What is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line, or the beginning of a very long one.
    Line(&'a [u8]),
    /// More of a very long line.
    Rest(&'a [u8]),
}

impl Piece<'_> {
    pub(super) fn show(self, stream: Stream, output: &mut dyn Output) {
        match self {
            Self::Line(line) => output.line(stream, line),
            Self::Rest(piece) => output.rest_of_line(stream, piece),
        }
    }
}

/// The unfinished line of one stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The beginning of the line was handed over.
    is_rest: bool,
    /// The last byte was a `\r` that ended a line; a `\n` belongs to it.
    ended_by_return: bool,
}

impl Lines {
    /// Takes what arrived and hands over every line it completes.
    pub(super) fn push(&mut self, mut data: &[u8], mut take: impl FnMut(Piece<'_>)) {
        while let Some(at) = data.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (before, end, after) = (&data[..at], data[at], &data[at + 1..]);
            self.extend(before, &mut take);
            self.end(end, &mut take);
            data = after;
        }
        self.extend(data, &mut take);
    }

    /// Hands over the last line if it had no end.
    pub(super) fn finish(&mut self, mut take: impl FnMut(Piece<'_>)) {
        if !self.partial.is_empty() {
            self.hand_over(&mut take);
        }
    }

    fn extend(&mut self, mut data: &[u8], take: &mut impl FnMut(Piece<'_>)) {
        if data.is_empty() {
            return;
        }
        self.ended_by_return = false;
        while self.partial.len() + data.len() > LONGEST {
            let (now, later) = data.split_at(LONGEST - self.partial.len());
            self.partial.extend_from_slice(now);
            self.hand_over(take);
            self.is_rest = true;
            data = later;
        }
        self.partial.extend_from_slice(data);
    }

    fn end(&mut self, end: u8, take: &mut impl FnMut(Piece<'_>)) {
        let swallowed = end == b'\n' && self.ended_by_return;
        // A `\r` at the start of a line overwrites nothing.
        let nothing = end == b'\r' && self.partial.is_empty();
        self.ended_by_return = end == b'\r' && !nothing;
        if !swallowed && !nothing {
            self.hand_over(take);
            self.is_rest = false;
        }
    }

    fn hand_over(&mut self, take: &mut impl FnMut(Piece<'_>)) {
        take(match self.is_rest {
            true => Piece::Rest(&self.partial),
            false => Piece::Line(&self.partial),
        });
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Line(line) => found.push(line.to_vec()),
            Piece::Rest(rest) => found.last_mut().expect("it began").extend(rest),
        };
        for chunk in chunks {
            lines.push(chunk, &mut take);
        }
        lines.finish(&mut take);
        found
    }

    #[test]
    fn lines_end_at_either_end() {
        let cases: &[(&[&[u8]], &[&str])] = &[
            (&[b""], &[]),
            (&[b"a\nb\n"], &["a", "b"]),
            (&[b"a\nb"], &["a", "b"]),
            (&[b"a", b"b\n", b"c"], &["ab", "c"]),
            (&[b"\n\na\n"], &["", "", "a"]),
            (&[b"a\r\nb\r\n"], &["a", "b"]),
            (&[b"a\r", b"\nb"], &["a", "b"]),
            (&[b"\r\n\r\n"], &["", ""]),
            (&[b"10%\r20%\r\n"], &["10%", "20%"]),
            (&[b"\r10%\r20%"], &["10%", "20%"]),
        ];
        for (chunks, want) in cases {
            let got = split(chunks);
            let want: Vec<Vec<u8>> = want.iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(got, want, "{chunks:?}");
        }
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_nothing_is_lost() {
        let long = vec![b'x'; 3 * LONGEST + 5];
        let mut pieces = Vec::new();
        let mut lines = Lines::default();
        for chunk in [&long[..LONGEST - 1], &long[LONGEST - 1..], b"\nend"] {
            lines.push(chunk, |piece| pieces.push(length(piece)));
        }
        lines.finish(|piece| pieces.push(length(piece)));
        let rest = |length| ("rest", length);
        let expected = [
            ("line", LONGEST),
            rest(LONGEST),
            rest(LONGEST),
            rest(5),
            ("line", 3),
        ];
        assert_eq!(pieces, expected);
    }

    fn length(piece: Piece<'_>) -> (&'static str, usize) {
        match piece {
            Piece::Line(line) => ("line", line.len()),
            Piece::Rest(rest) => ("rest", rest.len()),
        }
    }
}
