//! The one comment that a pull request keeps: made by the first run, changed
//! by those after it, found again by a marker that nobody sees.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Failure, Repository};
use crate::engine::stop::Stop;

/// GitHub's limit is 65,536 characters; bytes are never fewer, and the
/// markers need some.
pub const LONGEST: usize = 65_000;

const PER_PAGE: &str = "100";

/// The comment to keep up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// The number of the pull request.
    pub pull_request: u64,
    /// What tells it from the comments of other jobs; see [`marker`].
    pub marker: String,
    /// Leave a comment alone that says the same already.
    pub only_on_change: bool,
}

/// What became of the comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There was none.
    Created,
    /// It says something new.
    Updated,
    /// It said the same already.
    Unchanged,
}

/// The hidden line that a comment of a job about a template begins with.
pub fn marker(workflow: &str, job: &str, template: &str) -> String {
    let plain = |text: &str| -> String {
        let is_odd = |letter: char| letter.is_control() || "<>".contains(letter);
        // `-->` would end what is hidden.
        text.replace(is_odd, "_").replace("--", "__")
    };
    format!(
        "<!-- alicloud-image:{}/{}/{} -->",
        plain(workflow),
        plain(job),
        plain(template)
    )
}

/// Creates the comment, or changes the one there is. `result` stands for what
/// the text says, without times and ids of the run.
///
/// # Errors
/// When GitHub refuses or cannot be reached.
pub async fn keep(
    api: &Api,
    repository: &Repository,
    sticky: &Sticky,
    text: &str,
    result: &str,
    stop: &Stop,
) -> Result<Kept, Failure> {
    let result = format!("<!-- result:{result} -->");
    let body = json!({ "body": format!("{}\n{result}\n{text}", sticky.marker) });
    let issues = ["repos", &repository.owner, &repository.name, "issues"];
    match find(api, &issues, sticky, stop).await? {
        Some(found) if sticky.only_on_change && found.body.contains(&result) => Ok(Kept::Unchanged),
        Some(found) => {
            let id = found.id.to_string();
            let segments = issues.into_iter().chain(["comments", &id]);
            api.patch(api.route(segments), body, stop).await?;
            Ok(Kept::Updated)
        }
        None => {
            let number = sticky.pull_request.to_string();
            let segments = issues.into_iter().chain([number.as_str(), "comments"]);
            let _: Value = api.post(api.route(segments), body, stop).await?;
            Ok(Kept::Created)
        }
    }
}

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    /// Null for who has left GitHub.
    user: Option<User>,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

/// Our comment: anyone may write one with the marker of another.
async fn find(
    api: &Api,
    issues: &[&str],
    sticky: &Sticky,
    stop: &Stop,
) -> Result<Option<Comment>, Failure> {
    let number = sticky.pull_request.to_string();
    let segments = issues.iter().copied().chain([number.as_str(), "comments"]);
    let mut url = api.route(segments);
    url.query_pairs_mut().append_pair("per_page", PER_PAGE);
    let mut marked: Vec<Comment> = Vec::new();
    api.pages(url, stop, |page: Vec<Comment>| {
        let ours = |comment: &Comment| comment.body.starts_with(&sticky.marker);
        marked.extend(page.into_iter().filter(ours));
        false
    })
    .await?;
    if marked.is_empty() {
        return Ok(None);
    }
    let login = own_login(api, stop).await?;
    let is_own = |comment: &Comment| {
        let user = comment.user.as_ref();
        user.is_some_and(|user| user.login.eq_ignore_ascii_case(&login))
    };
    Ok(marked.into_iter().find(is_own))
}

/// Who we are. REST tells people and their tokens; a workflow's token, which
/// belongs to an app, learns it from GraphQL only.
async fn own_login(api: &Api, stop: &Stop) -> Result<String, Failure> {
    let asked = api.question("query { viewer { login } }", stop).await;
    if let Ok(answer) = &asked
        && let Some(login) = answer["data"]["viewer"]["login"].as_str()
    {
        return Ok(login.to_owned());
    }
    let user: User = api.get(api.route(["user"]), stop).await?;
    Ok(user.login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_stays_hidden() {
        assert_eq!(
            marker("CI", "image", "images/web.json"),
            "<!-- alicloud-image:CI/image/images/web.json -->"
        );
        let hostile = marker("a --> <b>", "x\ny", "a-b---c");
        assert_eq!(hostile, "<!-- alicloud-image:a ___ _b_/x_y/a-b__-c -->");
        assert_eq!(hostile.matches("-->").count(), 1);
    }
}
