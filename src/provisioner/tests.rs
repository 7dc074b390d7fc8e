//! Provisioners against a machine that records, and against real shells.

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

mod shell_on_the_machine {
    use super::*;

    #[tokio::test]
    async fn inline_commands_are_one_script() {
        let world = World::new(Fake::default());
        run_shell(&world, shell(&["cd /x", "echo {{build `ID`}}"]))
            .await
            .unwrap();
        assert_eq!(
            world.calls(),
            [
                "upload /tmp/s.sh 755 \"#!/bin/sh -e\\ncd /x\\necho i-1\\n\"".to_owned(),
                format!("exec chmod +x /tmp/s.sh; {VARS} /tmp/s.sh"),
                "exec rm -f /tmp/s.sh".to_owned(),
            ]
        );
        assert_eq!(
            world.events(),
            [
                "say Provisioning with shell script: inline",
                "out output of a command"
            ]
        );
    }

    #[tokio::test]
    async fn a_shebang_of_the_user_is_kept() {
        for (first, is_set, expected) in [
            ("#!/bin/bash", false, "\"#!/bin/bash\\n\""),
            ("#!/bin/bash", true, "\"#!/bin/sh -e\\n#!/bin/bash\\n\""),
        ] {
            let world = World::new(Fake::default());
            let mut shell = shell(&[first]);
            shell.inline_shebang_is_set = is_set;
            run_shell(&world, shell).await.unwrap();
            assert_eq!(world.calls()[0], format!("upload /tmp/s.sh 755 {expected}"));
        }
    }

    #[tokio::test]
    async fn a_custom_command_gets_a_mode_and_rendered_fields() {
        let world = World::new(Fake::default());
        let mut shell = shell(&["true"]);
        shell.execute_command = "echo 'pw' | sudo -S sh -c '{{ .Vars }} {{ .Path }}'".into();
        shell.environment = vec![("A".into(), "it's".into())];
        shell.remote_path = Some("/opt/run".into());
        run_shell(&world, shell).await.unwrap();
        let vars = format!("A='it'\"'\"'s' {VARS}");
        assert_eq!(
            world.calls()[1..],
            [
                "exec chmod 0755 /opt/run".to_owned(),
                format!("exec echo 'pw' | sudo -S sh -c '{vars} /opt/run'"),
                "exec rm -f /opt/run".to_owned(),
            ]
        );
    }

    #[tokio::test]
    async fn an_environment_file_is_private_and_removed() {
        let world = World::new(Fake::default());
        let mut shell = shell(&["true"]);
        shell.use_env_var_file = true;
        shell.env_var_format = "export %s='%s'\n".into();
        shell.execute_command = "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}".into();
        run_shell(&world, shell).await.unwrap();
        let calls = world.calls();
        let path = calls[0].split(' ').nth(1).unwrap();
        assert!(path.starts_with("/tmp/varfile_") && path.ends_with(".sh"));
        let content =
            "export PACKER_BUILDER_TYPE='alicloud-ecs'\\nexport PACKER_BUILD_NAME='web'\\n";
        assert_eq!(
            calls,
            [
                format!("upload {path} 600 \"{content}\""),
                "upload /tmp/s.sh 755 \"#!/bin/sh -e\\ntrue\\n\"".to_owned(),
                format!("exec chmod +x /tmp/s.sh; . {path} && /tmp/s.sh"),
                "exec rm -f /tmp/s.sh".to_owned(),
                format!("exec rm -f {path}"),
            ]
        );
    }

    #[tokio::test]
    async fn script_files_share_a_generated_path_and_lose_crlf() {
        let directory = tempfile::tempdir().unwrap();
        let scripts = ["a.sh", "b.sh"].map(|name| directory.path().join(name));
        for (binary, expected) in [(false, "\"a\\n\\rb\\n\""), (true, "\"a\\r\\n\\rb\\r\\n\"")] {
            for script in &scripts {
                std::fs::write(script, "a\r\n\rb\r\n").unwrap();
            }
            let world = World::new(Fake::default());
            let mut shell = shell(&[]);
            shell.binary = binary;
            shell.remote_file = None;
            shell.scripts = scripts.iter().map(|script| script_at(script)).collect();
            run_shell(&world, shell).await.unwrap();
            let calls = world.calls();
            let path = calls[0].split(' ').nth(1).unwrap();
            assert!(path.starts_with("/tmp/script_") && path.ends_with(".sh"));
            assert_eq!(calls[0], format!("upload {path} 755 {expected}"));
            assert_eq!(calls[3], calls[0]);
            let said = format!(
                "say Provisioning with shell script: {}",
                scripts[1].display()
            );
            assert!(world.events().contains(&said));
        }
    }

    #[tokio::test]
    async fn exit_codes_decide_and_files_are_removed_all_the_same() {
        for (reply, valid, expected) in [
            (Reply::Exit(0), vec![], None),
            (Reply::Exit(7), vec![7], None),
            (
                Reply::Exit(7),
                vec![0, 2],
                Some("Script exited with non-zero exit status: 7. Allowed exit codes are: [0 2]"),
            ),
        ] {
            let world = World::new(Fake::default().reply("exec chmod", reply));
            let mut shell = shell(&["true"]);
            shell.valid_exit_codes = valid;
            let error = run_shell(&world, shell).await.err();
            assert_eq!(error.map(|error| error.to_string()).as_deref(), expected);
            assert_eq!(world.calls().last().unwrap(), "exec rm -f /tmp/s.sh");
        }
    }

    #[tokio::test]
    async fn a_disconnect_fails_unless_it_is_expected() {
        for (expect_disconnect, valid, fails) in [
            (false, vec![0], true),
            (true, vec![0], false),
            (false, vec![0, ExitStatus::DISCONNECTED_CODE], false),
        ] {
            let world = World::new(Fake::default().reply("exec chmod", Reply::Disconnect));
            let mut shell = shell(&["reboot"]);
            shell.expect_disconnect = expect_disconnect;
            shell.valid_exit_codes = valid;
            let result = run_shell(&world, shell).await;
            assert_eq!(result.is_err(), fails);
            if let Err(error) = result {
                assert_eq!(error.kind(), Kind::Connect);
                assert!(
                    error
                        .message()
                        .starts_with("Script disconnected unexpectedly.")
                );
                assert_eq!(world.calls().len(), 2, "nothing more is sent");
            }
        }
    }

    #[tokio::test]
    async fn start_is_tried_again_with_a_new_upload() {
        let fake = Fake::default()
            .reply("upload", Reply::NoConnection)
            .reply("exec chmod", Reply::NoConnection)
            .reply("exec rm", Reply::Disconnect);
        let world = World::new(fake);
        run_shell(&world, shell(&["true"])).await.unwrap();
        let verbs: Vec<_> = world
            .calls()
            .iter()
            .map(|call| call.split(['/', '+']).next().unwrap().trim().to_owned())
            .collect();
        assert_eq!(
            verbs,
            [
                "upload",
                "upload",
                "exec chmod",
                "upload",
                "exec chmod",
                "exec rm -f",
                "exec rm -f"
            ]
        );
    }

    #[tokio::test]
    async fn start_is_not_tried_for_ever() {
        let world = World::new(Fake::default().reply("upload", Reply::NoConnection));
        let mut shell = shell(&["true"]);
        shell.start_retry_timeout = Duration::ZERO;
        let error = run_shell(&world, shell).await.unwrap_err();
        assert_eq!(error.to_string(), "Could not upload script to /tmp/s.sh");
        assert_eq!(error.kind(), Kind::Connect);
    }

    #[tokio::test]
    async fn a_timeout_ends_it_and_removes_the_files() {
        let world = World::new(Fake::default().reply("exec chmod", Reply::Hang));
        let mut provisioner = step(plan::Kind::Shell(Box::new(shell(&["sleep 9999"]))));
        provisioner.meta.timeout = Duration::from_secs(3);
        provisioner.meta.pause_before = Duration::from_secs(5);
        let error = run(&provisioner, &world.context()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        assert_eq!(
            error.to_string(),
            "Provisioner shell was not done after its timeout of 3s"
        );
        assert_eq!(world.calls().last().unwrap(), "exec rm -f /tmp/s.sh");
        assert_eq!(
            world.events(),
            [
                "say Pausing 5s before the next provisioner...",
                "say Setting a 3s timeout for the next provisioner...",
                "say Provisioning with shell script: inline",
                "out output of a command",
                "warn Cancelling provisioner after a timeout..."
            ]
        );
    }

    #[tokio::test]
    async fn a_stop_ends_it_at_once() {
        let mut world = World::new(Fake::default());
        let stop = world.stop.clone();
        world.fake = Some(Fake::default().reply("exec chmod", Reply::Stop(stop)));
        let mut provisioner = step(plan::Kind::Shell(Box::new(shell(&["true"]))));
        provisioner.meta.max_retries = 3;
        provisioner.meta.continue_on_error = true;
        let error = run(&provisioner, &world.context()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert_eq!(world.calls().len(), 2);
    }

    #[tokio::test]
    async fn skip_clean_leaves_everything() {
        let world = World::new(Fake::default().reply("exec chmod", Reply::Exit(1)));
        let mut shell = shell(&["true"]);
        shell.skip_clean = true;
        run_shell(&world, shell).await.unwrap_err();
        assert_eq!(world.calls().len(), 2);
    }

    #[tokio::test]
    async fn pause_after_is_said() {
        let world = World::new(Fake::default());
        let mut shell = shell(&["true"]);
        shell.pause_after = Duration::from_secs(5);
        run_shell(&world, shell).await.unwrap();
        let last = world.events().pop().unwrap();
        assert_eq!(last, "say Pausing 5s after this provisioner...");
    }
}

mod meta {
    use super::*;

    #[tokio::test]
    async fn retries_are_counted_and_the_last_failure_is_given() {
        let fake = Fake::default()
            .reply("exec chmod", Reply::Exit(1))
            .reply("exec chmod", Reply::Exit(2));
        let world = World::new(fake);
        let mut provisioner = step(plan::Kind::Shell(Box::new(shell(&["false"]))));
        provisioner.meta.max_retries = 1;
        let error = run(&provisioner, &world.context()).await.unwrap_err();
        assert!(error.message().contains("status: 2."));
        assert_eq!(error.span(), Some(Span::default()));
        let said: Vec<_> = world.events();
        let retried = "say Provisioner failed with \"Script exited with non-zero exit status: 1. \
             Allowed exit codes are: [0]\", retrying with 1 trie(s) left";
        assert!(said.contains(&retried.to_owned()), "{said:?}");
        assert_eq!(said.last().unwrap(), "say retry limit reached.");
    }

    #[tokio::test]
    async fn continue_on_error_is_a_warning() {
        let world = World::new(Fake::default().reply("exec chmod", Reply::Exit(1)));
        let mut provisioner = step(plan::Kind::Shell(Box::new(shell(&["false"]))));
        provisioner.meta.continue_on_error = true;
        run(&provisioner, &world.context()).await.unwrap();
        let last = world.events().pop().unwrap();
        assert!(last.starts_with("warn Provisioner failed with \"Script exited"));
        assert!(last.ends_with("but continue_on_error is set; continuing the build."));
    }

    #[tokio::test]
    async fn without_a_connection_only_local_provisioners_run() {
        let mut world = World::new(Fake::default());
        world.fake = None;
        for (kind, fails) in [
            (plan::Kind::Shell(Box::new(shell(&["true"]))), true),
            (
                plan::Kind::File(File {
                    source: FileSource::Content(String::new()),
                    destination: "/x".into(),
                    direction: Direction::Upload,
                }),
                true,
            ),
            (plan::Kind::ShellLocal(Box::new(local(&["true"]))), false),
            (plan::Kind::Sleep(Duration::from_secs(1)), false),
        ] {
            let result = run(&step(kind), &world.context()).await;
            assert_eq!(result.is_err(), fails);
            if let Err(error) = result {
                assert!(error.message().contains("`communicator` is \"none\""));
                assert_eq!(error.hints().len(), 1);
            }
        }
    }

    #[tokio::test]
    async fn a_sleep_is_stopped_and_timed() {
        let world = World::new(Fake::default());
        let mut sleep = step(plan::Kind::Sleep(Duration::from_secs(1_000_000)));
        sleep.meta.timeout = Duration::from_secs(1);
        let error = run(&sleep, &world.context()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        world.stop.stop();
        sleep.meta.timeout = Duration::ZERO;
        let error = run(&sleep, &world.context()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
    }
}

mod file_copies {
    use super::*;

    #[tokio::test]
    async fn uploads_keep_the_mode_and_follow_the_slash() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tool");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
        let path = path.to_str().unwrap();
        let directory = directory.path().to_str().unwrap();
        let contents = format!("{directory}/");
        for (from, to, expected) in [
            (path, "/opt/t", "upload /opt/t 750 \"x\"".to_owned()),
            (path, "/opt/", "upload /opt/tool 750 \"x\"".to_owned()),
            (directory, "/opt", format!("upload_dir {directory} /opt")),
            (&contents, "/opt", format!("upload_dir {directory}/ /opt")),
        ] {
            let world = World::new(Fake::default());
            run_file(&world, paths(&[from]), to, Direction::Upload)
                .await
                .unwrap();
            assert_eq!(world.calls(), [expected]);
            assert_eq!(world.events(), [format!("say Uploading {from} => {to}")]);
        }
    }

    #[tokio::test]
    async fn content_is_private_and_needs_a_name() {
        let world = World::new(Fake::default());
        let content = || FileSource::Content("{{ jinja }}".into());
        run_file(&world, content(), "/etc/{{build `ID`}}", Direction::Upload)
            .await
            .unwrap();
        assert_eq!(world.calls(), ["upload /etc/i-1 600 \"{{ jinja }}\""]);
        let error = run_file(&world, content(), "/etc/", Direction::Upload).await;
        assert!(
            error
                .unwrap_err()
                .message()
                .ends_with("a file name is missing")
        );
    }

    #[tokio::test]
    async fn a_missing_source_is_named() {
        let world = World::new(Fake::default());
        let error = run_file(&world, paths(&["/nonexistent"]), "/x", Direction::Upload).await;
        assert_eq!(
            error.unwrap_err().to_string(),
            "Could not read /nonexistent"
        );
    }

    #[tokio::test]
    async fn downloads_make_directories_and_go_on_after_one() {
        let directory = tempfile::tempdir().unwrap();
        let to = format!("{}/new/sub/", directory.path().display());
        let world = World::new(Fake::default());
        let from = paths(&["/var/log/", "/var/*.txt", "/etc/issue"]);
        run_file(&world, from, &to, Direction::Download)
            .await
            .unwrap();
        assert_eq!(
            world.calls(),
            [
                format!("download_dir /var/log/ {to}"),
                format!("download_dir /var/*.txt {to}"),
                "download /etc/issue".to_owned(),
            ]
        );
        let file = std::fs::read_to_string(format!("{to}issue")).unwrap();
        assert_eq!(file, "/etc/issue");
        let said = world.events().pop().unwrap();
        assert_eq!(said, format!("say Downloading /etc/issue => {to}issue"));
    }

    #[tokio::test]
    async fn a_download_to_a_file_makes_its_parent() {
        let directory = tempfile::tempdir().unwrap();
        let to = format!("{}/new/name", directory.path().display());
        let world = World::new(Fake::default());
        run_file(&world, paths(&["/etc/issue"]), &to, Direction::Download)
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "/etc/issue");
    }
}

mod shell_on_this_machine {
    use super::*;

    #[tokio::test]
    async fn inline_commands_see_the_environment() {
        let world = World::new(Fake::default());
        let text = "echo $USER_VAR $PACKER_BUILD_NAME $PACKER_RUN_UUID $KEPT; echo e >&2";
        run_local(&world, local(&["X={{build `ID`}}", text, "echo $X"]))
            .await
            .unwrap();
        let events = world.events();
        assert!(events[0].starts_with("say Running local shell script: "));
        assert!(events[0].contains("/packer-shell"));
        assert!(
            events.contains(&"out it's web run-1 kept".to_owned()),
            "{events:?}"
        );
        assert!(events.contains(&"out i-1".to_owned()));
        assert!(events.contains(&"err e".to_owned()));
        let script = events[0].rsplit(' ').next().unwrap();
        assert!(!Path::new(script).exists(), "the script is deleted");
    }

    #[tokio::test]
    async fn the_script_is_private_and_has_the_extension() {
        let world = World::new(Fake::default());
        let mut local = local(&["stat -c '%a' \"$0\"", "echo \"$0\""]);
        local.tempfile_extension = "py".into();
        run_local(&world, local).await.unwrap();
        let events = world.events();
        assert_eq!(events[1], "out 700");
        assert!(events[2].ends_with(".py"), "{events:?}");
    }

    #[tokio::test]
    async fn execute_command_words_are_rendered() {
        let world = World::new(Fake::default());
        let mut one = local(&["true"]);
        one.execute_command = strings(&["echo one; {{.Script}}"]);
        run_local(&world, one).await.unwrap();
        let mut many = local(&["true"]);
        many.execute_command = strings(&["echo", "{{build `ID`}}", "{{.Vars}}"]);
        run_local(&world, many).await.unwrap();
        let events = world.events();
        assert_eq!(events[1], "out one");
        assert_eq!(events[3], format!("out i-1 {VARS}USER_VAR='it'\"'\"'s' "));
    }

    #[tokio::test]
    async fn exit_codes_decide() {
        for (valid, fails) in [(vec![0], true), (vec![7], false)] {
            let world = World::new(Fake::default());
            let mut local = local(&["exit 7"]);
            local.valid_exit_codes = valid;
            assert_eq!(run_local(&world, local).await.is_err(), fails);
        }
    }

    #[tokio::test]
    async fn a_script_that_is_not_executable_gets_a_hint() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        std::fs::write(&path, "true").unwrap();
        let world = World::new(Fake::default());
        let mut local = local(&[]);
        local.scripts = vec![script_at(&path)];
        let error = run_local(&world, local).await.unwrap_err();
        assert!(error.message().contains("status: 126."), "{error}");
        assert!(error.hints()[0].contains("chmod +x"));
    }

    #[tokio::test]
    async fn another_system_is_skipped() {
        let world = World::new(Fake::default());
        let mut local = local(&["exit 1"]);
        local.only_on = strings(&["windows", "plan9"]);
        run_local(&world, local).await.unwrap();
        assert_eq!(
            world.events(),
            ["say Skipping shell-local due to runtime OS"]
        );
        let names = strings(&["windows", "linux"]);
        assert_eq!(shell_local::runs_here(&names), cfg!(target_os = "linux"));
    }

    #[tokio::test]
    async fn a_timeout_kills_it() {
        let world = World::new(Fake::default());
        let mut provisioner = step(plan::Kind::ShellLocal(Box::new(local(&[
            "exec sleep 3600",
        ]))));
        provisioner.meta.timeout = Duration::from_secs(100);
        let error = run(&provisioner, &world.context()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
    }

    #[test]
    fn bare_names_are_files_here() {
        for (path, expected) in [("a.sh", "./a.sh"), ("/a.sh", "/a.sh"), ("b/a.sh", "b/a.sh")] {
            assert_eq!(shell_local::callable(Path::new(path)), expected);
        }
    }
}
