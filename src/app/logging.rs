//! The developers' log: `tracing` on standard error, for `--verbose`,
//! `PACKER_LOG` and `RUNNER_DEBUG`.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::report::{DeveloperLog, Settings};

/// Starts the log if it is wanted: API calls at `debug`, bodies at `trace`.
/// Only ours: what russh and hyper log at these levels may hold secrets.
pub(super) fn start(settings: &Settings, log: DeveloperLog) {
    let level = match settings.verbose {
        0 | 1 => return,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::new(format!("off,alicloud_image={level}"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(move || log.clone());
    // A second start, as in tests, keeps the first one.
    let _ = subscriber.try_init();
}
