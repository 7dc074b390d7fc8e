//! Tells GitHub about a run: a check run from its beginning to its end, and a
//! comment after it. None of it can fail the run.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::engine::event::{self, EventKind, Events};
use crate::engine::stop::Stop;
use crate::error::Result;
use crate::github::check_run::{self, CheckRun, Completion, Conclusion};
use crate::github::comment::{self, Kept};
use crate::github::{Api, Failure, OpenCheckRun, Reviewing, WhichCheckRun};
use crate::inputs::CloseCheckRunArgs;
use crate::report::review::{Draft, Review};
use crate::report::{ExitStatus, Settings, System};

/// For all that is said after a run, in real time.
const LIMIT: Duration = Duration::from_secs(120);

/// A cancelled job is given seconds.
const LIMIT_OF_CANCELLED: Duration = Duration::from_secs(15);

/// A run that GitHub is told about.
pub(super) struct Telling {
    told: Told,
    review: Review,
    check_run: Option<JoinHandle<Option<u64>>>,
}

/// What is the same for all that is said.
#[derive(Clone)]
struct Told {
    api: Api,
    reviewing: Reviewing,
    events: Events,
}

/// Begins to tell, if that is wanted. The run need not wait for it.
pub(super) fn start(
    reviewing: Option<&Reviewing>,
    settings: &Settings,
    events: &Events,
    stop: &Stop,
) -> Option<Telling> {
    let reviewing = reviewing?.clone();
    let Some(System::GitHub(github)) = &settings.ci else {
        return None;
    };
    let review = github.review.clone()?;
    let api = match Api::new(&reviewing.access) {
        Ok(api) => api,
        Err(error) => {
            events.warn(crate::error::one_line(&error));
            return None;
        }
    };
    // Once asked for, its id must be known: nobody else would complete it.
    let stop = stop
        .for_cleanup()
        .on(Clock::scaled(reviewing.access.time_scale));
    let events = events.clone();
    let told = Told {
        api,
        reviewing,
        events,
    };
    let has_check_run = told.reviewing.check_run.is_some();
    let check_run = has_check_run.then(|| {
        let told = told.clone();
        tokio::spawn(async move { told.open(&stop).await })
    });
    Some(Telling {
        told,
        review,
        check_run,
    })
}

impl Telling {
    /// Tells the end.
    pub(super) async fn finish(self, stop: &Stop) {
        let clock = Clock::scaled(self.told.reviewing.access.time_scale);
        let (stop, limit) = match stop.is_stopped() {
            true => (stop.for_cleanup().on(clock), LIMIT_OF_CANCELLED),
            false => (stop.on(clock), LIMIT),
        };
        let events = self.told.events.clone();
        within(limit, &stop, &events, Box::pin(self.tell_end(&stop))).await;
    }

    async fn tell_end(self, stop: &Stop) {
        let Some(draft) = self.review.take() else {
            return;
        };
        let id = match self.check_run {
            Some(opening) => opening.await.ok().flatten(),
            None => None,
        };
        if let Some(id) = id {
            self.told.complete(id, &draft, stop).await;
        }
        self.told.comment(&draft, stop).await;
    }
}

impl Told {
    async fn open(&self, stop: &Stop) -> Option<u64> {
        let check_run = self.reviewing.check_run.as_ref()?;
        let repository = &self.reviewing.repository;
        let CheckRun { key, commit, .. } = check_run;
        // Noted first: if we die now, the post step finds it by its key.
        self.note(event::CheckRun::Asked(key.clone()));
        let failure = match check_run::open(&self.api, repository, check_run, stop).await {
            Ok(id) => return Some(self.opened(id)),
            Err(failure) => failure,
        };
        let found = match failure.is_uncertain() {
            true => check_run::find(&self.api, repository, key, commit, stop).await,
            false => Ok(None),
        };
        if let Ok(Some(id)) = found {
            return Some(self.opened(id));
        }
        // Where nobody knows, the post step looks once more.
        if found.is_ok() {
            self.note(event::CheckRun::Done);
        }
        let doing = format!("Cannot open a check run in {repository}");
        self.warn(&doing, &failure, "checks: write");
        None
    }

    fn opened(&self, id: u64) -> u64 {
        self.note(event::CheckRun::Open(id));
        id
    }

    /// For the post step.
    fn note(&self, state: event::CheckRun) {
        self.events.emit(EventKind::CheckRun(state));
    }

    async fn complete(&self, id: u64, draft: &Draft, stop: &Stop) {
        let repository = &self.reviewing.repository;
        let completion = &draft.completion;
        match check_run::complete(&self.api, repository, id, completion, stop).await {
            Ok(()) => self.note(event::CheckRun::Done),
            Err(failure) => {
                let doing = format!("Cannot complete check run {id} in {repository}");
                self.warn(&doing, &failure, "checks: write");
            }
        }
    }

    async fn comment(&self, draft: &Draft, stop: &Stop) {
        let Some(sticky) = &self.reviewing.comment else {
            return;
        };
        let repository = &self.reviewing.repository;
        let Draft {
            comment, result, ..
        } = draft;
        let number = sticky.pull_request;
        match comment::keep(&self.api, repository, sticky, comment, result, stop).await {
            Ok(kept) => self.events.message(format!(
                "The comment on pull request {number} {}",
                match kept {
                    Kept::Created => "is written",
                    Kept::Updated => "is up to date",
                    Kept::Unchanged => "says the same already",
                }
            )),
            Err(failure) => {
                let doing = format!("Cannot comment on pull request {number} of {repository}");
                self.warn(&doing, &failure, "pull-requests: write");
            }
        }
    }

    /// A stop needs no warning: whoever stopped us knows.
    fn warn(&self, doing: &str, failure: &Failure, permission: &str) {
        if failure.is_stop() {
            return;
        }
        let cure = cure(failure, permission, self.reviewing.is_from_fork);
        self.events.warn(format!("{doing}: {failure}{cure}"));
    }
}

/// GitHub says 404 instead of 403 where not even reading is allowed.
fn cure(failure: &Failure, permission: &str, is_from_fork: bool) -> String {
    match failure.status() {
        Some(403 | 404) if is_from_fork => ". A pull request from a fork gets a token that can \
             only read, whatever the workflow says"
            .to_owned(),
        Some(403 | 404) => format!(
            ". Add `{permission}` to the `permissions:` of the job, which then has to name \
             all others it needs, too"
        ),
        Some(401) => ". Check the token".to_owned(),
        _ => String::new(),
    }
}

/// The post step of a run that left nothing else.
pub(super) fn run(args: &CloseCheckRunArgs) -> ExitStatus {
    let events = super::events(&args.report);
    let stop = Stop::new(Clock::default());
    let closed = super::block_on(close(&args.check_run, &events, &stop));
    closed.map_or_else(
        |error| super::fail(&events, error),
        |()| ExitStatus::Success,
    )
}

/// Completes a check run that a killed main step left open.
pub(super) async fn close(open: &OpenCheckRun, events: &Events, stop: &Stop) {
    let stop = stop.for_cleanup().on(Clock::scaled(open.access.time_scale));
    let repository = &open.repository;
    let closing = async {
        let closed = match Api::new(&open.access) {
            Ok(api) => cancel(&api, open, &stop).await,
            Err(error) => Err(error.into()),
        };
        match closed {
            Ok(None) => {}
            Ok(Some(id)) => events.say(format!("Check run {id} in {repository} is completed")),
            Err(failure) => {
                let cure = cure(&failure, "checks: write", false);
                events.warn(format!(
                    "Cannot complete the check run in {repository}: {failure}{cure}"
                ));
            }
        }
    };
    within(LIMIT_OF_CANCELLED, &stop, events, Box::pin(closing)).await;
}

/// Gives up after a limit, which is GitHub's time and not the sandbox's.
async fn within(limit: Duration, stop: &Stop, events: &Events, work: impl Future<Output = ()>) {
    let stop = stop.on(Clock::default());
    if let Err(error) = stop.within(limit, "telling GitHub", work).await {
        let reason = crate::error::one_line(&error);
        events.warn(format!("GitHub was not told everything: {reason}"));
    }
}

/// Gives the id of what is completed now. The main step may have lived long
/// enough to say more.
async fn cancel(api: &Api, open: &OpenCheckRun, stop: &Stop) -> Result<Option<u64>, Failure> {
    let repository = &open.repository;
    let id = match &open.which {
        WhichCheckRun::Known(id) => Some(*id),
        WhichCheckRun::Asked { key, commit } => {
            check_run::find(api, repository, key, commit, stop).await?
        }
    };
    let Some(id) = id else { return Ok(None) };
    if !check_run::is_open(api, repository, id, stop).await? {
        return Ok(Some(id));
    }
    let completion = Completion {
        conclusion: Conclusion::Cancelled,
        title: "alicloud-image: ✗ ended".to_owned(),
        summary: "The step was ended before it could say how it went; see its log.".to_owned(),
        annotations: Vec::new(),
    };
    check_run::complete(api, repository, id, &completion, stop).await?;
    Ok(Some(id))
}
