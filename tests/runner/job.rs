//! A job on a runner: its directories, its steps, and their post steps.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::action::{Action, variable};
use crate::commands::Log;
use crate::container::{self, Client, Exit, Run};
use crate::files::{MOST_OUTPUT, MOST_SUMMARY, assignments};
use crate::image::Image;
use crate::step::Outcome;
use crate::workflow::Step;

/// How long the runner waits after each signal.
const AFTER_INT: Duration = Duration::from_millis(7500);
const AFTER_TERM: Duration = Duration::from_millis(2500);

/// A step that hangs fails its test.
const LIMIT: Duration = Duration::from_secs(120);

/// The file commands: the variable, and the name of the file.
const FILES: &[(&str, &str)] = &[
    ("GITHUB_OUTPUT", "set_output_"),
    ("GITHUB_STATE", "save_state_"),
    ("GITHUB_ENV", "set_env_"),
    ("GITHUB_PATH", "add_path_"),
    ("GITHUB_STEP_SUMMARY", "step_summary_"),
];

/// A job.
pub(crate) struct Job {
    directory: TempDir,
    environment: BTreeMap<String, String>,
    path: Vec<String>,
    masks: Vec<String>,
    posts: Vec<Post>,
    event: String,
    id_token: Option<String>,
    steps: usize,
    /// The machine's, in the runner's words.
    pub(crate) architecture: &'static str,
    /// Whether the runner's hook for Kubernetes starts the containers.
    pub(crate) is_on_kubernetes: bool,
    /// Seconds that a second of the runner's patience takes.
    pub(crate) scale: f64,
}

/// What the runner remembers of a step for its post step.
#[derive(Clone)]
struct Post {
    entrypoint: String,
    environment: BTreeMap<String, String>,
    state: BTreeMap<String, String>,
}

/// A container that runs a step.
pub(crate) struct Running {
    pub(crate) client: Client,
    log: Log,
    files: Files,
    post: Option<Post>,
}

/// The file commands of a step, on the host.
struct Files(BTreeMap<&'static str, PathBuf>);

impl Files {
    /// Empty files, with names that no other step knows.
    fn new(directory: &Path, step: usize) -> Self {
        let file = |(name, prefix): &(&'static str, &str)| {
            let path = directory.join(format!("{prefix}{step:08}"));
            fs::write(&path, "").unwrap();
            (*name, path)
        };
        Self(FILES.iter().map(file).collect())
    }

    fn environment(&self) -> impl Iterator<Item = (String, String)> {
        let files = self.0.iter();
        files.map(|(name, path)| ((*name).to_owned(), path.display().to_string()))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(fs::read(&self.0[name]).unwrap()).unwrap()
    }
}

impl Job {
    /// A job for a push, with these variables.
    pub(crate) fn new(environment: BTreeMap<String, String>) -> Self {
        let job = Self {
            directory: TempDir::new().unwrap(),
            environment,
            path: Vec::new(),
            masks: Vec::new(),
            posts: Vec::new(),
            event: String::new(),
            id_token: None,
            steps: 0,
            architecture: "X64",
            is_on_kubernetes: false,
            scale: 1.0,
        };
        for directory in ["_temp/_runner_file_commands", "_temp/_github_home", "home"] {
            fs::create_dir_all(job.directory.path().join(directory)).unwrap();
        }
        fs::create_dir_all(job.directory.path().join("_temp/_github_workflow")).unwrap();
        fs::create_dir_all(job.workspace()).unwrap();
        job.on_event("push", &json!({}))
    }

    /// The same for another event.
    pub(crate) fn on_event(mut self, name: &str, payload: &Value) -> Self {
        name.clone_into(&mut self.event);
        fs::write(self.event_file(), payload.to_string()).unwrap();
        self
    }

    /// The same with `permissions: id-token: write`; tokens come from a URL.
    pub(crate) fn with_id_token(mut self, url: &str) -> Self {
        self.id_token = Some(url.to_owned());
        self
    }

    /// Has later steps look for programs in a directory first.
    pub(crate) fn add_path(&mut self, directory: &Path) {
        self.path.push(directory.display().to_string());
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("images/images")
    }

    /// Writes a file of the repository.
    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.workspace().join(name), text).unwrap();
        self
    }

    pub(crate) fn temp(&self) -> PathBuf {
        self.directory.path().join("_temp")
    }

    fn event_file(&self) -> PathBuf {
        self.temp().join("_github_workflow/event.json")
    }

    /// Host directories and where containers have them, the inner ones first.
    fn mounts(&self) -> Vec<(PathBuf, String)> {
        let temp = self.temp();
        [
            (self.workspace(), "/github/workspace"),
            (temp.join("_github_home"), "/github/home"),
            (temp.join("_github_workflow"), "/github/workflow"),
            (temp.join("_runner_file_commands"), "/github/file_commands"),
            (temp, "/github/runner_temp"),
        ]
        .map(|(host, inside)| (host, inside.to_owned()))
        .into()
    }

    /// A value as a container gets it: translated when a mounted path is all
    /// of it, or its beginning.
    fn translated(&self, value: &str) -> String {
        for (host, inside) in self.mounts() {
            let host = host.display().to_string();
            if let Some(rest) = value.strip_prefix(&host)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return format!("{inside}{rest}");
            }
        }
        value.to_owned()
    }

    /// What every step has in its environment, with paths of the host.
    fn facts(&self) -> BTreeMap<String, String> {
        let path = |path: PathBuf| path.display().to_string();
        let mut facts: BTreeMap<_, _> = [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ACTION", "__self"),
            ("GITHUB_ACTOR", "octocat"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_EVENT_NAME", &self.event),
            ("GITHUB_JOB", "image"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REPOSITORY", "team/images"),
            ("GITHUB_REPOSITORY_OWNER", "team"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "4242"),
            ("GITHUB_RUN_NUMBER", "7"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", "8843d7f92416211de9ebb963ff4ce28125932878"),
            ("GITHUB_WORKFLOW", "Images"),
            ("RUNNER_ARCH", self.architecture),
            ("RUNNER_NAME", "runner"),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        facts.extend([
            ("GITHUB_WORKSPACE".to_owned(), path(self.workspace())),
            ("GITHUB_EVENT_PATH".to_owned(), path(self.event_file())),
            ("RUNNER_TEMP".to_owned(), path(self.temp())),
            (
                "RUNNER_WORKSPACE".to_owned(),
                path(self.directory.path().join("images")),
            ),
        ]);
        facts
    }

    /// How to get a token, for every kind of step.
    fn id_token_variables(&self) -> Vec<(String, String)> {
        let Some(url) = &self.id_token else {
            return Vec::new();
        };
        let token = "the-right-to-mint".to_owned();
        vec![
            ("ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(), url.clone()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), token),
        ]
    }

    /// Starts the main step of a container action.
    pub(crate) async fn start(&mut self, action: &Action, step: &Step) -> Running {
        assert_eq!(action.runs.using, "docker");
        let (inputs, unknown) = action.inputs(&step.with);
        assert_eq!(
            unknown,
            Vec::<String>::new(),
            "inputs that are not declared"
        );
        let mut environment = step.env.clone();
        let inputs = inputs.into_iter();
        environment.extend(inputs.map(|(name, value)| (variable(&name), value)));
        let post = action.runs.post_entrypoint.clone().map(|entrypoint| Post {
            entrypoint,
            environment: environment.clone(),
            state: BTreeMap::new(),
        });
        let entrypoint = action.runs.entrypoint.clone().unwrap();
        self.launch(entrypoint, environment, post).await
    }

    async fn launch(
        &mut self,
        entrypoint: String,
        more: BTreeMap<String, String>,
        post: Option<Post>,
    ) -> Running {
        self.steps += 1;
        let files = Files::new(&self.temp().join("_runner_file_commands"), self.steps);
        let mut environment = self.environment.clone();
        environment.extend(more);
        environment.extend(self.facts());
        environment.extend(files.environment());
        environment.extend(self.id_token_variables());
        environment.extend(
            [
                ("ACTIONS_RUNTIME_URL", "https://pipelines.invalid/"),
                ("ACTIONS_RUNTIME_TOKEN", "the-runtime-token"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        for value in environment.values_mut() {
            *value = self.translated(value);
        }
        environment.insert("HOME".to_owned(), "/github/home".to_owned());
        let mut run = Run {
            program: entrypoint.clone(),
            entrypoint,
            arguments: Vec::new(),
            environment,
            mounts: self.mounts(),
            directory: "/github/workspace".to_owned(),
        };
        if self.is_on_kubernetes {
            self.start_by_shell(&mut run);
        }
        Running {
            client: container::run(Image::under_test(), &run).await,
            log: Log::hiding(&self.masks),
            files,
            post,
        }
    }

    /// The hook for Kubernetes has a login shell set the variables.
    fn start_by_shell(&self, run: &mut Run) {
        let quoted = |(name, value): (String, String)| {
            let special = ['\\', '"', '$', '`'];
            let escape = |letter| special.contains(&letter).then_some('\\');
            let value = value
                .chars()
                .flat_map(|letter| escape(letter).into_iter().chain([letter]));
            format!("\"{name}={}\"", value.collect::<String>())
        };
        let variables: Vec<_> = std::mem::take(&mut run.environment)
            .into_iter()
            .map(quoted)
            .collect();
        let script = format!(
            "#!/bin/sh -l\n\ncd {} && \\\nexec env {} {}\n",
            run.directory,
            variables.join(" "),
            run.entrypoint
        );
        let name = format!("step-{}.sh", self.steps);
        fs::write(self.temp().join(&name), script).unwrap();
        run.entrypoint = "/bin/sh".to_owned();
        run.arguments = vec!["-l".to_owned(), format!("/github/runner_temp/{name}")];
    }

    /// Runs the main step of an action to its end.
    pub(crate) async fn run(&mut self, action: &Action, step: &Step) -> Outcome {
        let running = self.start(action, step).await;
        self.finish(running).await
    }

    /// Waits for a step.
    pub(crate) async fn finish(&mut self, mut running: Running) -> Outcome {
        let reading = async {
            while let Some(line) = running.client.line().await {
                running.log.take(&line, in_workspace);
            }
        };
        tokio::time::timeout(LIMIT, reading)
            .await
            .expect("the step ends");
        let exit = running.client.wait(LIMIT).await.expect("the step ends");
        self.end(running, exit)
    }

    /// Cancels a step as the runner does.
    pub(crate) async fn cancel(&mut self, running: Running) -> Outcome {
        let client = &running.client;
        client.signal(Signal::INT);
        let mut exit = client.wait(AFTER_INT.mul_f64(self.scale)).await;
        if exit.is_none() {
            client.signal(Signal::TERM);
            exit = client.wait(AFTER_TERM.mul_f64(self.scale)).await;
        }
        let exit = exit.unwrap_or_else(|| client.kill());
        self.end(running, exit)
    }

    /// Kills the client of a step at once.
    pub(crate) fn kill(&mut self, running: Running) -> Outcome {
        let exit = running.client.kill();
        self.end(running, exit)
    }

    /// Reads what the step left when its process has ended, however it did.
    fn end(&mut self, mut running: Running, exit: Exit) -> Outcome {
        for line in running.client.lines_so_far() {
            running.log.take(&line, in_workspace);
        }
        let Running {
            log, files, post, ..
        } = running;
        self.masks = log.masks().to_vec();
        let outcome = self.outcome(&log, &files, exit);
        if let Some(mut post) = post {
            post.state.clone_from(&outcome.state);
            self.posts.push(post);
        }
        outcome
    }

    fn outcome(&mut self, log: &Log, files: &Files, exit: Exit) -> Outcome {
        let mut problems = Vec::new();
        let mut read = |name: &str| {
            assignments(&files.text(name)).unwrap_or_else(|problem| {
                problems.push(format!("{name}: {problem}"));
                BTreeMap::new()
            })
        };
        let (outputs, state, environment) = (
            read("GITHUB_OUTPUT"),
            read("GITHUB_STATE"),
            read("GITHUB_ENV"),
        );
        self.environment.extend(environment);
        let added = files.text("GITHUB_PATH");
        self.path.extend(added.lines().map(str::to_owned));
        let length: usize = outputs
            .values()
            .map(|value| 2 * value.encode_utf16().count())
            .sum();
        if length > MOST_OUTPUT {
            problems.push(format!("outputs of {length} bytes"));
        }
        let summary = files.text("GITHUB_STEP_SUMMARY");
        Outcome {
            exit,
            problems,
            log: log.shown.join("\n"),
            obeyed: log.obeyed.clone(),
            annotations: log.annotations.clone(),
            outputs,
            state,
            summary: (summary.len() <= MOST_SUMMARY).then(|| log.masked(&summary)),
        }
    }

    /// Ends the job: the post steps, the last one first.
    pub(crate) async fn post_steps(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(post) = self.posts.pop() {
            let state = post.state.into_iter();
            let state = state.map(|(key, value)| (format!("STATE_{key}"), value));
            let environment = post.environment.into_iter().chain(state).collect();
            let running = self.launch(post.entrypoint, environment, None).await;
            outcomes.push(self.finish(running).await);
        }
        outcomes
    }

    /// A `run:` step, on the host.
    pub(crate) fn shell(&self, script: &str, step: &Step) -> Command {
        let home = self.directory.path().join("home");
        let system = "/usr/local/bin:/usr/bin:/bin".to_owned();
        let path: Vec<_> = self.path.iter().rev().cloned().chain([system]).collect();
        let mut command = Command::new("bash");
        command
            .args(["-e", "-c", script])
            .current_dir(self.workspace())
            .env_clear()
            .envs(&self.environment)
            .envs(&step.env)
            .envs(self.facts())
            .envs(self.id_token_variables())
            .env("HOME", home)
            .env("PATH", path.join(":"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a `run:` step to its end.
    pub(crate) async fn run_shell(&mut self, script: &str, step: &Step) -> Outcome {
        self.steps += 1;
        let files = Files::new(&self.temp().join("_runner_file_commands"), self.steps);
        let mut command = self.shell(script, step);
        let command = command.envs(files.environment());
        let output = tokio::time::timeout(LIMIT, command.output());
        let output = output.await.expect("the step ends").unwrap();
        let mut log = Log::hiding(&self.masks);
        for stream in [output.stdout, output.stderr] {
            for line in String::from_utf8(stream).unwrap().lines() {
                log.take(line, in_workspace);
            }
        }
        self.masks = log.masks().to_vec();
        let code = output.status.code().unwrap_or(128);
        self.outcome(&log, &files, Exit::Code(code))
    }
}

/// A path in an annotation, relative to the repository.
fn in_workspace(path: &str) -> String {
    let inside = path.strip_prefix("/github/workspace/");
    inside.unwrap_or(path).to_owned()
}
