//! Builds of Windows images: WinRM in all its forms, and what runs over it.

use std::net::SocketAddr;
use std::sync::Arc;

use alicloud_image_sandbox::SandboxOptions;
use alicloud_image_sandbox::host::Guests;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{Lab, Outcome, documented_policy, guests, limited_to, quick_options};
use crate::record::{assert_never_called, assert_params};
use crate::template::{builder, provisioned, template};

const USUAL: &str = include_str!("../../examples/alicloud/basic/winrm_enable_userdata.ps1");
/// Neither Basic nor unencrypted messages, as `winrm quickconfig` leaves it.
const CAUTIOUS: &str = "[powershell]\nwinrm quickconfig -q\n";
const HTTPS: &str = "[powershell]\n\
    New-Item -Path WSMan:\\LocalHost\\Listener -Transport HTTPS -Address * -Force\n\
    winrm set winrm/config/service/auth '@{Basic=\"true\"}'\n";

/// A build of a Windows image, `win`, with this user data.
fn windows(user_data: &str, options: Value) -> Value {
    let mut windows = builder("win", options);
    let fixed = windows.as_object_mut().unwrap();
    fixed.remove("ssh_username");
    for (name, value) in [
        (
            "source_image",
            "win2022_21H2_x64_dtc_en-us_40G_alibase_20250917.vhd",
        ),
        ("communicator", "winrm"),
        ("winrm_username", "Administrator"),
        ("user_data", user_data),
    ] {
        fixed.insert(name.to_owned(), json!(value));
    }
    fixed.entry("winrm_password").or_insert(json!("Test1234"));
    template(&[windows])
}

async fn build(lab: &Lab, template: &Value) -> Outcome {
    lab.build(template).await
}

/// Asserts that the machine, or a script on it, said these lines.
#[track_caller]
fn assert_said(outcome: &Outcome, lines: &[&str]) {
    for line in lines {
        let shown = format!("    win: {line}\n");
        assert!(
            outcome.stdout.contains(&shown),
            "{line:?} is not in:\n{}",
            outcome.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_alibaba_cloud_runs_as_it_stands() {
    // Under the policy that the same documentation gives.
    let lab = Lab::with(limited_to(documented_policy(), quick_options())).await;
    let example = include_str!("../templates/06-user-data-winrm.json");
    std::fs::create_dir_all(lab.path("examples/alicloud/basic")).unwrap();
    lab.write("template.json", example)
        .write("examples/alicloud/basic/winrm_enable_userdata.ps1", USUAL);
    let outcome = lab.run(&["build", "template.json"]).await.success();
    let run = lab.call("RunInstances");
    assert_params(&run, &[("Password", "Test1234")]);
    assert_eq!(
        STANDARD.decode(&run.params["UserData"]).unwrap(),
        USUAL.as_bytes()
    );
    assert!(!run.params.contains_key("KeyPairName"), "{run:#?}");
    assert_never_called(&lab, &["ImportKeyPair", "CreateKeyPair"]);
    let opened = lab.call("AuthorizeSecurityGroup");
    let ports = opened.params.values().filter(|value| value.contains('/'));
    assert!(
        ports.into_iter().any(|ports| ports == "5985/5985"),
        "{opened:#?}"
    );
    let said = &outcome.stdout;
    for line in ["Connected to WinRM!", "WinRM connected.", "Directory: C:\\"] {
        assert!(said.contains(line), "{line}: {}", outcome.text());
    }
    assert!(!outcome.shown().contains("Test1234"));
    assert_eq!(outcome.outputs["image-name"], "packer_test");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_and_their_ends_count() {
    let lab = Lab::quick().await;
    lab.write(
        "one.ps1",
        "Write-Output \"script of $env:PACKER_BUILD_NAME\"\nexit 3\n",
    )
    .write(
        "two.bat",
        "@echo off\r\necho batch says %GREETING%\r\nexit /b 4\r\n",
    );
    let provisioners = json!([
        {"type": "powershell", "environment_vars": ["QUOTED=$a \"b\" 'c' `d`", "WORD=grüße"],
         "inline": ["Write-Output \"<$env:QUOTED> <$env:WORD>\"", "echo '{{ build `User` }}'"]},
        {"type": "powershell", "script": "one.ps1", "valid_exit_codes": [0, 3]},
        {"type": "powershell", "elevated_user": "SYSTEM", "elevated_password": "",
         "inline": ["Write-Output \"elevated as $env:USERNAME\""]},
        {"type": "powershell", "elevated_user": "Administrator",
         "elevated_password": "{{ build `Password` }}",
         "inline": ["Write-Output \"elevated as $env:USERNAME too\""]},
        {"type": "windows-shell", "environment_vars": ["GREETING=good morning"],
         "scripts": ["two.bat"], "valid_exit_codes": [4]},
        {"type": "windows-shell", "inline": ["echo inline batch"]},
        {"type": "powershell", "inline": ["dir C:/Windows/Temp"]}
    ]);
    let template = provisioned(windows(USUAL, json!({})), provisioners);
    let outcome = build(&lab, &template).await.success();
    assert_said(
        &outcome,
        &[
            "<$a \"b\" 'c' `d`> <grüße>",
            "Administrator",
            "script of win",
            "elevated as SYSTEM",
            "elevated as Administrator too",
            "batch says good morning",
            "inline batch",
        ],
    );
    // The batch file stays, as Packer leaves it; of PowerShell there is only
    // what runs right now.
    let (_, listed) = outcome
        .stdout
        .split_once("Directory: C:\\Windows\\Temp")
        .unwrap();
    assert_eq!(listed.matches(".ps1").count(), 2, "{listed}");
    assert!(listed.contains("script.bat"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_script_fails_the_build() {
    let lab = Lab::quick().await;
    for (provisioner, expected) in [
        (
            json!({"type": "powershell", "inline": ["exit 5"]}),
            "Script exited with non-zero exit status: 5. Allowed exit codes are: [0]",
        ),
        (
            json!({"type": "powershell", "inline": ["throw 'it broke'"]}),
            "win: it broke",
        ),
        (
            json!({"type": "windows-shell", "inline": ["@no-such-program"]}),
            "'no-such-program' is not recognized as an internal or external command",
        ),
        (
            json!({"type": "powershell", "elevated_user": "Administrator",
                   "elevated_password": "wrong", "inline": ["dir"]}),
            "The task of Administrator could not be made: The user name or password is incorrect.",
        ),
        (
            json!({"type": "windows-restart", "restart_command": "exit 7"}),
            "Restart script exited with non-zero exit status: 7",
        ),
        (
            json!({"type": "file", "direction": "download", "source": "C:/missing.txt",
                   "destination": "missing.txt"}),
            "Could not find file 'C:/missing.txt'.",
        ),
    ] {
        let template = provisioned(windows(USUAL, json!({})), json!([provisioner]));
        let outcome = build(&lab, &template).await.failure(1);
        assert!(
            outcome.text().contains(expected),
            "{expected}: {}",
            outcome.text()
        );
        lab.assert_empty();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_travel_both_ways() {
    let lab = Lab::quick().await;
    std::fs::create_dir_all(lab.path("site/css")).unwrap();
    // Larger than a request, and no multiple of anything.
    let large: Vec<u8> = (0..400_001_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    std::fs::write(lab.path("large.bin"), &large).unwrap();
    lab.write("site/index.html", "<h1>it works</h1>")
        .write("site/css/main.css", "h1 {}")
        .write("empty", "");
    let up = |from: &str, to: &str| json!({"type": "file", "source": from, "destination": to});
    let down = |from: &str, to: &str| json!({"type": "file", "direction": "download", "source": from, "destination": to});
    let provisioners = json!([
        up("large.bin", "C:\\data\\large.bin"),
        up("empty", "C:\\data\\"),
        up("site", "C:/www"),
        up("site/", "C:\\inetpub\\"),
        {"type": "file", "content": "made of text", "destination": "%TEMP%\\note.txt"},
        {"type": "powershell", "inline": [
            "Get-Content C:/www/site/css/main.css", "Get-Content C:/inetpub/index.html",
            "Get-Content C:/Windows/Temp/note.txt"]},
        down("C:/data/large.bin", "back/"),
        down("C:/data/empty", "back/empty")
    ]);
    let template = provisioned(windows(USUAL, json!({})), provisioners);
    let outcome = build(&lab, &template).await.success();
    assert_said(&outcome, &["h1 {}", "<h1>it works</h1>", "made of text"]);
    assert!(std::fs::read(lab.path("back/large.bin")).unwrap() == large);
    assert_eq!(lab.read("back/empty"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_is_restarted_and_keeps_its_disk() {
    let lab = Lab::quick().await;
    let provisioners = json!([
        {"type": "powershell", "inline": ["Set-Content C:/kept.txt 'still here'"]},
        {"type": "windows-restart", "restart_timeout": "100m", "check_registry": true},
        {"type": "windows-restart", "restart_timeout": "100m",
         "restart_command": "powershell \"Restart-Computer -Force\"",
         "restart_check_command": "cmd /c echo checked by the template"},
        {"type": "powershell", "inline": ["Get-Content C:/kept.txt"]}
    ]);
    let template = provisioned(windows(USUAL, json!({})), provisioners);
    let outcome = build(&lab, &template).await.success();
    assert_said(&outcome, &["checked by the template", "still here"]);
    let restarted = "Machine successfully restarted, moving on";
    assert_eq!(
        outcome.stdout.matches(restarted).count(),
        2,
        "{}",
        outcome.text()
    );
    assert_eq!(
        outcome.stdout.matches(" restarted.\n").count(),
        1,
        "{}",
        outcome.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_may_switch_the_machine_off() {
    let lab = Lab::quick().await;
    let provisioners = json!([
        {"type": "powershell", "inline": ["Stop-Computer -Force", "Start-Sleep -s 3600"],
         "valid_exit_codes": [0, 2300218]}
    ]);
    let template = windows(USUAL, json!({"disable_stop_instance": true}));
    build(&lab, &provisioned(template, provisioners))
        .await
        .success();
    assert_never_called(&lab, &["StopInstance"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_over_every_transport() {
    let lab = Lab::quick().await;
    for (user_data, options) in [
        (CAUTIOUS, json!({"winrm_use_ntlm": true})),
        (
            HTTPS,
            json!({"winrm_use_ssl": true, "winrm_insecure": true}),
        ),
        (
            HTTPS,
            json!({"winrm_use_ssl": true, "winrm_insecure": true, "winrm_use_ntlm": true,
                   "winrm_no_proxy": true, "pause_before_connecting": "5s"}),
        ),
    ] {
        let provisioners = json!([
            {"type": "powershell", "inline": ["hostname", "Start-Sleep -s 1", "echo 'through'"]}
        ]);
        let template = provisioned(windows(user_data, options.clone()), provisioners);
        let template = json!({"builders": template["builders"], "provisioners":
            template["provisioners"]});
        let outcome = lab
            .write_template(&template)
            .run(&["build", "-force", "template.json"])
            .await
            .success();
        assert_said(&outcome, &["WinRM connected.", "through"]);
    }
}

/// Stands for `ansible-playbook`: shows what it was given, and who can see what.
const PLAYBOOK: &str = r#"#!/bin/sh -e
for argument; do
    case "$previous $argument" in
    "-e @"*) echo "variables: $(cat "${argument#@}") ($(stat -c %a "${argument#@}"))" ;;
    "-i "*) echo "inventory: $(cat "$argument")" ;;
    esac
    previous=$argument
done
echo "past proxies: $NO_PROXY $no_proxy"
cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline /proc/$PPID/environ |
    tr '\0' '\n' | grep -c Test1234 || true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn ansible_gets_the_builds_login_and_hides_the_password() {
    let mut lab = Lab::quick().await;
    lab.set("NO_PROXY", "elsewhere");
    lab.write("play.yml", "[]\n").write("text", PLAYBOOK);
    // Not by this process: what another test's fork has open cannot be run.
    let installed = std::process::Command::new("install")
        .args([lab.path("text"), lab.path("client")])
        .status();
    assert!(installed.unwrap().success());
    let provisioners = json!([
        {"type": "ansible", "playbook_file": "play.yml", "command": "./client"}
    ]);
    let options = json!({"winrm_use_ssl": true, "winrm_insecure": true, "winrm_use_ntlm": true});
    let template = provisioned(windows(HTTPS, options), provisioners.clone());
    let outcome = build(&lab, &template).await.success();
    let text = outcome.shown();
    for part in [
        "inventory: default ansible_host=ADDRESS ansible_connection=winrm \
         ansible_winrm_transport=ntlm ansible_winrm_scheme=https \
         ansible_winrm_server_cert_validation=ignore ansible_shell_type=powershell \
         ansible_user=Administrator ansible_port=5986\n",
        "variables: {\"ansible_password\":\"<sensitive>\"} (600)\n",
        // The machine is on a loopback address, so no proxy leads there.
        "past proxies: elsewhere,ADDRESS ADDRESS\n",
        "win: 0\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let through = json!([{"type": "ansible", "playbook_file": "play.yml", "command": "./client",
                          "use_proxy": true}]);
    lab.write_template(&provisioned(windows(USUAL, json!({})), through));
    let text = lab
        .run(&["validate", "template.json"])
        .await
        .failure(2)
        .text();
    assert!(
        text.contains("Ansible cannot go through a connection by WinRM"),
        "{text}"
    );
    assert!(text.contains("Set `use_proxy` to false"), "{text}");
}

/// Stands for PowerShell: takes every script for one of the shell, and looks at
/// the drives where the sandbox lays them out.
const STAND_IN: &str = r#"#!/bin/sh
for text; do :; done
case $text in
*"WinRM connected."*)
    echo "WinRM connected."
    echo "$1 $2 $3 $4" > /windows/C/how.txt
    cat /windows/prelude.ps1 >> /windows/C/how.txt ;;
*"&'c:"*)
    tr -d '\r' < "/windows/C$(expr "$text" : ".*&'c:\(.*\)'")" | sh ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_in_the_powershell_of_the_host() {
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("pwsh");
    std::fs::write(&program, STAND_IN).unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let lab = Lab::with(SandboxOptions {
        machines: Arc::new(Guests {
            powershell: Some(program),
            ..(*guests()).clone()
        }),
        ..quick_options()
    })
    .await;
    let powershell = |lines: Value| json!({"type": "powershell", "inline": lines});
    let provisioners = json!([
        {"type": "file", "content": "by file", "destination": "C:/data/in.txt"},
        powershell(json!([
            "cat /windows/C/data/in.txt; echo; echo to stderr >&2",
            "rm /windows/C/data/in.txt; echo by script > /windows/C/data/out.txt",
            "touch /usr/only-inside; echo kept > /kept"
        ])),
        {"type": "powershell", "valid_exit_codes": [3], "inline": ["cat /kept; exit 3"]},
        {"type": "windows-shell", "inline": ["@type C:\\data\\out.txt", "dir C:\\data"]},
        {"type": "file", "direction": "download", "source": "C:/how.txt",
         "destination": "how.txt"},
        {"type": "powershell", "inline": ["printf off > /windows/power"],
         "valid_exit_codes": [0, 2300218]}
    ]);
    let template = windows(USUAL, json!({"disable_stop_instance": true}));
    let outcome = build(&lab, &provisioned(template, provisioners))
        .await
        .success();
    assert_said(&outcome, &["by file", "to stderr", "kept", "by script"]);
    let (_, listed) = outcome.stdout.split_once("Directory: C:\\data").unwrap();
    let (listed, _) = listed.split_once("==>").unwrap();
    assert!(!listed.contains("in.txt"), "{listed}");
    let how = lab.read("how.txt");
    assert!(
        how.starts_with("-NoLogo -NoProfile -NonInteractive -Command\n"),
        "{how}"
    );
    for part in [
        "-Name C ",
        "-Root '/windows/C'",
        "'C:/Users/Administrator'",
        " * 0.0",
    ] {
        assert!(how.contains(part), "{part}: {how}");
    }
    assert!(!std::path::Path::new("/usr/only-inside").exists());
    // It switched itself off.
    assert_never_called(&lab, &["StopInstance"]);
}

/// Builds with a short `winrm_timeout`, and gives what is said in the end.
async fn fails(lab: &Lab, user_data: &str, options: Value) -> String {
    let mut template = windows(user_data, options);
    template["builders"][0]["winrm_timeout"] = json!("3m");
    let outcome = build(lab, &template).await.failure(1);
    lab.assert_empty();
    outcome.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_us_out_is_said() {
    let lab = Lab::quick().await;
    let ssl = json!({"winrm_use_ssl": true});
    for (user_data, options, expected) in [
        (
            "rem cmd",
            json!({}),
            vec![
                "Timeout waiting for WinRM at ",
                "the connection was refused",
                "WinRM is off in Windows images until the user data enables it",
            ],
        ),
        (
            CAUTIOUS,
            json!({}),
            vec![
                "does not accept Basic authentication (401), it offers Negotiate",
                "Set winrm_use_ntlm",
            ],
        ),
        (
            HTTPS,
            ssl,
            vec!["is not trusted: ", "set winrm_insecure to accept any"],
        ),
    ] {
        let said = fails(&lab, user_data, options).await;
        for part in expected {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_while_it_is_tried_again() {
    let lab = Lab::quick().await;
    for options in [json!({}), json!({"winrm_use_ntlm": true})] {
        // The instance gets the password of SSH, WinRM tries the other.
        let mut options = options;
        options["ssh_password"] = json!("Other-password1");
        let said = fails(&lab, USUAL, options).await;
        for part in [
            "WinRM does not let us in yet: the user name or the password was refused (401)",
            "Timeout waiting for WinRM at ",
            "Last attempt: the user name or the password was refused (401)",
            "Check winrm_username and winrm_password",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

/// A server that gives every request the same answer and hangs up, or none ever.
async fn serve(answer: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                // Whatever comes and goes: the answer is the same.
                let _ = stream.read(&mut request).await;
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_winrm_is_said() {
    let lab = Lab::quick().await;
    let unavailable = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\
                       Connection: close\r\n\r\n";
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>";
    let denied = "HTTP/1.1 500 Error\r\nContent-Length: 164\r\nConnection: close\r\n\r\n\
        <s:Envelope><s:Body><s:Fault><s:Detail><f:WSManFault Code=\"5\"><f:Message>Access is \
        denied.</f:Message></f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>      ";
    for (answer, ntlm, expected) in [
        (Some(unavailable), false, "the machine answered HTTP 500"),
        (
            Some(unavailable),
            true,
            "HTTP 500 Internal Server Error instead of a challenge",
        ),
        (Some(page), false, "the answer is not from WinRM: HTTP 200"),
        (
            Some("SSH-2.0-OpenSSH_9.2\r\n"),
            false,
            "the answer is not from WinRM",
        ),
        (
            Some(denied),
            false,
            "WinRM refused the request: Access is denied.",
        ),
        (
            Some(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n\
                 WWW-Authenticate: Kerberos\r\nContent-Length: 0\r\n\r\n",
            ),
            true,
            "does not let us in by NTLM (401), it offers Negotiate, Kerberos",
        ),
        (
            // SPNEGO: Kerberos is the mechanism.
            Some(
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\
                 WWW-Authenticate: Negotiate oRQwEqADCgEBoQsGCSqGSIb3EgECAg==\r\n\r\n",
            ),
            true,
            "Kerberos is not supported. Let the machine accept NTLM",
        ),
        (None, false, "Last attempt: the host did not answer"),
        (Some(""), false, "the machine closed the connection"),
    ] {
        let address = serve(answer).await;
        let options = json!({
            "winrm_host": address.ip().to_string(), "winrm_port": address.port(),
            "winrm_use_ntlm": ntlm
        });
        let said = fails(&lab, USUAL, options).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_does_not_help_is_said() {
    let mut lab = Lab::quick().await;
    let wants_login = serve(Some(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
    ))
    .await;
    lab.set("HTTP_PROXY", &format!("http://{wants_login}"));
    lab.set("HTTPS_PROXY", &format!("http://{wants_login}"));
    for (ssl, ntlm) in [(false, false), (false, true), (true, false)] {
        // A name that only the proxy could know.
        let options = json!({"winrm_host": "machine.invalid", "winrm_use_ssl": ssl,
                             "winrm_use_ntlm": ntlm});
        let said = fails(&lab, USUAL, options).await;
        for part in ["the proxy wants a login (407)", "or set winrm_no_proxy"] {
            assert!(said.contains(part), "{ssl} {ntlm} {part}: {said}");
        }
    }
    let refuses = serve(Some("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")).await;
    lab.set("HTTPS_PROXY", &format!("http://{refuses}"));
    let options = json!({"winrm_host": "machine.invalid", "winrm_use_ssl": true});
    let said = fails(&lab, USUAL, options).await;
    assert!(
        said.contains("the proxy did not connect to the machine"),
        "{said}"
    );
}
