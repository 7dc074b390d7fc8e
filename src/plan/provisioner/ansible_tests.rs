//! Reading `ansible` and `ansible-local`.

use super::Kind;
use super::tests::{assert_findings, read_good, with};
use crate::plan::communicator::KeyType;

#[test]
fn ansible_has_packers_defaults() {
    let text = r#"{"playbook_file":"a.sh","use_proxy":"","ansible_proxy_key_type":"rsa"}"#;
    let Kind::Ansible(ansible) = read_good("ansible", text) else {
        panic!("not ansible")
    };
    assert_eq!(ansible.command, "ansible-playbook");
    assert_eq!(ansible.inventory.host_alias, "default");
    assert_eq!(ansible.use_proxy, None);
    assert_eq!(ansible.adapter.key_type, KeyType::Rsa(2048));
    assert!(ansible.galaxy.is_none() && ansible.user.is_none());
}

#[test]
fn galaxy_takes_the_newer_names_too() {
    for text in [
        r#"{"playbook_file":"a.sh","galaxy_file":"a.sh","roles_path":"r","collections_path":"c"}"#,
        r#"{"playbook_file":"a.sh","galaxy_file":"a.sh","galaxy_roles_path":"r",
            "galaxy_collections_path":"c"}"#,
    ] {
        let Kind::Ansible(ansible) = read_good("ansible", text) else {
            panic!("not ansible")
        };
        let galaxy = ansible.galaxy.unwrap();
        assert_eq!(galaxy.roles_path.as_deref(), Some("r"));
        assert_eq!(galaxy.collections_path.as_deref(), Some("c"));
    }
}

#[test]
fn a_playbook_in_the_uploaded_directory_is_not_uploaded_again() {
    let text = r#"{"playbook_files":["./files/../files","a.sh"],"playbook_dir":"files"}"#;
    let outcome = with("ansible-local", text);
    let Kind::AnsibleLocal(local) = outcome.read else {
        panic!("not ansible-local")
    };
    let [inside, outside] = local.playbooks.as_slice() else {
        panic!("{:?}", local.playbooks)
    };
    assert_eq!(inside.upload, None);
    assert!(outside.upload.as_ref().unwrap().ends_with("a.sh"));
    assert!(outside.place.is_relative() && outside.place.ends_with("a.sh"));
}

#[test]
fn every_rule_has_its_words() {
    assert_findings(&[
        (
            "ansible",
            "{}",
            &["error: Option `playbook_file` is missing"],
        ),
        (
            "ansible",
            r#"{"playbook_file":"b.yml","galaxy_file":"files","inventory_directory":"a.sh",
                "ssh_host_key_file":"k","local_port":70000,"ansible_proxy_key_type":"DSA",
                "ansible_env_vars":["A"],"extra_arguments":["{{.Id}}"],
                "inventory_file_template":"{{.Name}}"}"#,
            &[
                "error: Option `playbook_file` names `b.yml`, which does not exist",
                "error: Option `galaxy_file` names `files`, which is a directory",
                "error: Option `inventory_directory` names `a.sh`, which is not a directory",
                "error: Option `ssh_host_key_file` names `k`, which does not exist",
                "error: Option `local_port` is 70000",
                "error: Option `ansible_proxy_key_type` is `DSA`, which is not one of its values",
                "error: Option `ansible_env_vars` contains a text that is not `NAME=value`",
                "error: Option `extra_arguments` cannot be rendered: There is no field `.Id` here",
                "error: Option `inventory_file_template` cannot be rendered: There is no field `.Name` here",
            ],
        ),
        (
            "ansible",
            r#"{"playbook_file":"a.sh","use_sftp":true}"#,
            &["warning: Option `use_sftp` has no effect"],
        ),
        (
            "ansible-local",
            "{}",
            &["error: Option `playbook_file` is missing"],
        ),
        (
            "ansible-local",
            r#"{"playbook_file":"a.sh","playbook_files":["a.sh","b.yml"],"playbook_dir":"none",
                "role_paths":["files","a.sh"],"group_vars":"a.sh"}"#,
            &[
                "error: Option `playbook_files` cannot be used with `playbook_file`",
                "error: Option `playbook_files` names `b.yml`, which does not exist",
                "error: Option `playbook_dir` names `none`, which does not exist",
                "error: Option `role_paths` names `a.sh`, which is not a directory",
                "error: Option `group_vars` names `a.sh`, which is not a directory",
            ],
        ),
    ]);
}
