//! `harrier dlq`: dead letters, and any queue's messages, looked at without
//! taking them, understood and sent back.

mod act;
mod filters;
mod jobs;
mod list;
mod show;
mod summary;
mod transfer;

use clap::{Args, Subcommand};

use self::act::{DropCommand, ReplayCommand};
use self::jobs::{CancelCommand, JobsCommand, ResumeCommand};
use self::list::ListCommand;
use self::show::ShowCommand;
use self::summary::SummaryCommand;
use self::transfer::{ExportCommand, ImportCommand};
use super::Failure;
use super::api::{VhostOption, path};
use super::console::Asking;

/// Look into dead letters, see why, send them back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq summary orders.dead                        why are they there?\n  \
    harrier dlq list orders.dead --correlation-id order-42\n  \
    harrier dlq show orders.dead 17\n  \
    harrier dlq replay orders.dead --all --dry-run         where would they go?\n  \
    harrier dlq replay orders.dead --error 'timeout' --rate 50\n  \
    harrier dlq export orders.dead > dead.ndjson\n\n\
    Nothing is taken by looking: order, counts and times to live stay as they are.")]
pub struct DlqCommand {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List messages, one a line
    List(ListCommand),
    /// Show all there is to a message
    Show(ShowCommand),
    /// Count messages by why they are there
    Summary(SummaryCommand),
    /// Send messages back to where they came from, or elsewhere
    Replay(ReplayCommand),
    /// Drop messages for good
    Drop(DropCommand),
    /// Print messages as lines of JSON
    Export(ExportCommand),
    /// Put messages from lines of JSON into a queue
    Import(ImportCommand),
    /// List replays and drops that run or ran
    Jobs(JobsCommand),
    /// End a replay or drop that runs
    Cancel(CancelCommand),
    /// Go on with one that was cancelled, failed or interrupted
    Resume(ResumeCommand),
}

impl DlqCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// What the API refuses.
    pub fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        match self.command {
            Command::List(list) => list.run(&console, vhost),
            Command::Show(show) => show.run(&console, vhost),
            Command::Summary(summary) => summary.run(&console, vhost),
            Command::Replay(replay) => replay.run(&console, vhost),
            Command::Drop(drop) => drop.run(&console, vhost),
            Command::Export(export) => export.run(&console, vhost),
            Command::Import(import) => import.run(&console, vhost),
            Command::Jobs(jobs) => jobs.run(&console),
            Command::Cancel(cancel) => cancel.run(&console),
            Command::Resume(resume) => resume.run(&console),
        }
    }
}

/// The path of what is done to a queue's messages.
fn messages(vhost: &str, queue: &str, more: &[&str]) -> String {
    let at = path(&["harrier", "queues", vhost, queue, "messages"]);
    at + &path(more)
}

/// What a failure is about.
fn named(queue: &str, vhost: &str) -> String {
    super::resources::in_vhost("queue", queue, vhost)
}
