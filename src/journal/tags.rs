//! The tags by which a run's resources are found when its journal is lost.

use std::time::Duration;

use jiff::Timestamp;

/// Tag key: the run's id.
pub const RUN_ID: &str = "alicloud-image:run-id";
/// Tag key: the intent's number in the run's journal.
pub const INTENT: &str = "alicloud-image:intent";
/// Tag key: when the resource may be deleted by anyone, RFC 3339 in UTC.
pub const EXPIRES_AT: &str = "alicloud-image:expires-at";
/// Tag key: the repository whose job it was.
pub const REPOSITORY: &str = "alicloud-image:repo";
/// Tag key: the CI system's id of the run.
pub const WORKFLOW_RUN: &str = "alicloud-image:workflow-run";

/// Tag key whose value is `true` on everything that a run deletes at its end,
/// and on an image and its snapshot while they are not finished.
pub const TEMPORARY: &str = "alicloud-image:temporary";

/// The keys that are taken off an image when it is finished: from then on
/// nobody may delete it by its tags.
pub const UNFINISHED: [&str; 2] = [TEMPORARY, EXPIRES_AT];

/// What every temporary resource of a run carries.
#[derive(Debug, Clone)]
pub struct RunTags {
    /// The run's id.
    pub run: String,
    /// When the resources expire.
    pub expires_at: Timestamp,
    /// Facts of the CI job: [`REPOSITORY`] and [`WORKFLOW_RUN`].
    pub ci: Vec<(String, String)>,
}

impl RunTags {
    /// Tags of a run that starts now.
    pub fn new(run: &str, now: Timestamp, ttl: Duration, ci: Vec<(String, String)>) -> Self {
        let ttl = jiff::SignedDuration::try_from(ttl).unwrap_or(jiff::SignedDuration::MAX);
        let expires_at = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        Self {
            run: run.to_owned(),
            expires_at,
            ci,
        }
    }

    /// Key-value pairs for the resource of an intent.
    pub fn of_intent(&self, number: u64) -> Vec<(String, String)> {
        let own = self.of_image(number).into_iter();
        own.chain(self.ci.iter().cloned()).collect()
    }

    /// Key-value pairs for an image until it is finished, those first that are
    /// missed most where there is no room for all.
    pub fn of_image(&self, number: u64) -> [(String, String); 4] {
        [
            (RUN_ID, self.run.clone()),
            (INTENT, number.to_string()),
            (TEMPORARY, "true".to_owned()),
            (EXPIRES_AT, self.expires_at_text()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    }

    /// The expiry to the second, as tags and `AutoReleaseTime` want it.
    pub fn expires_at_text(&self) -> String {
        self.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_to_the_second_in_utc() {
        let now: Timestamp = "2026-11-22T08:00:00.5Z".parse().unwrap();
        let tags = RunTags::new("r", now, Duration::from_secs(6 * 3600), vec![]);
        assert_eq!(tags.expires_at_text(), "2026-11-22T14:00:00Z");
        assert_eq!(tags.of_intent(7)[1], (INTENT.to_owned(), "7".to_owned()));
    }
}
