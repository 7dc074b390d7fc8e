//! Templates and variable files of other repositories: fetched before
//! anything else, gone when the run is over.
//!
//! A run then works as in a checkout of the template's repository: that is
//! its working directory, and relative paths in the template lead there.
//! Variable files of this machine are still those the user named, and files
//! that the run adds, such as a manifest, are moved to where the user is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::engine::event::{EventKind, Events};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind, Result};
use crate::github::source::{self, Tree};
use crate::github::{Address, Api, Repository};
use crate::inputs::TemplateArgs;
use crate::owner;

/// Where a template and its variables are, with what had to be fetched for
/// them.
pub(super) struct Fetched {
    /// With paths of this machine only.
    pub(super) template: TemplateArgs,
    /// Where the user is.
    here: PathBuf,
    trees: Vec<(Repository, String, Tree)>,
}

impl Fetched {
    /// Moves what a run has added to the template's repository to where the
    /// user is: the repository is about to be deleted.
    pub(super) fn bring_back(&self, events: &Events) {
        let root = self.template.directory.as_deref();
        let of_template = self.trees.iter().map(|(_, _, tree)| tree);
        for tree in of_template.filter(|tree| Some(tree.root.as_path()) == root) {
            if let Err(error) = self.bring_back_of(tree, Path::new("")) {
                events.warn(format!("A file of the run is lost: {error}"));
            }
        }
    }

    fn bring_back_of(&self, tree: &Tree, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(tree.root.join(below))? {
            let entry = entry?;
            let place = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.bring_back_of(tree, &place)?;
            } else if !tree.places.contains(&place) {
                let to = self.here.join(&place);
                owner::make_directories_above(&to)?;
                // Not a rename: it may be another file system.
                fs::copy(entry.path(), &to)?;
                owner::hand_over(&to);
            }
        }
        Ok(())
    }
}

/// Fetches what is in other repositories.
///
/// # Errors
/// When it cannot be reached, is not there, or may not be read.
pub(super) async fn fetch(args: &TemplateArgs, events: &Events, stop: &Stop) -> Result<Fetched> {
    let template_address = address(&args.path);
    let is_remote = |path: &PathBuf| address(path).is_some();
    if template_address.is_none() && !args.variables.files.iter().any(is_remote) {
        return Ok(Fetched {
            template: args.clone(),
            here: PathBuf::new(),
            trees: Vec::new(),
        });
    }
    let access = args.github.as_ref().map_err(|reason| {
        let message = format!("Cannot fetch from GitHub: {reason}");
        Error::new(Kind::Usage, message).with_hint("Use https, or http on a loopback address")
    })?;
    let mut fetching = Fetching {
        api: Api::new(access)?,
        stop: stop.on(Clock::scaled(access.time_scale)),
        events,
        trees: Vec::new(),
    };
    let mut template = args.clone();
    if let Some(address) = template_address {
        let tree = fetching.tree(&address).await?;
        template.path = tree.root.join(&address.path);
        template.directory = Some(tree.root.clone());
        if let Some(limit) = &mut template.confined_to {
            limit.clone_from(&tree.root);
        }
        let commit = tree.commit.clone();
        events.emit(EventKind::TemplateFetched {
            address: address.to_string(),
            commit,
        });
    }
    let here = absolute(args.directory.as_deref().unwrap_or(Path::new(".")));
    for file in &mut template.variables.files {
        *file = match address(file) {
            Some(address) => fetching.tree(&address).await?.root.join(&address.path),
            None => here.join(&*file),
        };
    }
    Ok(Fetched {
        template,
        here,
        trees: fetching.trees,
    })
}

/// The same where nothing can be stopped yet.
pub(super) fn fetch_now(args: &TemplateArgs, events: &Events) -> Result<Fetched> {
    super::block_on(fetch(args, events, &Stop::new(Clock::default())))?
}

struct Fetching<'a> {
    api: Api,
    stop: Stop,
    events: &'a Events,
    trees: Vec<(Repository, String, Tree)>,
}

impl Fetching<'_> {
    /// The files of a repository at a ref, fetched once.
    async fn tree(&mut self, address: &Address) -> Result<&Tree> {
        let Address {
            repository,
            reference,
            ..
        } = address;
        let known = self
            .trees
            .iter()
            .position(|(known, at, _)| (known, at) == (repository, reference));
        let place = match known {
            Some(place) => place,
            None => {
                let tree = source::fetch(&self.api, repository, reference, &self.stop).await?;
                for left_out in &tree.left_out {
                    self.events.warn(left_out.clone());
                }
                let entry = (repository.clone(), reference.clone(), tree);
                self.trees.push(entry);
                self.trees.len() - 1
            }
        };
        Ok(&self.trees[place].2)
    }
}

fn address(path: &Path) -> Option<Address> {
    Address::parse(path.to_str()?)
}

/// The working directory is about to be another one.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
