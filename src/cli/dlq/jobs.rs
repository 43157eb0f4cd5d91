//! Replays and drops that run or ran.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::api::path;
use crate::cli::console::{Console, Kind, Listing};
use crate::cli::fields::{Shape, text};
use crate::cli::format::Format;
use crate::cli::progress::Progress;

const JOBS: Kind = Kind {
    many: "jobs",
    name: "id",
    columns: &[
        ("id", "id", Shape::Plain),
        ("act", "act", Shape::Plain),
        ("vhost", "vhost", Shape::Plain),
        ("queue", "queue", Shape::Plain),
        ("status", "status", Shape::Plain),
        ("done", "done", Shape::Plain),
        ("stayed", "stayed", Shape::Plain),
        ("skipped", "skipped", Shape::Plain),
        ("user", "user", Shape::Plain),
        ("started", "begun", Shape::Since),
    ],
};

/// Lists replays and drops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq jobs\n  \
    harrier dlq jobs --format json")]
pub(super) struct JobsCommand {
    #[command(flatten)]
    listing: Listing,
}

impl JobsCommand {
    pub(super) fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = console.api.get("/harrier/jobs")?;
        let columns = self.listing.columns(JOBS, None);
        console.print_list(JOBS, found, &self.listing, &columns)
    }
}

/// Ends a job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq cancel 3")]
pub(super) struct CancelCommand {
    /// The job's id
    id: String,
}

impl CancelCommand {
    pub(super) fn run(&self, console: &Console) -> Result<(), Failure> {
        console
            .api
            .delete(&path(&["harrier", "jobs", &self.id]), &[])?;
        let id = &self.id;
        console.say(&format!("job {id} ends; what it has done stays done"))
    }
}

/// Goes on with a job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq resume 3")]
pub(super) struct ResumeCommand {
    /// The job's id
    id: String,
}

impl ResumeCommand {
    pub(super) fn run(&self, console: &Console) -> Result<(), Failure> {
        let at = path(&["harrier", "jobs", &self.id, "resume"]);
        let job = console.api.post(&at, &json!({}))?;
        follow(console, job)
    }
}

/// Tells how far a job is until it has ended.
///
/// # Errors
/// It didn't do all it was to do.
pub(super) fn follow(console: &Console, mut job: Value) -> Result<(), Failure> {
    let at = path(&["harrier", "jobs", &text(&job["id"])]);
    let mut progress = Progress::begin();
    while job["status"] == "running" {
        progress.note(&format!(
            "{} done, {} stayed, {} looked at",
            job["done"], job["stayed"], job["examined"]
        ));
        job = console.api.get_with(&at, &[("wait", "1")])?;
    }
    drop(progress);
    if console.format == Format::Json {
        console.json(&job)?;
    }
    let act = if job["act"] == "drop" {
        "dropped"
    } else {
        "sent back"
    };
    console.say(&format!("{} {act}{}", job["done"], rest(&job)))?;
    let stayed = job["stayed"].as_u64().unwrap_or_default();
    if job["status"] == "done" && stayed == 0 {
        return Ok(());
    }
    Err(Failure::Failed(problem(&job, stayed)))
}

fn rest(job: &Value) -> String {
    match job["skipped"].as_u64() {
        None | Some(0) => String::new(),
        Some(skipped) => format!(", {skipped} passed over because they were before"),
    }
}

fn problem(job: &Value, stayed: u64) -> String {
    let (id, status) = (text(&job["id"]), text(&job["status"]));
    let failure = match job["failure"].as_str() {
        Some(why) => format!(": {why}"),
        None => String::new(),
    };
    if stayed == 0 {
        return format!("job {id} is {status}{failure}; `harrier dlq resume {id}` goes on with it");
    }
    let nothing = Vec::new();
    let problems = job["problems"].as_array().unwrap_or(&nothing);
    let first = problems.first().map(|problem| {
        let (id, why) = (text(&problem["id"]), text(&problem["why"]));
        format!("; the first, {id}: {why}")
    });
    format!("{stayed} messages stayed{}", first.unwrap_or_default())
}
