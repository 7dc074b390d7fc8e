//! The exit status of a run. The numbers are part of the interface; they are
//! listed in `cli::EXIT_CODES`.

use std::process::ExitCode;

use crate::engine::event::RunResult;
use crate::error::{Error, Kind};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Everything that was asked for was done.
    Success,
    /// A build failed.
    Failure,
    /// Bad command line, input or template.
    Usage,
    /// No usable credentials, or a permission is missing.
    Credentials,
    /// `-only`/`-except` left no build.
    NoMatch,
    /// Some builds succeeded and some failed.
    Partial,
    /// Resources could not be deleted, and that was to be a failure.
    Leftovers,
    /// The run's own deadline passed.
    Deadline,
    /// A bug in this program.
    Internal,
    /// A signal with this number stopped the run.
    Signal(u8),
}

impl ExitStatus {
    /// The status of a run. `signal` is the number of the one that stopped it.
    pub fn of_run(result: &RunResult, fail_on_leftovers: bool, signal: Option<u8>) -> Self {
        if let Some(signal) = signal.filter(|_| result.cancelled) {
            return Self::Signal(signal);
        }
        if let Some(error) = &result.error {
            return match error.kind() {
                Kind::Timeout => Self::Deadline,
                _ => Self::of_error(error),
            };
        }
        match Self::of_builds(result) {
            Self::Success if fail_on_leftovers && !result.leftovers.is_empty() => Self::Leftovers,
            status => status,
        }
    }

    /// The status of an error that ended the program before any build.
    pub fn of_error(error: &Error) -> Self {
        match error.kind() {
            Kind::Usage | Kind::Template => Self::Usage,
            Kind::Credentials => Self::Credentials,
            Kind::NoMatch => Self::NoMatch,
            Kind::Internal => Self::Internal,
            Kind::Cancelled => Self::Signal(2),
            _ => Self::Failure,
        }
    }

    fn of_builds(result: &RunResult) -> Self {
        let errors: Vec<_> = result
            .builds
            .iter()
            .filter_map(|build| build.error.as_ref())
            .collect();
        if errors.is_empty() {
            return Self::Success;
        }
        if errors.len() < result.builds.len() {
            return Self::Partial;
        }
        let all = |kind| errors.iter().all(|error| error.kind() == kind);
        if errors.iter().any(|error| error.kind() == Kind::Internal) {
            Self::Internal
        } else if all(Kind::Credentials) {
            Self::Credentials
        } else {
            Self::Failure
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Credentials => 3,
            Self::NoMatch => 4,
            Self::Partial => 5,
            Self::Leftovers => 6,
            Self::Deadline => 7,
            Self::Internal => 70,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::engine::event::{BuildResult, Leftover, Resource};

    fn build(error: Option<Kind>) -> Arc<BuildResult> {
        Arc::new(BuildResult {
            name: "web".into(),
            builder_type: "alicloud-ecs",
            elapsed: Duration::ZERO,
            artifacts: vec![],
            error: error.map(|kind| Error::new(kind, "It failed")),
        })
    }

    fn run(builds: &[Option<Kind>]) -> RunResult {
        RunResult {
            builds: builds.iter().copied().map(build).collect(),
            leftovers: vec![],
            elapsed: Duration::ZERO,
            cancelled: false,
            error: None,
        }
    }

    #[test]
    fn builds_choose_the_code() {
        let table: &[(&[Option<Kind>], u8)] = &[
            (&[None, None], 0),
            (&[Some(Kind::Cloud)], 1),
            (&[Some(Kind::Timeout)], 1),
            (&[Some(Kind::Credentials), Some(Kind::Credentials)], 3),
            (&[Some(Kind::Credentials), Some(Kind::Cloud)], 1),
            (&[None, Some(Kind::Provision)], 5),
            (&[Some(Kind::Internal), Some(Kind::Cloud)], 70),
        ];
        for (builds, code) in table {
            let status = ExitStatus::of_run(&run(builds), false, None);
            assert_eq!(status.code(), *code, "{builds:?}");
        }
    }

    #[test]
    fn errors_of_the_run_choose_the_code() {
        let table = [
            (Kind::Usage, 2),
            (Kind::Template, 2),
            (Kind::Credentials, 3),
            (Kind::NoMatch, 4),
            (Kind::Timeout, 7),
            (Kind::Disk, 1),
            (Kind::Io, 1),
            (Kind::Internal, 70),
        ];
        for (kind, code) in table {
            let result = RunResult {
                error: Some(Error::new(kind, "It failed")),
                ..run(&[Some(Kind::Cancelled)])
            };
            assert_eq!(
                ExitStatus::of_run(&result, false, None).code(),
                code,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_signal_wins_only_when_it_stopped_the_run() {
        let cancelled = RunResult {
            cancelled: true,
            ..run(&[Some(Kind::Cancelled)])
        };
        assert_eq!(ExitStatus::of_run(&cancelled, false, Some(2)).code(), 130);
        assert_eq!(ExitStatus::of_run(&cancelled, false, Some(15)).code(), 143);
        assert_eq!(ExitStatus::of_run(&run(&[None]), false, Some(15)).code(), 0);
    }

    #[test]
    fn leftovers_fail_a_good_run_only_when_asked_to() {
        let leftover = Leftover {
            resource: Resource {
                kind: "vpc".into(),
                id: "vpc-1".into(),
                region: "cn-beijing".into(),
            },
            reason: "in use".into(),
        };
        let result = RunResult {
            leftovers: vec![leftover],
            ..run(&[None])
        };
        assert_eq!(ExitStatus::of_run(&result, false, None).code(), 0);
        assert_eq!(ExitStatus::of_run(&result, true, None).code(), 6);
    }

    #[test]
    fn every_code_is_documented() {
        for code in [0, 1, 2, 3, 4, 5, 6, 7, 70, 129, 130, 143] {
            let line = format!("\n{code:>5}  ");
            assert!(crate::cli::EXIT_CODES.contains(&line), "{code}");
        }
    }
}
