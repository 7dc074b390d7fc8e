//! Where text goes: a writer shared by the renderers that write to it.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// A shared writer. It never fails: whoever closed the pipe does not want
/// more, and a build must not end because its log does.
#[derive(Clone)]
pub(super) struct Sink(Arc<Mutex<Box<dyn Write + Send>>>);

impl Sink {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes a line and its end at once, so that lines are never mixed with
    /// those of child processes.
    pub(super) fn line(&self, line: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| writer.flush());
    }
}
