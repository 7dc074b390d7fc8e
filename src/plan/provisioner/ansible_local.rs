//! `ansible-local`: playbooks that run in the instance.

use std::path::{Path, PathBuf};

use super::ansible::{directories, directory, file, late_list};
use super::{Galaxy, Kind};
use crate::plan::reader::Reader;

const COMMAND: &str = "ANSIBLE_FORCE_COLOR=1 PYTHONUNBUFFERED=1 ansible-playbook";

/// Options of `ansible-local`.
#[derive(Debug, Clone)]
pub struct AnsibleLocal {
    /// The playbooks to run, in order.
    pub playbooks: Vec<Playbook>,
    /// What is uploaded as the staging directory, before the rest.
    pub playbook_dir: Option<PathBuf>,
    /// Directories for `playbooks`.
    pub playbook_paths: Vec<PathBuf>,
    /// Directories for `roles`.
    pub role_paths: Vec<PathBuf>,
    /// Directories for `collections`.
    pub collection_paths: Vec<PathBuf>,
    /// The directory `group_vars`.
    pub group_vars: Option<PathBuf>,
    /// The directory `host_vars`.
    pub host_vars: Option<PathBuf>,
    /// The user's inventory; one with 127.0.0.1 is written when there is none.
    pub inventory_file: Option<PathBuf>,
    /// Groups that have 127.0.0.1 in the written one.
    pub inventory_groups: Vec<String>,
    /// Further arguments for a shell; rendered again at run time.
    pub extra_arguments: Vec<String>,
    /// What runs a playbook.
    pub command: String,
    /// The directory on the machine; a new one when there is none.
    pub staging_directory: Option<String>,
    /// Delete that directory in the end.
    pub clean_staging_directory: bool,
    /// What is installed before.
    pub galaxy: Option<Galaxy>,
}

/// A playbook and where it goes below the staging directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playbook {
    /// The file on this machine; none when `playbook_dir` brings it.
    pub upload: Option<PathBuf>,
    /// Its place below the staging directory.
    pub place: PathBuf,
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Kind {
    let playbook_dir = directory(reader, "playbook_dir");
    Kind::AnsibleLocal(Box::new(AnsibleLocal {
        playbooks: playbooks(reader, playbook_dir.as_deref()),
        playbook_dir,
        playbook_paths: directories(reader, "playbook_paths"),
        role_paths: directories(reader, "role_paths"),
        collection_paths: directories(reader, "collection_paths"),
        group_vars: directory(reader, "group_vars"),
        host_vars: directory(reader, "host_vars"),
        inventory_file: file(reader, "inventory_file"),
        inventory_groups: reader.plain_list("inventory_groups"),
        extra_arguments: late_list(reader, "extra_arguments"),
        command: reader.text_or("command", COMMAND),
        staging_directory: reader.plain("staging_directory"),
        clean_staging_directory: reader.flag("clean_staging_directory"),
        galaxy: Galaxy::read(reader),
    }))
}

fn playbooks(reader: &mut Reader<'_, '_>, playbook_dir: Option<&Path>) -> Vec<Playbook> {
    let single = reader.existing_file("playbook_file");
    let several = reader.texts("playbook_files");
    match (&single, several.is_empty()) {
        (None, true) if !reader.is_set("playbook_files") => {
            reader.missing("playbook_file", "Set it or `playbook_files`");
        }
        (Some(_), false) => reader.conflict("playbook_files", "playbook_file", "Keep one of them"),
        _ => {}
    }
    for file in &several {
        if let Some(problem) = reader.places().file_problem(Path::new(&file.value)) {
            reader.bad_path("playbook_files", file.span, &file.value, &problem);
        }
    }
    let single = single.map(|file| Playbook {
        place: file.value.file_name().unwrap_or_default().into(),
        upload: Some(file.value),
    });
    let places = reader.places();
    let absolute = |path: &Path| normal(&places.working_directory.join(path));
    let directory = playbook_dir.map(absolute);
    let several = several.iter().map(|file| {
        let path = absolute(Path::new(&file.value));
        let brought = directory.as_ref().and_then(|it| path.strip_prefix(it).ok());
        match brought {
            Some(place) => Playbook {
                upload: None,
                place: place.to_owned(),
            },
            None => Playbook {
                place: path.strip_prefix("/").unwrap_or(&path).to_owned(),
                upload: Some(path),
            },
        }
    });
    single.into_iter().chain(several).collect()
}

/// A path without `.`, and without `..` as far as that is certain.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
