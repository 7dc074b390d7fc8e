//! `setup`: the composite action that installs the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::Digest as _;
use tempfile::TempDir;

use crate::action::Action;
use crate::container::Exit;
use crate::job::Job;
use crate::step::Outcome;
use crate::workflow::{Step, evaluate};

const PROGRAM: &str = "#!/bin/sh\necho the program\n";

/// A commit of a release as the runner unpacks it, and a server with its files.
struct Release {
    directory: TempDir,
    url: String,
}

impl Release {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir(directory.path().join("setup")).unwrap();
        for file in ["setup/install.sh", "Cargo.toml"] {
            std::fs::copy(root.join(file), directory.path().join(file)).unwrap();
        }
        let digest = sha2::Sha256::digest(PROGRAM);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let checksums = ["x86_64", "aarch64"]
            .map(|architecture| format!("{digest}  alicloud-image-{architecture}-linux\n"));
        std::fs::write(
            directory.path().join("setup/checksums.txt"),
            checksums.concat(),
        )
        .unwrap();
        let serve = async |uri: axum::http::Uri| match uri.path() {
            "/files/alicloud-image-x86_64-linux" => Ok(PROGRAM),
            "/files/alicloud-image-aarch64-linux" => Ok("#!/bin/sh\necho another one\n"),
            _ => Err(axum::http::StatusCode::NOT_FOUND),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/files/", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(serve);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { directory, url }
    }

    /// Programs that only note how they were called, found before any other.
    fn stub(&self, names: &[&str]) -> PathBuf {
        let bin = self.directory.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        for name in names {
            let script = format!(
                "#!/bin/sh\necho {name} \"$@\" >> {}\n",
                bin.join("notes").display()
            );
            let path = bin.join(name);
            std::fs::write(&path, script).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        }
        bin
    }

    /// What was noted.
    fn notes(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("bin/notes")).unwrap()
    }

    /// Runs the steps of the action with these inputs.
    async fn install(&self, job: &mut Job, inputs: &[(&str, &str)]) -> Outcome {
        let action = Action::of_repository("setup");
        assert_eq!(action.runs.using, "composite");
        let given = Step::with(inputs).with;
        let (inputs, unknown) = action.inputs(&given);
        assert_eq!(unknown, Vec::<String>::new());
        let contexts = serde_json::json!({
            "inputs": inputs,
            "github": {"action_repository": "alicloud-image/alicloud-image", "token": "t"},
        });
        let [step] = &action.runs.steps[..] else {
            panic!("one step: {action:?}");
        };
        assert_eq!(
            step.run,
            evaluate(&step.run, &contexts),
            "an expression in a script"
        );
        let path = self.directory.path().join("setup");
        let step = step
            .evaluated(&contexts)
            .env(&[("GITHUB_ACTION_PATH", path.to_str().unwrap())]);
        job.run_shell(&step.run, &step).await
    }
}

fn job() -> Job {
    Job::new(BTreeMap::new())
}

#[track_caller]
fn assert_refused(outcome: &Outcome, reason: &str) {
    assert_eq!(outcome.exit, Exit::Code(1), "{}", outcome.log);
    let errors = outcome.annotations("error");
    assert_eq!(errors.len(), 1, "{}", outcome.log);
    assert!(errors[0].message.contains(reason), "{}", outcome.log);
    assert_eq!(outcome.outputs, BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_is_on_the_path_of_later_steps() {
    let (release, mut job) = (Release::new().await, job());
    let outcome = release
        .install(&mut job, &[("base-url", &release.url)])
        .await
        .success();
    assert_eq!(outcome.outputs["version"], env!("CARGO_PKG_VERSION"));
    let shell = job
        .run_shell("alicloud-image version", &Step::default())
        .await
        .success();
    assert_eq!(shell.log, "the program");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_release_is_refused() {
    let (release, mut job) = (Release::new().await, job());
    let from = [("base-url", release.url.as_str())];
    let outcome = release.install(&mut job, &[("kvm", "yes")]).await;
    assert_refused(&outcome, "Bad value of input `kvm`");
    // Nobody listens there.
    let outcome = release
        .install(&mut job, &[("base-url", "http://127.0.0.1:9")])
        .await;
    assert_refused(
        &outcome,
        "Could not download http://127.0.0.1:9/alicloud-image-x86_64-linux",
    );
    let absent = format!("{}absent", release.url);
    let outcome = release.install(&mut job, &[("base-url", &absent)]).await;
    assert_refused(&outcome, "Could not download ");
    job.architecture = "ARM64";
    let outcome = release.install(&mut job, &from).await;
    assert_refused(
        &outcome,
        "alicloud-image-aarch64-linux is not the one of this release",
    );
    job.architecture = "S390X";
    let outcome = release.install(&mut job, &from).await;
    assert_refused(&outcome, "There is no program for the architecture S390X");
    job.architecture = "X64";
    std::fs::remove_file(release.directory.path().join("setup/checksums.txt")).unwrap();
    let outcome = release.install(&mut job, &from).await;
    assert_refused(&outcome, "This is no release");
    let installed = job
        .temp()
        .join(concat!("alicloud-image-", env!("CARGO_PKG_VERSION")));
    assert_eq!(std::fs::read_dir(installed).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_is_checked_when_asked_for() {
    let (release, mut job) = (Release::new().await, job());
    let inputs = [
        ("base-url", release.url.as_str()),
        ("verify-attestation", "true"),
    ];
    job.add_path(&release.stub(&["gh"]));
    release.install(&mut job, &inputs).await.success();
    let notes = release.notes();
    assert!(notes.starts_with("gh attestation verify /"), "{notes}");
    assert!(
        notes.ends_with("--repo alicloud-image/alicloud-image\n"),
        "{notes}"
    );
}

/// What comes after the packages depends on the machine.
#[tokio::test(flavor = "multi_thread")]
async fn packages_for_virtual_machines_are_installed_when_asked_for() {
    let (release, mut job) = (Release::new().await, job());
    let inputs = [("base-url", release.url.as_str()), ("kvm", "true")];
    job.add_path(&release.stub(&["sudo", "apt-get"]));
    let outcome = release.install(&mut job, &inputs).await;
    let notes = release.notes();
    let expected = "sudo apt-get update --quiet\nsudo apt-get install --quiet --yes \
                    --no-install-recommends qemu-system-x86 qemu-utils ovmf swtpm xorriso\n";
    assert!(notes.starts_with(expected), "{notes}{}", outcome.log);
}
