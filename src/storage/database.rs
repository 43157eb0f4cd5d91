//! Opening sled's database, and what to do with one that is damaged.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::StoreError;

/// Octets of sled's own segments.
const SEGMENT_SIZE: usize = 2 * 1024 * 1024;
/// Octets of pages that sled keeps at hand.
const CACHE_SIZE: u64 = 64 * 1024 * 1024;
/// How often, and at what distance, opening is tried again.
const OPEN_TRIES: u32 = 200;
const OPEN_PAUSE: Duration = Duration::from_millis(10);

/// Opens the database in a directory, or makes it.
///
/// # Errors
/// [`StoreError::Database`] with what sled says.
pub(super) fn open(path: &Path) -> Result<sled::Db, StoreError> {
    remove_torn_snapshots(path)?;
    let config = sled::Config::default()
        .path(path)
        .segment_size(SEGMENT_SIZE)
        .cache_capacity(CACHE_SIZE)
        .flush_every_ms(None);
    open_patiently(&config).map_err(failed("open", path))
}

/// One that this process closed just now may be locked for a moment more, until
/// sled's own threads have let go of it. Another process isn't waited for: the
/// data directory is locked by now.
#[expect(
    clippy::disallowed_methods,
    reason = "a store is opened before there are tasks"
)]
fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let mut tries = OPEN_TRIES;
    loop {
        // Some kinds of damage make sled panic.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        match opened.unwrap_or_else(|_| Err(damaged())) {
            Err(sled::Error::Io(error)) if error.kind() == ErrorKind::Other && tries > 0 => {
                tracing::debug!(%error, "the database can't be opened yet");
                tries -= 1;
                std::thread::sleep(OPEN_PAUSE);
            }
            opened => return opened,
        }
    }
}

fn damaged() -> sled::Error {
    sled::Error::ReportableBug("sled panicked over its own file".into())
}

/// Whether an error says that the database itself is broken.
pub(super) fn is_damage(error: &StoreError) -> bool {
    use ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        StoreError::UnknownEntry { .. } => true,
        StoreError::Database { source, .. } => match source {
            sled::Error::Io(error) => matches!(error.kind(), InvalidData | UnexpectedEof),
            _ => true,
        },
        _ => false,
    }
}

/// Renames a database's directory; returns the new name.
///
/// # Errors
/// [`StoreError::Io`] when that fails.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let names = (1_u64..).map(|n| path.with_file_name(format!("sled.{n}.damaged")));
    let free = names.into_iter().find(|name| !name.exists());
    let to = free.unwrap_or_else(|| path.with_extension("damaged"));
    let renamed = std::fs::rename(path, &to);
    renamed.map_err(StoreError::io("set aside", path))?;
    Ok(to)
}

/// sled refuses to open a directory with a snapshot that was cut off while it
/// was written; there is always the one before.
fn remove_torn_snapshots(path: &Path) -> Result<(), StoreError> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io("list", path))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let torn = entry.path();
            std::fs::remove_file(&torn).map_err(StoreError::io("remove", &torn))?;
        }
    }
    Ok(())
}

/// Turns what sled said into an error, for `map_err`.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(sled::Error) -> StoreError {
    move |source| StoreError::Database {
        action,
        path: path.to_path_buf(),
        source,
    }
}
