//! What the commands `disk info`, `disk check` and `disk convert` say, as
//! text and as data.

use std::fmt::Write as _;

use super::stream::Summary;
use super::{Check, Disk, ExtentKind, Info, extents};
use crate::error::Result;

/// How the bytes of a disk are stored, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Stored.
    pub data: u64,
    /// Recorded as zeros.
    pub zero: u64,
    /// Never written.
    pub hole: u64,
}

/// Adds up all extents.
///
/// # Errors
/// As [`Disk::extent_at`].
pub fn usage(disk: &dyn Disk) -> Result<Usage> {
    let mut usage = Usage::default();
    for extent in extents(disk) {
        let extent = extent?;
        match extent.kind {
            ExtentKind::Data => usage.data += extent.length,
            ExtentKind::Zero => usage.zero += extent.length,
            ExtentKind::Hole => usage.hole += extent.length,
        }
    }
    Ok(usage)
}

/// The answer of `disk info` for people.
pub fn info_text(info: &Info, usage: Usage) -> String {
    let mut text = format!("{}\n", info.path.display());
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<16}{value}");
        }
    };
    line("format", format!("{} {}", info.format, info.variant).trim());
    line("virtual size", &bytes(info.virtual_size));
    line("file length", &bytes(info.file_length));
    line("on disk", &bytes(info.allocated));
    line("stored data", &bytes(usage.data));
    line(
        "cluster size",
        &info.cluster_size.map(bytes).unwrap_or_default(),
    );
    line("compression", info.compression.unwrap_or_default());
    line("features", &info.features.join(", "));
    if info.snapshots > 0 {
        line("snapshots", &info.snapshots.to_string());
    }
    for backing in &info.backing {
        line("backing file", &backing.display().to_string());
    }
    if let Some(data) = &info.data_file {
        line("data file", &data.display().to_string());
    }
    for warning in &info.warnings {
        line("warning", warning);
    }
    text
}

/// The answer of `disk info` as data.
pub fn info_json(info: &Info, usage: Usage) -> serde_json::Value {
    serde_json::json!({ "image": info, "usage": usage })
}

/// The answer of `disk check` for people.
pub fn check_text(info: &Info, check: &Check) -> String {
    let path = info.path.display();
    if !check.checked {
        return format!("{path}: {} has no tables to check\n", info.format);
    }
    let mut text = String::new();
    for finding in &check.findings {
        let _ = writeln!(text, "{finding}");
    }
    let listed = check.findings.len() as u64;
    let all = check.corruptions + check.leaks;
    if all > listed {
        let _ = writeln!(text, "... and {} more", all - listed);
    }
    let _ = match all {
        0 => writeln!(text, "{path}: no errors were found"),
        _ => writeln!(
            text,
            "{path}: {} errors, {} leaked clusters",
            check.corruptions, check.leaks
        ),
    };
    let _ = writeln!(
        text,
        "{} of {} clusters are stored, {} of them compressed; the image ends at {}",
        check.allocated_clusters, check.total_clusters, check.compressed_clusters, check.image_end
    );
    text
}

/// The answer of `disk check` as data.
pub fn check_json(info: &Info, check: &Check) -> serde_json::Value {
    serde_json::json!({ "path": info.path, "format": info.format, "check": check })
}

/// The answer of `disk convert` for people.
pub fn convert_text(summary: &Summary) -> String {
    let mut text = format!("Wrote {}\n", bytes(summary.length));
    let mut line = |name: &str, count: u64| {
        if count > 0 {
            let _ = writeln!(text, "  {name:<16}{}", bytes(count));
        }
    };
    line("read", summary.read);
    line("dropped free", summary.dropped_free);
    line("dropped zeros", summary.dropped_zero);
    line("not compressed", summary.incompressible);
    for note in &summary.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// `1.5 GiB (1610612736 bytes)`.
fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (count as f64, None);
    for name in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, Some(name));
    }
    match unit {
        None => format!("{count} bytes"),
        Some(unit) => {
            let shown = format!("{value:.1}");
            let shown = shown.strip_suffix(".0").unwrap_or(&shown);
            format!("{shown} {unit} ({count} bytes)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_rounded_and_exact() {
        for (count, expected) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB (1024 bytes)"),
            (1610612736, "1.5 GiB (1610612736 bytes)"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }
}
