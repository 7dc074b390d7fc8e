//! A check run: in progress while the run goes on, completed with its result.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Api, Failure, Repository};
use crate::engine::stop::Stop;

/// GitHub's limit for one request.
const ANNOTATIONS_AT_ONCE: usize = 50;

/// Nobody reads more; each batch is a request.
const MOST_ANNOTATIONS: usize = 500;

/// A check run that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// What people see of it.
    pub name: String,
    /// What finds it when GitHub's answer with its id was lost: no other check
    /// run has it.
    pub key: String,
    /// The commit it is about: the head of a pull request, not its merge.
    pub commit: String,
    /// Where its details link leads.
    pub details: Option<String>,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Everything that was asked for was done.
    Success,
    /// Something failed.
    Failure,
    /// It was stopped.
    Cancelled,
    /// There was nothing to do.
    Neutral,
}

impl Conclusion {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Neutral => "neutral",
        }
    }
}

/// A remark beside a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How bad it is.
    pub level: Level,
    /// The file, relative to the repository.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The first column and, when known, the last one.
    pub columns: Option<(usize, usize)>,
    /// Its headline.
    pub title: String,
    /// What there is to say.
    pub message: String,
}

/// How bad an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For information.
    Notice,
    /// Someone should act.
    Warning,
    /// It failed.
    Failure,
}

/// What a completed check run says.
#[derive(Debug, Clone)]
pub struct Completion {
    /// How it ended.
    pub conclusion: Conclusion,
    /// The headline.
    pub title: String,
    /// Markdown, at most 65,535 characters.
    pub summary: String,
    /// Remarks beside lines.
    pub annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
}

#[derive(Deserialize)]
struct Found {
    check_runs: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    external_id: Option<String>,
}

#[derive(Deserialize)]
struct State {
    status: String,
}

/// Opens a check run and gives its id.
///
/// # Errors
/// When GitHub refuses or cannot be reached.
pub async fn open(
    api: &Api,
    repository: &Repository,
    check: &CheckRun,
    stop: &Stop,
) -> Result<u64, Failure> {
    let mut body = json!({
        "name": check.name,
        "head_sha": check.commit,
        "external_id": check.key,
        "status": "in_progress",
        "started_at": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    if let Some(details) = &check.details {
        body["details_url"] = details.as_str().into();
    }
    let url = route(api, repository, None);
    let created: Created = api.post(url, body, stop).await?;
    Ok(created.id)
}

/// The id of the open check run of a commit that has a key; none when GitHub
/// never opened it.
///
/// # Errors
/// When GitHub refuses or cannot be reached.
pub async fn find(
    api: &Api,
    repository: &Repository,
    key: &str,
    commit: &str,
    stop: &Stop,
) -> Result<Option<u64>, Failure> {
    let Repository { owner, name } = repository;
    let mut url = api.route(["repos", owner, name, "commits", commit, "check-runs"]);
    // Open ones of a commit are few: all are on the first page.
    url.query_pairs_mut().extend_pairs([
        ("status", "in_progress"),
        ("filter", "all"),
        ("per_page", "100"),
    ]);
    let found: Found = api.get(url, stop).await?;
    let has_key = |listed: &Listed| listed.external_id.as_deref() == Some(key);
    let mut listed = found.check_runs.into_iter();
    Ok(listed.find(has_key).map(|listed| listed.id))
}

/// Completes a check run. Annotations go before it in batches: those of later
/// requests are added to those there are.
///
/// # Errors
/// When GitHub refuses or cannot be reached.
pub async fn complete(
    api: &Api,
    repository: &Repository,
    id: u64,
    completion: &Completion,
    stop: &Stop,
) -> Result<(), Failure> {
    let url = route(api, repository, Some(id));
    let shown = completion.annotations.iter().take(MOST_ANNOTATIONS);
    let annotations: Vec<_> = shown.map(annotation).collect();
    let mut batches: Vec<_> = annotations.chunks(ANNOTATIONS_AT_ONCE).collect();
    let last = batches.pop().unwrap_or_default();
    for batch in batches {
        let body = json!({ "output": output(completion, batch) });
        api.patch(url.clone(), body, stop).await?;
    }
    let body = json!({
        "status": "completed",
        "conclusion": completion.conclusion.word(),
        "output": output(completion, last),
    });
    api.patch(url, body, stop).await
}

/// Whether a check run still waits for its result.
///
/// # Errors
/// When GitHub refuses or cannot be reached.
pub async fn is_open(
    api: &Api,
    repository: &Repository,
    id: u64,
    stop: &Stop,
) -> Result<bool, Failure> {
    let state: State = api.get(route(api, repository, Some(id)), stop).await?;
    Ok(state.status != "completed")
}

fn route(api: &Api, repository: &Repository, id: Option<u64>) -> Url {
    let id = id.map(|id| id.to_string());
    let segments = ["repos", &repository.owner, &repository.name, "check-runs"];
    api.route(segments.into_iter().chain(id.as_deref()))
}

fn output(completion: &Completion, annotations: &[Value]) -> Value {
    json!({
        "title": completion.title,
        "summary": completion.summary,
        "annotations": annotations,
    })
}

fn annotation(annotation: &Annotation) -> Value {
    let mut value = json!({
        "path": annotation.path,
        "start_line": annotation.line,
        "end_line": annotation.line,
        "annotation_level": match annotation.level {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Failure => "failure",
        },
        "title": annotation.title,
        "message": annotation.message,
    });
    // Columns are allowed because both lines are the same.
    if let Some((start, end)) = annotation.columns {
        value["start_column"] = start.into();
        value["end_column"] = end.into();
    }
    value
}
