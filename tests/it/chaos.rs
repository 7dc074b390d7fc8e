//! Every call of a full build and of an import meets every kind of trouble, and
//! afterwards nothing is there but what was asked for.
//!
//! The tests meet each call once, with the kinds in turn; `script/chaos` meets
//! each call with each kind and prints the table.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use alicloud_image_sandbox::{Effect, Fault, SeedImage, When};
use futures_util::stream::{self, StreamExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::Child;

use crate::harness::{Lab, Outcome, quick_options};
use crate::web::{web, with_provisioners};

/// How many runs at the same time.
const AT_ONCE: usize = 4;

/// The image that every run is to make, and that was there before.
const NAME: &str = "web";

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The process dies before the call is executed.
    KilledBefore,
    /// The process dies when it is executed, before the answer.
    KilledAfter,
    /// The answer is lost.
    LostReply,
    Throttled,
    ServerError,
    /// From here on no call is allowed, until the clean-up afterwards.
    Expired,
    Interrupted,
    Terminated,
    /// The process dies when it is executed, and its machine with the journal.
    JournalLost,
}

impl Trouble {
    const ALL: [Self; 9] = [
        Self::KilledBefore,
        Self::KilledAfter,
        Self::LostReply,
        Self::Throttled,
        Self::ServerError,
        Self::Expired,
        Self::Interrupted,
        Self::Terminated,
        Self::JournalLost,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::KilledBefore => "killed before",
            Self::KilledAfter => "killed after",
            Self::LostReply => "reply lost",
            Self::Throttled => "throttled",
            Self::ServerError => "503",
            Self::Expired => "keys expired",
            Self::Interrupted => "SIGINT",
            Self::Terminated => "SIGTERM",
            Self::JournalLost => "journal lost",
        }
    }

    fn at(self, call: usize) -> Fault {
        let number = u32::try_from(call).unwrap();
        let error = |http, code: &str| Effect::Error {
            http,
            code: code.to_owned(),
            message: "Planned by the test.".to_owned(),
        };
        let effect = match self {
            Self::KilledBefore | Self::Interrupted | Self::Terminated => Effect::HoldBefore,
            Self::KilledAfter | Self::JournalLost => Effect::HoldAfter,
            Self::LostReply => Effect::DropAfter,
            Self::Throttled => Effect::ThrottleWithRetryAfter(Duration::from_secs(1)),
            Self::ServerError => error(503, "ServiceUnavailable"),
            Self::Expired => error(403, "InvalidSecurityToken.Expired"),
        };
        Fault {
            action: "*".to_owned(),
            when: match self {
                Self::Expired => When::From(number),
                _ => When::Nth(number),
            },
            effect,
        }
    }

    /// What is done to the process while the call is held.
    fn signal(self) -> Option<Signal> {
        match self {
            Self::KilledBefore | Self::KilledAfter | Self::JournalLost => Some(Signal::KILL),
            Self::Interrupted => Some(Signal::INT),
            Self::Terminated => Some(Signal::TERM),
            _ => None,
        }
    }

    /// Whether the run gets over it.
    fn is_survived(self) -> bool {
        matches!(self, Self::LostReply | Self::Throttled | Self::ServerError)
    }
}

/// What runs.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Build,
    Import,
}

impl Subject {
    /// An account in which an image of the name exists already.
    async fn lab(self) -> Lab {
        let lab = Lab::with(quick_options()).await;
        lab.sandbox.seed().image(&SeedImage {
            region: "cn-beijing".to_owned(),
            id: "m-old".to_owned(),
            name: NAME.to_owned(),
            ..SeedImage::default()
        });
        match self {
            Self::Build => {
                lab.write("web.json", &full_build());
            }
            Self::Import => {
                let mut disk: Vec<u8> = (0..13 << 20).map(|n| (n / 251 % 256) as u8).collect();
                disk[510..512].copy_from_slice(&[0x55, 0xaa]);
                std::fs::write(lab.path("disk.raw"), disk).unwrap();
            }
        }
        lab
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Build => &["build", "web.json"],
            Self::Import => &[
                "import",
                "disk.raw",
                "--region=cn-beijing",
                "--image-name=web",
                "--oss-bucket-name=images",
                "--image-copy-regions=cn-hangzhou",
                "--option=image_force_delete=true",
            ],
        }
    }

    /// The number of calls when nothing goes wrong.
    async fn calls(self) -> usize {
        let mut lab = self.lab().await;
        lab.may_leave_resources();
        lab.run(self.arguments()).await.success();
        lab.sandbox.calls().len()
    }
}

/// A build that makes everything a build can make.
fn full_build() -> String {
    web(json!({
        "image_force_delete": true,
        "image_force_delete_snapshots": true,
        "image_ignore_data_disks": true,
        "image_disk_mappings": [{"disk_size": 20, "disk_category": "cloud_essd"}],
        "image_copy_regions": ["cn-hangzhou"],
        "image_share_account": ["1234567890123456"],
        "tags": {"app": "web"},
    }))
}

/// Runs with trouble at a call, cleans up as the post step would, and says what
/// is wrong afterwards.
async fn meet(subject: Subject, trouble: Trouble, call: usize) -> Result<(), String> {
    let mut lab = subject.lab().await;
    // A failure is to be a cell of the table.
    lab.may_leave_resources();
    lab.sandbox.inject(trouble.at(call));
    let mut child = lab.start(subject.arguments());
    if let Some(signal) = trouble.signal() {
        tokio::select! {
            () = lab.sandbox.wait_for_held() => send(signal, &child),
            _ = child.wait() => {}
        }
    }
    if trouble.signal() != Some(Signal::KILL) {
        lab.sandbox.release();
    }
    let outcome = lab.finish(child).await;
    lab.sandbox.release();
    lab.sandbox.clear_faults();
    if trouble.is_survived() && outcome.code != 0 {
        return Err(format!("exit code {}\n{}", outcome.code, outcome.shown()));
    }
    match trouble {
        Trouble::JournalLost => clean_up_without_journals(&lab).await?,
        _ => clean_up(&lab).await?,
    }
    let end = inspect(&lab, trouble);
    end.map_err(|wrong| format!("{wrong}\n{}", outcome.shown()))
}

fn send(signal: Signal, child: &Child) {
    // None when the process ended by itself meanwhile.
    let id = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(id) = id {
        kill_process(id, signal).unwrap();
    }
}

/// The post step: it has something to do only when there is a journal.
async fn clean_up(lab: &Lab) -> Result<(), String> {
    for journal in journals(lab) {
        let outcome: Outcome = lab.run(&["cleanup", "--journal", &journal]).await;
        if outcome.code != 0 {
            let text = outcome.shown();
            return Err(format!("the clean-up ended with {}\n{text}", outcome.code));
        }
    }
    Ok(())
}

/// What the janitor does once the run has expired.
async fn clean_up_without_journals(lab: &Lab) -> Result<(), String> {
    for journal in journals(lab) {
        std::fs::remove_file(&journal).unwrap();
        let run = Path::new(&journal).file_stem().unwrap().to_str().unwrap();
        let outcome = lab
            .run(&[
                "cleanup",
                "--run",
                run,
                "--region=cn-beijing,cn-hangzhou",
                "--oss-bucket-name=images",
            ])
            .await;
        if outcome.code != 0 {
            let text = outcome.shown();
            return Err(format!("the clean-up ended with {}\n{text}", outcome.code));
        }
    }
    Ok(())
}

fn journals(lab: &Lab) -> Vec<String> {
    let entries = std::fs::read_dir(lab.path("journals"));
    let paths = entries.into_iter().flatten();
    paths
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect()
}

/// Nothing temporary, no journal, one image of the name in the main region and
/// at most one copy, each usable and finished, and never a second instance.
fn inspect(lab: &Lab, trouble: Trouble) -> Result<(), String> {
    let images = lab.sandbox.images();
    let is_replaced = images.iter().all(|image| image["ImageId"] != "m-old");
    let mut left = lab.temporary();
    // The bucket of an import that succeeded is the next one's too, and nobody
    // but the journal knows of an empty one that its run had made.
    let may_stay = is_replaced || trouble == Trouble::JournalLost;
    left.retain(|one| one.kind != "bucket" || !may_stay);
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    let journals = journals(lab);
    if !journals.is_empty() {
        return Err(format!("journals are left: {journals:?}"));
    }
    let in_region = |region: &str| {
        let there = images.iter().filter(|image| image["RegionId"] == region);
        there.count()
    };
    let is_finished = |image: &serde_json::Value| {
        let tags = image["Tags"].to_string();
        image["Status"] == "Available" && !tags.contains("alicloud-image:temporary")
    };
    // Only the journal knows whose place an image was about to take.
    let is_known = trouble != Trouble::JournalLost;
    let is_named = |image: &serde_json::Value| !is_known || image["ImageName"] == NAME;
    let is_good = |image: &serde_json::Value| is_named(image) && is_finished(image);
    let is_one_more = !is_known && in_region("cn-beijing") == 2;
    let is_main_there = in_region("cn-beijing") == 1 || is_one_more;
    if !is_main_there || in_region("cn-hangzhou") > 1 || !images.iter().all(is_good) {
        return Err(format!("images: {images:#?}"));
    }
    let made = lab.calls("RunInstances").into_iter();
    let made = made.filter(|call| call.code == "OK");
    let tokens: std::collections::BTreeSet<_> = made
        .map(|call| call.params["ClientToken"].clone())
        .collect();
    match tokens.len() {
        0 | 1 => Ok(()),
        instances => Err(format!("{instances} instances were made")),
    }
}

/// Runs cells, and gives those that failed.
async fn failures(cells: Vec<(Subject, Trouble, usize)>) -> Vec<(Trouble, usize, String)> {
    let runs = cells.into_iter().map(async |(subject, trouble, call)| {
        let wrong = meet(subject, trouble, call).await.err()?;
        Some((trouble, call, wrong))
    });
    let found = stream::iter(runs).buffer_unordered(AT_ONCE);
    found.filter_map(std::future::ready).collect().await
}

/// Meets each call of a run with trouble: once, with the kinds in turn, or with
/// every kind when the whole table is wanted.
async fn meet_each_call(subject: Subject) {
    let calls = subject.calls().await;
    if std::env::var_os("CHAOS_TABLE").is_some() {
        return meet_everything(subject, calls).await;
    }
    let cells = (1..=calls).zip(Trouble::ALL.into_iter().cycle());
    let cells = cells.map(|(call, trouble)| (subject, trouble, call));
    let failures = failures(cells.collect()).await;
    assert!(failures.is_empty(), "{}", told(&failures));
}

/// Prints the table: `.` for a call that was survived, `X` for one that was
/// not.
async fn meet_everything(subject: Subject, calls: usize) {
    let mut table = format!("{}: {calls} calls\n", subject.arguments()[0]);
    let mut all = Vec::new();
    for trouble in Trouble::ALL {
        let cells = (1..=calls).map(|call| (subject, trouble, call));
        let failed = failures(cells.collect()).await;
        let cell = |call| match failed.iter().any(|(_, other, _)| *other == call) {
            true => 'X',
            false => '.',
        };
        let row: String = (1..=calls).map(cell).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(table, "{:<14} {row}", trouble.name());
        all.extend(failed);
    }
    show(&table);
    assert!(all.is_empty(), "{}", told(&all));
}

fn told(failures: &[(Trouble, usize, String)]) -> String {
    failures.iter().fold(String::new(), |mut text, failure| {
        let (trouble, call, wrong) = failure;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} at call {call}: {wrong}", trouble.name());
        text
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_leaves_nothing_behind_whatever_happens_at_any_call() {
    meet_each_call(Subject::Build).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_leaves_nothing_behind_whatever_happens_at_any_call() {
    meet_each_call(Subject::Import).await;
}

/// A program that writes a line without end costs neither memory nor a log that
/// nobody can open: 1 GB for the table, a part of it otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_without_a_newline_is_bounded() {
    let parts = match std::env::var_os("CHAOS_TABLE") {
        Some(_) => 16,
        None => 1,
    };
    let megabytes = 64 * parts;
    let lab = Lab::quick().await;
    let part = "head -c 64M /dev/zero | tr '\\0' x; touch part-$part";
    let write = format!("for part in $(seq {parts}); do {part}; done; echo");
    let wait = "touch written; while [ -e written ]; do sleep 0.02; done";
    let script = json!([{"type": "shell-local", "inline": [write, wait]}]);
    lab.write("web.json", &with_provisioners(json!({}), &script));
    let child = lab.start(&["build", "web.json"]);
    let id = child.id().unwrap();
    for part in 1..=parts {
        lab.wait_for_file(&format!("part-{part}")).await;
    }
    lab.wait_for_file("written").await;
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    std::fs::remove_file(lab.path("written")).unwrap();
    let outcome = lab.finish(child).await.success();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let peak: u64 = peak.unwrap().parse().unwrap();
    show(&format!(
        "{megabytes} MiB without a newline: {} MiB at most",
        peak / 1024
    ));
    assert!(peak < 100 * 1024, "{peak} kB");
    assert!(outcome.stdout.len() < 64 * 1024, "{}", outcome.stdout.len());
    let cut = "bytes without a newline are not shown)";
    assert!(outcome.stdout.contains(cut));
}

#[expect(clippy::print_stdout, reason = "the table is what script/chaos is for")]
fn show(table: &str) {
    println!("{table}");
}
