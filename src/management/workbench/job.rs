//! Work on a queue's messages that takes its time: what it is, and how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::management::audit::Deed;

/// Messages of which it is kept why they stayed.
const PROBLEMS_MAX: usize = 100;

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    /// All that was meant has been seen to.
    Done,
    /// Somebody ended it.
    Cancelled,
    /// Something stood in its way.
    Failed,
    /// The broker was stopped meanwhile.
    Interrupted,
}

impl Status {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How far a job is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Messages looked at, those that were meant, and those seen to.
    pub(super) examined: u64,
    pub(super) matched: u64,
    pub(super) done: u64,
    /// Those passed over because they had been sent back before.
    pub(super) skipped: u64,
    /// Those that stayed, and of the first ones why.
    pub(super) stayed: u64,
    problems: Vec<(String, String)>,
    /// Why it failed.
    pub(super) failure: Option<String>,
    ended: Option<u64>,
}

impl Progress {
    /// Notes that a message stayed.
    pub(super) fn stays(&mut self, id: String, why: String) {
        self.stayed += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push((id, why));
        }
    }
}

/// What a job is about.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) id: String,
    /// To replay or to drop.
    pub(super) deed: Deed,
    pub(super) vhost: Arc<str>,
    pub(super) queue: Arc<str>,
    pub(super) user: Arc<str>,
    /// The address it was asked for from.
    pub(super) from: String,
    /// What was asked for.
    pub(super) request: Value,
    /// When, milliseconds since 1970.
    pub(super) started: u64,
}

/// Work on a queue's messages.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) about: About,
    pub(super) progress: Mutex<Progress>,
    status: watch::Sender<Status>,
    cancelled: AtomicBool,
}

impl Job {
    pub(super) fn new(about: About, status: Status) -> Self {
        Self {
            about,
            progress: Mutex::default(),
            status: watch::Sender::new(status),
            cancelled: AtomicBool::new(false),
        }
    }

    pub(super) fn status(&self) -> Status {
        *self.status.borrow()
    }

    /// Has it end soon.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.status.send_modify(|_| {});
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Waits for so long, or until it is cancelled.
    pub(super) async fn pause(&self, pause: Duration) {
        let mut changes = self.status.subscribe();
        let cancelled = changes.wait_for(|_| self.is_cancelled());
        let _over = timeout(pause, cancelled).await;
    }

    /// What comes of the work on it. Work that breaks off has failed.
    pub(super) async fn outcome(
        &self,
        work: impl Future<Output = Status> + Send + 'static,
    ) -> Status {
        let error = match tokio::spawn(work).await {
            Ok(status) => return status,
            Err(error) => error,
        };
        tracing::error!(job = self.about.id, %error, "a job broke off");
        self.progress.lock().failure = Some(format!("it broke off: {error}"));
        Status::Failed
    }

    /// Ends it.
    pub(super) fn end(&self, status: Status, now_ms: u64) {
        self.progress.lock().ended = Some(now_ms);
        self.status.send_replace(status);
    }

    /// Waits until it has ended, for so long at most.
    pub(super) async fn ended(&self, patience: Duration) {
        let mut changes = self.status.subscribe();
        let ended = changes.wait_for(|status| *status != Status::Running);
        let _late = timeout(patience, ended).await;
    }

    pub(super) fn shown(&self) -> Value {
        let about = &self.about;
        let status = self.status();
        let progress = self.progress.lock();
        let problems = progress.problems.iter();
        let problems = problems.map(|(id, why)| json!({ "id": id, "why": why }));
        json!({
            "id": about.id,
            "act": about.deed.name(),
            "vhost": &*about.vhost,
            "queue": &*about.queue,
            "user": &*about.user,
            "request": about.request,
            "started": about.started,
            "ended": progress.ended,
            "status": status.name(),
            "examined": progress.examined,
            "matched": progress.matched,
            "done": progress.done,
            "skipped": progress.skipped,
            "stayed": progress.stayed,
            "problems": problems.collect::<Vec<_>>(),
            "failure": progress.failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let about = About {
            id: "1".to_owned(),
            deed: Deed::Replay,
            vhost: "/".into(),
            queue: "dead".into(),
            user: "ann".into(),
            from: "127.0.0.1:5".to_owned(),
            request: Value::Null,
            started: 1,
        };
        Job::new(about, Status::Running)
    }

    #[tokio::test]
    async fn a_job_whose_work_panics_ends_as_failed_with_what_happened() {
        let job = job();
        let status = job.outcome(async { panic!("no such lane") }).await;
        job.end(status, 2);
        let shown = job.shown();
        assert_eq!(shown["status"], "failed");
        let failure = shown["failure"].as_str().unwrap();
        assert!(failure.contains("no such lane"), "{failure}");
        assert_eq!(job.outcome(async { Status::Done }).await, Status::Done);
    }
}
