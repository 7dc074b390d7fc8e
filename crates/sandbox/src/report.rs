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
    /// Sum over the transitions that were noticed: time from being ready until
    /// the first call (or connection) that saw or used it.
    #[serde(serialize_with = "seconds")]
    pub waste: Duration,
    /// The longest chain of transitions of which each was started by a call
    /// that named the resource of the one before: no client can be faster.
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
    #[serde(skip)]
    path: Duration,
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
        let before = |wait: &&Wait| {
            wait.ready_at <= began_at && (wait.id == id || causes.contains(&wait.id))
        };
        let done = self.0.iter().filter(before).map(|wait| wait.path).max();
        self.0.push(Wait {
            what,
            id: id.to_owned(),
            began_at,
            ready_at,
            first_use_at: None,
            delay: None,
            path: done.unwrap_or_default() + (ready_at - began_at),
        });
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

    pub(crate) fn all(&self) -> &[Wait] {
        &self.0
    }

    pub(crate) fn waste(&self) -> Duration {
        self.0.iter().filter_map(|wait| wait.delay).sum()
    }

    pub(crate) fn critical_path(&self) -> Duration {
        let paths = self.0.iter().map(|wait| wait.path);
        paths.max().unwrap_or_default()
    }
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
