//! The one sweep: deletes what the journal says is still there.
//!
//! It is idempotent. It serves the normal end, failures, signals, the post
//! step of an action, and `alicloud-image cleanup`, which may run in another
//! process on another day.

use futures_util::future::join_all;

use super::delete::Deleter;
use super::find;
pub use super::find::{Found, by_tags};
use super::log::Entry;
use super::resource::Kind;
use super::{Intent, Journal};
use crate::cloud::Cloud;
use crate::engine::event::{EventKind, Events, Leftover, Resource};
use crate::engine::stop::Stop;
use crate::error::{Result, one_line};

/// Which entries of a journal a sweep is about.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    build: Option<String>,
    kinds: Option<Vec<Kind>>,
}

impl Scope {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Everything of one build.
    pub fn build(build: &str) -> Self {
        Self {
            build: Some(build.to_owned()),
            kinds: None,
        }
    }

    /// Some kinds of one build.
    pub fn kinds(build: &str, kinds: &[Kind]) -> Self {
        Self {
            build: Some(build.to_owned()),
            kinds: Some(kinds.to_vec()),
        }
    }

    /// What a build needs only until its image is available.
    pub fn machine(build: &str) -> Self {
        let parts = [
            Kind::Instance,
            Kind::EipAssociation,
            Kind::Eip,
            Kind::KeyPair,
            Kind::SecurityGroup,
            Kind::VSwitch,
            Kind::Vpc,
        ];
        Self::kinds(build, &parts)
    }

    fn includes(&self, intent: &Intent) -> bool {
        self.build
            .as_ref()
            .is_none_or(|build| *build == intent.build)
            && self
                .kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&intent.kind))
    }
}

/// Deletes every entry in scope and says what could not be deleted.
///
/// `stop` must not be the stopped one of the build: see `Stop::for_cleanup`.
pub async fn sweep(
    journal: &Journal,
    scope: &Scope,
    cloud: &Cloud,
    events: &Events,
    stop: &Stop,
) -> Vec<Leftover> {
    let mut leftovers = Vec::new();
    for wave in Kind::WAVES {
        let entries = entries_in(journal, scope, |kind| wave.contains(&kind));
        let deletions = entries
            .iter()
            .map(|entry| delete(journal, entry, cloud, events, stop));
        leftovers.extend(join_all(deletions).await.into_iter().flatten());
    }
    leftovers
}

/// What a sweep would have to delete.
pub fn unswept(journal: &Journal, scope: &Scope) -> Vec<Leftover> {
    let entries = entries_in(journal, scope, |_| true);
    entries
        .iter()
        .map(|entry| leftover(entry, "It was kept on request".to_owned()))
        .collect()
}

fn entries_in(journal: &Journal, scope: &Scope, accepts: impl Fn(Kind) -> bool) -> Vec<Entry> {
    let mut entries = journal.entries();
    entries.retain(|entry| accepts(entry.intent.kind) && scope.includes(&entry.intent));
    entries
}

async fn delete(
    journal: &Journal,
    entry: &Entry,
    cloud: &Cloud,
    events: &Events,
    stop: &Stop,
) -> Option<Leftover> {
    match try_delete(journal, entry, cloud, events, stop).await {
        Ok(()) => None,
        Err(error) => {
            let leftover = leftover(entry, one_line(&error));
            events.emit(EventKind::Leftover(leftover.clone()));
            Some(leftover)
        }
    }
}

async fn try_delete(
    journal: &Journal,
    entry: &Entry,
    cloud: &Cloud,
    events: &Events,
    stop: &Stop,
) -> Result<()> {
    let Intent { kind, region, .. } = &entry.intent;
    let id = match &entry.id {
        Some(id) => Some(id.clone()),
        None => find::resolve(cloud, journal.run(), entry, stop).await?,
    };
    let Some(id) = id else {
        return journal.deleted(entry.number);
    };
    if entry.id.is_none() {
        journal.found(entry.number, &id)?;
    }
    events.say(format!("Deleting {kind} {id}..."));
    Deleter {
        cloud,
        region,
        stop,
    }
    .delete(*kind, &id)
    .await?;
    journal.deleted(entry.number)?;
    let resource = Resource {
        kind: kind.name().to_owned(),
        id,
        region: region.clone(),
    };
    events.emit(EventKind::ResourceDeleted(resource));
    Ok(())
}

/// Deletes resources that were found by their tags.
pub async fn sweep_found(
    found: Vec<Found>,
    cloud: &Cloud,
    events: &Events,
    stop: &Stop,
) -> Vec<Leftover> {
    let mut leftovers = Vec::new();
    for wave in Kind::WAVES {
        let in_wave = found.iter().filter(|found| wave.contains(&found.kind));
        let deletions = in_wave.map(|found| delete_found(found, cloud, events, stop));
        leftovers.extend(join_all(deletions).await.into_iter().flatten());
    }
    leftovers
}

async fn delete_found(
    found: &Found,
    cloud: &Cloud,
    events: &Events,
    stop: &Stop,
) -> Option<Leftover> {
    let resource = Resource {
        kind: found.kind.name().to_owned(),
        id: found.id.clone(),
        region: found.region.clone(),
    };
    events.say(format!(
        "Deleting {} {} in {}...",
        found.kind, found.id, found.region
    ));
    let deleter = Deleter {
        cloud,
        region: &found.region,
        stop,
    };
    match deleter.delete(found.kind, &found.id).await {
        Ok(()) => {
            events.emit(EventKind::ResourceDeleted(resource));
            None
        }
        Err(error) => {
            let leftover = Leftover {
                resource,
                reason: one_line(&error),
            };
            events.emit(EventKind::Leftover(leftover.clone()));
            Some(leftover)
        }
    }
}

fn leftover(entry: &Entry, reason: String) -> Leftover {
    let Intent {
        kind, region, name, ..
    } = &entry.intent;
    let id = entry
        .id
        .clone()
        .unwrap_or_else(|| format!("(unknown id, named {name})"));
    Leftover {
        resource: Resource {
            kind: kind.name().to_owned(),
            id,
            region: region.clone(),
        },
        reason,
    }
}
