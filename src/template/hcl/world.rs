//! What evaluation may see of the world: directories, files, the time and the
//! environment.
//!
//! A stranger's template sees no file behind the fence.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::evaluate::render_file;
use super::functions::{self, FunctionError};
use super::value::Value;
use crate::template::file::HclFiles;
use crate::template::interpolate::Environment;
use crate::template::variables::{Fence, VariableInputs};

/// The world as the template sees it.
pub(super) struct World<'a> {
    /// The template's directory as the user gave it: `path.root`.
    pub(super) root: String,
    /// The same, absolute.
    pub(super) directory: PathBuf,
    /// The working directory: `path.cwd`.
    pub(super) pwd: String,
    /// The home directory.
    pub(super) home: Option<PathBuf>,
    /// When the run began.
    pub(super) start: Timestamp,
    /// The environment.
    pub(super) env: Environment<'a>,
    /// What may not be read.
    pub(super) fence: Fence<'a>,
}

impl<'a> World<'a> {
    pub(super) fn new(files: &HclFiles, inputs: &VariableInputs<'a>) -> Self {
        Self {
            root: files.directory.display().to_string(),
            directory: PathBuf::from(&inputs.template_dir),
            pwd: inputs.pwd.clone(),
            home: (inputs.env)("HOME").map(PathBuf::from),
            start: inputs.start,
            env: inputs.env,
            fence: inputs.fence,
        }
    }

    fn check(&self, path: &Path) -> Result<(), String> {
        (self.fence)(path).map_or(Ok(()), Err)
    }
}

impl functions::World for World<'_> {
    fn start(&self) -> Timestamp {
        self.start
    }

    fn template_directory(&self) -> &Path {
        &self.directory
    }

    fn working_directory(&self) -> &Path {
        Path::new(&self.pwd)
    }

    fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.check(path)?;
        fs::read(path).map_err(|error| reason(&error))
    }

    fn is_file(&self, path: &Path) -> Result<Option<bool>, String> {
        self.check(path)?;
        match fs::metadata(path) {
            Ok(found) => Ok(Some(found.is_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(reason(&error)),
        }
    }

    fn files(&self, directory: &Path, depth: usize) -> Result<Vec<PathBuf>, String> {
        self.check(directory)?;
        let mut files = Vec::new();
        if directory.is_dir() {
            list(directory, Path::new(""), depth, &mut files)?;
        }
        Ok(files)
    }

    fn render(
        &self,
        path: &Path,
        template: String,
        variables: BTreeMap<String, Value>,
    ) -> Result<Value, FunctionError> {
        render_file(&path.display().to_string(), &template, variables, self)
            .map_err(FunctionError::new)
    }
}

/// The files below a directory, relative to it. Links to directories are not
/// followed: they could lead in circles.
fn list(
    directory: &Path,
    below: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let entries = fs::read_dir(directory.join(below)).map_err(|error| reason(&error))?;
    for entry in entries {
        let entry = entry.map_err(|error| reason(&error))?;
        let place = below.join(entry.file_name());
        let kind = entry.file_type().map_err(|error| reason(&error))?;
        if kind.is_dir() {
            if depth > 0 {
                list(directory, &place, depth - 1, files)?;
            }
        } else if !directory.join(&place).is_dir() {
            files.push(place);
        }
    }
    Ok(())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}
