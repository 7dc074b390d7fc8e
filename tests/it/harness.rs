//! Runs the real binary against a sandbox, with a clean environment, and
//! proves after every run that nothing temporary is alive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use alicloud_image_sandbox::guest::{Confinement, namespaces_available};
use alicloud_image_sandbox::host::Guests;
use alicloud_image_sandbox::machine::NoMachines;
use alicloud_image_sandbox::{
    AccessKey, Alive, Call, Delays, Effect, Fault, Sandbox, SandboxOptions, When,
};
use regex::Regex;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a simulated second takes. Small enough for a build in two
/// seconds, large enough for a real SSH handshake within `ssh_timeout`.
pub(crate) const TIME_SCALE: f64 = 0.02;

/// The same where no machine runs anything.
pub(crate) const QUICK: f64 = 0.005;

const BINARY: &str = env!("CARGO_BIN_EXE_alicloud-image");

/// How unshare(1) makes a program process 1.
const PROCESS_ONE: [&str; 6] = [
    "--user",
    "--map-root-user",
    "--pid",
    "--mount-proc",
    "--fork",
    "--kill-child",
];

/// A sandbox, a working directory, and the binary.
pub(crate) struct Lab {
    pub(crate) sandbox: Sandbox,
    directory: TempDir,
    environment: BTreeMap<String, String>,
    may_leave: bool,
}

/// What a user sees of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) summary: String,
}

impl Lab {
    /// With machines whose commands really run.
    pub(crate) async fn new() -> Self {
        Self::with(machine_options()).await
    }

    /// Where everything is ready at once and machines take commands without
    /// running them: for what happens around a machine.
    pub(crate) async fn quick() -> Self {
        Self::with(quick_options()).await
    }

    /// With instances that have no machine: for templates without communicator.
    pub(crate) async fn without_machines() -> Self {
        Self::with(SandboxOptions {
            machines: std::sync::Arc::new(NoMachines),
            ..options()
        })
        .await
    }

    pub(crate) async fn with(options: SandboxOptions) -> Self {
        let time_scale = options.time_scale;
        let sandbox = Sandbox::start(options).await.unwrap();
        let directory = TempDir::new().unwrap();
        let mut environment = environment(&sandbox, directory.path());
        environment.insert(
            "ALICLOUD_IMAGE_TIME_SCALE".to_owned(),
            time_scale.to_string(),
        );
        Self {
            sandbox,
            directory,
            environment,
            may_leave: false,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    /// Writes `template.json`.
    pub(crate) fn write_template(&self, template: &serde_json::Value) -> &Self {
        let text = serde_json::to_string_pretty(template).unwrap();
        self.write("template.json", &text)
    }

    /// Writes the template and builds it.
    pub(crate) async fn build(&self, template: &serde_json::Value) -> Outcome {
        self.write_template(template)
            .run(&["build", "template.json"])
            .await
    }

    /// Has every call of an action refused with a code.
    pub(crate) fn refuse(&self, action: &str, code: &str) {
        self.sandbox.inject(Fault {
            action: action.to_owned(),
            when: When::Every,
            effect: Effect::Error {
                http: 403,
                code: code.to_owned(),
                message: "Refused by the test.".to_owned(),
            },
        });
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn set(&mut self, variable: &str, value: &str) -> &mut Self {
        self.environment
            .insert(variable.to_owned(), value.to_owned());
        self
    }

    /// What a variable holds; nothing when it is not set.
    pub(crate) fn variable(&self, name: &str) -> String {
        self.environment.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn unset(&mut self, variable: &str) -> &mut Self {
        self.environment.remove(variable);
        self
    }

    /// Says that this test leaves something alive on purpose.
    pub(crate) fn may_leave_resources(&mut self) -> &mut Self {
        self.may_leave = true;
        self
    }

    /// Runs the binary to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        let child = self.start(arguments);
        self.finish(child).await
    }

    /// Starts lines of a CI job as a runner does: with `sh`, in a process group
    /// of its own, the binary on the path.
    pub(crate) fn start_script(&self, script: &str) -> Child {
        let directory = Path::new(BINARY).parent().unwrap().display();
        let path = format!("{directory}:{}", self.environment["PATH"]);
        let mut command = Command::new("sh");
        self.in_lab(command.args(["-ec", script]))
            .env("PATH", path)
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// Runs the binary as the main entry point of the action, with these inputs.
    pub(crate) async fn run_action(&self, inputs: &serde_json::Value) -> Outcome {
        let _ = std::fs::remove_file(self.path("outputs"));
        let inputs = inputs.as_object().unwrap().iter().map(|(name, value)| {
            let name = format!("INPUT_{}", name.to_uppercase());
            (name, value.as_str().unwrap().to_owned())
        });
        let mut command = Command::new(BINARY);
        command.arg0("alicloud-image-action");
        let child = self.in_lab(&mut command).envs(inputs).spawn().unwrap();
        self.finish(child).await
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Starts the binary under another name, as an entry point of the action.
    pub(crate) fn start_as(&self, program: &str) -> Child {
        let mut command = Command::new(BINARY);
        command.arg0(program);
        self.in_lab(&mut command).spawn().unwrap()
    }

    /// Runs the binary with journals on a file system of this size in bytes.
    pub(crate) async fn run_with_journals_on(&self, size: usize, arguments: &[&str]) -> Outcome {
        let journals = self.path("journals");
        std::fs::create_dir_all(&journals).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={size} tmpfs {} && exec \"$0\" \"$@\"",
            journals.display()
        );
        let inner = self.command(arguments);
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .arg(inner.as_std().get_program())
            .args(inner.as_std().get_args());
        let child = self.in_lab(&mut command).spawn().unwrap();
        self.finish(child).await
    }

    /// Starts the binary as process 1, as in a container. The child is
    /// unshare(1), which ends as the binary does.
    pub(crate) fn start_as_process_one(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new("unshare");
        command.args(PROCESS_ONE).arg(BINARY).args(arguments);
        self.in_lab(&mut command).spawn().unwrap()
    }

    /// Starts the binary with a pipe for its standard input.
    pub(crate) fn start_with_input(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Starts the binary at a terminal, made by script(1). A pipe is its
    /// keyboard; both streams come as standard output.
    pub(crate) fn start_at_terminal(&self, arguments: &[&str]) -> Child {
        self.at_terminal(&format!("{BINARY} {}", arguments.join(" ")))
    }

    /// The same as process 1.
    pub(crate) fn start_at_terminal_as_process_one(&self, arguments: &[&str]) -> Child {
        let (namespaces, arguments) = (PROCESS_ONE.join(" "), arguments.join(" "));
        self.at_terminal(&format!("unshare {namespaces} {BINARY} {arguments}"))
    }

    fn at_terminal(&self, line: &str) -> Child {
        let mut command = Command::new("script");
        let command = self.in_lab(command.args(["-qec", line, "/dev/null"]));
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        self.in_lab(command.args(arguments));
        command
    }

    /// The lab's directory and environment, and nothing else of ours.
    fn in_lab<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.directory.path())
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
    }

    pub(crate) async fn finish(&self, child: Child) -> Outcome {
        let output = child.wait_with_output().await.unwrap();
        // What was asked to go, as an EIP that is being released, is gone now.
        self.sandbox.advance(Duration::from_secs(1));
        let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            outputs: parse_outputs(&self.path("outputs")),
            summary: std::fs::read_to_string(self.path("summary.md")).unwrap_or_default(),
        }
    }

    /// Waits until the sandbox has answered a call of this action.
    pub(crate) async fn wait_for_call(&self, action: &str) {
        self.wait_for_calls(action, 1).await;
    }

    /// Waits until the sandbox has answered so many calls of this action.
    pub(crate) async fn wait_for_calls(&self, action: &str, count: usize) {
        let called = || self.calls(action).len() >= count;
        until(called, &format!("{count} calls of {action}")).await;
    }

    /// Waits until a file in the working directory exists.
    pub(crate) async fn wait_for_file(&self, name: &str) {
        until(|| self.path(name).exists(), &format!("the file {name}")).await;
    }

    /// Waits until something is so.
    pub(crate) async fn wait_until(&self, condition: impl Fn() -> bool, what: &str) {
        until(condition, what).await;
    }

    pub(crate) fn calls(&self, action: &str) -> Vec<Call> {
        let mut calls = self.sandbox.calls();
        calls.retain(|call| call.action == action);
        calls
    }

    /// The one call of an action.
    pub(crate) fn call(&self, action: &str) -> Call {
        let calls = self.calls(action);
        assert_eq!(calls.len(), 1, "calls of {action}: {calls:#?}");
        calls.into_iter().next().unwrap()
    }

    /// What lives, except images and the snapshots they consist of.
    pub(crate) fn temporary(&self) -> Vec<Alive> {
        let of_images: Vec<String> = self
            .sandbox
            .images()
            .iter()
            .flat_map(|image| {
                let mappings = &image["DiskDeviceMappings"]["DiskDeviceMapping"];
                mappings.as_array().cloned().unwrap_or_default()
            })
            .filter_map(|mapping| mapping["SnapshotId"].as_str().map(str::to_owned))
            .collect();
        let mut alive = self.sandbox.alive();
        alive.retain(|one| one.kind != "image" && !of_images.contains(&one.id));
        alive
    }

    /// Asserts that not even an image is alive.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.sandbox.alive(), vec![]);
    }
}

/// Every test ends by proving that nothing was left behind.
impl Drop for Lab {
    fn drop(&mut self) {
        if !self.may_leave && !std::thread::panicking() {
            assert_eq!(self.temporary(), vec![], "left behind");
        }
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn failure(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// What people see, scrubbed, without what the CI system swallows.
    pub(crate) fn shown(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("::add-mask::"))
            .collect();
        scrub(&lines.join("\n"))
    }

    /// How a failed run ends, scrubbed: from the first error on, without what
    /// is written for the CI system.
    pub(crate) fn end(&self) -> String {
        let is_error = |line: &&str| line.starts_with("Build '") || line.starts_with("Error: ");
        let text = self.text();
        let lines = text.lines().filter(|line| !line.starts_with("::"));
        let end: Vec<_> = lines.skip_while(|line| !is_error(line)).collect();
        scrub(&end.join("\n"))
    }

    /// What people see, both streams.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// What differs from run to run, and what stands for it in snapshots.
static VARYING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"(?m)^.*Image \S+ is \d+% done\n", ""),
        (r"/tmp/\.tmp\w+", "DIR"),
        (
            r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
            "UUID",
        ),
        (r"\b[0-9a-f]{64}\b", "SHA256"),
        (r"\b(m|i|s|d|sg|vpc|vsw|eip|eni)-[0-9a-z]{17,}\b", "$1-ID"),
        (r"\balicloud-image-[0-9a-f]{8}\b", "alicloud-image-RUN"),
        (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(:\d+)?\b", "ADDRESS"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
        (
            r"\d+ (hour|minute|(milli|micro)?second)s?( \d+ (minute|(milli|micro)?second)s?)?",
            "DURATION",
        ),
        (r"\b(\d+ [hm] )?\d+(\.\d+)? [ms]\b", "DURATION"),
    ]
    .map(|(pattern, stands_for)| (Regex::new(pattern).unwrap(), stands_for))
    .into()
});

/// Replaces ids, addresses, times and durations, for snapshots. Ids that a
/// test has seeded are short and stay.
pub(crate) fn scrub(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, stands_for) in &*VARYING {
        text = pattern.replace_all(&text, *stands_for).into_owned();
    }
    text
}

#[test]
fn scrubbed_text_is_the_same_in_every_run() {
    let text = "Image m-2ze0cx6roup41k9qwqie is 62% done\n\
                vpc-2ze712e52qgy2pmxfhtbv vpc-xxxx 127.1.240.183:22 \
                alicloud-image-99fa3f62-key 3 minutes 13 seconds, 14 m 32 s \
                2026-11-22T08:00:00Z";
    let stable = "vpc-ID vpc-xxxx ADDRESS alicloud-image-RUN-key DURATION, DURATION TIME";
    assert_eq!(scrub(text), stable);
}

/// Sends SIGINT, as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    let id = child.id().expect("it runs");
    let id = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

/// Looks again and again until something is so; a test that hangs fails.
pub(crate) async fn until(condition: impl Fn() -> bool, what: &str) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..12_000 {
        looks.tick().await;
        if condition() {
            return;
        }
    }
    panic!("waited a minute for {what}");
}

/// Machines whose commands really run.
pub(crate) fn guests() -> std::sync::Arc<Guests> {
    namespaces_available().expect("the tests need user namespaces");
    std::sync::Arc::new(Guests {
        confinement: Confinement::Namespaces,
        time_scale: TIME_SCALE,
        powershell: None,
    })
}

pub(crate) fn options() -> SandboxOptions {
    SandboxOptions {
        time_scale: TIME_SCALE,
        ..Default::default()
    }
}

/// The policy that Alibaba Cloud's documentation gives for Packer.
pub(crate) fn documented_policy() -> serde_json::Value {
    let text = include_str!("../../examples/reference/ram-policy.json");
    serde_json::from_str(text).unwrap()
}

/// The same for a caller who may do what a policy allows, and nothing else.
pub(crate) fn limited_to(policy: serde_json::Value, options: SandboxOptions) -> SandboxOptions {
    let limited = AccessKey {
        user: Some("ci".to_owned()),
        policy: Some(policy),
        ..AccessKey::new("LTAI5tLimitedKey00000000", "limited-secret")
    };
    SandboxOptions {
        access_keys: vec![limited],
        ..options
    }
}

/// What [`Lab::new`] is made with.
pub(crate) fn machine_options() -> SandboxOptions {
    SandboxOptions {
        machines: guests(),
        ..options()
    }
}

pub(crate) fn quick_options() -> SandboxOptions {
    let machines = Guests {
        confinement: Confinement::Scripted,
        time_scale: QUICK,
        powershell: None,
    };
    SandboxOptions {
        machines: std::sync::Arc::new(machines),
        delays: Delays::none(),
        latency: Duration::ZERO,
        time_scale: QUICK,
        ..Default::default()
    }
}

fn environment(sandbox: &Sandbox, home: &Path) -> BTreeMap<String, String> {
    let url = sandbox.url();
    let file = |name: &str| home.join(name).display().to_string();
    [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", home.display().to_string()),
        ("ALICLOUD_ACCESS_KEY", sandbox.access_key_id().to_owned()),
        (
            "ALICLOUD_SECRET_KEY",
            sandbox.access_key_secret().to_owned(),
        ),
        ("ALIBABA_CLOUD_ENDPOINT_ECS", url.clone()),
        ("ALIBABA_CLOUD_ENDPOINT_VPC", url.clone()),
        ("ALIBABA_CLOUD_ENDPOINT_STS", url.clone()),
        ("ALIBABA_CLOUD_ENDPOINT_RAM", url.clone()),
        ("ALIBABA_CLOUD_ENDPOINT_OSS", url.clone()),
        ("ALICLOUD_IMAGE_METADATA_ENDPOINT", url),
        (
            "ALICLOUD_IMAGE_GUEST_PORT",
            sandbox.guest_port().to_string(),
        ),
        ("ALICLOUD_IMAGE_JOURNAL_DIR", file("journals")),
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("GITHUB_WORKSPACE", home.display().to_string()),
        ("GITHUB_OUTPUT", file("outputs")),
        ("GITHUB_STATE", file("state")),
        ("GITHUB_STEP_SUMMARY", file("summary.md")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Reads the `name<<DELIMITER` form of GitHub's file commands.
fn parse_outputs(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut outputs = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(head) = lines.next() {
        let (name, delimiter) = head.split_once("<<").expect("outputs use delimiters");
        let value: Vec<_> = lines
            .by_ref()
            .take_while(|line| *line != delimiter)
            .collect();
        outputs.insert(name.to_owned(), value.join("\n"));
    }
    outputs
}
