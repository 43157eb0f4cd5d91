//! What goes wrong with a data directory, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a data directory can't be opened, or can't be written any more.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another process; stop that one or \
         choose another directory with --data-dir",
        .dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
    },
    /// Another version of the program wrote it.
    #[error(
        "{} has format version {found}, this program knows version {known}; run the \
         version of harrier that wrote it",
        .path.display()
    )]
    UnknownVersion {
        /// What was looked at.
        path: PathBuf,
        /// The version it has.
        found: u64,
        /// The version this program knows.
        known: u64,
    },
    /// The checksum is right and the content makes no sense all the same.
    #[error(
        "{} holds a record at offset {offset} that this program can't read; run the \
         version of harrier that wrote it",
        .path.display()
    )]
    UnknownRecord {
        /// The segment.
        path: PathBuf,
        /// Where its frame starts.
        offset: u64,
    },
    /// The file system refused something.
    #[error("can't {action} {}: {source}", .path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The disk is full, and it isn't waited for because the store is closed.
    #[error("the disk is full: what was published last isn't kept, nor was it confirmed")]
    DiskFull,
    /// The database refused something.
    #[error("can't {action} the database in {}: {source}", .path.display())]
    Database {
        /// What was to be done.
        action: &'static str,
        /// Its directory.
        path: PathBuf,
        /// What it said.
        source: sled::Error,
    },
    /// An entry of the database makes no sense.
    #[error(
        "the database in {} has an entry that this program can't read; run the \
         version of harrier that wrote it",
        .path.display()
    )]
    UnknownEntry {
        /// Its directory.
        path: PathBuf,
    },
}

impl StoreError {
    /// Turns what the file system said into an error, for `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Whether it is a full disk, which may pass.
    pub fn is_disk_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}
