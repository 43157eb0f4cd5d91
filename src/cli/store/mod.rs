//! `harrier store`: looking into the data directory of a stopped broker.
//!
//! The storage lies below everything the command line may know. What looks into
//! a directory is handed in as [`StoreTools`] and tells what it found in the
//! words of this module.

mod check;
mod message;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use self::check::{problems, render};
pub use self::message::StoredMessage;
use super::Failure;
use super::config_file::Keys;
use super::format::{Format, print};
use crate::base::config::Config;

/// Looks into the data directory of a stopped broker, without changing it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StoreCommand {
    #[command(subcommand)]
    action: Action,
}

const EXAMPLES: &str = "\
Examples:
  harrier store check --data-dir /var/lib/harrier
  harrier store dump --queue orders --data-dir /var/lib/harrier | less
  harrier store dump --queue orders --format json | jq -r .payload

Exit code 0: done and all is well; 1: something is damaged, or a broker has the
directory (stop it first, or look at a copy); 2: wrong usage.";

#[derive(Debug, Subcommand)]
enum Action {
    /// Read everything, tell what is damaged and how much each queue holds
    #[command(after_help = "Examples:\n  \
        harrier store check\n  \
        harrier store check --config /etc/harrier.toml --format json")]
    Check {
        #[command(flatten)]
        place: Place,
        /// How to print it [default: table on a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
    },
    /// Print the messages of a queue in order
    #[command(after_help = "Examples:\n  \
        harrier store dump --queue orders\n  \
        harrier store dump --queue orders --vhost shop --limit 10 --format json\n\n\
        With --format json, each message is a line. A body that isn't text is in Base64.")]
    Dump {
        /// The queue, which is durable
        #[arg(long, value_name = "NAME")]
        queue: String,
        /// Its virtual host
        #[arg(long, value_name = "NAME", default_value = "/")]
        vhost: String,
        /// Stop after so many messages
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        #[command(flatten)]
        place: Place,
        /// How to print it [default: table on a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
    },
}

#[derive(Debug, Args)]
struct Place {
    /// The broker's data directory [default: ./harrier-data]
    #[arg(long, env = "HARRIER_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The broker's configuration file, which names the directory
    #[arg(long, env = "HARRIER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What looks into data directories.
#[derive(Debug, Clone, Copy)]
pub struct StoreTools {
    /// Reads all of a directory.
    pub look: fn(&Path) -> Result<Directory, Failure>,
    /// Reads all of a directory and hands out the messages of the queue `name`
    /// in `vhost`, in order, as long as `print` wants more.
    pub messages: fn(&Path, &str, &str, &mut PrintMessage<'_>) -> Result<Directory, Failure>,
}

/// Prints a message; whether there may be more.
pub type PrintMessage<'a> = dyn FnMut(&StoredMessage<'_>) -> bool + 'a;

/// What was found in a data directory.
#[derive(Debug, Default)]
pub struct Directory {
    /// The segments of the log, oldest first.
    pub segments: Vec<Segment>,
    /// Numbers of segments that are missing between others.
    pub missing: Vec<u64>,
    /// What is wrong with the database.
    pub database: Option<String>,
    /// How many virtual hosts there are.
    pub vhosts: usize,
    /// How many users there are.
    pub users: usize,
    /// How many runtime parameters there are.
    pub parameters: usize,
    /// The durable queues.
    pub queues: Vec<Queue>,
}

/// A segment of the log.
#[derive(Debug, Default)]
pub struct Segment {
    /// Its file's name.
    pub name: String,
    /// Octets of the file.
    pub size: u64,
    /// Whether its header can't be read.
    pub header_damaged: bool,
    /// Whole frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Messages in it that are in a queue still.
    pub live: u64,
    /// What lies between frames and is none: offset and octets.
    pub damaged: Vec<(u64, u64)>,
    /// Where a frame was begun that wasn't ended, behind all others.
    pub torn: Option<u64>,
}

/// A durable queue and what is stored of it.
#[derive(Debug)]
pub struct Queue {
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Messages.
    pub messages: u64,
    /// What they take on disk, octets.
    pub bytes: u64,
}

impl StoreCommand {
    /// Looks and prints.
    ///
    /// # Errors
    /// The directory can't be read, or something in it is damaged.
    pub fn run(self, tools: StoreTools) -> Result<(), Failure> {
        match self.action {
            Action::Check { place, format } => {
                let dir = place.resolve()?;
                check(&dir, Format::or_fitting(format), tools)
            }
            Action::Dump {
                queue,
                vhost,
                limit,
                place,
                format,
            } => {
                let dump = Dump {
                    dir: place.resolve()?,
                    vhost,
                    queue,
                    limit: limit.unwrap_or(u64::MAX),
                    format: Format::or_fitting(format),
                };
                dump.run(tools)
            }
        }
    }
}

impl Place {
    fn resolve(self) -> Result<PathBuf, Failure> {
        let named = match (self.data_dir, self.config) {
            (Some(dir), _) => Some(dir),
            (None, Some(path)) => Keys::from_file(&path)?.data_dir,
            (None, None) => None,
        };
        Ok(named.unwrap_or(Config::default().data_dir))
    }
}

fn check(dir: &Path, format: Format, tools: StoreTools) -> Result<(), Failure> {
    let found = (tools.look)(dir)?;
    let found_problems = problems(&found);
    print(&render(&found, &found_problems, format))?;
    if found_problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} is damaged:\n  {}\n{WHAT_TO_DO}",
        dir.display(),
        found_problems.join("\n  ")
    )))
}

const WHAT_TO_DO: &str = "What to do: copy the directory away if you want it examined. A broker \
started on it serves all that can be read, logs what can't, and keeps a copy of the damaged \
octets in log/*.damaged. Look at the disk before you trust it again.";

struct Dump {
    dir: PathBuf,
    vhost: String,
    queue: String,
    limit: u64,
    format: Format,
}

impl Dump {
    fn run(&self, tools: StoreTools) -> Result<(), Failure> {
        let mut left = self.limit;
        let mut outcome = Ok(true);
        let mut show = |message: &StoredMessage<'_>| {
            if left == 0 {
                return false;
            }
            left -= 1;
            outcome = print(&message.render(self.format));
            left > 0 && matches!(outcome, Ok(true))
        };
        let found = (tools.messages)(&self.dir, &self.vhost, &self.queue, &mut show)?;
        outcome?;
        if problems(&found).is_empty() {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "{} is damaged, so messages may be missing here; see `harrier store check`",
            self.dir.display()
        )))
    }
}
