//! Options of the `ansible` provisioner.

use super::{K, OptionSpec, defaulted, ignored, option, required};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    required("playbook_file", K::Path, "The playbook to run."),
    defaulted(
        "command",
        K::String,
        "ansible-playbook",
        "Program that runs it on this machine; a path or a name in `PATH`, without arguments.",
    ),
    option(
        "extra_arguments",
        K::StringList,
        "Further arguments, one word each; no shell sees them. Values whose name has `password` or `secret` are not shown.",
    ),
    option(
        "ansible_env_vars",
        K::StringList,
        "Environment of Ansible as `NAME=value`.",
    ),
    option(
        "ansible_ssh_extra_args",
        K::StringList,
        "For Ansible's `--ssh-extra-args`; by default `-o IdentitiesOnly=yes`.",
    ),
    defaulted(
        "host_alias",
        K::String,
        "default",
        "Name of the machine in the inventory.",
    ),
    option(
        "user",
        K::String,
        "`ansible_user` in the inventory; by default the user of the communicator.",
    ),
    option("groups", K::StringList, "Groups that have the machine."),
    option("empty_groups", K::StringList, "Groups that have nothing."),
    option(
        "inventory_file",
        K::Path,
        "Your own inventory, instead of a written one.",
    ),
    option(
        "inventory_directory",
        K::Path,
        "Directory the inventory is written to, for example beside `group_vars`; by default a temporary one.",
    ),
    option(
        "inventory_file_template",
        K::String,
        "Line of the inventory, with `{{.HostAlias}}`, `{{.Host}}`, `{{.User}}` and `{{.Port}}`.",
    ),
    defaulted(
        "keep_inventory_file",
        K::Bool,
        "false",
        "Leave the written inventory on this machine.",
    ),
    option(
        "use_proxy",
        K::Tri,
        "Whether Ansible connects through an SSH server on 127.0.0.1 that uses the build's own connection, by default with SSH; otherwise it connects directly.",
    ),
    option(
        "local_port",
        K::Int,
        "First of ten ports to try for that server; by default any free one.",
    ),
    option(
        "ssh_host_key_file",
        K::Path,
        "Private key of that server, which Ansible then checks; by default a new one.",
    ),
    option(
        "ssh_authorized_key_file",
        K::Path,
        "Public key that may log in there, whose private key Ansible has; by default a new pair.",
    ),
    defaulted(
        "ansible_proxy_key_type",
        K::String,
        "ECDSA",
        "Sort of the new keys: `ECDSA` or `RSA`.",
    ),
    option(
        "sftp_command",
        K::String,
        "Command that serves SFTP on the machine; by default its SSH server does.",
    ),
    option(
        "galaxy_file",
        K::Path,
        "Requirements to install with `ansible-galaxy` before.",
    ),
    defaulted(
        "galaxy_command",
        K::String,
        "ansible-galaxy",
        "Program that installs them.",
    ),
    defaulted(
        "galaxy_force_install",
        K::Bool,
        "false",
        "Install them again.",
    ),
    defaulted(
        "galaxy_force_with_deps",
        K::Bool,
        "false",
        "Install them and what they need again.",
    ),
    option("roles_path", K::Path, "Where roles are installed."),
    option(
        "collections_path",
        K::Path,
        "Where collections are installed.",
    ),
    option(
        "galaxy_roles_path",
        K::Path,
        "The same as `roles_path`, as newer versions of Packer's plugin call it.",
    ),
    option(
        "galaxy_collections_path",
        K::Path,
        "The same as `collections_path`.",
    ),
    defaulted(
        "skip_version_check",
        K::Bool,
        "false",
        "Do not look for Ansible before the machine is made.",
    ),
    defaulted(
        "ansible_winrm_use_http",
        K::Bool,
        "false",
        "With WinRM, have Ansible use HTTP.",
    ),
    ignored(
        "use_sftp",
        K::Bool,
        "Ansible chooses by itself, and SFTP always works",
    ),
];
