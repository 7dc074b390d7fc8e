//! What Ansible Galaxy installs before a playbook runs: for `ansible` on this
//! machine, for `ansible-local` in the instance.

use std::path::PathBuf;

use super::ansible::file;
use crate::plan::reader::Reader;

/// Roles and collections to install.
#[derive(Debug, Clone)]
pub struct Galaxy {
    /// The requirements, a file on this machine.
    pub file: PathBuf,
    /// The command that installs them.
    pub command: String,
    /// Install again.
    pub force: bool,
    /// Install again with dependencies.
    pub force_with_deps: bool,
    /// Where roles go. In an instance it is below the staging directory when
    /// absent.
    pub roles_path: Option<String>,
    /// Where collections go, likewise.
    pub collections_path: Option<String>,
}

impl Galaxy {
    /// Reads what both provisioners call the same. `ansible` has two names for
    /// each of the paths.
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        let galaxy = Self {
            file: file(reader, "galaxy_file").unwrap_or_default(),
            command: reader.text_or("galaxy_command", "ansible-galaxy"),
            force: reader.flag("galaxy_force_install"),
            force_with_deps: reader.flag("galaxy_force_with_deps"),
            roles_path: reader.plain("galaxy_roles_path"),
            collections_path: reader.plain("galaxy_collections_path"),
        };
        reader.is_set("galaxy_file").then_some(galaxy)
    }
}
