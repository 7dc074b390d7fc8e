//! Finding QEMU's programs and running the short ones.
//!
//! Not here: QEMU itself while a build runs (`process`).

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::BuildContext;
use crate::error::{Error, Kind, Result};
use crate::process::{self, Environment};

/// A program that was found.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
}

impl Program {
    /// Looks a program up in `PATH`, unless its name has a slash.
    ///
    /// # Errors
    /// [`Kind::Io`] with the package to install.
    pub(super) fn find(name: &str, environment: &Environment) -> Result<Self> {
        let path = process::find(name, environment).ok_or_else(|| {
            Error::new(Kind::Io, format!("There is no program `{name}`"))
                .with_hint(package_of(name))
        })?;
        Ok(Self { path })
    }

    /// A command that runs the program, with the children's environment.
    pub(super) fn command(&self, environment: &Environment) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().envs(environment.iter());
        command
    }

    /// Runs the program to its end; what it says on standard error becomes
    /// the error.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        cx: &BuildContext<'_>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>> {
        let child = self
            .command(cx.environment)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.cannot_start(error))?;
        let output = cx.stop.race(child.wait_with_output()).await?;
        let output = output.map_err(|error| self.cannot_start(error))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let message = format!("`{}` failed: {text}", self.name());
        Err(Error::new(Kind::Io, message))
    }

    pub(super) fn cannot_start(&self, error: io::Error) -> Error {
        Error::new(Kind::Io, format!("Cannot run `{}`", self.path.display())).with_source(error)
    }

    /// The name without directories.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        Path::new(name).display().to_string()
    }
}

fn package_of(name: &str) -> String {
    let package = match name {
        "qemu-img" => "qemu-utils",
        "swtpm" => "swtpm",
        "xorriso" => "xorriso",
        _ if name.ends_with("aarch64") => "qemu-system-arm",
        _ if name.starts_with("qemu-system") => "qemu-system-x86",
        _ => return "Install it, or name it with its path".to_owned(),
    };
    format!("Install it, on Debian and Ubuntu by `apt-get install {package}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_in_the_given_path() {
        let environment = Environment::for_children([("PATH", "/nowhere:/bin:/usr/bin")]);
        assert!(Program::find("sh", &environment).is_ok());
        assert!(Program::find("/bin/sh", &Environment::default()).is_ok());
        let error = Program::find("qemu-img", &Environment::default()).unwrap_err();
        assert_eq!(error.message(), "There is no program `qemu-img`");
        assert!(error.hints()[0].ends_with("`apt-get install qemu-utils`"));
    }
}
