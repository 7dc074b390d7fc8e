//! Cuts a byte stream into lines, in bounded memory.
//!
//! Packer's rule: a line ends at `\n` or at `\r` (progress bars), and the last
//! partial line counts. `\r\n` is one end.

/// A line is handed over in pieces of this size when it is longer.
const LONGEST: usize = 64 * 1024;

/// The unfinished line of one stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The last byte was a `\r` that ended a line; a `\n` belongs to it.
    ended_by_return: bool,
}

impl Lines {
    /// Takes what arrived and hands over every line it completes.
    pub(super) fn push(&mut self, mut data: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(at) = data.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (before, end, after) = (&data[..at], data[at], &data[at + 1..]);
            self.extend(before, &mut line);
            self.end(end, &mut line);
            data = after;
        }
        self.extend(data, &mut line);
    }

    /// Hands over the last line if it had no end.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            line(&std::mem::take(&mut self.partial));
        }
    }

    fn extend(&mut self, mut data: &[u8], line: &mut impl FnMut(&[u8])) {
        if data.is_empty() {
            return;
        }
        self.ended_by_return = false;
        while self.partial.len() + data.len() > LONGEST {
            let (now, later) = data.split_at(LONGEST - self.partial.len());
            self.partial.extend_from_slice(now);
            line(&self.partial);
            self.partial.clear();
            data = later;
        }
        self.partial.extend_from_slice(data);
    }

    fn end(&mut self, end: u8, line: &mut impl FnMut(&[u8])) {
        let swallowed = end == b'\n' && self.ended_by_return;
        // A `\r` at the start of a line overwrites nothing.
        let nothing = end == b'\r' && self.partial.is_empty();
        self.ended_by_return = end == b'\r' && !nothing;
        if !swallowed && !nothing {
            line(&self.partial);
            self.partial.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
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
        let pieces = split(&[&long[..LONGEST - 1], &long[LONGEST - 1..], b"\nend"]);
        let lengths: Vec<_> = pieces.iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, LONGEST, 5, 3]);
    }
}
