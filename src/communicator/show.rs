//! Shows what a command says: each line is an event.
//!
//! Of a line that does not end only the beginning is shown, and how much there
//! was of it: a program that writes a gigabyte without a newline must not fill
//! the log with it.

use super::Output;
use crate::engine::event::{Events, Stream};

/// Shows lines.
pub struct Show<'a> {
    events: &'a Events,
    /// Bytes of the last line of each stream that were not shown.
    hidden: [u64; 2],
}

impl<'a> Show<'a> {
    /// Shows them as events of a build.
    pub fn new(events: &'a Events) -> Self {
        Self {
            events,
            hidden: [0; 2],
        }
    }

    /// Says what was not shown of a line that has ended.
    fn end_line(&mut self, stream: Stream) {
        let hidden = std::mem::take(&mut self.hidden[stream as usize]);
        if hidden > 0 {
            let text = format!("… ({hidden} more bytes without a newline are not shown)");
            self.events.output(stream, text);
        }
    }
}

impl Output for Show<'_> {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        self.end_line(stream);
        self.events.output(stream, String::from_utf8_lossy(line));
    }

    fn rest_of_line(&mut self, stream: Stream, piece: &[u8]) {
        self.hidden[stream as usize] += piece.len() as u64;
    }
}

impl Drop for Show<'_> {
    fn drop(&mut self) {
        self.end_line(Stream::Stdout);
        self.end_line(Stream::Stderr);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::event::{Event, EventKind, Reporter};

    #[derive(Clone, Default)]
    struct Collect(Arc<Mutex<Vec<String>>>);

    impl Reporter for Collect {
        fn on(&mut self, event: &Event) {
            if let EventKind::Output { line, .. } = &event.kind {
                self.0.lock().unwrap().push(line.clone());
            }
        }
    }

    #[test]
    fn the_rest_of_a_line_is_counted_for_each_stream() {
        let lines = Collect::default();
        let events = Events::new(lines.clone());
        let mut shown = Show::new(&events);
        shown.line(Stream::Stdout, b"a");
        shown.rest_of_line(Stream::Stdout, b"12345");
        shown.line(Stream::Stderr, b"error");
        shown.rest_of_line(Stream::Stdout, b"678");
        shown.line(Stream::Stdout, b"b");
        shown.rest_of_line(Stream::Stdout, b"9");
        drop(shown);
        let more = |count| format!("… ({count} more bytes without a newline are not shown)");
        let expected = ["a", "error", &more(8), "b", &more(1)];
        assert_eq!(*lines.0.lock().unwrap(), expected);
    }
}
