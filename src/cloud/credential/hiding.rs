//! Secrets that are only known once they are fetched: whoever prints learns of
//! each before anything can be done with it, and of keys that are about to end.

use super::{Credential, Source};
use crate::engine::event::{EventKind, Events};
use crate::secret::Secret;

/// Where secrets and warnings are told of. By default nowhere.
#[derive(Clone, Default)]
pub struct Hiding(Option<Events>);

impl Hiding {
    /// Tells these.
    pub fn with(events: &Events) -> Self {
        Self(Some(events.clone()))
    }

    /// Has a value hidden from now on.
    pub(super) fn value(&self, secret: &Secret) {
        if let Some(events) = self.0.as_ref().filter(|_| !secret.is_empty()) {
            events.emit(EventKind::Secret(secret.clone()));
        }
    }

    /// Warns the user.
    pub(super) fn warn(&self, text: String) {
        if let Some(events) = &self.0 {
            events.warn(text);
        }
    }

    /// Has the secret and the token of keys hidden.
    pub(super) fn keys(&self, keys: &Credential) {
        self.value(&keys.secret);
        keys.security_token
            .iter()
            .for_each(|token| self.value(token));
    }

    /// Has what a source holds hidden.
    pub(super) fn source(&self, source: &Source) {
        source
            .secrets()
            .iter()
            .for_each(|secret| self.value(secret));
    }
}
