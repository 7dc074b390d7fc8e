//! Which CI system this is, and what it tells us.
//!
//! Facts: each system's page of predefined variables. Only GitHub Actions is
//! written for; the others are known so that nothing of GitHub's is written
//! there by mistake.

use std::path::PathBuf;

use super::env::Environment;
use crate::cli::Ci;
use crate::report::GitHub;

/// The systems that are recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// GitHub Actions, and Gitea and Forgejo, which imitate it.
    GitHub,
    /// GitLab CI.
    GitLab,
    /// Azure Pipelines.
    Azure,
    /// Jenkins.
    Jenkins,
    /// Another one, or a person.
    Other,
}

/// The variable that gives each system away.
const MARKS: &[(&str, System)] = &[
    ("GITHUB_ACTIONS", System::GitHub),
    ("GITLAB_CI", System::GitLab),
    ("TF_BUILD", System::Azure),
    ("JENKINS_URL", System::Jenkins),
];

/// Finds out which system this is.
pub fn detect(environment: &Environment) -> System {
    MARKS
        .iter()
        .find(|(variable, _)| environment.is_set(variable))
        .map_or(System::Other, |(_, system)| *system)
}

/// What to write for GitHub, if anything.
pub(super) fn github(choice: Ci, environment: &Environment) -> Option<GitHub> {
    let is_wanted = match choice {
        Ci::Auto => detect(environment) == System::GitHub,
        Ci::None => false,
        Ci::Github => true,
    };
    is_wanted.then(|| GitHub {
        output: environment.path("GITHUB_OUTPUT"),
        state: environment.path("GITHUB_STATE"),
        summary: environment
            .path("GITHUB_STEP_SUMMARY")
            .filter(|_| is_on(environment, "ALICLOUD_IMAGE_SUMMARY")),
        annotations: is_on(environment, "ALICLOUD_IMAGE_ANNOTATIONS"),
        workspace: environment.path("GITHUB_WORKSPACE"),
        directory: below_workspace(environment).unwrap_or_default(),
        run_id: environment.get("GITHUB_RUN_ID").map(str::to_owned),
        commit: environment.get("GITHUB_SHA").map(str::to_owned),
    })
}

/// The current directory as seen from the workspace.
fn below_workspace(environment: &Environment) -> Option<PathBuf> {
    let workspace = environment.path("GITHUB_WORKSPACE")?;
    let directory = environment.directory.as_ref()?;
    directory.strip_prefix(workspace).ok().map(PathBuf::from)
}

fn is_on(environment: &Environment, name: &str) -> bool {
    environment.get(name) != Some("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_recognized() {
        let table = [
            (vec![], System::Other),
            (vec![("GITHUB_ACTIONS", "true")], System::GitHub),
            (vec![("GITLAB_CI", "true")], System::GitLab),
            (vec![("TF_BUILD", "True")], System::Azure),
            (vec![("JENKINS_URL", "http://j")], System::Jenkins),
            (vec![("GITHUB_ACTIONS", "")], System::Other),
        ];
        for (variables, expected) in table {
            assert_eq!(detect(&Environment::of(variables)), expected);
        }
    }

    #[test]
    fn the_directory_is_seen_from_the_workspace() {
        let environment = Environment {
            directory: Some("/w/images/web".into()),
            ..Environment::of([("GITHUB_WORKSPACE", "/w")])
        };
        let github = github(Ci::Github, &environment).unwrap();
        assert_eq!(github.directory, PathBuf::from("images/web"));
    }

    #[test]
    fn the_choice_wins_over_detection() {
        let there = Environment::of([("GITHUB_ACTIONS", "true"), ("GITHUB_OUTPUT", "/o")]);
        assert!(github(Ci::None, &there).is_none());
        let chosen = github(Ci::Github, &Environment::default()).unwrap();
        assert_eq!(chosen.output, None);
        assert_eq!(
            github(Ci::Auto, &there).unwrap().output,
            Some(PathBuf::from("/o"))
        );
    }
}
