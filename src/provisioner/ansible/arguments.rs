//! The arguments and the environment of Ansible's programs.

use std::path::Path;

use super::access::{Access, Protocol};
use super::{Context, late, text};
use crate::error::Result;
use crate::plan::provisioner::{Ansible, Galaxy};

/// What Packer passes to `--ssh-extra-args`.
const IDENTITIES_ONLY: &str = "-o IdentitiesOnly=yes";

/// Placeholder of builders without an HTTP server.
const NO_HTTP_SERVER: &str = "ERR_HTTP_ADDR_NOT_IMPLEMENTED_BY_BUILDER";

/// The arguments of `ansible-playbook`.
pub(super) fn of_playbook(
    ansible: &Ansible,
    access: &Access,
    inventory: &Path,
    cx: &Context<'_>,
) -> Result<Vec<String>> {
    let mut list = Arguments::default();
    list.set(format!("packer_build_name={:?}", cx.data.build_name));
    list.set(format!("packer_builder_type={}", cx.data.builder_type));
    let address = cx.data.values.get("PackerHTTPAddr");
    if let Some(address) = address.filter(|address| *address != NO_HTTP_SERVER) {
        list.set(format!("packer_http_addr={address}"));
    }
    if access.protocol == Protocol::Ssh && access.key_file.is_some() {
        list.add(["--ssh-extra-args".to_owned(), ssh_extra_args(ansible)]);
    }
    for argument in &ansible.extra_arguments {
        let rendered = late::render(argument, &late::Fields::new(), cx.data);
        list.add([rendered.map_err(|error| error.context("Could not render `extra_arguments`"))?]);
    }
    if ansible.winrm_use_http && !list.names("ansible_winrm_scheme") {
        list.set("ansible_winrm_scheme=http".to_owned());
    }
    if !list.names("ansible_password") {
        list.identify(access);
    }
    list.add(["-i".to_owned(), text(inventory), playbook(ansible)]);
    Ok(list.0)
}

/// The path that does not depend on the directory Ansible runs in.
fn playbook(ansible: &Ansible) -> String {
    let absolute = std::path::absolute(&ansible.playbook_file);
    text(absolute.as_ref().unwrap_or(&ansible.playbook_file))
}

/// Ansible splits this like a shell.
fn ssh_extra_args(ansible: &Ansible) -> String {
    match ansible.ssh_extra_args.as_slice() {
        [] => format!("'{IDENTITIES_ONLY}'"),
        arguments => format!("'{}'", arguments.join("' '")),
    }
}

/// The arguments of `ansible-galaxy` for roles.
pub(super) fn of_roles(galaxy: &Galaxy) -> Vec<String> {
    of_galaxy(galaxy, &["install"], galaxy.roles_path.as_deref())
}

/// The arguments of `ansible-galaxy` for collections.
pub(super) fn of_collections(galaxy: &Galaxy) -> Vec<String> {
    let verb = ["collection", "install"];
    of_galaxy(galaxy, &verb, galaxy.collections_path.as_deref())
}

fn of_galaxy(galaxy: &Galaxy, verb: &[&str], path: Option<&str>) -> Vec<String> {
    let mut list = Arguments::default();
    list.add(verb.iter().map(|word| (*word).to_owned()));
    list.add(["-r".to_owned(), text(&galaxy.file)]);
    list.add(galaxy.force.then(|| "-f".to_owned()));
    list.add(
        galaxy
            .force_with_deps
            .then(|| "--force-with-deps".to_owned()),
    );
    list.add(
        path.into_iter()
            .flat_map(|path| ["-p".to_owned(), path.to_owned()]),
    );
    list.0
}

/// The variables of Ansible's programs: the user's, and what keeps Ansible
/// from asking about, and remembering, the key of a host that is soon gone.
pub(super) fn environment(
    ansible: &Ansible,
    access: &Access,
    cx: &Context<'_>,
) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (name, value) in &ansible.environment {
        let value = late::render(value, &late::Fields::new(), cx.data)
            .map_err(|error| error.context("Could not render `ansible_env_vars`"))?;
        variables.push((name.clone(), value));
    }
    if let Some(file) = &access.known_hosts {
        let arguments = format!("-o UserKnownHostsFile={}", file.display());
        add_unless_set(&mut variables, "ANSIBLE_HOST_KEY_CHECKING", "False", cx);
        add_unless_set(&mut variables, "ANSIBLE_SSH_COMMON_ARGS", &arguments, cx);
    }
    if matches!(&access.protocol, Protocol::WinRm(winrm) if winrm.no_proxy) {
        pass_proxies(&mut variables, access, cx);
    }
    Ok(variables)
}

/// Takes the machine out of those that are reached through a proxy. Both
/// spellings are in use; Python looks at the lower case first.
fn pass_proxies(variables: &mut Vec<(String, String)>, access: &Access, cx: &Context<'_>) {
    for name in ["no_proxy", "NO_PROXY"] {
        let own = variables.iter().position(|(set, _)| set == name);
        let own = own.map(|at| variables.swap_remove(at).1);
        let before = own.or_else(|| Some(cx.environment.get(name)?.to_str()?.to_owned()));
        let before = before.filter(|list| !list.is_empty());
        let list = before.map_or_else(String::new, |list| list + ",") + &access.host;
        variables.push((name.to_owned(), list));
    }
}

fn add_unless_set(
    variables: &mut Vec<(String, String)>,
    name: &str,
    value: &str,
    cx: &Context<'_>,
) {
    let is_set = variables.iter().any(|(set, _)| set == name);
    if !is_set && cx.environment.get(name).is_none() {
        variables.push((name.to_owned(), value.to_owned()));
    }
}

/// The values of `password=…`, `secret=…` and their like in arguments.
pub(super) fn secrets(arguments: &[String]) -> Vec<String> {
    let words = arguments
        .iter()
        .flat_map(|argument| argument.split_whitespace());
    let pairs = words.filter_map(|word| word.split_once('='));
    let is_secret = |name: &str| {
        let name = name.to_lowercase();
        // Options such as `--vault-password-file` name files.
        !name.starts_with('-') && (name.contains("password") || name.contains("secret"))
    };
    pairs
        .filter(|(name, _)| is_secret(name))
        .map(|(_, value)| value.trim_matches(['"', '\'']).to_owned())
        .collect()
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, arguments: impl IntoIterator<Item = String>) {
        self.0.extend(arguments);
    }

    /// Gives a variable a value.
    fn set(&mut self, assignment: String) {
        self.add(["-e".to_owned(), assignment]);
    }

    /// Whether the user gives a variable a value.
    fn names(&self, variable: &str) -> bool {
        let mut words = self
            .0
            .iter()
            .flat_map(|argument| argument.split_whitespace());
        words.any(|word| {
            word.split_once('=')
                .is_some_and(|(name, _)| name == variable)
        })
    }

    /// Says how to log in. A variable wins over what inventories say, which
    /// `--private-key` does not.
    fn identify(&mut self, access: &Access) {
        if let Some(key) = &access.key_file {
            let key = text(key);
            let key = if key.contains(char::is_whitespace) {
                format!("{key:?}")
            } else {
                key
            };
            self.set(format!("ansible_ssh_private_key_file={key}"));
        }
        if let Some(variables) = &access.variables {
            self.set(format!("@{}", variables.display()));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::super::access::Winrm;
    use super::*;
    use crate::plan::communicator::KeyType;
    use crate::plan::provisioner::{Adapter, Inventory};
    use crate::process::Environment;
    use crate::provisioner::fake::{Fake, World};

    /// The options of a template that says nothing.
    pub(in super::super) fn ansible() -> Ansible {
        Ansible {
            playbook_file: "/site/play.yml".into(),
            command: "ansible-playbook".into(),
            extra_arguments: vec![],
            environment: vec![],
            ssh_extra_args: vec![],
            user: None,
            use_proxy: None,
            adapter: Adapter {
                port: None,
                key_type: KeyType::Ecdsa(384),
                host_key_file: None,
                authorized_key_file: None,
                sftp_command: None,
            },
            inventory: Inventory {
                file: None,
                directory: None,
                template: None,
                host_alias: "default".into(),
                groups: vec![],
                empty_groups: vec![],
                keep: false,
            },
            galaxy: None,
            skip_version_check: false,
            winrm_use_http: false,
        }
    }

    const WINRM: Winrm = Winrm {
        use_ntlm: true,
        use_ssl: false,
        insecure: false,
        no_proxy: true,
    };

    fn access() -> Access {
        Access {
            protocol: Protocol::Ssh,
            host: "127.0.0.1".into(),
            port: "2222".into(),
            user: "root".into(),
            key_file: Some("/t/key".into()),
            known_hosts: Some("/t/known".into()),
            variables: None,
        }
    }

    fn arguments(ansible: &Ansible, access: &Access) -> String {
        let world = World::new(Fake::default());
        let list = of_playbook(ansible, access, Path::new("/t/inv"), &world.context());
        list.unwrap().join(" ")
    }

    #[test]
    fn arguments_are_those_of_packer() {
        let start = "-e packer_build_name=\"web\" -e packer_builder_type=alicloud-ecs";
        let end = "-i /t/inv /site/play.yml";
        let key = "-e ansible_ssh_private_key_file=/t/key";
        let identities = "--ssh-extra-args '-o IdentitiesOnly=yes'";
        assert_eq!(
            arguments(&ansible(), &access()),
            format!("{start} {identities} {key} {end}")
        );
        let more = Ansible {
            extra_arguments: vec!["--tags={{build `ID`}}".into()],
            ssh_extra_args: vec!["-o A=b".into(), "-v".into()],
            ..ansible()
        };
        assert_eq!(
            arguments(&more, &access()),
            format!("{start} --ssh-extra-args '-o A=b' '-v' --tags=i-1 {key} {end}")
        );
        let own_password = Ansible {
            extra_arguments: vec!["-e".into(), "a=b ansible_password=x".into()],
            ..ansible()
        };
        assert_eq!(
            arguments(&own_password, &access()),
            format!("{start} {identities} -e a=b ansible_password=x {end}")
        );
    }

    #[test]
    fn a_password_comes_by_file() {
        let winrm = Access {
            protocol: Protocol::WinRm(WINRM),
            key_file: None,
            known_hosts: None,
            variables: Some("/t/v.json".into()),
            ..access()
        };
        let http = Ansible {
            winrm_use_http: true,
            ..ansible()
        };
        let start = "-e packer_build_name=\"web\" -e packer_builder_type=alicloud-ecs";
        assert_eq!(
            arguments(&http, &winrm),
            format!("{start} -e ansible_winrm_scheme=http -e @/t/v.json -i /t/inv /site/play.yml")
        );
    }

    #[test]
    fn the_users_variables_win() {
        let world = World::new(Fake::default());
        let mut ansible = ansible();
        ansible.environment = vec![
            ("ANSIBLE_HOST_KEY_CHECKING".into(), "True".into()),
            ("NAME".into(), "{{.ID}}-{{build `ID`}}".into()),
        ];
        let pairs = environment(&ansible, &access(), &world.context()).unwrap();
        let shown: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "ANSIBLE_HOST_KEY_CHECKING=True",
                "NAME=i-1-i-1",
                "ANSIBLE_SSH_COMMON_ARGS=-o UserKnownHostsFile=/t/known"
            ]
        );
    }

    #[test]
    fn a_machine_is_reached_past_the_proxy() {
        let mut world = World::new(Fake::default());
        world.environment = Environment::for_children([("no_proxy", "a,b")]);
        let winrm = Access {
            protocol: Protocol::WinRm(WINRM),
            known_hosts: None,
            ..access()
        };
        let mut ansible = ansible();
        ansible.environment = vec![("NO_PROXY".into(), "c".into())];
        let pairs = environment(&ansible, &winrm, &world.context()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("no_proxy", "a,b,127.0.0.1"),
            pair("NO_PROXY", "c,127.0.0.1"),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn galaxy_gets_its_options() {
        let galaxy = Galaxy {
            file: PathBuf::from("req.yml"),
            command: "ansible-galaxy".into(),
            force: true,
            force_with_deps: true,
            roles_path: Some("r".into()),
            collections_path: None,
        };
        let roles = of_roles(&galaxy).join(" ");
        assert_eq!(roles, "install -r req.yml -f --force-with-deps -p r");
        let collections = of_collections(&galaxy).join(" ");
        assert_eq!(
            collections,
            "collection install -r req.yml -f --force-with-deps"
        );
    }

    #[test]
    fn secrets_are_found_by_their_names() {
        let arguments = [
            "-e",
            "a=1 My_Password=hunter2 client_secret='s3cr3t'",
            "--vault-password-file=vault",
        ];
        let arguments = arguments.map(str::to_owned);
        assert_eq!(secrets(&arguments), ["hunter2", "s3cr3t"]);
    }
}
