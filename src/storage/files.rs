//! The few file operations the log needs, as a trait: so that a test can lose
//! what wasn't synced, tear a write, fill the disk or break it.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file open for reading and writing at any place.
pub trait LogFile: Debug + Send + Sync {
    /// Octets it has.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` octets at `offset`; fewer only at the end.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `octets` at `offset`.
    ///
    /// # Errors
    /// Whatever the file system reports; any part may have been written then.
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros, to `size` octets.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Returns once everything written survives power loss.
    ///
    /// # Errors
    /// Whatever the file system reports. What was written may be lost then,
    /// even if a later call succeeds.
    fn sync_data(&self) -> io::Result<()>;
}

/// The file system, as far as the log uses it.
pub trait Files: Debug + Send + Sync {
    /// Makes a directory with those above it.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens an existing file.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Makes an empty file, in place of any there.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Renames a file, over any of the new name.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns once the names in `dir` survive power loss.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns once the content of a file that others write survives power loss.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn sync_path(&self, path: &Path) -> io::Result<()>;

    /// Takes a lock that lasts as long as the returned file: `None` when
    /// another process has it.
    ///
    /// # Errors
    /// Whatever the file system reports.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LogFile>>>;
}

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(file))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true);
        Ok(Box::new(file.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LogFile>>> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl LogFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match FileExt::read_at(self, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, octets, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }
}
