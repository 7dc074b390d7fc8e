use std::sync::Arc;
use std::time::Duration;

use super::super::Settings;
use super::super::outputs::OUTPUTS;
use super::super::settings::{Page, System, Workspace};
use super::super::tests::{
    build, finish, image, mixed_run, no_stock, result, shown, span_of, start, start_command, vpc,
};
use super::*;
use crate::artifact::Artifact;
use crate::engine::event::{BuildResult, CheckRun, EventKind, Events, RunResult};
use crate::error::{Error, Kind};
use crate::template::diagnostic::Diagnostic;

struct Written {
    stdout: String,
    output: String,
    state: String,
    summary: String,
}

fn run(change: impl FnOnce(&mut GitHub), run: impl FnOnce(&Events)) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| Some(dir.path().join(name));
    let mut github = GitHub {
        output: file("output"),
        state: file("state"),
        repository: None,
        review: None,
        summary: Page {
            path: file("summary"),
            run: Some("77".into()),
            commit: Some("abc123".into()),
        },
        annotations: true,
        workspace: Workspace {
            root: Some("/github/workspace".into()),
            directory: "infra".into(),
        },
    };
    change(&mut github);
    let settings = Settings {
        ci: Some(System::GitHub(github)),
        ..Settings::default()
    };
    let (stdout, _) = shown(&settings, run);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    Written {
        stdout,
        output: read("output"),
        state: read("state"),
        summary: read("summary"),
    }
}

/// What the runner makes of the file: the last assignment of a name wins.
fn assigned(file: &str) -> std::collections::BTreeMap<String, String> {
    let mut values = std::collections::BTreeMap::new();
    let mut lines = file.lines();
    while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
        let value: Vec<_> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        values.insert(name.to_owned(), value.join("\n"));
    }
    values
}

fn commands(stdout: &str) -> Vec<&str> {
    stdout
        .lines()
        .filter(|line| line.starts_with("::") && !line.contains("group::"))
        .collect()
}

#[test]
fn outputs_of_a_mixed_run() {
    let written = run(|_| {}, mixed_run);
    let values = assigned(&written.output);
    let names: Vec<_> = values.keys().map(String::as_str).collect();
    let mut expected = OUTPUTS.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(values["image-id"], "m-1");
    assert_eq!(
        values["image-ids"],
        r#"{"cn-beijing":"m-1","cn-hangzhou":"m-2"}"#
    );
    assert_eq!(values["image-name"], "web-1");
    assert_eq!(values["region"], "cn-beijing");
    assert_eq!(values["snapshot-ids"], r#"["s-m-1","s-m-2"]"#);
    assert_eq!(values["status"], "partial");
    assert_eq!(values["build-run-id"], "0c9d");
    assert_eq!(values["duration-seconds"], "62");
    assert_eq!(
        values["leftovers"],
        r#"[{"kind":"vpc","id":"vpc-1","region":"cn-beijing","reason":"DependencyViolation"}]"#
    );
    let images: serde_json::Value = serde_json::from_str(&values["images"]).unwrap();
    assert_eq!(images[1]["image_id"], "m-2");
    assert_eq!(images[1]["type"], "alicloud-ecs");
}

#[test]
fn an_image_is_an_output_as_soon_as_it_is_ready() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web", "db"]);
            for image in [image("db", "cn-a", "m-2"), image("web", "cn-a", "m-1")] {
                events.emit(EventKind::ImageReady(image));
            }
        },
    );
    let values = assigned(&written.output);
    assert_eq!(values["image-id"], "m-1");
    assert_eq!(values["build-run-id"], "0c9d");
    assert_eq!(values.get("status"), None);
}

#[test]
fn nothing_made_is_an_empty_output() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            finish(
                events,
                result(vec![build("web", vec![], Some(no_stock()))], vec![]),
            );
        },
    );
    let values = assigned(&written.output);
    assert_eq!((&*values["image-id"], &*values["images"]), ("", "[]"));
    assert_eq!(
        (&*values["leftovers"], &*values["status"]),
        ("[]", "failure")
    );
}

#[test]
fn an_output_cannot_end_its_own_assignment() {
    let mut forged = image("web", "cn-a", "m-1");
    forged.image_name = "x\nghadelimiter_1\nimage-id=m-evil".into();
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            finish(
                events,
                result(vec![build("web", vec![forged], None)], vec![]),
            );
        },
    );
    assert_eq!(assigned(&written.output)["image-id"], "m-1");
}

#[test]
fn state_is_written_before_anything_is_made() {
    let written = run(|_| {}, |events| start(events, &["web"]));
    let values = assigned(&written.state);
    assert_eq!(values["journal"], "/home/.alicloud-image/0c9d.journal");
    assert_eq!(values["run"], "0c9d");
    assert_eq!(values["region"], "cn-beijing");
}

#[test]
fn annotations_of_a_mixed_run() {
    let written = run(|_| {}, mixed_run);
    insta::assert_snapshot!(commands(&written.stdout).join("\n"), @r#"
    ::error title=Build db failed,file=infra/images/web.json,line=4,col=22,endColumn=35::Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)%0Ahint: Choose another `instance_type` or `zone_id`
    ::warning title=Resource left::vpc vpc-1 in cn-beijing was not deleted: DependencyViolation%0ADelete it with: alicloud-image cleanup --run 0c9d
    ::warning title=alicloud-image::db: `io_optimized` has no effect
    "#);
}

#[test]
fn a_good_run_is_a_notice_and_groups() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            let web = events.for_build("web");
            web.emit(EventKind::StepStarted { step: "Create VPC" });
            web.emit(EventKind::StepStarted {
                step: "Create vSwitch",
            });
            web.say("Creating VPC...");
            for step in ["Create vSwitch", "Create VPC"] {
                web.emit(EventKind::StepFinished {
                    step,
                    elapsed: Duration::ZERO,
                    resources: vec![],
                    succeeded: true,
                });
            }
            web.emit(EventKind::StepStarted {
                step: "Create instance",
            });
            let images = vec![image("web", "cn-beijing", "m-1")];
            finish(events, result(vec![build("web", images, None)], vec![]));
        },
    );
    insta::assert_snapshot!(written.stdout, @r#"
    ::group::Create VPC
    ==> web: Creating VPC...
    ::endgroup::
    ::group::Create instance
    ::endgroup::
    Build 'web' finished after 1 minute 2 seconds.

    ==> Wait completed after 1 minute 2 seconds

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-1

    ==> 0 resources left
    ::notice title=Images::web: m-1 in cn-beijing
    "#);
}

#[test]
fn findings_are_annotations_at_their_place() {
    let written = run(
        |github| github.workspace.directory = "".into(),
        |events| {
            start(events, &["web"]);
            let span = span_of("\"ecs.g9.huge\"");
            events.emit(EventKind::Diagnostic(
                Diagnostic::error("Unknown type", span).help("use `ecs.g9.large`"),
            ));
            let error = Error::new(Kind::Template, "The template has 1 error");
            finish(
                events,
                RunResult {
                    error: Some(error),
                    ..result(vec![], vec![])
                },
            );
        },
    );
    assert_eq!(
        commands(&written.stdout),
        [
            "::error title=Template,file=images/web.json,line=4,col=22,endColumn=35::Unknown type%0Ahelp: use `ecs.g9.large`"
        ]
    );
}

#[test]
fn at_most_ten_of_a_severity() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            for number in 0..25 {
                events.warn(format!("warning {number}"));
            }
            finish(events, result(vec![], vec![]));
        },
    );
    let all = commands(&written.stdout);
    assert_eq!(all.len(), 10);
    assert!(
        all[9].ends_with("warning 9%0A… and 15 more, see the log"),
        "{}",
        all[9]
    );
}

#[test]
fn annotations_and_summary_can_be_off() {
    let written = run(
        |github| {
            github.annotations = false;
            github.summary.path = None;
        },
        mixed_run,
    );
    assert!(commands(&written.stdout).is_empty());
    assert_eq!(written.summary, "");
}

#[test]
fn secrets_are_masked_before_they_can_be_shown() {
    let written = run(
        |_| {},
        |events| {
            let secret = crate::secret::Secret::new("100% secret");
            events.emit(EventKind::Secret(secret));
            events.say("100% secret");
        },
    );
    assert!(written.stdout.starts_with("::add-mask::"));
    assert!(written.stdout.contains("::add-mask::100%25 secret\n"));
    assert!(written.stdout.ends_with("==> <sensitive>\n"));
}

#[test]
fn builds_at_the_same_time_have_a_group_each() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web", "db"]);
            let (web, db) = (events.for_build("web"), events.for_build("db"));
            web.say("one");
            db.emit(EventKind::StepStarted { step: "Create VPC" });
            web.say("two");
            let ends = vec![build("web", vec![], None), build("db", vec![], None)];
            finish(events, result(ends, vec![]));
        },
    );
    let log = written
        .stdout
        .split("\n\n==> Wait")
        .next()
        .unwrap_or_default();
    insta::assert_snapshot!(log, @"
    ==> db: Create VPC...
    ::group::web
    ==> web: one
    ==> web: two
    ::endgroup::
    Build 'web' finished after 1 minute 2 seconds.
    Build 'db' finished after 1 minute 2 seconds.
    ");
}

#[test]
fn the_summary_shows_where_a_run_was_cut_off() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            let web = events.for_build("web");
            web.emit(EventKind::StepStarted { step: "Create VPC" });
            let stopped = RunResult {
                cancelled: true,
                ..result(vec![], vec![])
            };
            events.emit(EventKind::RunFinished(Arc::new(stopped)));
        },
    );
    let row = "| web | ✗ Create VPC | 08:00:00 | cut off |  |\n";
    assert!(written.summary.contains(row), "{}", written.summary);
}

#[test]
fn the_summary_of_a_mixed_run() {
    insta::assert_snapshot!(run(|_| {}, mixed_run).summary, @r#"
    ## alicloud-image: ✗ build db failed

    | | Build | Region | Image ID | Name | Time |
    |---|---|---|---|---|---|
    | ✓ | web | cn-beijing | <a href="https://ecs.console.aliyun.com/image/region/cn-beijing/imageList"><code>m-1</code></a> | web-1 | 1 m 2 s |
    | ✓ | web | cn-hangzhou | <a href="https://ecs.console.aliyun.com/image/region/cn-hangzhou/imageList"><code>m-2</code></a> | web-1 | 1 m 2 s |

    > **db**: Failed to create an instance in &#96;cn-beijing&#96;: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)
    >
    > Action <code>RunInstances</code>, code <code>OperationDenied.NoStock</code>, RequestId <code>4AFE</code>
    >
    > Template <code>images/web.json:4:22</code>
    >
    > Hint: Choose another &#96;instance&#95;type&#96; or &#96;zone&#95;id&#96;

    ### Resources left

    | Kind | ID | Region | Reason |
    |---|---|---|---|
    | **vpc** | <code>vpc-1</code> | cn-beijing | DependencyViolation |

    Delete them with <code>alicloud-image cleanup --run 0c9d</code>

    <details><summary>Timeline</summary>

    | Build | Step | Start (UTC) | Duration | Resources |
    |---|---|---|---|---|
    | web | Create VPC | 08:00:00 | 2.5 s | <code>vpc-1</code> |

    </details>

    <details><summary>Temporary resources</summary>

    | Kind | ID | Region | Created (UTC) | Deleted (UTC) | State |
    |---|---|---|---|---|---|
    | vpc | <code>vpc-1</code> | cn-beijing | 08:00:00 |  | **left** |

    </details>

    <details><summary>Inputs</summary>

    <pre>template: "images/web.json"
    vars: "version, t&#124;ken"</pre>

    </details>

    <details><summary>Last 3 log lines of db</summary>

    <pre>&#96;io&#95;optimized&#96; has no effect
    two
    lines</pre>

    </details>

    <sub>alicloud-image 0.1.0 · run <code>0c9d</code> · template SHA-256 <code>8917a7aca9506cceba94c4af93c87d00f3aedfe7138c230a64da6acc2a14f465</code> · commit <code>abc123</code> · [workflow run](./77)</sub>
    "#);
}

#[test]
fn the_summary_of_a_good_run_shows_what_was_deleted() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            events.emit(EventKind::ResourceCreated(vpc()));
            events.emit(EventKind::ResourceDeleted(vpc()));
            let mut hostile = image("web", "cn-beijing", "m-1");
            hostile.image_name = "a|b<script>".into();
            finish(
                events,
                result(vec![build("web", vec![hostile], None)], vec![]),
            );
        },
    );
    insta::assert_snapshot!(written.summary, @r#"
    ## alicloud-image: 1 image built in 1 m 2 s

    | | Build | Region | Image ID | Name | Time |
    |---|---|---|---|---|---|
    | ✓ | web | cn-beijing | <a href="https://ecs.console.aliyun.com/image/region/cn-beijing/imageList"><code>m-1</code></a> | a&#124;b&lt;script&gt; | 1 m 2 s |

    <details><summary>Temporary resources</summary>

    | Kind | ID | Region | Created (UTC) | Deleted (UTC) | State |
    |---|---|---|---|---|---|
    | vpc | <code>vpc-1</code> | cn-beijing | 08:00:00 | 08:00:00 | deleted |

    </details>

    <details><summary>Inputs</summary>

    <pre>template: "images/web.json"
    vars: "version, t&#124;ken"</pre>

    </details>

    <sub>alicloud-image 0.1.0 · run <code>0c9d</code> · template SHA-256 <code>8917a7aca9506cceba94c4af93c87d00f3aedfe7138c230a64da6acc2a14f465</code> · commit <code>abc123</code> · [workflow run](./77)</sub>
    "#);
}

#[test]
fn the_summary_of_a_local_image_names_its_files() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["vm"]);
            let artifact = Artifact {
                builder_id: "transcend.qemu".into(),
                id: "VM".into(),
                description: "VM files in directory: output-vm".into(),
                files: vec!["output-vm/vm".into(), "output-vm/efivars.fd".into()],
                images: vec![],
            };
            let vm = BuildResult {
                artifacts: vec![artifact],
                ..Arc::into_inner(build("vm", vec![], None)).unwrap()
            };
            finish(events, result(vec![Arc::new(vm)], vec![]));
        },
    );
    let page = "## alicloud-image: 1 local image built in 1 m 2 s\n\n\
        | | Build | Files | Time |\n|---|---|---|---|\n\
        | ✓ | vm | <code>output-vm/vm</code><br><code>output-vm/efivars.fd</code> | 1 m 2 s |\n";
    assert!(written.summary.starts_with(page), "{}", written.summary);
}

#[test]
fn the_summary_names_the_step_that_failed() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            events.for_build("web").emit(EventKind::StepFinished {
                step: "Create snapshot",
                elapsed: Duration::from_secs(5),
                resources: vec![],
                succeeded: false,
            });
            finish(
                events,
                result(vec![build("web", vec![], Some(no_stock()))], vec![]),
            );
        },
    );
    let title = "## alicloud-image: ✗ build web failed at \"Create snapshot\"\n";
    assert!(written.summary.starts_with(title), "{}", written.summary);
}

#[test]
fn a_cleanup_is_summarized_only_when_it_did_something() {
    let cleanup = |did_something: bool| {
        run(
            |_| {},
            |events| {
                start_command(events, "cleanup", &[]);
                if did_something {
                    events.emit(EventKind::ResourceDeleted(vpc()));
                }
                finish(events, result(vec![], vec![]));
            },
        )
        .summary
    };
    assert_eq!(cleanup(false), "");
    let summary = cleanup(true);
    assert!(
        summary.starts_with("## alicloud-image: cleanup succeeded\n"),
        "{summary}"
    );
    assert!(summary.contains("| vpc | <code>vpc-1</code> | cn-beijing |  | 08:00:00 | deleted |"));
}

/// The page that is left for GitHub's API by a run of one build.
fn page(images: Vec<crate::artifact::Image>, error: Option<Error>) -> Draft {
    let review = Review::of_run(Some(
        "https://github.com/acme/images/actions/runs/77".into(),
    ));
    run(
        |github| github.review = Some(review.clone()),
        |events| {
            start(events, &["web_1"]);
            finish(events, result(vec![build("web_1", images, error)], vec![]));
        },
    );
    review.take().expect("the run has ended")
}

#[test]
fn a_page_for_the_api_says_what_came_of_it() {
    use crate::github::check_run::Conclusion;
    let good = page(vec![image("web_1", "cn-a", "m-1")], None);
    assert_eq!(good.completion.conclusion, Conclusion::Success);
    assert!(good.comment.contains("m-1"), "{}", good.comment);
    let link = "[workflow run](https://github.com/acme/images/actions/runs/77)";
    assert!(good.comment.contains(link), "{}", good.comment);
    let bad = page(vec![], Some(no_stock()));
    assert_eq!(bad.completion.conclusion, Conclusion::Failure);
    // The title is text, the page is Markdown.
    assert_eq!(bad.completion.title, "alicloud-image: ✗ build web_1 failed");
    assert!(
        bad.comment.contains("build web&#95;1 failed"),
        "{}",
        bad.comment
    );
}

#[test]
fn the_result_stays_the_same_while_images_and_outcome_do() {
    let of = |images: &[&str], error: Option<&str>| {
        let images = images.iter().map(|id| image("web_1", "cn-a", id));
        let failed = |message: &str| Error::new(Kind::Provision, message);
        page(images.collect(), error.map(failed)).result
    };
    assert_eq!(of(&["m-1"], None), of(&["m-1"], None));
    assert_eq!(of(&[], Some("It failed")), of(&[], Some("It failed")));
    let all = [
        of(&["m-1"], None),
        of(&["m-2"], None),
        of(&["m-1", "m-2"], None),
        of(&[], Some("It failed")),
        of(&[], Some("It failed again")),
        page(vec![], Some(no_stock())).result,
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn a_warning_after_the_end_is_an_annotation_too() {
    let written = run(
        |_| {},
        |events| {
            start(events, &["web"]);
            finish(events, result(vec![build("web", vec![], None)], vec![]));
            events.warn("Cannot comment");
        },
    );
    let last = commands(&written.stdout).pop().unwrap().to_owned();
    assert_eq!(last, "::warning title=alicloud-image::Cannot comment");
}

#[test]
fn the_post_step_learns_of_an_open_check_run_only() {
    let told = [
        (CheckRun::Asked("key".into()), "asked:key"),
        (CheckRun::Open(12), "12"),
        (CheckRun::Done, ""),
    ];
    for number in 1..=told.len() {
        let so_far = &told[..number];
        let all = |events: &Events| {
            so_far
                .iter()
                .for_each(|(fact, _)| events.emit(EventKind::CheckRun(fact.clone())));
        };
        let state = run(|_| {}, all).state;
        assert_eq!(assigned(&state)["check_run"], so_far[number - 1].1);
    }
}
