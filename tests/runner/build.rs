//! Steps of the action, as GitHub shows them.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::commands::Annotation;
use crate::container::Exit;
use crate::step::Outcome;
use crate::workflow::Step;
use crate::world::{World, template};

fn json_of(outcome: &Outcome, output: &str) -> Value {
    serde_json::from_str(&outcome.outputs[output]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_shown_as_github_shows_it() {
    let world = World::new().await;
    let mut job = world.job();
    std::fs::create_dir(job.workspace().join("web")).unwrap();
    job.write(
        "web/web.json",
        &template(&json!([{"type": "shell", "inline": ["true"]}])),
    );
    let inputs = [
        ("template", "web.json"),
        ("working-directory", "web"),
        ("resource-ttl-hours", "2"),
    ];
    let outcome = job.run(&world.action, &world.step(&inputs)).await.success();
    let id = &outcome.outputs["image-id"];
    assert!(id.starts_with("m-"), "{id}");
    assert_eq!(json_of(&outcome, "image-ids"), json!({"cn-beijing": id}));
    assert_eq!(json_of(&outcome, "images")[0]["image_id"], id.as_str());
    assert_eq!(json_of(&outcome, "leftovers"), json!([]));
    assert_eq!(outcome.outputs["status"], "success");
    let declared: Vec<_> = world.action.outputs.keys().collect();
    assert_eq!(outcome.outputs.keys().collect::<Vec<_>>(), declared);
    // The next step finds the manifest where the output says.
    let manifest = &outcome.outputs["manifest-path"];
    assert_eq!(manifest, "web/alicloud-image-manifest.json");
    let text = std::fs::read(job.workspace().join(manifest)).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(
        manifest["builds"][0]["artifact_id"],
        format!("cn-beijing:{id}")
    );
    assert_eq!(
        manifest["last_run_uuid"],
        outcome.outputs["build-run-id"].as_str()
    );
    assert!(
        outcome.summary.as_ref().unwrap().contains(id),
        "{:?}",
        outcome.summary
    );
    assert_eq!(
        outcome.annotations("notice").len(),
        1,
        "{:?}",
        outcome.annotations
    );
    assert_eq!(outcome.annotations.len(), 1, "{:?}", outcome.annotations);
    assert!(!outcome.log.contains(world.sandbox.access_key_secret()));
    let posts = job.post_steps().await;
    assert_eq!(posts.len(), 1);
    posts.into_iter().for_each(|post| drop(post.success()));
    world.assert_clean("by a build");
}

/// A shell drops variables whose names have hyphens, as most inputs' have.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_on_kubernetes_starts_it_by_a_shell() {
    let world = World::new().await;
    let mut job = world.job();
    job.is_on_kubernetes = true;
    std::fs::create_dir(job.workspace().join("web")).unwrap();
    job.write("web/web.json", &template(&json!([])));
    let inputs = [
        ("template", "web.json"),
        ("working-directory", "web"),
        ("vars", "quoted=\"$HOME\" `id` \\\\"),
    ];
    let step = world.step(&inputs);
    let outcome = job.run(&world.action, &step).await.success();
    assert_eq!(outcome.outputs["status"], "success");
    for post in job.post_steps().await {
        drop(post.success());
    }
    world.assert_clean("on Kubernetes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_points_to_its_line_in_the_repository() {
    let world = World::new().await;
    let mut job = world.job();
    std::fs::create_dir(job.workspace().join("web")).unwrap();
    let text = template(&json!([])).replace("instance_type", "instance_typo");
    job.write("web/web.json", &text);
    let inputs = [("template", "web.json"), ("working-directory", "web")];
    let outcome = job
        .run(&world.action, &world.step(&inputs))
        .await
        .failure(2);
    let errors = outcome.annotations("error");
    let line = text
        .lines()
        .position(|line| line.contains("instance_typo"))
        .unwrap();
    let pointed: Vec<&&Annotation> = errors
        .iter()
        .filter(|error| error.line == Some(u32::try_from(line).unwrap() + 1))
        .collect();
    let [error] = pointed[..] else {
        panic!("{errors:#?}");
    };
    assert_eq!(error.file.as_deref(), Some("web/web.json"));
    assert!(error.message.contains("instance_typo"), "{error:?}");
    assert!(error.column.is_some() && error.title.is_some(), "{error:?}");
    assert_eq!(world.sandbox.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_an_output() {
    let world = World::new().await;
    let mut job = world.job();
    job.write(
        "web.json",
        &template(&json!([{"type": "shell", "inline": ["true"]}])),
    );
    // Nobody's keys are needed for it.
    let step = Step::with(&[("command", "plan"), ("template", "web.json")]);
    let outcome = job.run(&world.action, &step).await.success();
    let plan = json_of(&outcome, "plan");
    assert_eq!(plan["builds"][0]["region"], "cn-beijing");
    assert_eq!(
        plan["builds"][0]["provisioners"],
        json!([{"type": "shell"}])
    );
    assert_eq!(world.sandbox.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_imported() {
    let world = World::new().await;
    world.sandbox.seed().import_role();
    let mut job = world.job();
    std::fs::write(job.workspace().join("disk.raw"), disk()).unwrap();
    let step = world.step(&[
        ("command", "import"),
        ("file", "disk.raw"),
        ("image-name", "imported"),
        ("oss-bucket-name", "images"),
        ("region", "cn-beijing"),
        (
            "options",
            "# kept for the next account\nskip_clean=true\ntags={\"app\": \"web\"}",
        ),
        ("output-files", "made/image.env"),
        ("resource-ttl-hours", "2"),
    ]);
    let outcome = job.run(&world.action, &step).await.success();
    let object = &outcome.outputs["oss-object"];
    assert!(object.starts_with("oss://images/"), "{object}");
    assert_eq!(
        json_of(&outcome, "images")[0]["oss_object"],
        object.as_str()
    );
    assert_eq!(outcome.outputs["image-name"], "imported");
    let made = std::fs::read_to_string(job.workspace().join("made/image.env")).unwrap();
    let id = format!("IMAGE_ID={}\n", outcome.outputs["image-id"]);
    assert!(made.contains(&id), "{made}");
    let calls = world.sandbox.calls();
    let import = calls.iter().find(|call| call.action == "ImportImage");
    let expires = import.unwrap().params["Tag.5.Value"].parse::<jiff::Timestamp>();
    let life = expires.unwrap().duration_since(jiff::Timestamp::now());
    assert!((3600..=7200).contains(&life.as_secs()), "{life}");
    assert_eq!(
        outcome.outputs["manifest-path"],
        "alicloud-image-manifest.json"
    );
    assert!(
        job.workspace()
            .join("alicloud-image-manifest.json")
            .exists()
    );
}

/// A disk of 2 MiB with a boot sector and an EFI system partition.
fn disk() -> Vec<u8> {
    let mut disk = vec![7; 2 << 20];
    disk[446..512].fill(0);
    disk[450] = 0xef;
    disk[454] = 1;
    disk[458..462].copy_from_slice(&4095_u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_pull_request_runs_nothing_here() {
    let world = World::new().await;
    let payload = json!({
        "repository": {"full_name": "team/images"},
        "pull_request": {"head": {"repo": {"full_name": "stranger/images"}}},
    });
    let mut job = world.job().on_event("pull_request", &payload);
    let provisioners = json!([
        {"type": "shell-local", "inline": ["touch ran"]},
        {"type": "file", "source": "/proc/self/environ", "destination": "/tmp/e"},
        {"type": "shell", "inline": ["true"]},
    ]);
    job.write("web.json", &template(&provisioners));
    let inputs = [("template", "web.json")];
    let outcome = job
        .run(&world.action, &world.step(&inputs))
        .await
        .failure(2);
    let messages: Vec<_> = outcome
        .annotations("error")
        .iter()
        .map(|it| it.message.clone())
        .collect();
    assert!(
        messages.iter().any(|it| it.contains("`shell-local`")),
        "{messages:#?}"
    );
    assert!(
        messages.iter().any(|it| it.contains("/proc/self/environ")),
        "{messages:#?}"
    );
    assert!(outcome.log.contains("allow-local-exec"), "{}", outcome.log);
    assert!(!job.workspace().join("ran").exists());
    assert_eq!(world.sandbox.calls().len(), 0);
    // Who trusts the author says so.
    let trusted = [("template", "web.json"), ("allow-local-exec", "true")];
    let plan = [("command", "plan"), trusted[0], trusted[1]];
    job.run(&world.action, &world.step(&plan)).await.success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_when_the_process_is_killed_is_an_output() {
    let world = World::new().await;
    let mut job = world.job();
    let mut text: Value = serde_json::from_str(&template(&json!([]))).unwrap();
    let script = "touch available; sleep 1000";
    text["post-processors"] = json!([{"type": "shell-local", "inline": [script]}]);
    job.write("web.json", &text.to_string());
    let running = job
        .start(&world.action, &world.step(&[("template", "web.json")]))
        .await;
    let mark = job.workspace().join("available");
    world.wait_until(|| mark.exists()).await;
    running.client.container().kill(Signal::KILL);
    let outcome = job.finish(running).await.failure(137);
    assert_eq!(outcome.problems, Vec::<String>::new());
    let id = &outcome.outputs["image-id"];
    assert_eq!(world.sandbox.images()[0]["ImageId"], id.as_str());
    assert_eq!(json_of(&outcome, "image-ids"), json!({"cn-beijing": id}));
    // Nobody knows yet how it ends, and what is left.
    for unknown in ["status", "leftovers", "duration-seconds"] {
        assert_eq!(outcome.outputs.get(unknown), None);
    }
    let post = job.post_steps().await.remove(0).success();
    assert!(post.log.contains("0 resources left"), "{}", post.log);
    world.assert_clean("after the post step");
    assert_eq!(world.sandbox.images().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_guest_sets_nothing() {
    let world = World::with_commands().await;
    let mut job = world.job();
    let lines = [
        "::error::owned",
        "  ::set-output name=image-id::m-evil",
        "text ##[error]owned",
        "##[add-mask]cn-beijing",
        "::add-mask::cn-beijing",
        "::stop-commands::token",
        "\\r::save-state name=journal::/evil",
        "\\033[31m::warning::owned",
        "image-id=m-evil",
    ];
    let print = lines.map(|line| format!("printf '{line}\\n'; printf '{line}\\n' >&2"));
    job.write(
        "web.json",
        &template(&json!([{"type": "shell", "inline": print}])),
    );
    let outcome = job
        .run(&world.action, &world.step(&[("template", "web.json")]))
        .await
        .success();
    assert!(outcome.log.contains("owned"), "{}", outcome.log);
    assert_ne!(outcome.outputs["image-id"], "m-evil");
    assert_eq!(outcome.outputs["region"], "cn-beijing");
    let ours = ["add-mask", "group", "endgroup", "notice", "debug"];
    for command in &outcome.obeyed {
        assert!(ours.contains(&command.name.as_str()), "{command:?}");
        assert!(
            !command.data.contains("owned") && !command.data.contains("evil"),
            "{command:?}"
        );
    }
    assert!(
        !outcome.state["journal"].contains("evil"),
        "{:?}",
        outcome.state
    );
    assert_eq!(outcome.exit, Exit::Code(0));
    drop(job.post_steps().await);
    world.assert_clean("by a hostile guest");
}

/// A template that uses about every right a build may need.
fn demanding() -> Value {
    let mut text: Value = serde_json::from_str(&template(&json!([]))).unwrap();
    let more = json!({
        "image_force_delete": true,
        "image_force_delete_snapshots": true,
        "image_ignore_data_disks": true,
        "image_copy_regions": ["cn-hangzhou"],
        "image_share_account": ["1234567890123456"],
        "tags": {"app": "web"},
    });
    for (name, value) in more.as_object().unwrap() {
        text["builders"][0][name] = value.clone();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_a_preset_may_do_what_builds_and_imports_do() {
    let world = World::new().await;
    world.sandbox.seed().import_role();
    let mut job = world.job();
    job.write("web.json", &demanding().to_string());
    std::fs::write(job.workspace().join("disk.raw"), disk()).unwrap();
    let role = [
        ("role-to-assume", "acs:ram::1234567890123456:role/builder"),
        ("region", "cn-beijing"),
    ];
    let build = [
        role[0],
        role[1],
        ("role-policy", "preset:build"),
        ("template", "web.json"),
    ];
    let outcome = job.run(&world.action, &world.step(&build)).await.success();
    assert_eq!(outcome.annotations("warning"), Vec::<&Annotation>::new());
    let import = [
        role[0],
        role[1],
        ("role-policy", "preset:import"),
        ("command", "import"),
        ("file", "disk.raw"),
        ("image-name", "imported"),
        ("oss-bucket-name", "images"),
        (
            "options",
            "tags={\"app\": \"web\"}\nimage_copy_regions=[\"cn-hangzhou\"]",
        ),
    ];
    let outcome = job.run(&world.action, &world.step(&import)).await.success();
    assert_eq!(outcome.annotations("warning"), Vec::<&Annotation>::new());
    // A policy that allows less is really one of the session.
    let too_little = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["ecs:Describe*"],"Resource":["*"]}]}"#;
    let denied = [
        role[0],
        role[1],
        ("role-policy", too_little),
        ("template", "web.json"),
    ];
    job.run(&world.action, &world.step(&denied))
        .await
        .failure(3);
}
