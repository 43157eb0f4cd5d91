//! Layer 4: what survives a restart.
//!
#![doc = include_str!("../manual/storage.md")]

mod access_codec;
mod block;
mod catalogue;
mod changes;
mod codec;
mod committer;
mod damage;
mod database;
mod error;
mod files;
mod frame;
mod gather;
mod index;
mod inspect;
mod keeper;
mod losses;
mod moves;
mod notes;
mod pager;
mod paging;
mod policy_codec;
mod positions;
mod read_only;
mod reading;
mod records;
mod recovery;
mod segment;
mod space;
mod summary;
mod walk;

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::task::Waker;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::base::ids::Batch;
use crate::base::limits::SEGMENT_SIZE;
use crate::broker::store::{Load, Record, Recovered, Store};
use crate::broker::traffic::CommitTraffic;
use catalogue::Catalogue;
use committer::Committer;
use gather::Gather;
use keeper::{Keeper, Workshop};
use pager::{Pager, Reading};
use reading::SegmentReader;
use segment::LogDir;

pub use changes::{decode_change, encode_change};
pub use codec::CodecError;
pub use error::StoreError;
pub use files::{DiskFiles, Files, LogFile};
pub use inspect::{Inspection, QueueReport, SegmentReport};
pub use space::free_space;

/// The exit code of a process whose disk can't be trusted any more: `EX_IOERR`.
pub const EXIT_DISK_FAILED: i32 = 74;

/// What a store does when it can't keep its promise any more.
pub type OnFatal = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// How a store works.
#[derive(Clone)]
pub struct StoreOptions {
    /// Octets of a segment of the log.
    pub segment_size: u64,
    /// The file system.
    pub files: Arc<dyn Files>,
    /// Called once when writing or syncing failed. Nothing is reported as
    /// synced from then on: what the page cache holds can't be trusted.
    pub on_fatal: OnFatal,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            segment_size: SEGMENT_SIZE,
            files: Arc::new(DiskFiles),
            on_fatal: Arc::new(end_process),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("segment_size", &self.segment_size)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::exit, reason = "going on could confirm what isn't kept")]
fn end_process(error: &StoreError) {
    tracing::error!(%error, "the disk failed: stopping, nothing more is confirmed");
    std::process::exit(EXIT_DISK_FAILED);
}

/// The durable store: a write-ahead log, and a database of what is declared.
#[derive(Debug)]
pub struct LogStore {
    gather: Arc<Gather>,
    keeper: Arc<Keeper>,
    pager: Arc<Pager>,
    catalogue: Arc<Catalogue>,
    committer: Mutex<Option<JoinHandle<bool>>>,
    /// Locks the data directory as long as it is open.
    _lock: Box<dyn LogFile>,
}

impl LogStore {
    /// Opens the data directory `dir`, made if it isn't there, and reads back
    /// what it holds.
    ///
    /// # Errors
    /// [`StoreError`] when another process has it, a later version wrote it or
    /// it can't be read.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<(Arc<Self>, Recovered), StoreError> {
        let StoreOptions {
            segment_size,
            files,
            on_fatal,
        } = options;
        let log = LogDir::within(dir);
        let created = files.create_dir_all(log.path());
        created.map_err(StoreError::io("create", log.path()))?;
        let lock = lock(&*files, dir)?;
        let catalogue = Arc::new(Catalogue::open(dir, Arc::clone(&files))?);
        let replayed = recovery::replay(&files, &log, &catalogue)?;
        let gather = Arc::new(Gather::new());
        let index = Arc::new(Mutex::new(replayed.index));
        let pager = Pager::start(Reading {
            reader: SegmentReader {
                files: Arc::clone(&files),
                dir: log.clone(),
            },
            index: Arc::clone(&index),
            gather: Arc::clone(&gather),
        });
        let pager = Arc::new(pager.map_err(StoreError::io("start a thread for", dir))?);
        let keeper = Keeper::start(Workshop {
            files,
            dir: log.clone(),
            segment_size,
            catalogue: Arc::clone(&catalogue),
        });
        let keeper = Arc::new(keeper.map_err(StoreError::io("start a thread for", dir))?);
        keeper.order(replayed.next_segment, true);
        let unflushed = replayed.segments.iter().find(|segment| segment.topology);
        let committer = Committer {
            gather: Arc::clone(&gather),
            keeper: Arc::clone(&keeper),
            pager: Arc::clone(&pager),
            catalogue: Arc::clone(&catalogue),
            dir: log,
            segment_size,
            unflushed: unflushed.map(|segment| segment.number),
            index,
            closed: replayed.segments,
            next_segment: replayed.next_segment,
            active: None,
            unentered: VecDeque::new(),
            emptied: None,
        };
        let thread = spawn(committer, on_fatal);
        let thread = thread.map_err(StoreError::io("start a thread for", dir))?;
        let store = Self {
            gather,
            keeper,
            pager,
            catalogue,
            committer: Mutex::new(Some(thread)),
            _lock: lock,
        };
        Ok((Arc::new(store), replayed.recovered))
    }

    /// Puts everything appended on disk and ends the store's threads. What is
    /// appended from now on is dropped. Closing again does nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be put on disk; the log has it all.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(committer) = self.committer.lock().take() else {
            return Ok(());
        };
        self.gather.close();
        self.keeper.hurry();
        let finished = committer.join().unwrap_or_default();
        self.pager.stop();
        self.keeper.stop();
        if finished {
            self.catalogue.make_durable()?;
        }
        Ok(())
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store was not closed cleanly");
        }
    }
}

impl Store for LogStore {
    fn append(&self, records: &[Record<'_>]) -> Batch {
        self.gather.append(records)
    }

    fn synced(&self) -> Batch {
        self.gather.synced()
    }

    fn wake_when_synced(&self, batch: Batch, waker: &Waker) {
        self.gather.wake_when_synced(batch, waker);
    }

    fn load(&self, load: Load) {
        self.pager.load(load);
    }

    fn pending_bytes(&self) -> usize {
        self.gather.pending_bytes()
    }

    fn commits(&self) -> Option<&CommitTraffic> {
        Some(self.gather.commits())
    }

    fn is_disk_full(&self) -> bool {
        self.gather.disk_full()
    }
}

fn lock(files: &dyn Files, dir: &Path) -> Result<Box<dyn LogFile>, StoreError> {
    let path = dir.join("lock");
    let lock = files.lock(&path);
    let lock = lock.map_err(StoreError::io("lock", &path))?;
    lock.ok_or_else(|| StoreError::Locked {
        dir: dir.to_path_buf(),
    })
}

/// Runs the committer on a thread, which returns whether all went well.
fn spawn(committer: Committer, on_fatal: OnFatal) -> std::io::Result<JoinHandle<bool>> {
    let gather = Arc::clone(&committer.gather);
    let work = move || match committer.run() {
        Ok(()) => true,
        Err(error) => {
            gather.abandon();
            on_fatal(&error);
            false
        }
    };
    thread::Builder::new()
        .name("log-committer".into())
        .spawn(work)
}
