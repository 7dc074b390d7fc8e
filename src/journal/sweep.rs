//! The one sweep: deletes what the journal says is still there.
//!
//! It is idempotent. It serves the normal end, failures, signals, the post
//! step of an action, and `alicloud-image cleanup`, which may run in another
//! process on another day.

use futures_util::future::join_all;

use super::delete::Deleter;
pub use super::find::{Found, Tagged, by_tags};
use super::log::Entry;
pub use super::marker::{Marked, Whose, buckets_of, by_markers};
use super::resource::Kind;
use super::{Intent, Journal};
use super::{find, local, replace};
use crate::cloud::Cloud;
use crate::engine::event::{EventKind, Events, Leftover, Resource};
use crate::engine::stop::Stop;
use crate::error::{Error, Kind as ErrorKind, Result, one_line};

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
            Kind::LocalProcess,
            Kind::LocalDirectory,
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
/// Without a cloud only what is on this machine can be deleted.
pub async fn sweep(
    journal: &Journal,
    scope: &Scope,
    cloud: Option<&Cloud>,
    events: &Events,
    stop: &Stop,
) -> Vec<Leftover> {
    let mut leftovers = Vec::new();
    for wave in Kind::WAVES {
        let mut entries = entries_in(journal, scope, |kind| wave.contains(&kind));
        entries.retain(|entry| !is_needed(entry.intent.kind, &leftovers));
        let deletions = entries
            .iter()
            .map(|entry| delete(journal, entry, cloud, events, stop));
        leftovers.extend(join_all(deletions).await.into_iter().flatten());
    }
    leftovers
}

/// Whether it leads to what could not be deleted: a marker stays as long as
/// there is something to find with it.
fn is_needed(kind: Kind, leftovers: &[Leftover]) -> bool {
    let stays = |kind: Kind| {
        leftovers
            .iter()
            .any(|left| left.resource.kind == kind.name())
    };
    kind == Kind::OssMarker && (stays(Kind::OssUpload) || stays(Kind::OssObject))
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
    cloud: Option<&Cloud>,
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
    cloud: Option<&Cloud>,
    events: &Events,
    stop: &Stop,
) -> Result<()> {
    let Intent { kind, region, .. } = &entry.intent;
    if kind.is_local() {
        delete_local(entry, events, stop).await?;
    } else {
        let cloud = cloud.ok_or_else(no_cloud)?;
        let Some(id) = id_of(journal, entry, cloud, stop).await? else {
            return journal.deleted(entry.number);
        };
        let deleter = Deleter {
            cloud,
            region,
            stop,
        };
        if let Some(replacement) = &entry.replacement
            && replace::finish(journal, &deleter, &id, replacement).await?
        {
            let name = &replacement.name;
            events.say(format!("Keeping {kind} {id}, which is {name} now"));
            return Ok(());
        }
        events.say(format!("Deleting {kind} {id}..."));
        deleter.delete(*kind, &id).await?;
        emit_deleted(*kind, id, region, events);
    }
    journal.deleted(entry.number)
}

/// The id the journal knows, or what a search finds.
async fn id_of(
    journal: &Journal,
    entry: &Entry,
    cloud: &Cloud,
    stop: &Stop,
) -> Result<Option<String>> {
    if let Some(id) = &entry.id {
        return Ok(Some(id.clone()));
    }
    let found = find::resolve(cloud, journal.run(), entry, stop).await?;
    if let Some(id) = &found {
        journal.found(entry.number, id)?;
    }
    Ok(found)
}

async fn delete_local(entry: &Entry, events: &Events, stop: &Stop) -> Result<()> {
    let Intent { kind, name, .. } = &entry.intent;
    let Some(id) = &entry.id else {
        // What was about to be made is where the intent says, if anywhere.
        return local::delete_unfinished(*kind, name, stop).await;
    };
    events.say(format!("Deleting {kind} {id}..."));
    local::delete(*kind, id, stop).await?;
    emit_deleted(*kind, id.clone(), local::PLACE, events);
    Ok(())
}

fn emit_deleted(kind: Kind, id: String, region: &str, events: &Events) {
    let resource = Resource {
        kind: kind.name().to_owned(),
        id,
        region: region.to_owned(),
    };
    events.emit(EventKind::ResourceDeleted(resource));
}

fn no_cloud() -> Error {
    let message = "There is no AccessKey to delete it with";
    Error::new(ErrorKind::Credentials, message)
        .with_hint("Set `ALICLOUD_ACCESS_KEY` and `ALICLOUD_SECRET_KEY`")
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
        let in_wave = found
            .iter()
            .filter(|found| wave.contains(&found.kind) && !is_needed(found.kind, &leftovers));
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
    let deleted = match found.kind {
        Kind::Image => deleter.unfinished_image(&found.id).await,
        kind => deleter.delete(kind, &found.id).await,
    };
    match deleted {
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
