use std::fs;

use super::*;
use crate::plan::testing::{Outcome, read_in};

/// Reads options in a directory with a script and a directory.
pub(super) fn with(name: &str, text: &str) -> Outcome<Kind> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.sh"), "true").unwrap();
    fs::create_dir(directory.path().join("files")).unwrap();
    let kind = TYPES.iter().find(|kind| kind.name == name).unwrap();
    read_in(directory.path(), text, kind.options, kind.read)
}

pub(super) fn read_good(name: &str, text: &str) -> Kind {
    let outcome = with(name, text);
    assert!(
        outcome.findings.is_empty(),
        "{text}: {:?}",
        outcome.findings
    );
    outcome.read
}

#[test]
fn shell_has_packers_defaults() {
    let Kind::Shell(shell) = read_good("shell", r#"{"inline":["a, b",""]}"#) else {
        panic!("not shell")
    };
    assert_eq!(shell.inline, ["a, b", ""]);
    assert_eq!(shell.env_var_format, "%s='%s' ");
    assert_eq!(
        shell.execute_command,
        "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"
    );
    assert_eq!(shell.inline_shebang, "/bin/sh -e");
    assert!(!shell.inline_shebang_is_set);
    assert_eq!(shell.remote_folder, "/tmp");
    assert_eq!(shell.start_retry_timeout, Duration::from_secs(300));
    assert_eq!(shell.valid_exit_codes, [0]);
    let Kind::Shell(shell) = read_good("shell", r#"{"script":"a.sh","use_env_var_file":true}"#)
    else {
        panic!("not shell")
    };
    assert_eq!(shell.env_var_format, "export %s='%s'\n");
    assert_eq!(
        shell.execute_command,
        "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"
    );
}

#[test]
fn one_inline_text_is_one_command() {
    let Kind::Shell(shell) = read_good("shell", r#"{"inline":"echo a,b"}"#) else {
        panic!("not shell")
    };
    assert_eq!(shell.inline, ["echo a,b"]);
}

#[test]
fn the_map_wins_over_the_list() {
    let text = r#"{"inline":["x"],"env":{"A":"2"},"environment_vars":["A=1","B=x=y"],
                   "valid_exit_codes":[0,2300218]}"#;
    let Kind::Shell(shell) = read_good("shell", text) else {
        panic!("not shell")
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        shell.environment,
        [pair("A", "1"), pair("B", "x=y"), pair("A", "2")]
    );
    assert_eq!(shell.valid_exit_codes, [0, 2_300_218]);
}

#[test]
fn one_word_of_execute_command_goes_to_a_shell() {
    let execute = |text: &str| match read_good("shell-local", text) {
        Kind::ShellLocal(local) => local.execute_command,
        other => panic!("{other:?}"),
    };
    let default = ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"];
    assert_eq!(execute(r#"{"command":"x"}"#), default);
    assert_eq!(
        execute(r#"{"command":"x","execute_command":"a, b"}"#),
        ["sh", "-c", "a, b"]
    );
    assert_eq!(
        execute(r#"{"command":"x","execute_command":["a","b"]}"#),
        ["a", "b"]
    );
}

#[test]
fn file_keeps_trailing_slashes_and_the_direction() {
    let Kind::File(file) = read_good("file", r#"{"source":"files/","destination":"/srv/"}"#) else {
        panic!("not file")
    };
    assert!(matches!(file.source, FileSource::Paths(paths) if paths[0].value == "files/"));
    assert_eq!(file.direction, Direction::Upload);
    read_good(
        "file",
        r#"{"source":"absent","destination":"d","direction":"download"}"#,
    );
    read_good(
        "file",
        r#"{"source":"absent","destination":"d","generated":true}"#,
    );
    read_good("file", r#"{"source":"{{.ID}}","destination":"d"}"#);
    read_good("file", r#"{"content":"text","destination":"d"}"#);
}

#[test]
fn powershell_has_packers_defaults() {
    let read = |text: &str| match read_good("powershell", text) {
        Kind::PowerShell(powershell) => *powershell,
        other => panic!("{other:?}"),
    };
    let plain = read(r#"{"inline":["dir"]}"#);
    assert_eq!(
        plain.execute_command,
        "powershell -executionpolicy bypass \"& { if (Test-Path \
         variable:global:ProgressPreference){set-variable -name variable:global:ProgressPreference \
         -value 'SilentlyContinue'};. {{.Vars}}; &'{{.Path}}'; exit $LastExitCode }\""
    );
    assert_eq!(plain.env_var_format, "$env:%s=\"%s\"; ");
    assert_eq!(plain.start_retry_timeout, Duration::from_secs(300));
    assert!(plain.elevated.is_none());
    let other = read(
        r#"{"inline":["dir"],"use_pwsh":true,"execution_policy":"None","debug_mode":1,
            "elevated_user":"SYSTEM","elevated_password":""}"#,
    );
    assert!(other.execute_command.starts_with("pwsh \"& { "));
    assert!(
        other
            .execute_command
            .contains(";Set-PsDebug -Trace 1;. {{.Vars}}")
    );
    let elevated = other.elevated.unwrap();
    assert_eq!(elevated.user, "SYSTEM");
    assert!(elevated.password.is_empty());
    assert_eq!(elevated.execute_command, other.execute_command);
}

#[test]
fn windows_provisioners_have_packers_defaults() {
    let Kind::WindowsShell(batch) = read_good("windows-shell", r#"{"inline":["dir"]}"#) else {
        panic!("not windows-shell")
    };
    assert_eq!(batch.execute_command, "{{.Vars}}\"{{.Path}}\"");
    assert_eq!(batch.remote_path, "c:/Windows/Temp/script.bat");
    assert_eq!(batch.env_var_format, "set \"%s=%s\" && ");
    let Kind::WindowsRestart(restart) = read_good("windows-restart", "{}") else {
        panic!("not windows-restart")
    };
    assert_eq!(restart.command, "shutdown /r /f /t 0 /c \"packer restart\"");
    assert_eq!(restart.timeout, Duration::from_secs(300));
    assert!(restart.registry_keys.is_empty() && restart.check_command.is_none());
    let text = r#"{"check_registry":true}"#;
    let Kind::WindowsRestart(restart) = read_good("windows-restart", text) else {
        panic!("not windows-restart")
    };
    assert_eq!(restart.registry_keys.len(), 4);
}

#[test]
fn every_rule_has_its_words() {
    let table: &[(&str, &str, &[&str])] = &[
        ("shell", "{}", &["error: Option `inline` is missing"]),
        (
            "shell",
            r#"{"inline":[]}"#,
            &["error: Option `inline` is missing"],
        ),
        (
            "shell",
            r#"{"inline":["x"],"script":"a.sh"}"#,
            &["error: Option `inline` cannot be used with `script`"],
        ),
        (
            "shell",
            r#"{"script":"a.sh","scripts":["a.sh"]}"#,
            &["error: Option `script` cannot be used with `scripts`"],
        ),
        (
            "shell",
            r#"{"script":"b.sh"}"#,
            &["error: Option `script` names `b.sh`, which does not exist"],
        ),
        (
            "shell",
            r#"{"scripts":["a.sh","b.sh","files"]}"#,
            &[
                "error: Option `scripts` names `b.sh`, which does not exist",
                "error: Option `scripts` names `files`, which is a directory",
            ],
        ),
        (
            "shell",
            r#"{"inline":["x"],"environment_vars":["A"]}"#,
            &["error: Option `environment_vars` contains a text that is not `NAME=value`"],
        ),
        (
            "shell",
            r#"{"inline":["x"],"env_var_format":"%s"}"#,
            &["error: Option `env_var_format` is `%s`, which has not two `%s`"],
        ),
        (
            "shell",
            r#"{"inline":["x"],"valid_exit_codes":["a"]}"#,
            &["error: Option `valid_exit_codes` contains `a`, which is not an exit code"],
        ),
        (
            "shell",
            r#"{"inline":["x"],"pause_after":"-1s"}"#,
            &["error: Option `pause_after` must not be negative"],
        ),
        (
            "shell",
            r#"{"inline":["x"],"inlin":[]}"#,
            &["error: Unknown option `inlin` in `it`"],
        ),
        ("shell-local", "{}", &["error: Option `command` is missing"]),
        (
            "shell-local",
            r#"{"command":"x","inline":["y"]}"#,
            &["error: Option `command` cannot be used with `inline`"],
        ),
        (
            "shell-local",
            r#"{"command":"x","use_linux_pathing":true}"#,
            &["warning: Option `use_linux_pathing` has no effect"],
        ),
        (
            "file",
            "{}",
            &[
                "error: Option `destination` is missing",
                "error: Option `source` is missing",
            ],
        ),
        (
            "file",
            r#"{"source":"absent","destination":"d"}"#,
            &["error: Option `source` names `absent`, which does not exist"],
        ),
        (
            "file",
            r#"{"source":"a.sh","content":"x","destination":"d"}"#,
            &["error: Option `content` cannot be used with `source`"],
        ),
        (
            "file",
            r#"{"content":"x","destination":"d","direction":"download"}"#,
            &["error: Option `content` cannot be used with `direction`"],
        ),
        (
            "file",
            r#"{"source":"a.sh","destination":"d","direction":"up"}"#,
            &["error: Option `direction` is `up`, which is not one of its values"],
        ),
        (
            "shell",
            r#"{"inline":["echo {{.ID}}","echo {{.Id}}"],"execute_command":"{{.Var}} {{.Path}}"}"#,
            &[
                "error: Option `inline` cannot be rendered: There is no field `.Id` here",
                "error: Option `execute_command` cannot be rendered: There is no field `.Var` here",
            ],
        ),
        (
            "powershell",
            r#"{"inline":["x"],"execution_policy":"loose","debug_mode":3,"elevated_password":"p"}"#,
            &[
                "error: Option `execution_policy` is `loose`, which is not one of its values",
                "error: Option `debug_mode` is 3",
                "error: Option `elevated_password` is set without a user",
            ],
        ),
        (
            "powershell",
            r#"{"script":"b.ps1","elevated_execute_command":"{{.Nothing}}"}"#,
            &[
                "error: Option `script` names `b.ps1`, which does not exist",
                "error: Option `elevated_execute_command` cannot be rendered: There is no field \
                 `.Nothing` here",
            ],
        ),
        (
            "windows-shell",
            "{}",
            &["error: Option `inline` is missing"],
        ),
        (
            "windows-restart",
            r#"{"registry_keys":["HKLM:x"]}"#,
            &["warning: Option `registry_keys` has no effect without `check_registry`"],
        ),
        ("sleep", "{}", &["error: Option `duration` is missing"]),
        (
            "sleep",
            r#"{"duration":"soon"}"#,
            &[
                "error: Option `duration` must be a duration such as `5m`, but it is the string `\"soon\"`",
            ],
        ),
    ];
    assert_findings(table);
}

/// Asserts what is found in each of: a type, its options, and what is said of
/// them.
pub(super) fn assert_findings(table: &[(&str, &str, &[&str])]) {
    for (name, text, expected) in table {
        let outcome = with(name, text);
        let found: Vec<_> = outcome
            .findings
            .iter()
            .map(|line| line.replace(" of `it`", ""))
            .collect();
        assert_eq!(found, *expected, "{name} {text}");
    }
}
