//! Which CI system this is, and what it tells us.
//!
//! Facts: each system's page of predefined variables. Jenkins wants nothing
//! written for it; it is known so that nothing of another system's is.

use std::path::PathBuf;

use super::env::Environment;
use super::github;
use crate::cli::Ci;
use crate::report::System;
use crate::report::settings::{Azure, GitHub, GitLab, Page, Workspace};

/// The variable that gives each system away, and what `--ci` calls it.
const MARKS: &[(&str, Ci)] = &[
    ("GITHUB_ACTIONS", Ci::Github),
    ("GITEA_ACTIONS", Ci::Github),
    ("FORGEJO_ACTIONS", Ci::Github),
    ("GITLAB_CI", Ci::Gitlab),
    ("TF_BUILD", Ci::Azure),
    ("JENKINS_URL", Ci::None),
];

/// Finds out which system this is.
fn detect(environment: &Environment) -> Ci {
    MARKS
        .iter()
        .find(|(variable, _)| environment.is_set(variable))
        .map_or(Ci::None, |(_, system)| *system)
}

/// The system to write for, if any.
pub(super) fn system(choice: Ci, environment: &Environment) -> Option<System> {
    match choice {
        Ci::Auto => system(detect(environment), environment),
        Ci::None => None,
        Ci::Github => Some(System::GitHub(of_github(environment))),
        Ci::Gitlab => Some(System::GitLab(gitlab(environment))),
        Ci::Azure => Some(System::Azure(azure(environment))),
    }
}

fn of_github(environment: &Environment) -> GitHub {
    let summary = environment.path("GITHUB_STEP_SUMMARY");
    GitHub {
        repository: environment.text("GITHUB_REPOSITORY"),
        output: environment.path("GITHUB_OUTPUT"),
        state: environment.path("GITHUB_STATE"),
        summary: Page {
            path: summary.filter(|_| is_on(environment, "ALICLOUD_IMAGE_SUMMARY")),
            run: environment.text("GITHUB_RUN_ID"),
            commit: environment.text("GITHUB_SHA"),
        },
        annotations: is_on(environment, "ALICLOUD_IMAGE_ANNOTATIONS"),
        workspace: workspace(environment, "GITHUB_WORKSPACE"),
        review: github::review(environment),
    }
}

fn gitlab(environment: &Environment) -> GitLab {
    GitLab {
        project: environment.text("CI_PROJECT_PATH"),
        pipeline: environment.text("CI_PIPELINE_ID"),
        links: environment.path("ALICLOUD_IMAGE_LINKS"),
        code_quality: environment.path("ALICLOUD_IMAGE_CODE_QUALITY"),
        workspace: workspace(environment, "CI_PROJECT_DIR"),
    }
}

fn azure(environment: &Environment) -> Azure {
    let directory = environment.path("AGENT_TEMPDIRECTORY");
    let summary = directory.map(|directory| directory.join("alicloud-image.md"));
    Azure {
        repository: environment.text("BUILD_REPOSITORY_NAME"),
        build: environment.text("BUILD_BUILDID"),
        summary: Page {
            path: summary.filter(|_| is_on(environment, "ALICLOUD_IMAGE_SUMMARY")),
            run: None,
            commit: environment.text("BUILD_SOURCEVERSION"),
        },
        annotations: is_on(environment, "ALICLOUD_IMAGE_ANNOTATIONS"),
        workspace: workspace(environment, "BUILD_SOURCESDIRECTORY"),
    }
}

/// The workspace a variable names, and the current directory in it.
fn workspace(environment: &Environment, variable: &str) -> Workspace {
    let root = environment.path(variable);
    let directory = environment.directory.as_ref().zip(root.as_ref());
    let below = directory.and_then(|(directory, root)| directory.strip_prefix(root).ok());
    Workspace {
        directory: below.map(PathBuf::from).unwrap_or_default(),
        root,
    }
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
            (vec![], Ci::None),
            (vec![("GITHUB_ACTIONS", "true")], Ci::Github),
            (vec![("GITEA_ACTIONS", "true")], Ci::Github),
            (vec![("FORGEJO_ACTIONS", "true")], Ci::Github),
            (vec![("GITLAB_CI", "true")], Ci::Gitlab),
            (vec![("TF_BUILD", "True")], Ci::Azure),
            (vec![("JENKINS_URL", "http://j")], Ci::None),
            (vec![("GITHUB_ACTIONS", "")], Ci::None),
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
        let workspace = of_github(&environment).workspace;
        assert_eq!(workspace.directory, PathBuf::from("images/web"));
    }

    #[test]
    fn the_choice_wins_over_detection() {
        let there = Environment::of([("GITHUB_ACTIONS", "true"), ("GITHUB_OUTPUT", "/o")]);
        assert!(system(Ci::None, &there).is_none());
        let chosen = system(Ci::Gitlab, &there);
        assert!(matches!(chosen, Some(System::GitLab(_))), "{chosen:?}");
        let Some(System::GitHub(found)) = system(Ci::Auto, &there) else {
            panic!("GitHub is found");
        };
        assert_eq!(found.output, Some(PathBuf::from("/o")));
    }
}
