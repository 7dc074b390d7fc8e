//! What became of a step, as GitHub shows it.

use std::collections::BTreeMap;

use crate::commands::{Annotation, Command};
use crate::container::Exit;

/// A step that ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    /// Why the runner itself fails the step.
    pub(crate) problems: Vec<String>,
    /// The log with hidden values replaced.
    pub(crate) log: String,
    /// The commands in it that were obeyed.
    pub(crate) obeyed: Vec<Command>,
    pub(crate) annotations: Vec<Annotation>,
    pub(crate) outputs: BTreeMap<String, String>,
    /// What the post step gets as `STATE_…`.
    pub(crate) state: BTreeMap<String, String>,
    /// What is shown of the summary; nothing when it was too long.
    pub(crate) summary: Option<String>,
}

impl Outcome {
    /// Asserts that the step is green.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.exit, Exit::Code(0), "{}", self.log);
        assert_eq!(self.problems, Vec::<String>::new(), "{}", self.log);
        self
    }

    /// Asserts that the program ended with a code.
    #[track_caller]
    pub(crate) fn failure(self, code: i32) -> Self {
        assert_eq!(self.exit, Exit::Code(code), "{}", self.log);
        self
    }

    /// Annotations of a kind.
    pub(crate) fn annotations(&self, level: &str) -> Vec<&Annotation> {
        let all = self.annotations.iter();
        all.filter(|annotation| annotation.level == level).collect()
    }
}
