//! Temporary things on this machine: the processes of a virtual machine and
//! the directories they use.
//!
//! Processes are known by the path of their pid file, which is unique to the
//! build and stands in their arguments: unlike a number, it cannot come to
//! mean somebody else's process. Source of facts: proc(5).

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::resource::Kind;
use crate::engine::stop::Stop;
use crate::error::{Error, Kind as ErrorKind, Result};

/// What stands in place of a region.
pub const PLACE: &str = "this machine";

/// How long a killed process may take to be gone.
const LIMIT: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(20);

/// How often nothing must be found.
const LOOKS: u32 = 2;

/// Shorter paths could stand in anybody's arguments.
const SHORTEST_PATH: usize = 8;

/// Deletes one thing. What is gone already counts as deleted.
pub(super) async fn delete(kind: Kind, id: &str, stop: &Stop) -> Result<()> {
    match kind {
        Kind::LocalProcess => end_processes(id, stop).await,
        _ => remove(std::fs::remove_dir_all(id), id),
    }
}

/// Deletes what was about to be made. A directory that is not empty is not
/// ours: the journal knows those that we filled.
pub(super) async fn delete_unfinished(kind: Kind, name: &str, stop: &Stop) -> Result<()> {
    match kind {
        Kind::LocalProcess => end_processes(name, stop).await,
        _ => match std::fs::remove_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            outcome => remove(outcome, name),
        },
    }
}

fn remove(outcome: io::Result<()>, path: &str) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!("Cannot remove the directory `{path}`");
            Err(Error::new(ErrorKind::Io, message).with_source(error))
        }
        _ => Ok(()),
    }
}

async fn end_processes(path: &str, stop: &Stop) -> Result<()> {
    if path.len() < SHORTEST_PATH || !Path::new(path).is_absolute() {
        return Ok(());
    }
    let gone = async {
        // A process that was started this very moment may not have its
        // arguments yet, so one look is not enough.
        let mut looks = 0;
        while looks < LOOKS {
            looks = if end_once(path) { 0 } else { looks + 1 };
            // The kernel's own time, which no clock scales.
            tokio::time::sleep(PAUSE).await;
        }
    };
    let limit = stop.clock().real(LIMIT).max(LIMIT);
    tokio::time::timeout(limit, gone).await.map_err(|_| {
        let message = format!("A process that uses `{path}` does not end");
        Error::new(ErrorKind::Io, message)
    })
}

/// Kills what there is; says whether there was anything.
fn end_once(path: &str) -> bool {
    let users = users_of(path);
    for user in &users {
        // It may have ended since we looked.
        let _ = kill_process(*user, Signal::KILL);
    }
    !users.is_empty()
}

/// Living processes with the path in their arguments, without ourselves.
fn users_of(path: &str) -> Vec<Pid> {
    let own = rustix::process::getpid();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(Pid::from_raw)
        .filter(|id| *id != own && has_argument(*id, path))
        .collect()
}

fn has_argument(id: Pid, path: &str) -> bool {
    let file = format!("/proc/{}/cmdline", id.as_raw_nonzero());
    // Empty for those that have ended and wait to be collected.
    let arguments = std::fs::read(file).unwrap_or_default();
    let mut windows = arguments.windows(path.len());
    windows.any(|window| window == path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_process_is_found_by_the_path_and_killed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "while :; do sleep 1; done", path])
            .spawn()
            .unwrap();
        let stop = Stop::new(Clock::default());
        delete(Kind::LocalProcess, path, &stop).await.unwrap();
        assert!(!child.wait().unwrap().success());
        delete(Kind::LocalProcess, path, &stop).await.unwrap();
    }

    #[tokio::test]
    async fn a_directory_of_unknown_fate_is_removed_only_when_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let name = path.to_str().unwrap();
        let stop = Stop::new(Clock::default());
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("disk"), "x").unwrap();
        let unfinished = delete_unfinished(Kind::LocalDirectory, name, &stop).await;
        assert!(unfinished.is_ok() && path.exists());
        delete(Kind::LocalDirectory, name, &stop).await.unwrap();
        assert!(!path.exists());
        delete(Kind::LocalDirectory, name, &stop).await.unwrap();
        std::fs::create_dir(&path).unwrap();
        delete_unfinished(Kind::LocalDirectory, name, &stop)
            .await
            .unwrap();
        assert!(!path.exists());
    }
}
