//! What the run of a workflow may tell GitHub, and how GitHub is reached.
//!
//! Facts: GitHub's pages on default variables and on the payload of the
//! events `pull_request` and `push`.

use std::path::Path;

use serde_json::Value;
use url::Url;

use super::command::{CloseCheckRunArgs, Command, TemplateArgs};
use super::env::Environment;
use super::resolve::{fallback_settings, time_scale};
use crate::cloud::endpoint::is_loopback;
use crate::github::check_run::CheckRun;
use crate::github::comment::{Sticky, marker};
use crate::github::{Access, OpenCheckRun, Repository, Reviewing, WhichCheckRun};
use crate::report::review::{ASKED, Review};
use crate::report::{Settings, System};
use crate::secret::Secret;

/// When there is a comment.
pub(super) const COMMENT_WORDS: &[&str] = &["never", "always", "on-change"];

/// The first that is set counts.
const TOKENS: &[&str] = &["ALICLOUD_IMAGE_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"];

const DOT_COM: &str = "https://api.github.com";

/// How GitHub is reached, or why it cannot be: a server without TLS is no
/// failure of runs that need nothing of it.
pub(super) fn access(environment: &Environment) -> Result<Access, String> {
    let api = match environment.get("GITHUB_API_URL") {
        Some(text) => address("GITHUB_API_URL", text)?,
        None => address("GITHUB_API_URL", DOT_COM)?,
    };
    let graphql = match environment.get("GITHUB_GRAPHQL_URL") {
        Some(text) => address("GITHUB_GRAPHQL_URL", text)?,
        None => graphql_beside(&api),
    };
    Ok(Access {
        api,
        graphql,
        token: environment.first(TOKENS).map(Secret::new),
        time_scale: time_scale(environment).unwrap_or(1.0),
    })
}

/// An Enterprise Server has `/api/v3` and `/api/graphql`.
fn graphql_beside(api: &Url) -> Url {
    let mut url = api.clone();
    let base = api.path().trim_end_matches('/');
    let base = base.strip_suffix("/v3").unwrap_or(base);
    url.set_path(&format!("{base}/graphql"));
    url
}

fn address(variable: &str, text: &str) -> Result<Url, String> {
    let bad = || format!("`{variable}` is `{text}` and not an address with https");
    let url: Url = text.parse().map_err(|_| bad())?;
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    is_safe.then_some(url).ok_or_else(bad)
}

/// Where the page for GitHub is left, if it is to be told anything.
pub(super) fn review(environment: &Environment) -> Option<Review> {
    let is_wanted = wanted_comment(environment).is_some() || wants_check_run(environment);
    is_wanted.then(|| Review::of_run(run_address(environment)))
}

/// What GitHub is told about the run, and what keeps us from telling it.
/// `subject` is what the run is about.
pub(super) fn reviewing(
    environment: &Environment,
    subject: &str,
    settings: &Settings,
) -> (Option<Reviewing>, Vec<String>) {
    let is_asked = matches!(&settings.ci, Some(System::GitHub(github)) if github.review.is_some());
    if !is_asked {
        return (None, Vec::new());
    }
    let event = event(environment);
    let mut warnings = Vec::new();
    let comment = wanted_comment(environment).and_then(|word| {
        if !COMMENT_WORDS.contains(&word) {
            warnings.push(format!(
                "`ALICLOUD_IMAGE_PR_COMMENT` is `{word}` and not one of `{}`: no comment is written",
                COMMENT_WORDS.join("`, `")
            ));
            return None;
        }
        // Without a pull request there is nothing to comment on.
        Some(Sticky {
            pull_request: event["pull_request"]["number"].as_u64()?,
            marker: marker(
                environment.get("GITHUB_WORKFLOW").unwrap_or_default(),
                environment.get("GITHUB_JOB").unwrap_or_default(),
                subject,
            ),
            only_on_change: word == "on-change",
        })
    });
    let check_run = wants_check_run(environment).then(|| CheckRun {
        name: format!("alicloud-image ({subject})"),
        key: uuid::Uuid::new_v4().to_string(),
        commit: head(&event, environment),
        details: run_address(environment),
    });
    if comment.is_none() && check_run.is_none() {
        return (None, warnings);
    }
    match place(environment) {
        Ok((access, repository)) => {
            let reviewing = Reviewing {
                access,
                repository,
                comment,
                check_run,
                is_from_fork: is_from_fork(&event),
            };
            (Some(reviewing), warnings)
        }
        Err(reason) => {
            warnings.push(format!(
                "Neither comment nor check run is written: {reason}"
            ));
            (None, warnings)
        }
    }
}

fn place(environment: &Environment) -> Result<(Access, Repository), String> {
    let access = access(environment)?;
    if access.token.is_none() {
        return Err("there is no token; give one as `github-token` or in GITHUB_TOKEN".to_owned());
    }
    let repository = environment.get("GITHUB_REPOSITORY");
    let repository = repository.and_then(Repository::parse);
    let repository = repository.ok_or("GITHUB_REPOSITORY is not set")?;
    Ok((access, repository))
}

/// A check run that the main step left open, as the post step is told.
pub(super) fn open_check_run(environment: &Environment) -> Option<OpenCheckRun> {
    let state = environment.get("STATE_check_run")?;
    let which = match state.strip_prefix(ASKED) {
        Some(key) => WhichCheckRun::Asked {
            key: key.to_owned(),
            commit: head(&event(environment), environment),
        },
        None => WhichCheckRun::Known(state.parse().ok()?),
    };
    Some(OpenCheckRun {
        access: access(environment).ok()?,
        repository: Repository::parse(environment.get("GITHUB_REPOSITORY")?)?,
        which,
    })
}

/// What the post step does when nothing else is left.
pub(super) fn close(check_run: Option<OpenCheckRun>, environment: &Environment) -> Command {
    match check_run {
        Some(check_run) => Command::CloseCheckRun(Box::new(CloseCheckRunArgs {
            check_run,
            report: fallback_settings(environment),
        })),
        None => Command::Print("Nothing to clean up\n".to_owned()),
    }
}

fn wanted_comment(environment: &Environment) -> Option<&str> {
    let word = environment.get("ALICLOUD_IMAGE_PR_COMMENT");
    word.filter(|word| *word != "never")
}

fn wants_check_run(environment: &Environment) -> bool {
    environment.get("ALICLOUD_IMAGE_CHECK_RUN") == Some("true")
}

/// What a run of a template is about: legs of a matrix share workflow, job and
/// template, but neither build nor region.
pub(super) fn of_template(environment: &Environment, template: &TemplateArgs) -> String {
    let mut words = vec![of_file(environment, &template.path)];
    if !template.only.is_empty() {
        words.push(template.only.join(","));
    }
    words.extend(environment.text("INPUT_REGION"));
    words.join(" ")
}

/// What a run with a file is about. Steps of a job may share its name, in
/// different directories.
pub(super) fn of_file(environment: &Environment, file: &Path) -> String {
    let directory = environment.get("INPUT_WORKING-DIRECTORY");
    let directory = directory.filter(|directory| *directory != ".");
    let path = Path::new(directory.unwrap_or_default()).join(file);
    path.display().to_string()
}

/// The event that triggered the workflow; null when there is none.
fn event(environment: &Environment) -> Value {
    let text = environment.path("GITHUB_EVENT_PATH").map(std::fs::read);
    let text = text.and_then(Result::ok);
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// The commit that people look at: `GITHUB_SHA` of a pull request is its
/// merge, which no page shows.
fn head(event: &Value, environment: &Environment) -> String {
    let head = event["pull_request"]["head"]["sha"].as_str();
    head.or_else(|| environment.get("GITHUB_SHA"))
        .unwrap_or_default()
        .to_owned()
}

fn is_from_fork(event: &Value) -> bool {
    let id = |side: &str| &event["pull_request"][side]["repo"]["id"];
    id("head") != id("base")
}

fn run_address(environment: &Environment) -> Option<String> {
    let server = environment.get("GITHUB_SERVER_URL")?;
    let repository = Repository::parse(environment.get("GITHUB_REPOSITORY")?)?;
    let run = environment.get("GITHUB_RUN_ID")?;
    let is_id = run.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = server.parse::<Url>().is_ok();
    (is_id && is_address).then(|| format!("{server}/{repository}/actions/runs/{run}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{BuildArgs, resolve};

    fn build(variables: &[(&str, &str)]) -> BuildArgs {
        let base = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/images"),
            ("GITHUB_TOKEN", "ghs_x"),
        ];
        let environment = Environment::of(base.into_iter().chain(variables.iter().copied()));
        let arguments = ["alicloud-image", "build", "-only=web", "web.json"];
        match resolve(arguments.map(Into::into), &environment).unwrap() {
            Command::Build(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_gets_what_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("event.json");
        let event = serde_json::json!({"pull_request": {
            "number": 7,
            "head": {"sha": "abc", "repo": {"id": 2}},
            "base": {"repo": {"id": 1}},
        }});
        std::fs::write(&path, event.to_string()).unwrap();
        let args = build(&[
            ("GITHUB_EVENT_PATH", path.to_str().unwrap()),
            ("GITHUB_WORKFLOW", "CI"),
            ("GITHUB_JOB", "image"),
            ("INPUT_WORKING-DIRECTORY", "images"),
            ("GITHUB_SHA", "merge"),
            ("ALICLOUD_IMAGE_PR_COMMENT", "on-change"),
            ("ALICLOUD_IMAGE_CHECK_RUN", "true"),
        ]);
        let reviewing = args.reviewing.unwrap();
        let comment = reviewing.comment.unwrap();
        assert_eq!(comment.pull_request, 7);
        assert!(comment.only_on_change && reviewing.is_from_fork);
        let expected = "<!-- alicloud-image:CI/image/images/web.json web -->";
        assert_eq!(comment.marker, expected);
        assert_eq!(reviewing.check_run.unwrap().commit, "abc");
    }

    #[test]
    fn legs_of_a_matrix_differ_in_their_region() {
        let name = |region| {
            let args = build(&[
                ("ALICLOUD_IMAGE_CHECK_RUN", "true"),
                ("INPUT_REGION", region),
            ]);
            args.reviewing.unwrap().check_run.unwrap().name
        };
        assert_eq!(
            name("cn-beijing"),
            "alicloud-image (web.json web cn-beijing)"
        );
        assert_eq!(name(""), "alicloud-image (web.json web)");
    }

    #[test]
    fn what_is_missing_is_told() {
        let none = build(&[("ALICLOUD_IMAGE_PR_COMMENT", "always")]);
        assert!(none.reviewing.is_none() && none.warnings.is_empty());
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[("ALICLOUD_IMAGE_PR_COMMENT", "allways")], "`allways`"),
            (
                &[("ALICLOUD_IMAGE_CHECK_RUN", "true"), ("GITHUB_TOKEN", "")],
                "no token",
            ),
            (
                &[
                    ("ALICLOUD_IMAGE_CHECK_RUN", "true"),
                    ("GITHUB_REPOSITORY", ""),
                ],
                "GITHUB_REPOSITORY",
            ),
        ];
        for (variables, part) in table {
            let args = build(variables);
            assert!(args.reviewing.is_none(), "{part}");
            assert!(args.warnings[0].contains(part), "{:?}", args.warnings);
        }
    }

    #[test]
    fn graphql_is_beside_rest() {
        let table = [
            ("https://api.github.com", "https://api.github.com/graphql"),
            (
                "https://ghe.acme.cn/api/v3",
                "https://ghe.acme.cn/api/graphql",
            ),
        ];
        for (api, graphql) in table {
            let found = access(&Environment::of([("GITHUB_API_URL", api)])).unwrap();
            assert_eq!(found.graphql.as_str(), graphql);
        }
    }

    #[test]
    fn no_token_goes_over_the_network_in_clear() {
        for (api, is_good) in [
            ("http://ghe.acme.cn/api/v3", false),
            ("ftp://ghe.acme.cn", false),
            ("ghe.acme.cn", false),
            ("http://127.0.0.1:8080/api/v3", true),
        ] {
            let found = access(&Environment::of([("GITHUB_API_URL", api)]));
            assert_eq!(found.is_ok(), is_good, "{api}");
        }
    }
}
