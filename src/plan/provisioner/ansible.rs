//! `ansible`: a playbook that runs on this machine against the instance.

use std::path::PathBuf;

use super::{Galaxy, Kind, script};
use crate::plan::communicator::KeyType;
use crate::plan::reader::Reader;
use crate::template::source::Spanned;

/// What a line of the inventory may use.
const INVENTORY_FIELDS: &[&str] = &["HostAlias", "Host", "User", "Port"];

/// What `ansible_proxy_key_type` may be, as Packer reads it in any case.
const KEY_TYPES: &[(&str, KeyType)] = &[
    ("ECDSA", KeyType::Ecdsa(384)),
    ("RSA", KeyType::Rsa(2048)),
    ("ecdsa", KeyType::Ecdsa(384)),
    ("rsa", KeyType::Rsa(2048)),
];

/// Options of `ansible`.
#[derive(Debug, Clone)]
pub struct Ansible {
    /// The playbook.
    pub playbook_file: PathBuf,
    /// The program that runs it.
    pub command: String,
    /// Further arguments; rendered again at run time.
    pub extra_arguments: Vec<String>,
    /// Its environment; values are rendered again at run time.
    pub environment: Vec<(String, String)>,
    /// What stands for `-o IdentitiesOnly=yes`, if anything.
    pub ssh_extra_args: Vec<String>,
    /// `ansible_user`; the communicator's user when absent.
    pub user: Option<String>,
    /// `use_proxy`, when written.
    pub use_proxy: Option<bool>,
    /// The SSH server on this machine.
    pub adapter: Adapter,
    /// What Ansible knows of the machine.
    pub inventory: Inventory,
    /// What is installed before.
    pub galaxy: Option<Galaxy>,
    /// Do not look for Ansible before the machine is made.
    pub skip_version_check: bool,
    /// With WinRM, use HTTP.
    pub winrm_use_http: bool,
}

/// The SSH server that Ansible connects to.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The first port to try; any free one when there is none.
    pub port: Option<u16>,
    /// The sort of keys that are made for it.
    pub key_type: KeyType,
    /// Its private key.
    pub host_key_file: Option<PathBuf>,
    /// The public key that may log in.
    pub authorized_key_file: Option<PathBuf>,
    /// What serves SFTP on the machine, instead of its SSH server.
    pub sftp_command: Option<String>,
}

/// How the machine gets into an inventory.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The user's own; the rest is for a written one.
    pub file: Option<String>,
    /// Where it is written.
    pub directory: Option<PathBuf>,
    /// The machine's line, rendered at run time with HostAlias, Host, User
    /// and Port; the usual one when absent.
    pub template: Option<String>,
    /// The machine's name.
    pub host_alias: String,
    /// Groups that have it.
    pub groups: Vec<String>,
    /// Groups that have nothing.
    pub empty_groups: Vec<String>,
    /// Leave it there.
    pub keep: bool,
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let playbook = reader.existing_file("playbook_file");
    if playbook.is_none() {
        reader.missing("playbook_file", "Set it to the playbook to run");
    }
    Kind::Ansible(Box::new(Ansible {
        playbook_file: playbook.map(|file| file.value).unwrap_or_default(),
        command: reader.text_or("command", "ansible-playbook"),
        extra_arguments: late_list(reader, "extra_arguments"),
        environment: environment(reader),
        ssh_extra_args: reader.plain_list("ansible_ssh_extra_args"),
        user: reader.plain("user"),
        use_proxy: reader.tri("use_proxy"),
        adapter: adapter(reader),
        inventory: inventory(reader),
        galaxy: galaxy(reader),
        skip_version_check: reader.flag("skip_version_check"),
        winrm_use_http: reader.flag("ansible_winrm_use_http"),
    }))
}

/// A list of texts that are rendered again at run time.
pub(super) fn late_list(reader: &mut Reader<'_, '_>, name: &str) -> Vec<String> {
    let texts = reader.texts(name);
    for text in &texts {
        reader.check_late(name, text, &[]);
    }
    texts.into_iter().map(|text| text.value).collect()
}

fn environment(reader: &mut Reader<'_, '_>) -> Vec<(String, String)> {
    let variables = reader.texts("ansible_env_vars");
    for variable in &variables {
        reader.check_late("ansible_env_vars", variable, &[]);
    }
    script::pairs(reader, "ansible_env_vars", variables)
}

fn adapter(reader: &mut Reader<'_, '_>) -> Adapter {
    let port = reader.positive("local_port", u32::from(u16::MAX));
    let key_type = reader.one_of("ansible_proxy_key_type", KEY_TYPES);
    Adapter {
        port: port.and_then(|port| u16::try_from(port).ok()),
        key_type: key_type.unwrap_or(KeyType::Ecdsa(384)),
        host_key_file: file(reader, "ssh_host_key_file"),
        authorized_key_file: file(reader, "ssh_authorized_key_file"),
        sftp_command: reader.plain("sftp_command"),
    }
}

/// A file that must be there.
pub(super) fn file(reader: &mut Reader<'_, '_>, name: &str) -> Option<PathBuf> {
    reader.existing_file(name).map(|file| file.value)
}

fn inventory(reader: &mut Reader<'_, '_>) -> Inventory {
    let template = reader.text("inventory_file_template");
    if let Some(template) = &template {
        reader.check_late("inventory_file_template", template, INVENTORY_FIELDS);
    }
    Inventory {
        // It may be a list of hosts, or made by an earlier provisioner.
        file: reader.plain("inventory_file"),
        directory: directory(reader, "inventory_directory"),
        template: template.map(|template| template.value),
        host_alias: reader.text_or("host_alias", "default"),
        groups: reader.plain_list("groups"),
        empty_groups: reader.plain_list("empty_groups"),
        keep: reader.flag("keep_inventory_file"),
    }
}

fn galaxy(reader: &mut Reader<'_, '_>) -> Option<Galaxy> {
    // The names before Packer prefixed them.
    let (roles_path, collections_path) =
        (reader.plain("roles_path"), reader.plain("collections_path"));
    let galaxy = Galaxy::read(reader)?;
    Some(Galaxy {
        roles_path: galaxy.roles_path.or(roles_path),
        collections_path: galaxy.collections_path.or(collections_path),
        ..galaxy
    })
}

/// A directory that must be there.
pub(super) fn directory(reader: &mut Reader<'_, '_>, name: &str) -> Option<PathBuf> {
    let text = reader.text(name)?;
    Some(checked_directory(reader, name, &text))
}

/// Directories that must be there.
pub(super) fn directories(reader: &mut Reader<'_, '_>, name: &str) -> Vec<PathBuf> {
    let texts = reader.texts(name);
    let check = |text| checked_directory(reader, name, text);
    texts.iter().map(check).collect()
}

fn checked_directory(reader: &mut Reader<'_, '_>, name: &str, text: &Spanned<String>) -> PathBuf {
    let path = reader.places().expand_home(&text.value);
    if let Some(problem) = reader.places().directory_problem(&path) {
        reader.bad_path(name, text.span, &text.value, &problem);
    }
    path
}
