//! `shell`.

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
    let content = "export PACKER_BUILDER_TYPE='alicloud-ecs'\\nexport PACKER_BUILD_NAME='web'\\n";
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
