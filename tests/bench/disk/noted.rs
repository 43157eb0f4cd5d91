//! The disk's files, with what the log's writer does to them noted.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use harrier::storage::{DiskFiles, Files, LogFile};
use parking_lot::Mutex;

/// The thread that batches are written by. Others make segments ready.
const WRITER: &str = "log-committer";

/// Octets written by the log's writer, sync by sync.
#[derive(Debug, Default)]
struct Notes {
    synced: Vec<u64>,
    unsynced: u64,
}

/// How much longer a sync takes than the disk needs.
static SLOWER: OnceLock<Duration> = OnceLock::new();

/// Makes each sync of a batch take that much longer, everybody's.
pub fn slow_down(by: Duration) {
    SLOWER.set(by).unwrap();
}

/// What a sync takes besides its own time.
#[expect(
    clippy::disallowed_methods,
    reason = "on the threads that wait for the disk"
)]
pub fn pause() {
    if let Some(by) = SLOWER.get() {
        std::thread::sleep(*by);
    }
}

/// The machine's file system, noting.
#[derive(Debug, Clone, Default)]
pub struct NotedFiles(Arc<Mutex<Notes>>);

#[derive(Debug)]
struct NotedFile {
    file: Box<dyn LogFile>,
    notes: Arc<Mutex<Notes>>,
}

impl NotedFiles {
    /// Octets of each batch that was written and synced, in order.
    pub fn batches(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.lock().synced)
    }

    fn noted(&self, file: Box<dyn LogFile>) -> Box<dyn LogFile> {
        Box::new(NotedFile {
            file,
            notes: Arc::clone(&self.0),
        })
    }
}

fn is_writer() -> bool {
    std::thread::current().name() == Some(WRITER)
}

impl LogFile for NotedFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        if is_writer() {
            self.notes.lock().unsynced += octets.len() as u64;
        }
        self.file.write_all_at(octets, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_size(size)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        if is_writer() {
            pause();
            let mut notes = self.notes.lock();
            let octets = std::mem::take(&mut notes.unsynced);
            notes.synced.push(octets);
        }
        Ok(())
    }
}

impl Files for NotedFiles {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        DiskFiles.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        DiskFiles.list(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(self.noted(DiskFiles.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(self.noted(DiskFiles.create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        DiskFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        DiskFiles.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        DiskFiles.sync_dir(dir)
    }

    fn sync_path(&self, path: &Path) -> io::Result<()> {
        DiskFiles.sync_path(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LogFile>>> {
        DiskFiles.lock(path)
    }
}
