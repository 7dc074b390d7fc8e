//! The answer of a check of an image's tables.

use std::fmt::Display;

/// More findings than this are only counted.
const MAX_FINDINGS: usize = 100;

/// What a check found; counts agree with `qemu-img check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// Whether the format has anything to check.
    pub checked: bool,
    /// Findings that can destroy or misplace data.
    pub corruptions: u64,
    /// Clusters that are occupied but not used: wasted space, nothing worse.
    pub leaks: u64,
    /// Clusters of the whole disk.
    pub total_clusters: u64,
    /// Clusters that are stored.
    pub allocated_clusters: u64,
    /// Clusters that are stored compressed.
    pub compressed_clusters: u64,
    /// Where the last used cluster of the file ends, in bytes.
    pub image_end: u64,
    /// The first findings, each a sentence.
    pub findings: Vec<String>,
}

impl Check {
    /// For formats without tables.
    pub(super) fn nothing_to_check() -> Self {
        Self::default()
    }

    /// For formats with tables.
    pub(super) fn of_clusters(total_clusters: u64) -> Self {
        Self {
            checked: true,
            total_clusters,
            ..Self::default()
        }
    }

    /// Whether neither corruptions nor leaks were found.
    pub fn is_clean(&self) -> bool {
        self.corruptions == 0 && self.leaks == 0
    }

    pub(super) fn corruption(&mut self, finding: impl Display) {
        self.corruptions += 1;
        self.note(finding);
    }

    pub(super) fn leak(&mut self, finding: impl Display) {
        self.leaks += 1;
        self.note(finding);
    }

    fn note(&mut self, finding: impl Display) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding.to_string());
        }
    }
}
