//! How well a client used its time: what it waited for, how late it noticed
//! that something was ready, and how long the cloud itself needed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::calls::seconds;
use crate::clock::Moment;

/// Summary of the calls and transitions since the last reset.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Number of calls per action.
    pub calls_by_action: BTreeMap<String, usize>,
    /// Number of calls.
    pub total_calls: usize,
    /// From the first to the last call.
    #[serde(serialize_with = "seconds")]
    pub wall: Duration,
    /// Every asynchronous transition.
    pub waits: Vec<Wait>,
    /// Time lost by looking late: what a call (or connection) saw or used had
    /// been ready for so long, nothing else had become ready meanwhile, and no
    /// transition of the longest chain was under way.
    #[serde(serialize_with = "seconds")]
    pub waste: Duration,
    /// The longest chain of transitions of which each was started by a call
    /// that named the resource of the one before, or is known to need it: an
    /// instance is stopped after the logins through its address, and deleted
    /// when its images are there. No client that makes these calls is faster.
    #[serde(serialize_with = "seconds")]
    pub critical_path: Duration,
}

/// One asynchronous transition.
#[derive(Clone, Debug, Serialize)]
pub struct Wait {
    /// What became ready: `run`, `sshd`, `image`, …
    pub what: &'static str,
    /// The resource.
    pub id: String,
    /// When the transition began, since the sandbox started.
    #[serde(serialize_with = "seconds")]
    pub began_at: Duration,
    /// When it was or will be ready.
    #[serde(serialize_with = "seconds")]
    pub ready_at: Duration,
    /// When a call or connection first saw or used it ready.
    #[serde(serialize_with = "optional_seconds")]
    pub first_use_at: Option<Duration>,
    /// From ready to first use.
    #[serde(serialize_with = "optional_seconds")]
    pub delay: Option<Duration>,
    /// Whether it is part of the longest chain.
    pub critical: bool,
    #[serde(skip)]
    path: Duration,
    #[serde(skip)]
    before: Option<usize>,
    #[serde(skip)]
    causes: Vec<String>,
}

fn optional_seconds<S: serde::Serializer>(
    value: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.serialize_some(&value.as_secs_f64()),
        None => to.serialize_none(),
    }
}

/// The transitions seen so far.
#[derive(Clone, Default)]
pub(crate) struct Waits(Vec<Wait>);

impl Waits {
    /// Notes a transition that begins with a call naming `causes`.
    pub(crate) fn begin(
        &mut self,
        what: &'static str,
        id: &str,
        span: (Moment, Moment),
        causes: &[String],
    ) {
        let (began_at, ready_at) = span;
        let is_before = |(_, wait): &(usize, &Wait)| {
            wait.ready_at <= began_at && (wait.id == id || causes.contains(&wait.id))
        };
        let waits = self.0.iter().enumerate();
        let before = waits.filter(is_before).max_by_key(|(_, wait)| wait.path);
        let done = before.map_or(Duration::ZERO, |(_, wait)| wait.path);
        let before = before.map(|(index, _)| index);
        self.0.push(Wait {
            what,
            id: id.to_owned(),
            began_at,
            ready_at,
            first_use_at: None,
            delay: None,
            critical: false,
            path: done + (ready_at - began_at),
            before,
            causes: causes.to_vec(),
        });
    }

    /// Images and snapshots that began to be made from a resource, or from
    /// what was made from it.
    pub(crate) fn made_from(&self, id: &str) -> Vec<String> {
        let mut made = vec![id.to_owned()];
        for wait in &self.0 {
            let is_copy = matches!(wait.what, "snapshot" | "image");
            if is_copy && wait.causes.iter().any(|cause| made.contains(cause)) {
                made.push(wait.id.clone());
            }
        }
        made.split_off(1)
    }

    /// Notes that something which names resources saw them.
    pub(crate) fn observe(&mut self, now: Moment, names: impl Fn(&Wait) -> bool) {
        for wait in &mut self.0 {
            if wait.first_use_at.is_none() && wait.ready_at <= now && names(wait) {
                wait.first_use_at = Some(now);
                wait.delay = Some(now - wait.ready_at);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Every transition, those of the longest chain marked.
    pub(crate) fn all(&self) -> Vec<Wait> {
        let mut waits = self.0.clone();
        for index in self.chain() {
            waits[index].critical = true;
        }
        waits
    }

    pub(crate) fn critical_path(&self) -> Duration {
        let paths = self.0.iter().map(|wait| wait.path);
        paths.max().unwrap_or_default()
    }

    pub(crate) fn waste(&self) -> Duration {
        let chain: Vec<_> = self.chain().map(|index| &self.0[index]).collect();
        let mut lost: Vec<_> = self.0.iter().filter_map(|wait| self.loss(wait)).collect();
        lost.sort_unstable();
        let mut end = Duration::ZERO;
        let mut waste = Duration::ZERO;
        for (from, to) in lost {
            let from = from.max(end);
            let busy = chain.iter().map(|wait| overlap(wait, from, to)).sum();
            waste += to.saturating_sub(from).saturating_sub(busy);
            end = end.max(to);
        }
        waste
    }

    /// The longest chain, backwards.
    fn chain(&self) -> impl Iterator<Item = usize> {
        let waits = self.0.iter().enumerate();
        let last = waits.max_by_key(|(_, wait)| wait.path);
        let last = last.map(|(index, _)| index);
        std::iter::successors(last, |&index| self.0[index].before)
    }

    /// From when it could have been noticed until it was.
    fn loss(&self, wait: &Wait) -> Option<(Moment, Moment)> {
        let noticed = wait.first_use_at?;
        let ready = self.0.iter().map(|wait| wait.ready_at);
        let last = ready.filter(|at| *at <= noticed).max()?;
        Some((last, noticed))
    }
}

/// How much of a span a transition took.
fn overlap(wait: &Wait, from: Moment, to: Moment) -> Duration {
    let end = wait.ready_at.min(to);
    end.saturating_sub(wait.began_at.max(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_critical_path_follows_causes() {
        let mut waits = Waits::default();
        waits.begin("vpc", "vpc-1", (S(0), S(2)), &[]);
        waits.begin("eip", "eip-1", (S(3), S(9)), &[]);
        waits.begin("vswitch", "vsw-1", (S(4), S(7)), &["vpc-1".into()]);
        waits.begin("run", "i-1", (S(8), S(28)), &["vsw-1".into()]);
        waits.begin("stop", "i-1", (S(40), S(45)), &["i-1".into()]);
        assert_eq!(waits.critical_path(), S(2 + 3 + 20 + 5));
    }

    #[test]
    fn an_instance_is_deleted_after_its_image_is_there() {
        let mut waits = Waits::default();
        waits.begin("stop", "i-1", (S(0), S(5)), &[]);
        waits.begin("snapshot", "s-1", (S(5), S(9)), &["i-1".into()]);
        waits.begin("image", "m-1", (S(9), S(20)), &["s-1".into()]);
        let images = waits.made_from("i-1");
        assert_eq!(images, ["s-1", "m-1"]);
        waits.begin("delete_instance", "i-1", (S(21), S(24)), &images);
        assert_eq!(waits.critical_path(), S(5 + 4 + 11 + 3));
        assert!(waits.all().iter().all(|wait| wait.critical));
    }

    #[test]
    fn time_in_which_something_else_goes_on_is_not_lost() {
        let mut waits = Waits::default();
        // An address nobody needs before the instance runs.
        waits.begin("eip_allocate", "eip-1", (S(0), S(2)), &[]);
        waits.begin("run", "i-1", (S(0), S(20)), &[]);
        waits.observe(S(21), |wait| wait.id == "i-1");
        let bound = ["i-1".into(), "eip-1".into()];
        waits.observe(S(21), |wait| wait.id == "eip-1");
        waits.begin("eip_associate", "eip-1", (S(21), S(24)), &bound);
        waits.begin("sshd", "i-1", (S(20), S(28)), &bound);
        waits.observe(S(29), |wait| ["sshd", "eip_associate"].contains(&wait.what));
        // Binding it a second late costs nothing, as sshd takes longer.
        assert_eq!(waits.waste(), S(1));
        // Its release is noticed late, but during the stop.
        waits.begin("eip_unassociate", "eip-1", (S(30), S(32)), &bound);
        waits.begin("stop", "i-1", (S(30), S(45)), &bound);
        waits.observe(S(34), |wait| wait.what == "eip_unassociate");
        assert_eq!(waits.waste(), S(1));
        assert_eq!(waits.critical_path(), S(20 + 8 + 15));
    }

    #[test]
    fn only_what_is_ready_is_observed() {
        let mut waits = Waits::default();
        waits.begin("vpc", "vpc-1", (S(0), S(2)), &[]);
        waits.observe(S(1), |wait| wait.id == "vpc-1");
        assert_eq!(waits.waste(), S(0));
        waits.observe(S(5), |wait| wait.id == "vpc-1");
        waits.observe(S(9), |wait| wait.id == "vpc-1");
        assert_eq!(waits.waste(), S(3));
    }
}
