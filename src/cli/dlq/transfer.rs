//! `harrier dlq export` and `harrier dlq import`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::filters::{Filters, pairs};
use super::{messages, named};
use crate::cli::Failure;
use crate::cli::console::Console;
use crate::cli::progress::Progress;

/// Octets of lines that are sent at a time.
const PIECE: usize = 4 * 1024 * 1024;

/// Prints messages as lines of JSON.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq export orders.dead > dead.ndjson\n  \
    harrier dlq export orders.dead --older-than 7d --file old.ndjson")]
pub(super) struct ExportCommand {
    /// The queue
    queue: String,
    /// Write to this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    filters: Filters,
}

impl ExportCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let at = messages(vhost, &self.queue, &["export"]);
        let query = self.filters.query();
        let lines = console.api.get_octets(&at, &pairs(&query));
        let lines = lines.map_err(|error| error.about(named(&self.queue, vhost)))?;
        let count = lines.iter().filter(|octet| **octet == b'\n').count();
        let Some(file) = &self.file else {
            return match io::stdout().write_all(&lines) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Failure::Failed(format!("cannot print: {error}")))
                }
                _ => Ok(()),
            };
        };
        let written = std::fs::write(file, &lines);
        written.map_err(|error| failed("write", file, &error))?;
        console.say(&format!("{count} messages in {}", file.display()))
    }
}

/// Puts messages from lines of JSON into a queue.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier dlq import orders.dead dead.ndjson\n  \
    jq -c 'select(.properties.type == \"order\")' dead.ndjson | harrier dlq import orders.retry -")]
pub(super) struct ImportCommand {
    /// The queue
    queue: String,
    /// The file, `-` for stdin
    file: PathBuf,
}

impl ImportCommand {
    pub(super) fn run(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let mut lines = self.open()?;
        let at = messages(vhost, &self.queue, &["import"]);
        let mut progress = Progress::begin();
        let (mut imported, mut piece) = (0, Vec::new());
        loop {
            let read = lines.read_until(b'\n', &mut piece);
            let read = read.map_err(|error| failed("read", &self.file, &error))?;
            if read > 0 && piece.len() < PIECE {
                continue;
            }
            if !piece.trim_ascii().is_empty() {
                let answer = console.api.post_with(&at, &[], std::mem::take(&mut piece));
                let answer = answer.map_err(|error| {
                    let queue = named(&self.queue, vhost);
                    error.about(format!("{queue} ({imported} messages are in it already)"))
                })?;
                imported += answer["imported"].as_u64().unwrap_or_default();
                progress.note(&format!("{imported} messages"));
            }
            if read == 0 {
                break;
            }
        }
        drop(progress);
        console.say(&format!("{imported} messages put into '{}'", self.queue))
    }

    fn open(&self) -> Result<Box<dyn BufRead>, Failure> {
        if self.file == Path::new("-") {
            return Ok(Box::new(BufReader::new(io::stdin())));
        }
        let file = std::fs::File::open(&self.file);
        let file = file.map_err(|error| failed("read", &self.file, &error))?;
        let file: Box<dyn Read> = Box::new(file);
        Ok(Box::new(BufReader::new(file)))
    }
}

fn failed(what: &str, file: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot {what} {}: {error}", file.display()))
}
