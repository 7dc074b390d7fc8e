//! The workflows in README and in the documentation, as they stand there.

use std::path::Path;

use alicloud_image_sandbox::SeedImage;
use serde_json::{Value, json};

use crate::action::Action;
use crate::job::Job;
use crate::step::Outcome;
use crate::workflow::{Workflow, evaluate};
use crate::world::{World, template};

const ROLE: &str = "acs:ram::1234567890123456:role/image-builder";

const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The block of YAML below a heading of a page.
fn workflow(page: &str, heading: &str) -> Workflow {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).expect(heading);
    let (_, block) = section.split_once("```yaml\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{error}\n{block}"))
}

/// GitHub's token service: it mints for whoever has the right to.
async fn token_service() -> String {
    use axum::http::{HeaderMap, StatusCode, Uri};
    let mint = async |uri: Uri, headers: HeaderMap| {
        let right = headers.get("authorization").and_then(|it| it.to_str().ok());
        let is_right = right.is_some_and(|it| it.eq_ignore_ascii_case("bearer the-right-to-mint"));
        if !is_right {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let query = uri.query().unwrap_or_default();
        let audience = query.split("audience=").nth(1).unwrap_or_default();
        Ok(json!({"value": token(audience)}).to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(mint);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/token?api-version=2.0")
}

fn token(audience: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": ISSUER, "aud": audience, "sub": "repo:team/images:ref:refs/heads/main",
        "exp": jiff::Timestamp::now().as_second() + 300,
    });
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(json!({"alg": "RS256"})),
        part(claims)
    )
}

/// What a workflow's job did.
#[derive(Debug, Default)]
struct Ran {
    actions: Vec<Outcome>,
    /// The logs of `run:` steps.
    printed: String,
    posts: Vec<Outcome>,
}

/// Runs a workflow's job with what a repository has in its settings.
async fn run(world: &World, workflow: &Workflow, prepare: impl FnOnce(Job) -> Job) -> Ran {
    let part = workflow.jobs.values().next().unwrap();
    let mut contexts = json!({
        "github": {"sha": "8843d7f"},
        "vars": {
            "ALICLOUD_ROLE": ROLE,
            "ALICLOUD_OIDC_PROVIDER": "acs:ram::1234567890123456:oidc-provider/github",
        },
        "steps": {},
    });
    // The rest of the environment knows no keys.
    let url = world.sandbox.url();
    let mut variables = world.variables();
    let endpoints = ["ECS", "VPC", "STS", "OSS"].map(|it| format!("ALIBABA_CLOUD_ENDPOINT_{it}"));
    variables.extend(endpoints.map(|name| (name, url.clone())));
    let env = part.env.iter();
    variables.extend(env.map(|(name, text)| (name.clone(), evaluate(text, &contexts))));
    let mut job = prepare(Job::new(variables));
    let permissions = [&workflow.permissions, &part.permissions];
    if permissions
        .iter()
        .any(|it| it.get("id-token").is_some_and(|it| it == "write"))
    {
        job = job.with_id_token(&token_service().await);
    }
    let mut ran = Ran::default();
    for step in &part.steps {
        let step = step.evaluated(&contexts);
        let outcome = match step.uses.split('@').next().unwrap_or_default() {
            "actions/checkout" => continue,
            "alicloud-image/alicloud-image" => job.run(&world.action, &step).await.success(),
            "alicloud-image/alicloud-image/setup" => {
                let (_, unknown) = Action::of_repository("setup").inputs(&step.with);
                assert_eq!(unknown, Vec::<String>::new());
                // It is tested on its own; here it would want packages.
                job.add_path(
                    Path::new(env!("CARGO_BIN_EXE_alicloud-image"))
                        .parent()
                        .unwrap(),
                );
                continue;
            }
            "" => job.run_shell(&step.run, &step).await.success(),
            other => panic!("`uses: {other}` is not known here"),
        };
        contexts["steps"][&step.id] = json!({"outputs": outcome.outputs});
        match step.uses.is_empty() {
            true => ran.printed.push_str(&outcome.log),
            false => ran.actions.push(outcome),
        }
    }
    let posts = job.post_steps().await.into_iter();
    ran.posts = posts.map(Outcome::success).collect();
    world.assert_clean("by a documented workflow");
    ran
}

/// A world that trusts the tokens of the jobs' repository.
async fn trusting_world() -> World {
    let world = World::new().await;
    let seed = world.sandbox.seed();
    seed.oidc_provider("github", ISSUER, &["sts.aliyuncs.com"]);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_in_readme_builds_with_oidc() {
    let world = trusting_world().await;
    let workflow = workflow(include_str!("../../README.md"), "### GitHub Actions");
    let mut text: Value = serde_json::from_str(&template(&json!([]))).unwrap();
    text["variables"] = json!({"app_version": ""});
    let prepare = |job: Job| {
        job.write("web.json", &text.to_string());
        job
    };
    let ran = run(&world, &workflow, prepare).await;
    let image = world.sandbox.images()[0]["ImageId"].clone();
    assert_eq!(ran.printed, format!("built {}", image.as_str().unwrap()));
    assert_eq!((ran.actions.len(), ran.posts.len()), (1, 1));
    let calls = world.sandbox.calls();
    assert!(calls.iter().any(|call| call.action == "AssumeRoleWithOIDC"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_workflow_for_forks_plans_without_keys() {
    let world = World::new().await;
    let page = include_str!("../../docs/github-actions.md");
    let workflow = workflow(page, "## Pull requests from forks");
    let payload = json!({"repository": {"full_name": "team/images"}, "pull_request": {}});
    let prepare = |job: Job| {
        job.write("web.json", &template(&json!([])));
        job.on_event("pull_request", &payload)
    };
    let ran = run(&world, &workflow, prepare).await;
    assert!(ran.actions[0].outputs["plan"].contains("cn-beijing"));
    assert_eq!(world.sandbox.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_janitor_to_copy_deletes_what_has_expired() {
    let world = trusting_world().await;
    let tags = [
        ("alicloud-image:run-id", "lost"),
        ("alicloud-image:temporary", "true"),
        ("alicloud-image:expires-at", "2001-02-03T04:05:06Z"),
    ];
    let unfinished = SeedImage {
        region: "cn-hangzhou".to_owned(),
        id: "m-unfinished".to_owned(),
        name: "web".to_owned(),
        tags: tags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        ..SeedImage::default()
    };
    world.sandbox.seed().image(&unfinished);
    let text = include_str!("../../examples/workflows/janitor.yml");
    let workflow: Workflow = serde_saphyr::from_str(text).unwrap();
    let ran = run(&world, &workflow, |job| job).await;
    assert_eq!(ran.actions[0].outputs["status"], "success");
    assert_eq!(world.sandbox.images(), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_workflow_with_a_guard_builds() {
    let world = trusting_world().await;
    let page = include_str!("../../docs/github-actions.md");
    let workflow = workflow(page, "## Programs in `run:` steps");
    // No machine is emulated here: it is about the steps around that.
    let prepare = |job: Job| {
        job.write("iso.json", &template(&json!([])));
        job
    };
    let ran = run(&world, &workflow, prepare).await;
    assert_eq!(world.sandbox.images().len(), 1);
    assert!(
        ran.posts[0].log.contains("Found 0 journals"),
        "{}",
        ran.posts[0].log
    );
}
