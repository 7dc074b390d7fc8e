//! Where the developers' log goes: `tracing` knows neither secrets nor what a
//! CI system would obey, and the requests and answers that it shows hold both.

use std::io::{self, Write};

use super::mask::SharedMask;
use super::sanitize;
use super::sink::Sink;

/// Writes what it is given without secrets and commands.
#[derive(Clone)]
pub struct DeveloperLog {
    mask: SharedMask,
    sink: Sink,
}

impl DeveloperLog {
    pub(super) fn new(mask: SharedMask, sink: Sink) -> Self {
        Self { mask, sink }
    }
}

impl Write for DeveloperLog {
    /// `tracing` writes each record at once.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let masked = self.mask.apply(text.trim_end());
        self.sink.line(&self.mask.apply(&sanitize::text(&masked)));
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Buffer;
    use super::*;

    #[test]
    fn records_are_masked_and_obeyed_by_nobody() {
        let (mask, buffer) = (SharedMask::default(), Buffer::default());
        let mut log = DeveloperLog::new(mask.clone(), Sink::new(Box::new(buffer.clone())));
        mask.add("hush-hush");
        let record = b"TRACE Description=a hush-\x1b[0mhush\n::error::b ##[error]c\n";
        log.write_all(record).unwrap();
        let expected = "TRACE Description=a <sensitive>\n\\::error::b ##\\[error]c\n";
        assert_eq!(buffer.text(), expected);
    }
}
