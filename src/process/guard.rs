//! Ends a program when this process is killed.
//!
//! `kill_on_drop` and the journal's sweep need us alive; SIGKILL and the
//! out-of-memory killer do not ask. So a shell waits at a pipe whose other end
//! only we hold: the kernel closes it with us, and the shell kills the
//! program. Linux could do that itself (`PR_SET_PDEATHSIG`), but that needs
//! code between fork and exec, which is unsafe, and it follows the thread that
//! forked instead of the process.

use std::process::Stdio;

use tokio::process::{Child, Command};

/// Reading ends with us, or with the end of the shell's watch.
const WATCH: &str = "read -r _; kill -s KILL -- \"$1\"";

/// A watch over a program, which ends when this is dropped. Drop it once the
/// program has ended: its id may come to mean somebody else's program.
#[derive(Debug)]
pub struct Guard {
    #[cfg_attr(not(test), expect(dead_code, reason = "dropping it is its use"))]
    shell: Child,
}

impl Guard {
    /// Watches over a child. None when it has ended, or where there is no
    /// shell: then the journal's clean-up is what remains.
    pub fn over(child: &Child) -> Option<Self> {
        Self::killing(&child.id()?.to_string())
    }

    /// Watches over a child that leads its process group, and over all in it.
    pub(super) fn over_group(child: &Child) -> Option<Self> {
        Self::killing(&format!("-{}", child.id()?))
    }

    fn killing(target: &str) -> Option<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", WATCH, "sh", target])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C at the terminal is ours to handle.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let shell = shell.inspect_err(|error| tracing::debug!("no watch over a child: {error}"));
        Some(Self { shell: shell.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn sleeping() -> Child {
        let mut sleeping = Command::new("sleep");
        sleeping.arg("3600").kill_on_drop(true).spawn().unwrap()
    }

    #[tokio::test]
    async fn the_program_ends_with_the_pipe_and_lives_without_a_watch() {
        let mut child = sleeping();
        let mut guard = Guard::over(&child).unwrap();
        // As if we were killed.
        drop(guard.shell.stdin.take());
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        assert!(Guard::over(&child).is_none());

        let mut child = sleeping();
        let mut guard = Guard::over(&child).unwrap();
        guard.shell.kill().await.unwrap();
        drop(guard);
        assert!(child.try_wait().unwrap().is_none());
    }
}
