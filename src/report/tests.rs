//! What is shown of a run: text for people, lines and JSON for programs.

mod format;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::*;
use crate::artifact::{Artifact, Image};
use crate::engine::event::{
    BuildResult, Events, Leftover, Resource, RunResult, RunStarted, Stream,
};
use crate::error::{ApiFailure, Error, Kind};
use crate::secret::Secret;
use crate::template::diagnostic::Diagnostic;
use crate::template::source::{Sources, Span};

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
pub(super) struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    pub(super) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }
}

/// What a run with these settings wrote to standard output and error.
pub(super) fn shown(settings: &Settings, run: impl FnOnce(&Events)) -> (String, String) {
    let (stdout, stderr) = (Buffer::default(), Buffer::default());
    let writers = Writers {
        stdout: Box::new(stdout.clone()),
        stderr: Box::new(stderr.clone()),
    };
    let now = || Timestamp::from_second(1_800_000_000).unwrap();
    run(&Events::new(Report::with_time(settings, writers, now)));
    (stdout.text(), stderr.text())
}

fn text(settings: &Settings, run: impl FnOnce(&Events)) -> String {
    shown(settings, run).0
}

const TEMPLATE: &str = "{\n  \"builders\": [{\n    \"type\": \"alicloud-ecs\",\n    \"instance_type\": \"ecs.g9.huge\"\n  }]\n}\n";

pub(super) fn start(events: &Events, builds: &[&str]) {
    start_command(events, "build", builds);
}

pub(super) fn start_command(events: &Events, command: &'static str, builds: &[&str]) {
    let mut sources = Sources::default();
    sources.add("images/web.json", TEMPLATE);
    events.emit(EventKind::RunStarted(Arc::new(RunStarted {
        run_id: "0c9d".into(),
        command,
        builds: builds
            .iter()
            .map(|name| ((*name).into(), "alicloud-ecs".into()))
            .collect(),
        sources,
        journal: Some("/home/.alicloud-image/0c9d.journal".into()),
        region: Some("cn-beijing".into()),
        inputs: vec![
            ("template", "images/web.json".into()),
            ("vars", "version, t|ken".into()),
        ],
    })));
}

pub(super) fn span_of(part: &str) -> Span {
    let start = TEMPLATE.find(part).unwrap();
    Span {
        start,
        end: start + part.len(),
        ..Span::default()
    }
}

pub(super) fn image(build: &str, region: &str, id: &str) -> Image {
    Image {
        build: build.into(),
        builder_type: "alicloud-ecs".into(),
        region: region.into(),
        image_id: id.into(),
        image_name: "web-1".into(),
        source_image: "aliyun_3.vhd".into(),
        snapshot_ids: vec![format!("s-{id}")],
        size_gib: 40,
        created: "2027-01-15T08:00:00Z".into(),
        oss_object: None,
    }
}

pub(super) fn vpc() -> Resource {
    Resource {
        kind: "vpc".into(),
        id: "vpc-1".into(),
        region: "cn-beijing".into(),
    }
}

pub(super) fn leftover() -> Leftover {
    Leftover {
        resource: vpc(),
        reason: "DependencyViolation".into(),
    }
}

pub(super) fn no_stock() -> Error {
    let failure = ApiFailure {
        action: "RunInstances",
        region: "cn-beijing".into(),
        http_status: 403,
        code: "OperationDenied.NoStock".into(),
        message: "The requested resource is sold out".into(),
        request_id: "4AFE".into(),
    };
    Error::new(Kind::Cloud, "Failed to create an instance in `cn-beijing`")
        .with_source(failure)
        .with_hint("Choose another `instance_type` or `zone_id`")
        .at(span_of("\"ecs.g9.huge\""))
}

pub(super) fn build(name: &str, images: Vec<Image>, error: Option<Error>) -> Arc<BuildResult> {
    let artifacts = if images.is_empty() {
        vec![]
    } else {
        vec![Artifact::of_images("alibaba.alicloud", images)]
    };
    Arc::new(BuildResult {
        name: name.into(),
        builder_type: "alicloud-ecs",
        elapsed: Duration::from_secs(62),
        artifacts,
        error,
    })
}

pub(super) fn result(builds: Vec<Arc<BuildResult>>, leftovers: Vec<Leftover>) -> RunResult {
    RunResult {
        builds,
        leftovers,
        elapsed: Duration::from_micros(62_039_191),
        cancelled: false,
        error: None,
    }
}

pub(super) fn finish(events: &Events, result: RunResult) {
    for build in &result.builds {
        events
            .for_build(&build.name)
            .emit(EventKind::BuildFinished(Arc::clone(build)));
    }
    events.emit(EventKind::RunFinished(Arc::new(result)));
}

/// Two builds: one makes two images, the other fails and leaves a VPC.
pub(super) fn mixed_run(events: &Events) {
    start(events, &["web", "db"]);
    let web = events.for_build("web");
    let db = events.for_build("db");
    web.say("Creating instance...");
    web.message("Created instance: i-1");
    web.output(Stream::Stdout, "installed\r");
    web.emit(EventKind::StepStarted { step: "Create VPC" });
    web.emit(EventKind::ResourceCreated(vpc()));
    web.emit(EventKind::StepFinished {
        step: "Create VPC",
        elapsed: Duration::from_millis(2500),
        resources: vec!["vpc-1".into()],
        succeeded: true,
    });
    db.warn("`io_optimized` has no effect");
    db.say("two\nlines");
    let images = vec![
        image("web", "cn-beijing", "m-1"),
        image("web", "cn-hangzhou", "m-2"),
    ];
    for image in &images {
        web.emit(EventKind::ImageReady(image.clone()));
    }
    db.emit(EventKind::Leftover(leftover()));
    let builds = vec![
        build("web", images, None),
        build("db", vec![], Some(no_stock())),
    ];
    finish(events, result(builds, vec![leftover()]));
}

#[test]
fn text_has_packers_shapes() {
    insta::assert_snapshot!(text(&Settings::default(), mixed_run), @r#"
    ==> web: Creating instance...
        web: Created instance: i-1
        web: installed
    ==> db: Warning: `io_optimized` has no effect
    ==> db: two
    ==> db: lines
    Build 'web' finished after 1 minute 2 seconds.
    Build 'db' errored after 1 minute 2 seconds: Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)
     --> images/web.json:4:22
      |
    4 |     "instance_type": "ecs.g9.huge"
      |                      ^^^^^^^^^^^^^

    hint: Choose another `instance_type` or `zone_id`

    ==> Wait completed after 1 minute 2 seconds

    ==> Some builds didn't complete successfully and had errors:
    --> db: Failed to create an instance in `cn-beijing`: OperationDenied.NoStock: The requested resource is sold out (RunInstances in cn-beijing, HTTP 403, RequestId 4AFE)

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-1
    cn-hangzhou: m-2

    ==> Some temporary resources were not deleted:
    --> vpc vpc-1 in cn-beijing: DependencyViolation
        Delete them with: alicloud-image cleanup --run 0c9d

    ==> 1 resource left
    "#);
}

#[test]
fn a_good_run_ends_with_nothing_left() {
    let shown = text(&Settings::default(), |events| {
        start(events, &["web"]);
        let images = vec![image("web", "cn-beijing", "m-1")];
        finish(events, result(vec![build("web", images, None)], vec![]));
    });
    insta::assert_snapshot!(shown, @r#"
    Build 'web' finished after 1 minute 2 seconds.

    ==> Wait completed after 1 minute 2 seconds

    ==> Builds finished. The artifacts of successful builds are:
    --> web: Alicloud images were created:

    cn-beijing: m-1

    ==> 0 resources left
    "#);
}

#[test]
fn a_file_that_cannot_be_written_is_told_once() {
    let settings = Settings {
        output_files: vec!["/proc/nowhere/out.env".into()],
        manifest: Some("/proc/nowhere/manifest.json".into()),
        ..Settings::default()
    };
    let shown = text(&settings, mixed_run);
    for file in ["/proc/nowhere/out.env", "/proc/nowhere/manifest.json"] {
        let told = format!("Cannot write `{file}`: No such file or directory");
        assert_eq!(shown.matches(&told).count(), 1, "{shown}");
    }
}

#[test]
fn a_run_without_artifacts_says_so() {
    let shown = text(&Settings::default(), |events| {
        start(events, &["web"]);
        let cancelled = RunResult {
            cancelled: true,
            ..result(vec![build("web", vec![], Some(Error::cancelled()))], vec![])
        };
        finish(events, cancelled);
    });
    insta::assert_snapshot!(shown, @r#"
    Build 'web' errored after 1 minute 2 seconds: Stopped before it was done

    ==> Wait completed after 1 minute 2 seconds

    ==> Cleanly cancelled builds after being interrupted.

    ==> Some builds didn't complete successfully and had errors:
    --> web: Stopped before it was done

    ==> Builds finished but no artifacts were created.

    ==> 0 resources left
    "#);
}

#[test]
fn verbose_text_has_steps_and_resources() {
    let settings = Settings {
        verbose: 1,
        ..Settings::default()
    };
    let shown = text(&settings, mixed_run);
    for line in [
        "    web: Step \"Create VPC\" started\n",
        "    web: Step \"Create VPC\" finished after 2 seconds 500 milliseconds (vpc-1)\n",
        "    web: Created vpc vpc-1 in cn-beijing\n",
        "    web: Image m-2 is available in cn-hangzhou\n",
    ] {
        assert!(shown.contains(line), "{line}");
    }
}

#[test]
fn colours_and_times() {
    let settings = Settings {
        color: true,
        timestamps: true,
        ..Settings::default()
    };
    let shown = text(&settings, |events| {
        start(events, &["web", "db"]);
        events.for_build("db").say("Creating\ninstance...");
        events.for_build("db").message("i-1");
        events.for_build("web").warn("careful");
        finish(
            events,
            result(vec![build("web", vec![], Some(Error::cancelled()))], vec![]),
        );
    });
    insta::assert_snapshot!(shown.replace('\u{1b}', "ESC"), @r#"
    2027-01-15T08:00:00Z: ESC[1;32mweb: output will be in this color.ESC[0m
    2027-01-15T08:00:00Z: ESC[1;36mdb: output will be in this color.ESC[0m
    2027-01-15T08:00:00Z: 
    2027-01-15T08:00:00Z: ESC[1;36m==> db: CreatingESC[0m
    2027-01-15T08:00:00Z: ESC[1;36m==> db: instance...ESC[0m
    2027-01-15T08:00:00Z: ESC[0;36m    db: i-1ESC[0m
    2027-01-15T08:00:00Z: ESC[1;33m==> web: Warning: carefulESC[0m
    2027-01-15T08:00:00Z: ESC[1;31mBuild 'web' errored after 1 minute 2 seconds: Stopped before it was doneESC[0m
    2027-01-15T08:00:00Z: 
    2027-01-15T08:00:00Z: ==> Wait completed after 1 minute 2 seconds
    2027-01-15T08:00:00Z: 
    2027-01-15T08:00:00Z: ESC[1;31m==> Some builds didn't complete successfully and had errors:ESC[0m
    2027-01-15T08:00:00Z: ESC[1;31m--> web: Stopped before it was doneESC[0m
    2027-01-15T08:00:00Z: 
    2027-01-15T08:00:00Z: ==> Builds finished but no artifacts were created.
    2027-01-15T08:00:00Z: 
    2027-01-15T08:00:00Z: ==> 0 resources left
    "#);
}

#[test]
fn without_colours_there_are_no_escapes() {
    assert!(!text(&Settings::default(), mixed_run).contains('\u{1b}'));
}

#[test]
fn findings_and_answers_of_other_commands() {
    let shown = text(&Settings::default(), |events| {
        start_command(events, "validate", &[]);
        events.emit(EventKind::Diagnostic(Diagnostic::warning(
            "Old option",
            None,
        )));
        events.message("The configuration is valid.");
        finish(events, result(vec![], vec![]));
    });
    assert_eq!(
        shown,
        "warning: Old option\n\nThe configuration is valid.\n"
    );
}

#[test]
fn an_error_before_the_run_is_shown_with_its_hints() {
    let shown = text(&Settings::default(), |events| {
        let error = Error::new(Kind::Usage, "Unrecognized subcommand 'biuld'")
            .with_hint("a similar subcommand exists: 'build'");
        finish(
            events,
            RunResult {
                error: Some(error),
                ..result(vec![], vec![])
            },
        );
    });
    assert_eq!(
        shown,
        "Error: Unrecognized subcommand 'biuld'\nhint: a similar subcommand exists: 'build'\n"
    );
}

#[test]
fn guests_cannot_command_anyone() {
    let shown = text(&Settings::default(), |events| {
        let web = events.for_build("web");
        web.output(Stream::Stdout, "::set-output name=a::b");
        web.output(Stream::Stdout, "x ##[error]y");
        web.message("api said\n::error::z\u{1b}[2J");
        events.message("::error::run level");
    });
    insta::assert_snapshot!(shown, @r#"
        web: \::set-output name=a::b
        web: x ##\[error]y
        web: api said
        web: \::error::z
    \::error::run level
    "#);
    let obeyed = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    assert!(!shown.lines().any(obeyed));
}

#[test]
fn secrets_are_hidden_in_every_format_and_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    for format in [Format::Text, Format::MachineReadable, Format::Json] {
        let settings = Settings {
            format,
            color: true,
            verbose: 2,
            output_files: vec![file("env"), file("results.json")],
            ci: Some(System::GitHub(settings::GitHub {
                output: Some(file("output")),
                state: Some(file("state")),
                summary: settings::Page {
                    path: Some(file("summary")),
                    ..settings::Page::default()
                },
                annotations: true,
                ..settings::GitHub::default()
            })),
            secrets: vec![Secret::new("early-secret")],
            ..Settings::default()
        };
        let (stdout, stderr) = shown(&settings, leaky_run);
        let files = ["env", "results.json", "output", "state", "summary"];
        let read = |name: &&str| std::fs::read_to_string(file(name)).unwrap_or_default();
        let everything = [stdout, stderr].into_iter().chain(files.iter().map(read));
        let leaks = |line: &&str| line.contains("secret") && !line.starts_with("::add-mask::");
        for text in everything {
            assert_eq!(text.lines().find(leaks), None, "{format:?}");
        }
    }
}

fn leaky_run(events: &Events) {
    let leak = "early-secret late-secret";
    start(events, &["web"]);
    events.emit(EventKind::Secret(Secret::new("late-secret")));
    let web = events.for_build("web");
    web.say(leak);
    web.message(leak);
    web.warn(leak);
    web.output(Stream::Stdout, leak);
    web.output(Stream::Stdout, "early-\u{1b}[0msecret late-\u{0}secret");
    events.emit(EventKind::Diagnostic(
        Diagnostic::error(leak, None).label(leak).help(leak),
    ));
    let mut leaky = image("web", "cn-beijing", "m-1");
    leaky.image_name = leak.into();
    web.emit(EventKind::ImageReady(leaky.clone()));
    let error = Error::new(Kind::Cloud, leak)
        .with_source(no_stock().context(leak))
        .with_hint(leak);
    let leftover = Leftover {
        reason: leak.into(),
        ..leftover()
    };
    finish(
        events,
        result(vec![build("web", vec![leaky], Some(error))], vec![leftover]),
    );
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let writers = Writers {
        stdout: Box::new(Broken),
        stderr: Box::new(Broken),
    };
    let events = Events::new(Report::new(&Settings::default(), writers));
    mixed_run(&events);
}

#[test]
fn the_output_file_has_the_results() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("out.env");
    let settings = Settings {
        output_files: vec![path.clone()],
        ..Settings::default()
    };
    shown(&settings, mixed_run);
    insta::assert_snapshot!(std::fs::read_to_string(path).unwrap(), @r#"
    BUILD_RUN_ID=0c9d
    IMAGE_COUNT=2
    LEFTOVER_COUNT=1
    STATUS=partial
    IMAGE_ID=m-1
    IMAGE_NAME=web-1
    IMAGE_REGION=cn-beijing
    IMAGE_ID_CN_BEIJING=m-1
    IMAGE_ID_CN_HANGZHOU=m-2
    "#);
}
