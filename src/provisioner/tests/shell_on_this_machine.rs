//! `shell-local`, against real shells.

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
