//! What administrators did: who, from where, when, what, how many, with what
//! outcome.
//!
//! A line of JSON for each act in `audit.log` of the data directory, synced before
//! the act is answered, and an event `audit.<act>`. A file that has grown large
//! gives way to a new one; of the old ones the last is kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::base::limits::{AUDIT_FILE_MAX, AUDIT_LINE_MAX};
use crate::broker::announcements::Herald;
use crate::wire::FieldTable;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Messages are sent back to where they came from, or elsewhere.
    Replay,
    /// Messages are dropped.
    Drop,
    /// Messages are read from a file.
    Import,
    /// Messages are written to a file.
    Export,
    /// A job is ended.
    Cancel,
    /// Something is made, or changed.
    Change,
    /// Something is deleted.
    Delete,
}

impl Deed {
    /// What the record calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Drop => "drop",
            Self::Import => "import",
            Self::Export => "export",
            Self::Cancel => "cancel",
            Self::Change => "change",
            Self::Delete => "delete",
        }
    }

    /// The key of the event that tells of it.
    const fn event(self) -> &'static str {
        match self {
            Self::Replay => "audit.replay",
            Self::Drop => "audit.drop",
            Self::Import => "audit.import",
            Self::Export => "audit.export",
            Self::Cancel => "audit.cancel",
            Self::Change => "audit.change",
            Self::Delete => "audit.delete",
        }
    }
}

/// Something an administrator did.
#[derive(Debug, Clone)]
pub struct Act<'a> {
    /// What.
    pub deed: Deed,
    /// Who.
    pub user: &'a str,
    /// From which address.
    pub from: &'a str,
    /// What it was done to, and how: an object.
    pub about: Value,
    /// How many messages, or whatever else it was about.
    pub count: u64,
    /// What came of it: `started`, `done`, or why not.
    pub outcome: &'a str,
}

/// The record of what administrators did.
#[derive(Debug)]
pub struct Audit {
    file: PathBuf,
    /// Held for as long as a line is written.
    writing: Mutex<()>,
}

impl Audit {
    /// One that is kept in the directory `data`.
    pub fn new(data: &Path) -> Self {
        Self {
            file: data.join("audit.log"),
            writing: Mutex::default(),
        }
    }

    /// Writes an act down, at a time in milliseconds since 1970. Waits for the
    /// disk. What can't be written is logged: nobody's act fails for it.
    pub fn record(&self, act: &Act<'_>, now_ms: u64, herald: &Herald) {
        let mut line = json!({
            "time": now_ms,
            "act": act.deed.name(),
            "user": act.user,
            "from": act.from,
            "about": act.about,
            "count": act.count,
            "outcome": act.outcome,
        });
        if line.to_string().len() > AUDIT_LINE_MAX {
            line["about"] = json!("too long to be kept");
        }
        herald.event(act.deed.event(), || headers(act));
        if let Err(error) = self.write(&format!("{line}\n")) {
            let file = self.file.display();
            tracing::error!(%file, %error, act = %line, "cannot write the audit log");
        }
    }

    fn write(&self, line: &str) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock();
        let mut file = self.open()?;
        if file.metadata()?.len() + line.len() as u64 > AUDIT_FILE_MAX {
            drop(file);
            std::fs::rename(&self.file, self.former())?;
            file = self.open()?;
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        options.open(&self.file)
    }

    fn former(&self) -> PathBuf {
        self.file.with_extension("log.1")
    }

    /// The last acts, the latest first, `most` at most.
    ///
    /// # Errors
    /// What the system says to reading the files.
    pub fn last(&self, most: usize) -> io::Result<Vec<Value>> {
        let _not_while_writing = self.writing.lock();
        let mut acts = Vec::new();
        for file in [&self.file, &self.former()] {
            let text = match std::fs::read(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text?,
            };
            // The last line may have been cut short by a crash.
            let lines = text.split(|octet| *octet == b'\n').rev();
            let lines = lines.filter_map(|line| serde_json::from_slice(line).ok());
            acts.extend(lines.take(most - acts.len()));
        }
        Ok(acts)
    }
}

fn headers(act: &Act<'_>) -> FieldTable {
    let mut headers = FieldTable::new();
    headers.push("act", act.deed.name());
    headers.push("name", act.user);
    headers.push("from", act.from);
    headers.push("about", &*act.about.to_string());
    headers.push("count", i64::try_from(act.count).unwrap_or(i64::MAX));
    headers.push("outcome", act.outcome);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(count: u64) -> Act<'static> {
        Act {
            deed: Deed::Replay,
            user: "ann",
            from: "127.0.0.1:5",
            about: json!({ "queue": "dead" }),
            count,
            outcome: "done",
        }
    }

    #[test]
    fn acts_are_kept_the_latest_first() {
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::new(directory.path());
        assert_eq!(audit.last(10).unwrap(), Vec::<Value>::new());
        for count in 0..5 {
            audit.record(&act(count), 1000 + count, &Herald::default());
        }
        let again = Audit::new(directory.path());
        let last = again.last(2).unwrap();
        assert_eq!(last.len(), 2);
        assert_eq!(last[0]["count"], 4);
        assert_eq!(last[0]["time"], 1004);
        assert_eq!(last[1]["about"]["queue"], "dead");
    }

    #[test]
    fn a_line_cut_short_by_a_crash_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::new(directory.path());
        audit.record(&act(1), 1, &Herald::default());
        let file = directory.path().join("audit.log");
        let mut file = OpenOptions::new().append(true).open(file).unwrap();
        file.write_all(b"{\"time\":2,").unwrap();
        assert_eq!(audit.last(10).unwrap().len(), 1);
    }
}
