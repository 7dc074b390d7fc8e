//! Provisioners against a machine that records, and against real shells.

mod file_copies;
mod meta;
mod shell_on_the_machine;
mod shell_on_this_machine;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::fake::{Fake, Reply, World};
use super::*;
use crate::communicator::ExitStatus;
use crate::plan::Meta;
use crate::plan::provisioner::{Direction, File, FileSource, Shell, ShellLocal};
use crate::template::source::{Span, Spanned};

const VARS: &str = "PACKER_BUILDER_TYPE='alicloud-ecs' PACKER_BUILD_NAME='web' ";

fn shell(inline: &[&str]) -> Shell {
    Shell {
        inline: strings(inline),
        scripts: vec![],
        environment: vec![],
        env_var_format: "%s='%s' ".into(),
        execute_command: "chmod +x {{.Path}}; {{.Vars}} {{.Path}}".into(),
        inline_shebang: "/bin/sh -e".into(),
        inline_shebang_is_set: false,
        binary: false,
        remote_path: None,
        remote_folder: "/tmp".into(),
        remote_file: Some("s.sh".into()),
        skip_clean: false,
        expect_disconnect: false,
        start_retry_timeout: Duration::from_secs(300),
        valid_exit_codes: vec![0],
        use_env_var_file: false,
        pause_after: Duration::ZERO,
    }
}

fn local(inline: &[&str]) -> ShellLocal {
    ShellLocal {
        inline: strings(inline),
        scripts: vec![],
        environment: vec![("USER_VAR".into(), "it's".into())],
        env_var_format: "%s='%s' ".into(),
        execute_command: strings(&["/bin/sh", "-c", "{{.Vars}} {{.Script}}"]),
        inline_shebang: "/bin/sh -e".into(),
        inline_shebang_is_set: false,
        tempfile_extension: String::new(),
        only_on: vec![],
        valid_exit_codes: vec![0],
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn step(kind: plan::Kind) -> plan::Provisioner {
    plan::Provisioner {
        span: Span::default(),
        meta: Meta::default(),
        kind,
    }
}

fn script_at(path: &Path) -> Spanned<std::path::PathBuf> {
    Spanned::default_value(path.to_owned())
}

async fn run_shell(world: &World, shell: Shell) -> Result<()> {
    run(&step(plan::Kind::Shell(Box::new(shell))), &world.context()).await
}

async fn run_local(world: &World, local: ShellLocal) -> Result<()> {
    run(
        &step(plan::Kind::ShellLocal(Box::new(local))),
        &world.context(),
    )
    .await
}

async fn run_file(world: &World, from: FileSource, to: &str, direction: Direction) -> Result<()> {
    let file = File {
        source: from,
        destination: to.into(),
        direction,
    };
    run(&step(plan::Kind::File(file)), &world.context()).await
}

fn paths(list: &[&str]) -> FileSource {
    let spanned = |path: &&str| Spanned::default_value((*path).to_owned());
    FileSource::Paths(list.iter().map(spanned).collect())
}

#[test]
fn a_run_can_be_sent_to_another_thread() {
    fn assert_send<T: Send>(_: T) {}
    let world = World::new(Fake::default());
    let provisioner = step(plan::Kind::Sleep(Duration::ZERO));
    assert_send(run(&provisioner, &world.context()));
}

#[test]
fn durations_are_those_of_go() {
    for (milliseconds, expected) in [
        (300, "300ms"),
        (1_500, "1.5s"),
        (5_000, "5s"),
        (60_000, "1m0s"),
        (4_500_000, "1h15m0s"),
    ] {
        assert_eq!(duration_text(Duration::from_millis(milliseconds)), expected);
    }
}
