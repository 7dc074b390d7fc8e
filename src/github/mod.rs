//! GitHub's REST API: a comment on the pull request, a check run, and
//! templates from other repositories. The only module that talks to it.
//!
//! It sends what `report` has rendered, and knows neither the environment
//! (`inputs` read it) nor how a run is shown. Nothing here fails a build that
//! did not ask for a template: callers turn errors into warnings.
//!
//! Facts: GitHub's REST API description (version 2022-11-28) and its pages on
//! rate limits and on the token of a workflow.

use std::fmt;

use url::Url;

use crate::secret::Secret;

pub mod address;
pub mod api;
pub mod check_run;
pub mod comment;
mod failure;
mod limit;
pub mod source;
mod tree;

pub use address::Address;
pub use api::Api;
pub use failure::Failure;

/// Where the API is, and who asks.
#[derive(Debug, Clone)]
pub struct Access {
    /// The base of all routes: `https://api.github.com`, or
    /// `https://HOST/api/v3` of an Enterprise Server.
    pub api: Url,
    /// Where GraphQL is asked; REST does not tell a workflow's token whose it
    /// is.
    pub graphql: Url,
    /// The token; without one only what is public can be read.
    pub token: Option<Secret>,
    /// How many seconds a second of waiting takes.
    pub time_scale: f64,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub name: String,
}

impl Repository {
    /// From `owner/name`; none when it is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        (is_name(owner) && is_name(name)).then(|| Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What GitHub allows in names, so that one can be put into a route as it is.
fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(is_allowed)
}

/// What a run tells GitHub about itself.
#[derive(Debug, Clone)]
pub struct Reviewing {
    /// How to reach it.
    pub access: Access,
    /// The workflow's repository.
    pub repository: Repository,
    /// The comment on the pull request that triggered the run.
    pub comment: Option<comment::Sticky>,
    /// The check run.
    pub check_run: Option<check_run::CheckRun>,
    /// Whether the pull request comes from a fork, whose runs cannot write.
    pub is_from_fork: bool,
}

/// A check run that a killed main step left open.
#[derive(Debug, Clone)]
pub struct OpenCheckRun {
    /// How to reach it.
    pub access: Access,
    /// The workflow's repository.
    pub repository: Repository,
    /// Which one it is.
    pub which: WhichCheckRun,
}

/// A check run that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichCheckRun {
    /// The one with this id.
    Known(u64),
    /// GitHub may have opened it; whoever asked did not live to hear its id.
    Asked {
        /// [`check_run::CheckRun::key`].
        key: String,
        /// [`check_run::CheckRun::commit`].
        commit: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories_fit_into_a_route() {
        let table = [
            ("acme/images", true),
            ("acme/my.images_2-x", true),
            ("acme", false),
            ("acme/", false),
            ("acme/..", false),
            ("acme/a/b", false),
            ("ac me/a", false),
            ("acme/a?b", false),
        ];
        for (text, is_good) in table {
            assert_eq!(Repository::parse(text).is_some(), is_good, "{text}");
        }
    }
}
