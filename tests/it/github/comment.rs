//! The comment on the pull request.

use alicloud_image_sandbox::SeedBucket;
use axum::http::Method;
use serde_json::{Value, json};

use super::fake::{GitHub, Trouble};
use super::{MAIN, assert_warned, event_of, lab_at, run};
use crate::template;

const MARKER: &str = "<!-- alicloud-image:CI/image/template.json -->";

/// Validation says the same whenever it is repeated.
const VALIDATE: (&str, &str) = ("command", "validate");

fn trouble(status: u16, message: &'static str) -> Trouble {
    Trouble {
        status,
        headers: Vec::new(),
        message,
    }
}

fn body(comment: &Value) -> &str {
    comment["body"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_keeps_one_comment_with_the_images() {
    let github = GitHub::start("").await;
    github.world().page_size = 2;
    let foreign = json!({"id": 9, "user": {"login": "mallory"}, "body": format!("{MARKER}\nx")});
    let other = json!({"id": 8, "user": null, "body": "Nice."});
    github.world().comments.extend([foreign.clone(), other]);
    let lab = lab_at(&github, &[("pr-comment", "always"), ("force", "true")]).await;
    let outcome = run(&lab, MAIN).await.success();
    let comments = github.world().comments.clone();
    assert_eq!(comments.len(), 3);
    let text = body(&comments[2]).to_owned();
    assert!(text.starts_with(&format!("{MARKER}\n")), "{text}");
    assert!(
        text.contains("## alicloud-image: 1 image built in "),
        "{text}"
    );
    assert!(text.contains(&outcome.outputs["image-id"]), "{text}");
    let run_link = format!(
        "[workflow run]({}/acme/images/actions/runs/4711)",
        github.url
    );
    assert!(text.contains(&run_link), "{text}");
    for of_summary in ["Timeline", "Temporary resources"] {
        assert!(outcome.summary.contains(of_summary) && !text.contains(of_summary));
    }
    // The second run makes another image, and finds the comment on page two.
    let outcome = run(&lab, MAIN).await.success();
    let comments = github.world().comments.clone();
    assert_eq!(comments.len(), 3);
    assert!(body(&comments[2]).contains(&outcome.outputs["image-id"]));
    assert_eq!(comments[0], foreign);
    let methods: Vec<_> = github.changes().into_iter().map(|one| one.method).collect();
    assert_eq!(methods, [Method::POST, Method::PATCH]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_and_a_merge_are_told_too() {
    let github = GitHub::start("").await;
    let told = [("pr-comment", "always"), ("check-run", "true")];
    let import = [
        ("command", "import"),
        ("file", "disk.raw"),
        ("image-name", "imported"),
        ("oss-bucket-name", "images"),
        ("region", "cn-beijing"),
        ("output-files", "leg.json"),
    ];
    let mut lab = lab_at(&github, &[&told[..], &import].concat()).await;
    let bucket = SeedBucket {
        region: "cn-beijing".to_owned(),
        name: "images".to_owned(),
        ..SeedBucket::default()
    };
    lab.sandbox.seed().import_role().bucket(&bucket);
    let mut disk = vec![0; 1 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(lab.path("disk.raw"), disk).unwrap();
    let outcome = run(&lab, MAIN).await.success();
    let id = outcome.outputs["image-id"].clone();
    for (name, value) in [("COMMAND", "merge"), ("FILES", "leg.json")] {
        lab.set(&format!("INPUT_{name}"), value);
    }
    run(&lab, MAIN).await.success();
    let world = github.world();
    for (number, (marker, title)) in [
        ("CI/image/disk.raw", "1 image imported in "),
        ("CI/image/merge", "1 image built in "),
    ]
    .iter()
    .enumerate()
    {
        let text = body(&world.comments[number]);
        let head = format!("<!-- alicloud-image:{marker} -->\n");
        assert!(text.starts_with(&head), "{text}");
        let title = format!("## alicloud-image: {title}");
        assert!(text.contains(&title) && text.contains(&id), "{text}");
    }
    let ends = world.check_runs.values().map(|one| &one["conclusion"]);
    assert_eq!(ends.collect::<Vec<_>>(), ["success", "success"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_changes_only_with_the_result() {
    let github = GitHub::start("").await;
    let lab = lab_at(&github, &[VALIDATE, ("pr-comment", "on-change")]).await;
    lab.write_template(&template::silent(json!({"image_nam": "x"})));
    run(&lab, MAIN).await.failure(2);
    let text = body(&github.world().comments[0]).to_owned();
    assert!(text.contains("template.json:"), "{text}");
    run(&lab, MAIN).await.failure(2);
    assert_eq!(github.changes().len(), 1);
    lab.write_template(&template::silent(json!({})));
    run(&lab, MAIN).await.success();
    assert_eq!(github.changes().len(), 2);
    assert!(body(&github.world().comments[0]).contains("validate succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_a_warning_with_the_line_to_add() {
    let github = GitHub::start("").await;
    github.world().permissions = vec!["contents: read"];
    let inputs = [VALIDATE, ("pr-comment", "always"), ("check-run", "true")];
    let mut lab = lab_at(&github, &inputs).await;
    let outcome = run(&lab, MAIN).await.success();
    let refused = "GitHub answered 403: Resource not accessible by integration";
    for (doing, line) in [
        (
            "comment on pull request 7 of acme/images",
            "`pull-requests: write`",
        ),
        ("open a check run in acme/images", "`checks: write`"),
    ] {
        assert_warned(&outcome, &[doing, refused, line, "`permissions:`"]);
    }
    // No line helps where the token cannot write.
    lab.write("event.json", &event_of(7, 2).to_string());
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(&outcome, &["pull request 7", refused, "from a fork"]);
    lab.set("INPUT_GITHUB-TOKEN", "");
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(
        &outcome,
        &["Neither comment nor check run", "there is no token"],
    );
    lab.set("INPUT_GITHUB-TOKEN", "ghs_old");
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(
        &outcome,
        &["GitHub answered 401: Bad credentials", "Check the token"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_waited_for_and_trouble_is_met_with_care() {
    let github = GitHub::start("").await;
    let lab = lab_at(&github, &[VALIDATE, ("pr-comment", "always")]).await;
    let limited = |seconds: u64| Trouble {
        headers: vec![("retry-after", seconds.to_string())],
        ..trouble(403, "You have exceeded a secondary rate limit.")
    };
    github.trouble(Method::GET, "/comments", trouble(502, "Server Error"));
    github.trouble(Method::POST, "/comments", limited(20));
    run(&lab, MAIN).await.success();
    assert_eq!(github.world().comments.len(), 1);
    // Longer than a comment is worth.
    github.trouble(Method::PATCH, "/comments/1", limited(3600));
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(&outcome, &["secondary rate limit", "(try again in 3600 s)"]);
    assert_eq!(github.changes().len(), 3);
    // Nobody knows whether the comment was written: it is not written twice.
    github.world().comments.clear();
    github.trouble(Method::POST, "/comments", trouble(502, "Server Error"));
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(&outcome, &["GitHub answered 502: Server Error"]);
    assert_eq!(github.changes().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_server_has_its_api_elsewhere() {
    let github = GitHub::start("/api/v3").await;
    let inputs = [VALIDATE, ("pr-comment", "always"), ("check-run", "true")];
    let lab = lab_at(&github, &inputs).await;
    for _ in 0..2 {
        let outcome = run(&lab, MAIN).await.success();
        assert!(!outcome.stdout.contains("::warning"), "{}", outcome.shown());
    }
    assert_eq!(github.world().comments.len(), 1);
    assert_eq!(github.world().check_runs.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_costs_a_warning() {
    let github = GitHub::start("").await;
    let mut lab = lab_at(&github, &[VALIDATE, ("pr-comment", "always")]).await;
    lab.set("GITHUB_API_URL", "http://127.0.0.1:1");
    let outcome = run(&lab, MAIN).await.success();
    assert_warned(&outcome, &["Cannot connect to GitHub"]);
}
