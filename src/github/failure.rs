//! Why a request to GitHub did not do what it was to do.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::error::{Error, Kind};

/// A failed request.
#[derive(Debug)]
pub enum Failure {
    /// GitHub refused it.
    Refused(Refusal),
    /// It never left: there was no connection.
    Unsent(String),
    /// There was no answer, so it may have been done.
    Lost(String),
    /// The answer could not be understood.
    Damaged(String),
    /// It is ours: the run was stopped, or this machine failed us.
    Own(Error),
}

/// What GitHub answered.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// GitHub's own words.
    pub message: String,
    /// How long it wants us to wait, when this is a rate limit.
    pub wait: Option<Duration>,
}

impl Failure {
    /// The HTTP status of a refusal that is no rate limit.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) if refusal.wait.is_none() => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether it may have been done all the same.
    pub fn is_uncertain(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.status >= 500,
            // A stop may have cut it off.
            Self::Lost(_) | Self::Damaged(_) | Self::Own(_) => true,
            Self::Unsent(_) => false,
        }
    }

    /// Whether the run was stopped.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Own(error) if error.kind() == Kind::Cancelled)
    }

    /// The error of whoever cannot go on without the request.
    pub fn into_error(self, doing: impl Into<String>) -> Error {
        let kind = match self.status() {
            Some(401 | 403) => Kind::Credentials,
            Some(404 | 422) => Kind::Usage,
            _ => Kind::Io,
        };
        match self {
            Self::Own(error) if error.kind() == Kind::Cancelled => error,
            Self::Own(error) => error.context(doing),
            other => Error::new(kind, doing).with_source(other),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal {
                status,
                message,
                wait,
            }) => {
                write!(f, "GitHub answered {status}: {message}")?;
                match wait {
                    Some(wait) => write!(f, " (try again in {} s)", wait.as_secs()),
                    None => Ok(()),
                }
            }
            Self::Unsent(reason) => write!(f, "Cannot connect to GitHub: {reason}"),
            Self::Lost(reason) => write!(f, "No answer from GitHub: {reason}"),
            Self::Damaged(reason) => write!(f, "GitHub's answer makes no sense: {reason}"),
            Self::Own(error) => f.write_str(&crate::error::one_line(error)),
        }
    }
}

impl StdError for Failure {}
