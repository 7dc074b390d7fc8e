//! The two directories of a build: the output, which stays when the build
//! succeeds, and a private one for sockets and the like, which never does.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::BuildContext;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::journal::resource::Kind;
use crate::journal::{Intent, local};
use crate::plan::qemu::Qemu;

/// A Unix socket's path holds 107 bytes; the names in it need some.
const LONGEST_PARENT: usize = 60;

/// Makes the private directory.
pub(super) async fn private(cx: &BuildContext<'_>) -> Result<PathBuf> {
    let parent = cx.environment.get("TMPDIR").map(PathBuf::from);
    let parent =
        parent.filter(|path| path.is_absolute() && path.as_os_str().len() < LONGEST_PARENT);
    let parent = parent.unwrap_or_else(|| PathBuf::from("/tmp"));
    let id = uuid::Uuid::new_v4().simple().to_string();
    let path = parent.join(format!("alicloud-image-{id}"));
    make(cx, path, 0o700).await
}

/// Makes the output directory; with `-force` the old one goes.
pub(super) async fn output(cx: &BuildContext<'_>, options: &Qemu) -> Result<PathBuf> {
    let disks = &options.disks;
    let path = &disks.output_directory.value;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    if disks.force && absolute.exists() {
        cx.events.say("Deleting previous output directory...");
        std::fs::remove_dir_all(&absolute).map_err(|error| failed("remove", path, error))?;
    }
    if let Some(parent) = absolute.parent() {
        std::fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
    }
    let made = make(cx, absolute, 0o755).await;
    made.map_err(|error| error.at(disks.output_directory.span))
}

async fn make(cx: &BuildContext<'_>, path: PathBuf, mode: u32) -> Result<PathBuf> {
    let name = path.display().to_string();
    let intent = intent(cx, Kind::LocalDirectory, &name);
    let made = async |_: &_| {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.mode(mode).create(&path);
        made.map_err(|error| failed("create", &path, error))?;
        Ok((name.clone(), ()))
    };
    cx.journal.create(cx.events, intent, made).await?;
    Ok(path)
}

/// What the journal is told before something is made on this machine.
pub(super) fn intent(cx: &BuildContext<'_>, kind: Kind, name: &str) -> Intent {
    cx.intent(kind, local::PLACE, name)
}

/// Removes what only the machine needed: its control socket, which QEMU leaves
/// when it is killed, and its UEFI variables if the artifact is to go without.
pub(super) fn tidy(options: &Qemu, control: Option<&Path>) -> Result<()> {
    let directory = &options.disks.output_directory.value;
    let efi = options.firmware.efi.as_ref();
    let vars = efi.filter(|efi| efi.drop_efivars);
    let vars = vars.map(|_| directory.join(EFI_VARS));
    for path in vars.iter().map(PathBuf::as_path).chain(control) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("Cannot remove `{}`", path.display());
                return Err(Error::new(ErrorKind::Io, message).with_source(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The files of the artifact, the main disk first.
pub(super) fn artifact_files(options: &Qemu, main: &Path) -> Result<Vec<PathBuf>> {
    let directory = &options.disks.output_directory.value;
    let name = main.file_name().unwrap_or_default();
    let below = super::files::below(directory)?;
    let mut files: Vec<_> = below
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.is_file())
        .collect();
    files.sort_by_key(|path| path.file_name() != Some(name));
    Ok(files)
}

/// The name of the machine's UEFI variables in the output directory.
pub(super) const EFI_VARS: &str = "efivars.fd";

fn failed(verb: &str, path: &Path, error: std::io::Error) -> Error {
    let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
    let message = format!("Cannot {verb} the directory `{}`", path.display());
    let error = Error::new(ErrorKind::Io, message).with_source(error);
    if is_there {
        return error.with_hint("Remove it, choose another one, or use `-force` to replace it");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::qemu::tests_support::{Bench, options};
    use crate::engine::stop::Stop;
    use crate::journal::sweep::{Scope, sweep};

    #[tokio::test]
    async fn both_directories_are_swept_unless_kept() {
        let bench = Bench::new();
        let cx = bench.context();
        let mut options = options("");
        options.disks.output_directory.value = bench.path("deep/out");
        let private = private(&cx).await.unwrap();
        let out = output(&cx, &options).await.unwrap();
        std::fs::write(private.join("x"), "x").unwrap();
        let error = output(&cx, &options).await.unwrap_err();
        assert!(error.hints()[0].contains("-force"), "{error:?}");
        options.disks.force = true;
        std::fs::write(out.join("old"), "x").unwrap();
        cx.journal.keep(&out.display().to_string()).unwrap();
        let out = output(&cx, &options).await.unwrap();
        assert!(!out.join("old").exists());
        cx.journal.keep(&out.display().to_string()).unwrap();
        let stop = Stop::new(crate::clock::Clock::default());
        let left = sweep(cx.journal, &Scope::machine("web"), None, cx.events, &stop).await;
        assert!(left.is_empty(), "{left:?}");
        assert!(out.exists() && !private.exists());
    }

    #[test]
    fn the_main_disk_is_the_first_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(r#""efi_boot":true,"efi_drop_efivars":true"#);
        options.disks.output_directory.value = directory.path().to_owned();
        for name in ["vm", "a-log", EFI_VARS, "vm-1", "vm.monitor"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let control = directory.path().join("vm.monitor");
        tidy(&options, Some(&control)).unwrap();
        tidy(&options, None).unwrap();
        let files = artifact_files(&options, &directory.path().join("vm")).unwrap();
        let names: Vec<_> = files
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["vm", "a-log", "vm-1"]);
    }
}
