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
use crate::process::Environment;
use crate::process::Guard;

/// A program that was found.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
}

impl Program {
    /// Looks a program up in `PATH` and where administrators' tools are, unless its name has a slash.
    ///
    /// # Errors
    /// [`Kind::Io`] with the package to install.
    pub(super) fn find(name: &str, environment: &Environment) -> Result<Self> {
        let found = if name.contains('/') {
            Some(PathBuf::from(name)).filter(|path| path.is_file())
        } else {
            let path = environment.get("PATH").unwrap_or_default();
            // Where `ip` is on Debian, and not everybody's shell looks.
            let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
            let mut directories = std::env::split_paths(path).chain(more);
            directories.find_map(|directory| {
                let path = directory.join(name);
                path.is_file().then_some(path)
            })
        };
        let path = found.ok_or_else(|| {
            Error::new(Kind::Io, format!("There is no program `{name}`")).with_hint(cure(name))
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
        let _guard = Guard::over(&child);
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

/// How to get a program, as far as we know.
fn cure(name: &str) -> String {
    let (debian, fedora) = match name {
        "qemu-img" => ("qemu-utils", "qemu-img"),
        "swtpm" => ("swtpm", "swtpm"),
        "ip" => ("iproute2", "iproute"),
        _ if name.ends_with("aarch64") => ("qemu-system-arm", "qemu-system-aarch64-core"),
        _ if name.starts_with("qemu-system") => ("qemu-system-x86", "qemu-system-x86-core"),
        _ => return "Install it, or name it with its path".to_owned(),
    };
    format!(
        "Install it, on Debian and Ubuntu by `apt-get install {debian}`, on Fedora and its \
         relatives by `dnf install {fedora}`"
    )
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
        let hint = &error.hints()[0];
        assert!(hint.contains("`apt-get install qemu-utils`"), "{hint}");
        assert!(hint.ends_with("`dnf install qemu-img`"), "{hint}");
    }
}
