use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::cloud::credential;
use crate::plan::testing::lines;
use crate::plan::{alicloud_ecs::Address, alicloud_ecs::Source, provisioner::Kind};
use crate::template;
use crate::template::variables::VariableInputs;

/// What the command line says.
#[derive(Default)]
struct CommandLine<'a> {
    only: &'a [&'a str],
    except: &'a [&'a str],
    force: bool,
    confined: bool,
    vars: &'a [(&'a str, &'a str)],
}

/// Plans a template whose relative paths start in `directory`.
fn plan_in(
    directory: &Path,
    text: &str,
    command_line: &CommandLine<'_>,
) -> (Result<Plan, NoPlan>, Vec<String>) {
    let environment = BTreeMap::from([
        ("ALICLOUD_ACCESS_KEY", "the-id"),
        ("ALICLOUD_SECRET_KEY", "the-secret"),
    ]);
    let env = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let inputs = VariableInputs {
        vars: command_line.vars.iter().map(pair).collect(),
        var_files: Vec::new(),
        env: &env,
        template_dir: String::new(),
        pwd: String::new(),
        start: Timestamp::UNIX_EPOCH,
        fence: &|_| None,
    };
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let source = sources.add("t.json", text);
    let loaded = template::load(source, &inputs, &mut sources, &mut diagnostics).unwrap();
    let settings = Settings {
        template_path: "t.json".into(),
        template_dir: String::new(),
        sources: &sources,
        only: owned(command_line.only),
        except: owned(command_line.except),
        force: command_line.force,
        region: None,
        profiles: None,
        places: Places {
            working_directory: directory.to_owned(),
            home: None,
            confined_to: command_line.confined.then(|| directory.to_owned()),
        },
        start: inputs.start,
    };
    let plan = plan(&loaded, &settings, &mut diagnostics);
    (plan, lines(diagnostics))
}

fn plan_text(text: &str, command_line: &CommandLine<'_>) -> (Result<Plan, NoPlan>, Vec<String>) {
    plan_in(Path::new("."), text, command_line)
}

/// A plan without any finding.
fn good(text: &str) -> Plan {
    let (plan, findings) = plan_text(text, &CommandLine::default());
    assert!(findings.is_empty(), "{findings:?}");
    plan.unwrap()
}

fn ecs_of(build: &Build) -> &alicloud_ecs::AlicloudEcs {
    match &build.builder {
        Builder::AlicloudEcs(ecs) => ecs,
        Builder::Qemu(_) => panic!("{} is another builder", build.name),
    }
}

/// A template with these builders' options and other root keys.
fn template(root: &str) -> String {
    let options = r#""type":"alicloud-ecs","region":"cn-beijing","image_name":"{{build_name}}",
        "source_image":"m-1","instance_type":"ecs.g6.large","ssh_username":"root""#;
    format!(
        r#"{{"builders":[{{"name":"web",{options}}},{{"name":"db",{options}}},
            {{"name":"disk","type":"docker"}}]{root}}}"#
    )
}

const TWO: CommandLine<'_> = CommandLine {
    only: &["web", "db"],
    except: &[],
    force: false,
    confined: false,
    vars: &[],
};

#[test]
fn the_documented_examples_plan() {
    let no_slash = "warning: Option `disk_device` of `image_disk_mappings[0]` of builder \
                    `alicloud-ecs` is `dev/xvdb`, without the first slash"
        .to_owned();
    let undeclared =
        |name: &str| format!("warning: Variable `{name}` is not declared, so it is empty here");
    let private = "warning: Option `ssh_private_ip` of builder `alicloud-ecs` leaves only a \
                   private address in a temporary VPC, which this machine cannot reach";
    let table: Vec<(&str, Vec<String>)> = vec![
        (
            include_str!("../../../tests/templates/01-tags.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/02-ignore-data-disks.json"),
            vec![no_slash.clone()],
        ),
        (
            include_str!("../../../tests/templates/03-snapshot-timeout.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/04-private-ip.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/05-disable-stop.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/06-user-data-winrm.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/07-import.json"),
            vec![
                "warning: Option `iso_checksum` of builder `qemu` is `none`: nothing is verified"
                    .to_owned(),
            ],
        ),
        (
            include_str!("../../../tests/templates/08-key-pair.json"),
            vec![
                private.to_owned(),
                undeclared("ssh_keypair_name"),
                undeclared("ssh_private_key_file"),
                undeclared("vpc_id"),
                undeclared("vswitch_id"),
                undeclared("security_group_id"),
            ],
        ),
        (
            include_str!("../../../tests/templates/09-disks.json"),
            vec![no_slash],
        ),
        (
            include_str!("../../../tests/templates/10-image-family.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/11-profile.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/12-ram-role.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/13-instance-ram-role.json"),
            vec![],
        ),
        (
            include_str!("../../../tests/templates/14-assume-role.json"),
            vec![],
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    let user_data = directory.path().join("examples/alicloud/basic");
    fs::create_dir_all(&user_data).unwrap();
    fs::write(user_data.join("winrm_enable_userdata.ps1"), "<powershell>").unwrap();
    for (text, expected) in table {
        let (plan, findings) = plan_in(directory.path(), text, &CommandLine::default());
        assert_eq!(findings, expected, "{text}");
        let has_errors = expected.iter().any(|line| line.starts_with("error"));
        assert_eq!(plan.is_err(), has_errors, "{text}");
    }
}

#[test]
fn an_example_becomes_what_it_says() {
    let plan = good(include_str!("../../../tests/templates/01-tags.json"));
    let [build] = plan.builds.as_slice() else {
        panic!("{} builds", plan.builds.len())
    };
    let ecs = ecs_of(build);
    assert_eq!(build.name, "alicloud-ecs");
    let credentials = &ecs.access.credentials;
    assert!(matches!(credentials, credential::Source::Keys(keys) if keys.access_key == "the-id"));
    assert_eq!(ecs.image.tags.len(), 2);
    assert_eq!(ecs.run.io_optimized, Some(true));
    assert!(matches!(ecs.run.address, Address::TemporaryEip));
    let secrets: Vec<_> = plan.secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, ["the-secret"]);
    let family = good(include_str!(
        "../../../tests/templates/10-image-family.json"
    ));
    let ecs = ecs_of(&family.builds[0]);
    assert!(matches!(&ecs.run.source, Source::Family(name) if name.value == "acs:centos_7_9_x64"));
    assert!(matches!(
        family.builds[0].provisioners[0].kind,
        Kind::Shell(_)
    ));
}

#[test]
fn the_key_pair_example_uses_its_variables() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("key"),
        "-----BEGIN PRIVATE KEY-----\n",
    )
    .unwrap();
    let text = include_str!("../../../tests/templates/08-key-pair.json");
    let command_line = CommandLine {
        vars: &[
            ("ssh_keypair_name", "pair"),
            ("ssh_private_key_file", "key"),
            ("vpc_id", "vpc-1"),
            ("vswitch_id", "vsw-1"),
            ("security_group_id", "sg-1"),
        ],
        ..CommandLine::default()
    };
    let (plan, findings) = plan_in(directory.path(), text, &command_line);
    assert!(findings.is_empty(), "{findings:?}");
    let plan = plan.unwrap();
    let ecs = ecs_of(&plan.builds[0]);
    assert_eq!(ecs.run.ssh_keypair_name.as_ref().unwrap().value, "pair");
    assert_eq!(ecs.run.security_group_id.as_ref().unwrap().value, "sg-1");
    assert!(matches!(
        ecs.run.address,
        Address::Private { also_eip: false }
    ));
}

#[test]
fn builds_are_selected_by_names_and_patterns() {
    let text = template("");
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (&["web"], &[], &["web"]),
        (&["w*", "db"], &[], &["web", "db"]),
        (&[], &["disk"], &["web", "db"]),
        (&["??b"], &[], &["web"]),
        (&["*"], &["d*"], &["web"]),
    ];
    for (only, except, expected) in table {
        let command_line = CommandLine {
            only,
            except,
            ..CommandLine::default()
        };
        let (plan, findings) = plan_text(&text, &command_line);
        assert!(findings.is_empty(), "{only:?} {findings:?}");
        let names: Vec<_> = plan
            .unwrap()
            .builds
            .into_iter()
            .map(|build| build.name)
            .collect();
        assert_eq!(names, *expected, "{only:?} {except:?}");
    }
    let nothing = CommandLine {
        only: &["wbe"],
        ..CommandLine::default()
    };
    let (plan, findings) = plan_text(&text, &nothing);
    assert_eq!(plan.unwrap_err(), NoPlan::NoMatch);
    assert_eq!(
        findings,
        ["warning: `-only` names `wbe`, which is not in the template"]
    );
}

#[test]
fn only_selected_builds_must_be_known() {
    let (plan, findings) = plan_text(&template(""), &CommandLine::default());
    assert!(matches!(plan, Err(NoPlan::Invalid { .. })));
    assert_eq!(findings, ["error: There is no builder of type `docker`"]);
    let unknown = template("").replace("docker", "alicloud-esc");
    let (_, findings) = plan_text(&unknown, &CommandLine::default());
    assert_eq!(
        findings,
        ["error: There is no builder of type `alicloud-esc`"]
    );
}

#[test]
fn every_build_is_rendered_for_itself_and_force_reaches_it() {
    let forced = CommandLine { force: true, ..TWO };
    let (plan, _) = plan_text(&template(""), &forced);
    let images: Vec<_> = plan
        .unwrap()
        .builds
        .iter()
        .map(|build| {
            let image = &ecs_of(build).image;
            (image.name.value.clone(), image.force_delete)
        })
        .collect();
    assert_eq!(images, [("web".to_owned(), true), ("db".to_owned(), true)]);
}

#[test]
fn provisioners_go_to_their_builds_with_overrides() {
    let text = template(
        r#","provisioners":[
            {"type":"shell","only":["web"],"inline":["a"]},
            {"type":"shell","inline":["b {{build `ID`}} {{user `x`}}","c"],
             "execute_command":"{{user `x`}} {{.Path}}","pause_before":"5s","max_retries":2,
             "override":{"db":{"inline":["d"]}}},
            {"type":"powershell","only":["disk"],"inline":["e"]}],
           "variables":{"x":"1"},
           "error-cleanup-provisioner":{"type":"shell-local","command":"date"}"#,
    );
    let (plan, findings) = plan_text(&text, &TWO);
    assert!(findings.is_empty(), "{findings:?}");
    let plan = plan.unwrap();
    let shells = |build: &Build| -> Vec<(Vec<String>, String)> {
        let kinds = build
            .provisioners
            .iter()
            .map(|provisioner| &provisioner.kind);
        kinds
            .filter_map(|kind| match kind {
                Kind::Shell(shell) => Some((shell.inline.clone(), shell.execute_command.clone())),
                _ => None,
            })
            .collect()
    };
    let default = "chmod +x {{.Path}}; {{.Vars}} {{.Path}}".to_owned();
    let rendered = "1 {{.Path}}".to_owned();
    let strings = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(
        shells(&plan.builds[0]),
        [
            (strings(&["a"]), default),
            (strings(&["b {{.ID}} 1", "c"]), rendered.clone())
        ]
    );
    assert_eq!(shells(&plan.builds[1]), [(strings(&["d", "c"]), rendered)]);
    let meta = &plan.builds[1].provisioners[0].meta;
    assert_eq!((meta.pause_before.as_secs(), meta.max_retries), (5, 2));
    assert!(plan.builds[0].error_cleanup_provisioner.is_some());
}

#[test]
fn except_drops_a_post_processor_and_what_follows_it() {
    let text = template(
        r#","post-processors":[
            ["manifest",{"type":"shell-local","name":"publish","command":"date"},"checksum"],
            {"type":"checksum","only":["db"]}]"#,
    );
    let kinds = |except: &[&str]| {
        let command_line = CommandLine { except, ..TWO };
        let (plan, findings) = plan_text(&text, &command_line);
        assert!(findings.is_empty(), "{findings:?}");
        let sequences = |build: Build| -> Vec<Vec<String>> {
            let sequences = build.post_processors.into_iter();
            sequences
                .map(|sequence| sequence.into_iter().map(|step| step.name).collect())
                .collect()
        };
        let builds = plan.unwrap().builds.into_iter();
        builds.map(sequences).collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(&[]),
        [
            vec![vec!["manifest", "publish", "checksum"]],
            vec![vec!["manifest", "publish", "checksum"], vec!["checksum"]]
        ]
    );
    assert_eq!(kinds(&["publish"])[0], [["manifest"]]);
    assert_eq!(kinds(&["pub*"])[0], [["manifest"]]);
    assert_eq!(kinds(&["checksum"])[1], [["manifest", "publish"]]);
}

#[test]
fn all_errors_of_all_blocks_are_found_at_once() {
    let text = template(
        r#","provisioners":[{"type":"shel"},{"type":"shell"},{"type":"ansible"}],
            "post-processors":["manifst",{"type":"checksum","outptu":"x"}]"#,
    )
    .replace(r#""region":"cn-beijing""#, r#""regoin":"cn-beijing""#);
    let command_line = CommandLine {
        only: &["web"],
        ..CommandLine::default()
    };
    let (plan, findings) = plan_text(&text, &command_line);
    assert!(matches!(plan, Err(NoPlan::Invalid { .. })));
    assert_eq!(
        findings,
        [
            "error: Option `region` of builder `web` is missing",
            "error: Unknown option `regoin` in builder `web`",
            "error: There is no provisioner of type `shel`",
            "error: Option `inline` of provisioner `shell` is missing",
            "error: Option `playbook_file` of provisioner `ansible` is missing",
            "error: There is no post-processor of type `manifst`",
            "error: Unknown option `outptu` in post-processor `checksum`",
        ]
    );
}

#[test]
fn without_a_connection_only_local_provisioners_run() {
    let text = template(
        r#","provisioners":[{"type":"shell","inline":["x"]},
            {"type":"shell-local","command":"x"},{"type":"file","content":"x","destination":"y"}]"#,
    )
    .replace(r#""ssh_username":"root""#, r#""communicator":"none""#);
    let (_, findings) = plan_text(
        &text,
        &CommandLine {
            only: &["web"],
            ..TWO
        },
    );
    let words = "needs a connection, but builder `web` has `communicator: none`";
    assert_eq!(
        findings,
        [
            format!("error: The provisioner `shell` {words}"),
            format!("error: The provisioner `file` {words}")
        ]
    );
}

#[test]
fn post_processors_that_will_get_no_files_are_told() {
    let import = r#"{"type":"alicloud-import","region":"cn-beijing","image_name":"copy",
        "oss_bucket_name":"images"}"#;
    let table = [
        (r#""compress""#.to_owned(), vec!["compress"]),
        (
            r#"["checksum","manifest","compress"]"#.into(),
            vec!["compress"],
        ),
        (format!("[{import}]"), vec!["alicloud-import"]),
        (
            format!(r#"[{{"type":"artifice","files":["x"]}},"compress",{import},"compress"]"#),
            vec!["compress"],
        ),
        (
            r#"[{"type":"artifice","files":["x"]},"compress"]"#.into(),
            vec![],
        ),
        (r#"{"type":"compress","except":["web"]}"#.into(), vec![]),
        (r#""checksum""#.into(), vec![]),
    ];
    let only_web = CommandLine {
        only: &["web"],
        ..TWO
    };
    for (steps, names) in table {
        let text = template(&format!(r#","post-processors":[{steps}]"#));
        let (plan, findings) = plan_text(&text, &only_web);
        let told = |name: &&str| {
            format!(
                "warning: The post-processor `{name}` will fail for builder `web`: it needs \
                 files, and gets an image in the cloud"
            )
        };
        assert_eq!(
            findings,
            names.iter().map(told).collect::<Vec<_>>(),
            "{steps}"
        );
        assert!(plan.is_ok());
    }
}

#[test]
fn a_problem_that_two_builds_share_is_said_once() {
    let (_, findings) = plan_text(&template(r#","provisioners":[{"type":"file"}]"#), &TWO);
    assert_eq!(
        findings,
        [
            "error: Option `destination` of provisioner `file` is missing",
            "error: Option `source` of provisioner `file` is missing",
        ]
    );
}

#[test]
fn sensitive_variables_are_secrets() {
    let text = template(r#","variables":{"pw":"hunter2"},"sensitive-variables":["pw"]"#);
    let (plan, _) = plan_text(&text, &TWO);
    let secrets = plan.unwrap().secrets;
    assert_eq!(secrets, [Secret::new("hunter2")]);
}

#[test]
fn a_strangers_template_uses_nothing_of_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("app.conf"), "x").unwrap();
    let stranger = CommandLine {
        confined: true,
        ..TWO
    };
    let provisioned = |provisioner: &str| {
        let text = template(&format!(
            r#","provisioners":[{{"only":["web"],{provisioner}}}]"#
        ));
        plan_in(directory.path(), &text, &stranger).1
    };
    let harmless = [
        r#""type":"shell","inline":["true"]"#,
        r#""type":"file","source":"app.conf","destination":"/etc/app.conf""#,
        r#""type":"file","direction":"download","source":"/a","destination":"log""#,
    ];
    for provisioner in harmless {
        assert_eq!(provisioned(provisioner), [""; 0], "{provisioner}");
    }
    let refused = [
        (
            r#""type":"shell-local","inline":["true"]"#,
            "uses this machine, which is not allowed",
        ),
        (r#""type":"shell","script":"/etc/profile""#, "leads out of"),
        (
            r#""type":"shell","script":"{{build `ID`}}""#,
            "is only known later",
        ),
        (
            r#""type":"file","source":"../x","destination":"/x""#,
            "leads out of",
        ),
        (
            r#""type":"file","source":"x","generated":true,"destination":"/x""#,
            "does not exist",
        ),
        (
            r#""type":"file","direction":"download","source":"/a","destination":"/b""#,
            "leads out of",
        ),
    ];
    for (provisioner, expected) in refused {
        let findings = provisioned(provisioner);
        assert!(
            findings.iter().any(|it| it.contains(expected)),
            "{provisioner}: {findings:?}"
        );
    }
    let manifest = r#","post-processors":[{"type":"manifest","output":"/m.json"}]"#;
    let findings = plan_in(directory.path(), &template(manifest), &stranger).1;
    assert!(findings[0].contains("leads out of"), "{findings:?}");
}

#[test]
fn an_outline_tells_builds_apart_and_hides_what_is_sensitive() {
    let text = template(
        r#","variables":{"word":"hunter2"},"sensitive-variables":["word"],
            "provisioners":[{"type":"shell","inline":["true"]}],
            "post-processors":[{"type":"manifest"}]"#,
    );
    let text = text.replacen("{{build_name}}", "web-{{user `word`}}", 1);
    let (plan, _) = plan_text(&text, &TWO);
    let outline = crate::plan::outline::outline(&plan.unwrap());
    let builds = outline["builds"].as_array().unwrap();
    assert_eq!(builds.len(), 2);
    assert_eq!(builds[0]["image_name"], "web-<sensitive>");
    assert_eq!(builds[1]["image_name"], "db");
    assert_eq!(builds[0]["source"]["image"], "m-1");
    assert_eq!(builds[0]["instance_types"][0], "ecs.g6.large");
    assert_eq!(builds[0]["provisioners"][0]["type"], "shell");
    assert_eq!(builds[0]["post_processors"][0][0]["type"], "manifest");
    assert!(!outline.to_string().contains("hunter2"));
}
