//! Access rules that note what they write.

use std::sync::Arc;
use std::task::Waker;

use harrier::base::ids::Batch;
use harrier::broker::access::{Access, PasswordHash};
use harrier::broker::change::Change;
use harrier::broker::store::{Load, NullStore, Record, Store};
use parking_lot::Mutex;

/// A store that remembers the changes written to it.
#[derive(Debug, Default)]
pub struct Log {
    nothing: NullStore,
    changes: Mutex<Vec<Change>>,
}

impl Log {
    /// What was written since this was last asked.
    pub fn take(&self) -> Vec<Change> {
        std::mem::take(&mut self.changes.lock())
    }
}

impl Store for Log {
    fn append(&self, records: &[Record<'_>]) -> Batch {
        for record in records {
            if let Record::Topology(change) = record {
                self.changes.lock().push((*change).clone());
            }
        }
        self.nothing.append(records)
    }

    fn synced(&self) -> Batch {
        self.nothing.synced()
    }

    fn wake_when_synced(&self, batch: Batch, waker: &Waker) {
        self.nothing.wake_when_synced(batch, waker);
    }

    fn load(&self, load: Load) {
        self.nothing.load(load);
    }
}

/// No users at all.
pub fn nobody() -> (Arc<Access>, Arc<Log>) {
    let log = Arc::new(Log::default());
    let access = Access::restore(Arc::clone(&log) as Arc<dyn Store>, &[]);
    (Arc::new(access), log)
}

/// The same with some users, whose passwords are their names.
pub fn with_users(names: &[&str]) -> (Arc<Access>, Arc<Log>) {
    let (access, log) = nobody();
    for name in names {
        let password = PasswordHash::of(name.as_bytes(), [1, 2, 3, 4]);
        access.put_user(name, password, Vec::new()).unwrap();
    }
    log.take();
    (access, log)
}
