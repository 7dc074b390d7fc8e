//! Ansible beside the machine and in it.

use serde_json::{Value, json};

use super::{assert_said, provision};
use crate::harness::{Lab, interrupt};
use crate::template::{provisioned, web};

/// A lab with files and a playbook that use all ways to a machine: a command,
/// a file, and Python over standard input.
async fn site() -> Lab {
    let lab = Lab::new().await;
    lab.write("motd", "welcome from ansible\n").write(
        "play.yml",
        "- hosts: web
  gather_facts: false
  tasks:
    - copy: {src: motd, dest: /etc/motd, mode: '0640'}
    - command: grep -c welcome /etc/motd
      register: found
    - debug:
        msg: >-
          {{ inventory_hostname }} found {{ found.stdout }} as {{ ansible_user }}
          for {{ packer_build_name }} of {{ packer_builder_type }}
",
    );
    lab
}

/// Writes a program. Not by this process: a file that another test's fork has
/// open for writing cannot be run.
fn write_program(lab: &Lab, name: &str, text: &str) {
    lab.write("text", text);
    let install = std::process::Command::new("install")
        .args([lab.path("text"), lab.path(name)])
        .status();
    assert!(install.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_runs_through_the_builds_connection() {
    let lab = site().await;
    let provisioners = json!([
        {"type": "ansible", "playbook_file": "play.yml", "groups": ["web"], "host_alias": "box",
         "ansible_env_vars": ["ANSIBLE_PIPELINING=True"],
         "extra_arguments": ["-e", "db_password=hunter2"]},
        {"type": "shell", "inline": ["cat /etc/motd", "stat -c %a /etc/motd"]}
    ]);
    let outcome = provision(&lab, provisioners).await.success();
    let found = "    \"msg\": \"box found 1 as root for web of alicloud-ecs\"";
    assert_said(&outcome, &[found, "welcome from ansible", "640"]);
    assert!(!outcome.text().contains("=hunter2"), "{}", outcome.text());
    // Neither the adapter's key nor the address of a machine that is gone.
    assert!(!lab.path(".ssh/known_hosts").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_runs_without_the_adapter() {
    let lab = Lab::new().await;
    lab.write(
        "play.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: echo made > /etc/made\n",
    );
    let provisioners = json!([
        {"type": "ansible", "playbook_file": "play.yml", "use_proxy": false,
         "inventory_directory": ".", "keep_inventory_file": true},
        {"type": "shell", "inline": ["cat /etc/made"]}
    ]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["made"]);
    assert!(!outcome.stdout.contains("Setting up proxy adapter"));
    let names = std::fs::read_dir(lab.path("")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept = names.filter(|name| name.starts_with("packer-provisioner-ansible"));
    let kept: Vec<_> = kept.map(|name| lab.read(&name)).collect();
    assert!(kept.len() == 1 && kept[0].starts_with("default ansible_host="));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_playbook_fails_the_build() {
    let lab = Lab::new().await;
    lab.write(
        "play.yml",
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - raw: echo broken >&2; exit 9\n",
    );
    let provisioners = json!([{"type": "ansible", "playbook_file": "play.yml"}]);
    let outcome = provision(&lab, provisioners).await.failure(1);
    let text = outcome.text();
    assert!(text.contains("broken"), "{text}");
    let error = "Error executing Ansible: Non-zero exit status: 2";
    assert!(text.contains(error), "{text}");
    lab.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_ansible_is_noticed_before_anything_is_made() {
    let lab = Lab::without_machines().await;
    lab.write("play.yml", "[]\n");
    let provisioners = json!([
        {"type": "ansible", "playbook_file": "play.yml", "command": "./no-ansible"}
    ]);
    let outcome = provision(&lab, provisioners).await.failure(1);
    let text = outcome.text();
    assert!(
        text.contains("There is no program `./no-ansible`"),
        "{text}"
    );
    assert!(text.contains("pip install ansible-core"), "{text}");
    assert_eq!(lab.calls("RunInstances").len(), 0);
    assert_eq!(lab.calls("CreateVpc").len(), 0);
}

/// What `ansible-playbook` is replaced by: it reads what it needs out of its
/// arguments and the inventory, and uses the programs that Ansible uses.
const CLIENT: &str = r#"#!/bin/sh -e
for argument; do
    case "$previous $argument" in
        "-e ansible_ssh_private_key_file="*) key=${argument#*=} ;;
        "-i "*) inventory=$argument ;;
    esac
    previous=$argument
done
port=$(sed 's/.*ansible_port=//' "$inventory")
options="-i $key -o IdentitiesOnly=yes -o BatchMode=yes $ANSIBLE_SSH_COMMON_ARGS"
on_machine() { ssh -p "$port" $options root@127.0.0.1 "$@"; }
"#;

fn with_client(commands: &str, lab: &Lab) -> Value {
    write_program(lab, "client", &format!("{CLIENT}{commands}"));
    lab.write("play.yml", "[]\n");
    json!([{"type": "ansible", "playbook_file": "play.yml", "command": "./client"}])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_passes_bytes_unchanged() {
    let lab = Lab::new().await;
    let provisioners = with_client(
        r#"
head -c 5000000 /dev/urandom > sent
on_machine 'cat > /tmp/there; cat /tmp/there' < sent > back
cmp sent back && echo same by standard input
scp -q -O -P "$port" $options sent root@127.0.0.1:/tmp/by-scp
scp -q -P "$port" $options root@127.0.0.1:/tmp/by-scp back
cmp sent back && echo same by scp
printf 'put sent /tmp/by-sftp\nget /tmp/by-sftp back\n' | sftp -q -b - -P "$port" $options root@127.0.0.1 > /dev/null
cmp sent back && echo same by sftp
on_machine 'echo to stderr >&2; exit 42' 2> back || echo "status $? and $(cat back)"
on_machine 'kill -9 $$' || echo "killed: $?"
on_machine head -c 3 < sent | wc -c | xargs echo bytes read:
ssh -p "$port" $options -o PubkeyAuthentication=no root@127.0.0.1 true 2> /dev/null || echo keys only
ssh -p "$port" $options root@127.0.0.1 < /dev/null 2> /dev/null || echo no shell
"#,
        &lab,
    );
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(
        &outcome,
        &[
            "same by standard input",
            "same by scp",
            "same by sftp",
            "status 42 and to stderr",
            "killed: 137",
            "bytes read: 3",
            "keys only",
            "no shell",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_ansible_and_the_adapter() {
    let lab = Lab::new().await;
    let provisioners = with_client(
        r#"
# As Ansible's control master, this client is in a group of its own.
setsid ssh -p "$port" $options root@127.0.0.1 'echo up; sleep 10000' > started 2> ended &
echo $! > client.pid
while ! grep -q up started; do :; done
mv started running
sleep 10000
"#,
        &lab,
    );
    lab.write_template(&provisioned(web(json!({})), provisioners));
    let child = lab.start(&["build", "template.json"]);
    lab.wait_for_file("running").await;
    interrupt(&child);
    let outcome = lab.finish(child).await;
    assert_ne!(outcome.code, 0);
    lab.assert_empty();
    // The client lost its server, so it ends by itself.
    let client = lab.read("client.pid");
    let stat = format!("/proc/{}/stat", client.trim());
    let is_gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    lab.wait_until(is_gone, "the end of the client").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_runs_in_the_machine() {
    let lab = Lab::new().await;
    for directory in ["vars", "roles/greet/tasks"] {
        std::fs::create_dir_all(lab.path(directory)).unwrap();
    }
    lab.write("vars/front.yml", "greeting: hello\n")
        .write(
            "roles/greet/tasks/main.yml",
            "- debug: {msg: '{{ greeting }} {{ who }} of {{ packer_build_name }}'}\n",
        )
        .write(
            "play.yml",
            "- hosts: front\n  gather_facts: false\n  roles: [greet]\n",
        );
    let provisioners = json!([
        {"type": "ansible-local", "playbook_file": "play.yml", "role_paths": ["roles/greet"],
         "group_vars": "vars", "inventory_groups": ["front"], "staging_directory": "/opt/it's staged",
         "clean_staging_directory": true, "extra_arguments": ["-e", "'who=\"the world\"'"]},
        {"type": "shell", "inline": ["ls /opt | grep -c stag || true"]}
    ]);
    let outcome = provision(&lab, provisioners).await.success();
    assert_said(&outcome, &["    \"msg\": \"hello the world of web\"", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_ansible_is_explained() {
    let lab = Lab::new().await;
    lab.write("play.yml", "[]\n");
    let provisioners = json!([
        {"type": "ansible-local", "playbook_file": "play.yml", "command": "no-ansible"}
    ]);
    let outcome = provision(&lab, provisioners).await.failure(1);
    let text = outcome.text();
    assert!(
        text.contains("Exit status 127: a program was not found"),
        "{text}"
    );
    assert!(text.contains("The image needs Ansible"), "{text}");
}
