//! What it takes to look at a data directory without changing it.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::StoreError;
use super::files::{DiskFiles, Files, LogFile};

/// Copies this process has made: each has a name of its own.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// A copy of the database, gone when this is.
pub(super) struct Copied {
    dir: PathBuf,
    /// There was nothing to copy.
    pub(super) missing: bool,
}

impl Copied {
    /// Copies the database in a directory, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it can't be read or not be copied.
    pub(super) fn of(database: &Path) -> Result<Self, StoreError> {
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("harrier-inspection-{}-{number}", std::process::id());
        let copied = Self {
            dir: std::env::temp_dir().join(name),
            missing: !database.exists(),
        };
        let to = copied.dir.join("sled");
        // Of this name nothing may be there, least of all by somebody else.
        let made = fs::DirBuilder::new().mode(0o700).create(&copied.dir);
        let made = made
            .and_then(|()| fs::create_dir(&to))
            .and_then(|()| match copied.missing {
                true => Ok(()),
                false => copy_dir(database, &to),
            });
        made.map_err(StoreError::io("copy", database))?;
        Ok(copied)
    }

    /// The data directory that has the copy.
    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// What is wrong with a database if it opens and nothing is in it. That it
    /// was never written to is no fault: it is put on disk now and then only.
    pub(super) fn complaint(&self) -> Option<String> {
        let written = fs::metadata(self.dir.join("sled/db")).is_ok_and(|db| db.len() > 0);
        match (self.missing, written) {
            (true, _) => Some("it is missing".into()),
            (false, true) => Some("nothing in it can be read".into()),
            (false, false) => None,
        }
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "a copy of the database stays");
        }
    }
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The file system, for looking only.
#[derive(Debug)]
pub(super) struct ReadOnly;

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::ReadOnlyFilesystem,
        "this is only looked at",
    ))
}

impl Files for ReadOnly {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        DiskFiles.list(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(fs::File::open(path)?))
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn LogFile>> {
        refused()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_path(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn LogFile>>> {
        refused()
    }
}
