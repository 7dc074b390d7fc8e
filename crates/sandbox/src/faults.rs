//! Faults a test plans: answers that fail, connections that break, resources
//! that never become ready.

use std::time::Duration;

use serde::Deserialize;

/// A planned fault of calls.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    /// `RunInstances`, `Ecs.RunInstances` or `*`.
    pub action: String,
    /// Which of the matching calls it hits.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub effect: Effect,
}

/// Which matching calls a fault hits.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The first one.
    #[default]
    Once,
    /// The first `n`.
    First(u32),
    /// Only the one with this number, from 1.
    Nth(u32),
    /// The one with this number, from 1, and all after it.
    From(u32),
    /// Every one.
    Every,
}

/// What a fault does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Answers this error without executing.
    Error {
        /// HTTP status.
        http: u16,
        /// Error code.
        code: String,
        /// Message.
        message: String,
    },
    /// Resets the connection without executing.
    DropBefore,
    /// Executes, then resets the connection.
    DropAfter,
    /// Takes this much longer, in real time.
    Delay(Duration),
    /// Waits for `Sandbox::release` before it executes.
    HoldBefore,
    /// Executes, then waits for `Sandbox::release` before it answers.
    HoldAfter,
    /// Answers `Throttling.User` with `x-acs-retry-after`; OSS answers
    /// `UploadTrafficRateLimitExceeded` with `x-oss-qos-delay-time`.
    ThrottleWithRetryAfter(Duration),
    /// Resets the connection after this many bytes of the body, without
    /// executing. OSS only; like `DropBefore` elsewhere.
    CutBody(usize),
    /// Executes with the first byte of the body spoiled on its way, so that the
    /// checksums in the answer differ from the client's. OSS only.
    CorruptBody,
}

/// A planned fault of resources that are made after it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum StateFault {
    /// The next image ends as CreateFailed.
    ImageCreateFailed,
    /// The next import stays in progress.
    ImportStuck,
    /// The next snapshot ends as failed.
    SnapshotFailed,
    /// The next instance runs, but its SSH server never accepts.
    NoSshd,
    /// The next instance stays in Pending.
    InstanceStuck,
    /// The next vSwitch takes ten times longer.
    SlowVSwitch,
    /// The next examination of an image finds a risk.
    DetectionRisk,
}

/// The faults still planned.
#[derive(Default)]
pub(crate) struct Faults {
    calls: Vec<(Fault, u32)>,
    states: Vec<StateFault>,
}

impl Faults {
    pub(crate) fn plan(&mut self, fault: Fault) {
        self.calls.push((fault, 0));
    }

    pub(crate) fn plan_state(&mut self, fault: StateFault) {
        self.states.push(fault);
    }

    /// Takes a state fault off the plan, if there is one.
    pub(crate) fn take_state(&mut self, fault: StateFault) -> bool {
        let found = self.states.iter().position(|planned| *planned == fault);
        found.map(|index| self.states.remove(index)).is_some()
    }

    /// The effect on this call, and counts it.
    pub(crate) fn hit(&mut self, product: &str, action: &str) -> Option<Effect> {
        let mut effect = None;
        for (fault, seen) in &mut self.calls {
            if !fault.names(product, action) {
                continue;
            }
            *seen += 1;
            if effect.is_none() && fault.when.includes(*seen) {
                effect = Some(fault.effect.clone());
            }
        }
        effect
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.states.clear();
    }
}

impl Fault {
    fn names(&self, product: &str, action: &str) -> bool {
        match self.action.split_once('.') {
            Some((p, a)) => p.eq_ignore_ascii_case(product) && a == action,
            None => self.action == "*" || self.action == action,
        }
    }
}

impl When {
    fn includes(self, number: u32) -> bool {
        match self {
            Self::Once => number == 1,
            Self::First(count) => number <= count,
            Self::Nth(wanted) => number == wanted,
            Self::From(first) => number >= first,
            Self::Every => true,
        }
    }
}
