//! Options of the `ansible-local` provisioner.

use super::{K, OptionSpec, defaulted, option};

/// The table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "playbook_file",
        K::Path,
        "The playbook to run; it or `playbook_files` is required.",
    ),
    option(
        "playbook_files",
        K::StringList,
        "Playbooks to run, in this order.",
    ),
    option(
        "playbook_dir",
        K::Path,
        "Directory to upload whole, before everything else.",
    ),
    option(
        "playbook_paths",
        K::StringList,
        "Directories to upload into `playbooks`.",
    ),
    option(
        "role_paths",
        K::StringList,
        "Directories of roles to upload into `roles`.",
    ),
    option(
        "collection_paths",
        K::StringList,
        "Directories of collections to upload into `collections`.",
    ),
    option(
        "group_vars",
        K::Path,
        "Directory to upload as `group_vars`.",
    ),
    option("host_vars", K::Path, "Directory to upload as `host_vars`."),
    option(
        "inventory_file",
        K::Path,
        "Inventory to upload; by default one with `127.0.0.1`.",
    ),
    option(
        "inventory_groups",
        K::StringList,
        "Groups that have `127.0.0.1` in the written inventory.",
    ),
    option(
        "extra_arguments",
        K::StringList,
        "Further arguments, as a shell on the machine reads them.",
    ),
    defaulted(
        "command",
        K::String,
        "ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook",
        "Command that runs a playbook on the machine.",
    ),
    option(
        "staging_directory",
        K::String,
        "Directory on the machine; by default a new one in `/tmp/packer-provisioner-ansible-local`.",
    ),
    defaulted(
        "clean_staging_directory",
        K::Bool,
        "false",
        "Delete that directory when the playbooks have run.",
    ),
    option(
        "galaxy_file",
        K::Path,
        "Requirements to upload and to install with `ansible-galaxy` before.",
    ),
    defaulted(
        "galaxy_command",
        K::String,
        "ansible-galaxy",
        "Command that installs them on the machine.",
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
    option(
        "galaxy_roles_path",
        K::String,
        "Where roles are installed; by default `roles/galaxy_roles` in the staging directory.",
    ),
    option(
        "galaxy_collections_path",
        K::String,
        "Where collections are installed; by default `collections/galaxy_collections` in the staging directory.",
    ),
];
