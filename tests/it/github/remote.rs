//! Templates and variable files of other repositories.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::fake::{GitHub, Repository};
use super::{MAIN, lab_at, run};
use crate::harness::Lab;
use crate::hcl::SILENT;
use crate::template;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// An archive as GitHub makes them: everything is in one directory.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        let mut header = Header::new_gnu();
        let name = format!("acme-golden-0123456/{name}");
        // Not `set_path`, which refuses what a test may want.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn golden(is_private: bool, archive: Vec<u8>) -> Repository {
    Repository {
        is_private,
        refs: vec![("v1", COMMIT), ("feature/x", COMMIT)],
        archive,
    }
}

async fn lab_with(github: &GitHub, inputs: &[(&str, &str)], repository: Repository) -> Lab {
    github
        .world()
        .repositories
        .insert("acme/golden", repository);
    lab_at(github, inputs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_built_as_in_a_checkout_of_its_repository() {
    let github = GitHub::start("").await;
    let provisioners = json!([
        {"type": "shell", "script": "scripts/setup.sh"},
        {"type": "shell-local", "inline": ["test -f scripts/setup.sh && echo '{{user `who`}}'"]},
    ]);
    let mut template = template::provisioned(template::web(json!({})), provisioners);
    template["variables"] = json!({"who": "nobody"});
    template["post-processors"] = json!([{"type": "manifest", "output": "made/manifest.json"}]);
    let files = archive(&[
        ("images/web.json", &template.to_string()),
        ("vars/common.json", r#"{"who": "from the repository"}"#),
        ("scripts/setup.sh", "echo hello\n"),
    ]);
    let inputs = [
        ("template", "acme/golden//images/web.json@feature/x"),
        (
            "var-files",
            "acme/golden//vars/common.json@feature/x\nhere.json",
        ),
    ];
    let lab = lab_with(&github, &inputs, golden(true, files)).await;
    lab.write("here.json", r#"{"who": "the workspace"}"#);
    let outcome = run(&lab, MAIN).await.success();
    let at = format!("acme/golden//images/web.json@feature/x is at commit {COMMIT}");
    assert!(outcome.stdout.contains(&at), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("the workspace"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.summary.contains(COMMIT), "{}", outcome.summary);
    // What the run made is kept; the repository is gone, and was fetched once.
    assert!(lab.read("made/manifest.json").contains("web"));
    assert!(!lab.path("scripts").exists());
    let requests = github.world().requests.clone();
    let tarballs = requests.iter().filter(|one| one.path.contains("/tarball/"));
    assert_eq!(tarballs.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_takes_it_too() {
    let github = GitHub::start("").await;
    let template = template::silent(json!({"image_nam": "x"}));
    let files = archive(&[("web.json", &template.to_string())]);
    let mut lab = lab_with(&github, &[], golden(false, files)).await;
    lab.unset("GITHUB_ACTIONS");
    for command in ["validate", "inspect", "policy", "plan", "matrix"] {
        let outcome = lab.run(&[command, "acme/golden//web.json@v1"]).await;
        let is_read = outcome.text().contains("image_nam") || command == "inspect";
        assert!(is_read, "{command}: {}", outcome.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_fetched_with_its_values() {
    let github = GitHub::start("").await;
    let text = SILENT.replace("\"web\"\n  source", "var.name\n  source");
    let files = archive(&[
        ("images/web.pkr.hcl", &text),
        ("images/variables.pkr.hcl", "variable \"name\" {}\n"),
        ("images/web.auto.pkrvars.hcl", "name = \"fetched\"\n"),
    ]);
    let mut lab = lab_with(&github, &[], golden(false, files)).await;
    lab.unset("GITHUB_ACTIONS");
    let outcome = lab.run(&["plan", "acme/golden//images@v1"]).await.success();
    assert!(outcome.stdout.contains("\"fetched\""), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_fetched_is_told_with_the_cure() {
    let github = GitHub::start("").await;
    github.world().permissions.clear();
    let mut lab = lab_with(
        &github,
        &[("command", "validate")],
        golden(true, Vec::new()),
    )
    .await;
    lab.set("INPUT_TEMPLATE", "acme/golden//web.json@v1");
    let outcome = run(&lab, MAIN).await.failure(2);
    insta::assert_snapshot!(outcome.end(), @"
    Error: Cannot find `v1` in the repository acme/golden: GitHub answered 404: Not Found
    hint: GitHub does not tell a repository that is not there from one that the token may not read. A workflow's own token reads public repositories and its own one: for another private one, give `github-token` a token that has `contents: read` on acme/golden
    hint: In the workflow's own repository the job needs `permissions: contents: read`
    ");
    github.world().permissions = vec!["contents: read"];
    lab.set("INPUT_TEMPLATE", "acme/golden//web.json@feature/y");
    let outcome = run(&lab, MAIN).await.failure(2);
    insta::assert_snapshot!(outcome.end(), @"
    Error: Cannot find `feature/y` in the repository acme/golden: GitHub answered 422: No commit found for the ref
    hint: Did you mean `feature/x`?
    ");
    let evil = archive(&[("../../evil", "x")]);
    github
        .world()
        .repositories
        .insert("acme/golden", golden(true, evil));
    lab.set("INPUT_TEMPLATE", "acme/golden//web.json@v1");
    let outcome = run(&lab, MAIN).await.failure(2);
    insta::assert_snapshot!(outcome.end(), @"
    Error: Cannot fetch acme/golden at 0123456789abcdef0123456789abcdef01234567: The archive holds `acme-golden-0123456/../../evil`, which leaves it
    hint: No archive that GitHub makes of a repository does
    ");
    let without = archive(&[("other.json", "{}")]);
    github
        .world()
        .repositories
        .insert("acme/golden", golden(true, without));
    let outcome = run(&lab, MAIN).await.failure(2);
    assert!(
        outcome.text().contains("Cannot read template"),
        "{}",
        outcome.text()
    );
}
