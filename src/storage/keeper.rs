//! The thread that makes segments ready before they're needed and takes away
//! those that nobody needs any more.
//!
//! A segment is filled with zeros ahead of time, so that syncing a frame writes
//! the frame and nothing about the file. One that is done with is filled
//! already: it is used again under its next number. Where batches are large the
//! filling costs more than it saves, and is left out; it ends early when the
//! segment is needed.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::catalogue::Catalogue;
use super::error::StoreError;
use super::files::{Files, LogFile};
use super::segment::{self, LogDir};

/// Octets of zeros written at a time.
const FILL_CHUNK: usize = 256 * 1024;
/// Octets of zeros between two syncs, so that a frame's own sync never waits
/// for all of them.
const FILL_SYNC: u64 = 4 * 1024 * 1024;
/// Segments kept to be used again.
const SPARES_MAX: usize = 2;
/// How long a full disk is left alone before the next try.
const DISK_FULL_PAUSE: Duration = Duration::from_millis(250);

/// A segment ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) number: u64,
    pub(super) file: Box<dyn LogFile>,
}

/// Takes orders for the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    orders: Arc<(Mutex<Orders>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Orders {
    wanted: Option<Wanted>,
    /// Somebody waits for what is wanted.
    urgent: bool,
    ready: Option<Prepared>,
    /// Full segments and their summaries.
    full: VecDeque<(u64, Vec<u8>)>,
    retired: VecDeque<Retired>,
    stopped: bool,
    failure: Option<StoreError>,
    disk_full: bool,
    /// A full disk isn't waited for any more.
    impatient: bool,
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    number: u64,
    filled: bool,
}

#[derive(Debug)]
struct Retired {
    number: u64,
    /// It has topology changes that the database must have on disk first.
    flush_first: bool,
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) files: Arc<dyn Files>,
    pub(super) dir: LogDir,
    pub(super) segment_size: u64,
    pub(super) catalogue: Arc<Catalogue>,
}

impl Keeper {
    /// Starts the thread.
    pub(super) fn start(workshop: Workshop) -> io::Result<Self> {
        let orders = Arc::new((Mutex::new(Orders::default()), Condvar::new()));
        let worker = Worker {
            workshop,
            orders: Arc::clone(&orders),
            spares: Vec::new(),
        };
        let thread = thread::Builder::new().name("log-keeper".into());
        let thread = thread.spawn(move || worker.run())?;
        Ok(Self {
            orders,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Orders a segment ahead of time, filled with zeros or not.
    pub(super) fn order(&self, number: u64, filled: bool) {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        if orders.ready.is_none() && orders.wanted.is_none() {
            orders.wanted = Some(Wanted { number, filled });
            changed.notify_all();
        }
    }

    /// Waits for the segment of that number. `waiting` hears whether the disk
    /// is full while it lasts.
    ///
    /// # Errors
    /// What kept the thread from making it.
    pub(super) fn fetch(
        &self,
        number: u64,
        waiting: impl Fn(bool),
    ) -> Result<Prepared, StoreError> {
        self.order(number, false);
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        orders.urgent = true;
        loop {
            if let Some(error) = orders.failure.take() {
                return Err(error);
            }
            if let Some(ready) = orders.ready.take() {
                waiting(false);
                orders.urgent = false;
                return Ok(ready);
            }
            if orders.disk_full && orders.impatient {
                return Err(StoreError::DiskFull);
            }
            waiting(orders.disk_full);
            changed.wait(&mut orders);
        }
    }

    /// Has nobody wait for a full disk from now on: the store is closed.
    pub(super) fn hurry(&self) {
        let (orders, changed) = &*self.orders;
        orders.lock().impatient = true;
        changed.notify_all();
    }

    /// Hands over the summary of a segment that is full.
    pub(super) fn full(&self, number: u64, summary: Vec<u8>) {
        let (orders, changed) = &*self.orders;
        orders.lock().full.push_back((number, summary));
        changed.notify_all();
    }

    /// Hands over a segment that isn't needed any more. Call in order.
    pub(super) fn retire(&self, number: u64, flush_first: bool) {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        orders.full.retain(|(full, _)| *full != number);
        orders.retired.push_back(Retired {
            number,
            flush_first,
        });
        changed.notify_all();
    }

    /// What went wrong since the last call.
    pub(super) fn take_failure(&self) -> Option<StoreError> {
        self.orders.0.lock().failure.take()
    }

    /// Finishes what was ordered and ends the thread.
    pub(super) fn stop(&self) {
        let (orders, changed) = &*self.orders;
        orders.lock().stopped = true;
        changed.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the log's keeper thread panicked");
        }
    }
}

enum Job {
    Prepare(Wanted),
    Note(u64, Vec<u8>),
    Retire(Retired),
}

struct Worker {
    workshop: Workshop,
    orders: Arc<(Mutex<Orders>, Condvar)>,
    spares: Vec<PathBuf>,
}

impl Worker {
    fn run(mut self) {
        while let Some(job) = self.next_job() {
            let done = match job {
                Job::Retire(retired) => self.retire(&retired),
                Job::Prepare(wanted) => self.prepare(wanted),
                Job::Note(number, summary) => {
                    self.note(number, &summary);
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.fail(error);
                return;
            }
        }
        self.drop_unused();
    }

    /// Takes away the segment that nobody fetched: a restart would look all
    /// through it for frames. It may as well stay.
    fn drop_unused(&self) {
        let Some(unused) = self.orders.0.lock().ready.take() else {
            return;
        };
        let path = self.workshop.dir.segment(unused.number);
        if let Err(error) = self.workshop.files.remove(&path) {
            tracing::debug!(%error, path = %path.display(), "an unused segment stays");
        }
    }

    fn next_job(&self) -> Option<Job> {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        loop {
            // What is retired first may serve what is wanted.
            if let Some(retired) = orders.retired.pop_front() {
                return Some(Job::Retire(retired));
            }
            if let Some(wanted) = orders.wanted.filter(|_| orders.urgent && !orders.stopped) {
                return Some(Job::Prepare(wanted));
            }
            if let Some((number, summary)) = orders.full.pop_front() {
                return Some(Job::Note(number, summary));
            }
            if orders.stopped {
                return None;
            }
            if let Some(wanted) = orders.wanted {
                return Some(Job::Prepare(wanted));
            }
            changed.wait(&mut orders);
        }
    }

    fn fail(&self, error: StoreError) {
        let (orders, changed) = &*self.orders;
        orders.lock().failure = Some(error);
        changed.notify_all();
    }

    fn prepare(&mut self, wanted: Wanted) -> Result<(), StoreError> {
        let number = wanted.number;
        let made = self.make(wanted);
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        match made {
            Ok(file) => {
                orders.wanted = None;
                orders.disk_full = false;
                orders.ready = Some(Prepared { number, file });
            }
            Err(error) if error.is_disk_full() => {
                if !orders.disk_full {
                    tracing::warn!(%error, "disk full: nothing is confirmed until there is room");
                }
                orders.disk_full = true;
                changed.notify_all();
                changed.wait_for(&mut orders, DISK_FULL_PAUSE);
            }
            Err(error) => return Err(error),
        }
        changed.notify_all();
        Ok(())
    }

    /// Makes a segment under another name, and gives it its own once all of it
    /// is on disk: whoever finds a segment finds it whole.
    fn make(&mut self, wanted: Wanted) -> Result<Box<dyn LogFile>, StoreError> {
        let Workshop { files, dir, .. } = &self.workshop;
        let number = wanted.number;
        let unfinished = dir.unfinished(number);
        let failed = || StoreError::io("prepare", &unfinished);
        let file = match self.spares.pop() {
            Some(spare) => files
                .rename(&spare, &unfinished)
                .and_then(|()| files.open(&unfinished)),
            None if wanted.filled => self.filled(&unfinished),
            None => files.create(&unfinished),
        };
        let file = file.map_err(failed())?;
        file.write_all_at(&segment::header(number), 0)
            .and_then(|()| file.sync_data())
            .map_err(failed())?;
        files
            .rename(&unfinished, &dir.segment(number))
            .and_then(|()| files.sync_dir(dir.path()))
            .map_err(failed())?;
        Ok(file)
    }

    fn filled(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = self.workshop.files.create(path)?;
        let size = self.workshop.segment_size;
        let zeros = vec![0; FILL_CHUNK];
        let mut offset = 0;
        while offset < size && !self.orders.0.lock().urgent {
            let piece_end = size.min(offset + FILL_SYNC);
            while offset < piece_end {
                let len = FILL_CHUNK.min((piece_end - offset) as usize);
                file.write_all_at(&zeros[..len], offset)?;
                offset += len as u64;
            }
            file.sync_data()?;
        }
        Ok(file)
    }

    /// Keeps a summary in the database. It may as well not be kept.
    fn note(&self, number: u64, summary: &[u8]) {
        let catalogue = &self.workshop.catalogue;
        let kept = catalogue
            .put_summary(number, summary)
            .and_then(|()| catalogue.flush());
        if let Err(error) = kept {
            tracing::warn!(%error, number, "no summary of a segment: a restart will read it");
        }
    }

    /// Each segment is gone for good before the next one goes: a settle must
    /// not vanish before the message it settles.
    fn retire(&mut self, retired: &Retired) -> Result<(), StoreError> {
        let catalogue = &self.workshop.catalogue;
        catalogue.remove_summary(retired.number)?;
        if retired.flush_first {
            catalogue.make_durable()?;
        }
        let Workshop { files, dir, .. } = &self.workshop;
        let path = dir.segment(retired.number);
        let failed = || StoreError::io("retire", &path);
        let size = files.open(&path).and_then(|file| file.size());
        let size = size.map_err(failed())?;
        if self.spares.len() < SPARES_MAX && size <= self.workshop.segment_size {
            let spare = dir.spare(retired.number);
            files.rename(&path, &spare).map_err(failed())?;
            self.spares.push(spare);
        } else {
            files.remove(&path).map_err(failed())?;
        }
        files.sync_dir(dir.path()).map_err(failed())
    }
}
