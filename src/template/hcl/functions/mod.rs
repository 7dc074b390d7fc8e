//! The functions that HCL2 expressions call.
//!
//! Each family has a file with a table of its functions; here are the rules
//! they share: how many arguments, of which types, and what null and unknown
//! ones mean. Not here: `can`, `convert`, `env` and `try`, which look at more
//! than values and so are the evaluator's.
//!
//! Source: the pages on functions of Packer's documentation, the package
//! documentation of go-cty, and what Packer's console prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::signature::{Arguments, Function};
use super::value::{Mismatch, Value};

mod collections;
mod encoding;
mod external;
mod files;
mod format;
mod hashing;
mod network;
mod numbers;
mod patterns;
mod sets;
mod signature;
mod strings;
mod time;
mod yaml;

/// What functions may see of the world.
pub(super) trait World {
    /// When the run began: what `timestamp` says.
    fn start(&self) -> Timestamp;

    /// The template's directory, which relative paths of files start from.
    fn template_directory(&self) -> &Path;

    /// The working directory, which `abspath` starts from.
    fn working_directory(&self) -> &Path;

    /// The home directory, if there is one.
    fn home(&self) -> Option<&Path>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read, to stand behind the path: `is not there`.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Whether a path is a file; nothing when it is not there.
    ///
    /// # Errors
    /// Why it cannot be looked at, to stand behind the path.
    fn is_file(&self, path: &Path) -> Result<Option<bool>, String>;

    /// The files in a directory and, so many levels deep, in those below it,
    /// relative to it. Nothing when there is no such directory.
    ///
    /// # Errors
    /// Why it cannot be looked at, to stand behind the path.
    fn files(&self, directory: &Path, depth: usize) -> Result<Vec<PathBuf>, String>;

    /// Evaluates a template that sees these variables and no others.
    ///
    /// # Errors
    /// What is wrong with it.
    fn render(
        &self,
        path: &Path,
        template: String,
        variables: BTreeMap<String, Value>,
    ) -> Result<Value, FunctionError>;
}

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FunctionError {
    /// What sort of failure it is.
    pub(super) kind: FunctionErrorKind,
    /// The argument that caused it, from 0.
    pub(super) argument: Option<usize>,
    /// What is wrong, with a capital and without a dot.
    pub(super) message: String,
    /// What to do about it, as a sentence without final dot.
    pub(super) hint: Option<String>,
}

/// The sorts of failures of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FunctionErrorKind {
    /// There is no function of this name.
    NoFunction,
    /// The arguments have no result.
    Refused,
    /// An argument is only known while a build runs.
    Unknown,
}

impl FunctionError {
    /// An error of the call as a whole.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            kind: FunctionErrorKind::Refused,
            argument: None,
            message: message.into(),
            hint: None,
        }
    }

    /// An error that one argument caused.
    pub(super) fn at(argument: usize, message: impl Into<String>) -> Self {
        Self {
            argument: Some(argument),
            ..Self::new(message)
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn no_function(name: &str) -> Self {
        Self {
            kind: FunctionErrorKind::NoFunction,
            ..Self::new(format!("There is no function `{name}`"))
        }
    }

    fn unknown(function: &str, argument: usize) -> Self {
        let message = format!("`{function}` needs a value that is only known while a build runs");
        Self {
            kind: FunctionErrorKind::Unknown,
            ..Self::at(argument, message)
        }
        .with_hint(
            "Only put it in a string, as in \"${build.Host}\"; functions see what is known before",
        )
    }

    fn mismatch(function: &str, argument: usize, name: &str, mismatch: &Mismatch) -> Self {
        let Mismatch {
            path,
            expected,
            found,
        } = mismatch;
        Self::at(
            argument,
            format!("`{name}{path}` of `{function}` must be {expected}, and is {found}"),
        )
    }
}

/// The beginning of an argument, for messages: the whole may be long, or made
/// of a secret.
fn excerpt(argument: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match argument.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &argument[..end]),
        None => argument.to_owned(),
    }
}

/// The result of a function.
type Outcome = Result<Value, FunctionError>;

const FAMILIES: &[&[Function]] = &[
    collections::FUNCTIONS,
    encoding::FUNCTIONS,
    external::FUNCTIONS,
    files::FUNCTIONS,
    format::FUNCTIONS,
    hashing::FUNCTIONS,
    network::FUNCTIONS,
    numbers::FUNCTIONS,
    patterns::FUNCTIONS,
    sets::FUNCTIONS,
    strings::FUNCTIONS,
    time::FUNCTIONS,
    yaml::FUNCTIONS,
];

/// The names of all functions that [`call`] knows.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES
        .iter()
        .copied()
        .flatten()
        .map(|function| function.name)
}

/// Calls a function.
///
/// # Errors
/// There is no such function, its arguments are too many, too few, of the
/// wrong type or not known yet, or they have no result.
pub(super) fn call(name: &str, arguments: &[Value], world: &dyn World) -> Outcome {
    let mut functions = FAMILIES.iter().copied().flatten();
    let function = functions
        .find(|function| function.name == name)
        .ok_or_else(|| FunctionError::no_function(name))?;
    let values = function.accept(arguments)?;
    (function.run)(&Arguments::new(values, world))
}

#[cfg(test)]
mod tests;
