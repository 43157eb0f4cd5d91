//! A store that keeps accounts, doesn't take what makes no sense, and answers
//! when the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use harrier::base::clock::Now;
use harrier::base::ids::{Batch, Position, QueueId};
use harrier::broker::attempts::Attempts;
use harrier::broker::change::Change;
use harrier::broker::store::{Load, Page, Receiver, Record, Remainder, Store, Stored};
use harrier::broker::weight::{Gone, Weight};
use parking_lot::Mutex;

use crate::support::number;

/// A record as the ledger keeps it.
#[derive(Debug, Clone)]
enum Kept {
    Publish {
        queue: QueueId,
        stored: Stored,
        delivered: bool,
    },
    Settle {
        queue: QueueId,
        first: Position,
        last: Position,
        gone: Gone,
    },
    Deliver {
        queue: QueueId,
        up_to: Position,
    },
    Return {
        queue: QueueId,
        position: Position,
        attempts: Attempts,
    },
    Topology(Change),
}

impl Kept {
    fn new(record: &Record<'_>) -> Self {
        match *record {
            Record::Publish {
                queue,
                position,
                message,
                deadline,
                delivered,
            } => Self::Publish {
                queue,
                stored: Stored {
                    position,
                    message: message.clone(),
                    deadline,
                    attempts: Attempts::default(),
                },
                delivered,
            },
            Record::Settle {
                queue,
                first,
                last,
                gone,
            } => Self::Settle {
                queue,
                first,
                last,
                gone,
            },
            Record::Deliver { queue, up_to } => Self::Deliver { queue, up_to },
            Record::Return {
                queue,
                position,
                attempts,
            } => Self::Return {
                queue,
                position,
                attempts,
            },
            Record::Topology(change) => Self::Topology(change.clone()),
        }
    }
}

/// What is known of one queue.
#[derive(Debug, Default)]
struct Account {
    messages: BTreeMap<Position, (Batch, Stored)>,
    delivered: Position,
    last: Position,
}

#[derive(Debug, Default)]
struct Books {
    accounts: BTreeMap<QueueId, Account>,
    appends: Vec<Vec<Kept>>,
    loads: VecDeque<Load>,
    pages: VecDeque<(Arc<dyn Receiver>, Page)>,
}

impl Books {
    fn append(&mut self, records: Vec<Kept>) -> Batch {
        let batch = Batch(self.appends.len() as u64 + 1);
        let mut claimed = BTreeMap::<QueueId, (Gone, Gone)>::new();
        for record in &records {
            let (queue, settled) = self.apply(record, batch);
            let (claims, all) = claimed.entry(queue).or_default();
            if let Kept::Settle { gone, .. } = record {
                assert!(gone.messages == 0 || *gone == settled, "{gone:?}");
                *claims += *gone;
            }
            *all += settled;
        }
        for (queue, (claimed, mut settled)) in claimed {
            // Of several ranges, how many were in each isn't known.
            settled.messages = settled.messages.min(claimed.messages);
            assert_eq!(claimed, settled, "settled in queue {queue}");
        }
        self.appends.push(records);
        batch
    }

    /// Carries a record out; returns the queue and what left it.
    fn apply(&mut self, record: &Kept, batch: Batch) -> (QueueId, Gone) {
        match record {
            Kept::Publish {
                queue,
                stored,
                delivered,
            } => {
                let account = self.accounts.entry(*queue).or_default();
                let position = stored.position;
                let before = account.messages.insert(position, (batch, stored.clone()));
                assert!(before.is_none(), "{position} was stored twice");
                account.last = account.last.max(position);
                if *delivered {
                    assert!(account.delivered < position);
                    account.delivered = position;
                }
                (*queue, Gone::default())
            }
            Kept::Settle {
                queue, first, last, ..
            } => {
                assert!(first <= last, "{first} to {last} is no range");
                let account = self.accounts.get_mut(queue).unwrap();
                let range = account.messages.range(*first..=*last);
                let gone: Vec<_> = range.map(|(position, _)| *position).collect();
                let mut settled = Gone::default();
                for (_, stored) in gone.iter().filter_map(|p| account.messages.remove(p)) {
                    settled += Gone::one(&stored.message);
                }
                (*queue, settled)
            }
            Kept::Deliver { queue, up_to } => {
                let account = self.accounts.get_mut(queue).unwrap();
                assert!(account.delivered < *up_to, "{up_to} is known already");
                assert!(*up_to <= account.last);
                account.delivered = *up_to;
                (*queue, Gone::default())
            }
            Kept::Return {
                queue,
                position,
                attempts,
            } => {
                let account = self.accounts.get_mut(queue).unwrap();
                let (_, stored) = account.messages.get_mut(position).unwrap();
                stored.attempts.returns += 1;
                assert_eq!(stored.attempts.returns, attempts.returns);
                stored.attempts = *attempts;
                (*queue, Gone::default())
            }
            Kept::Topology(_) => (QueueId(0), Gone::default()),
        }
    }

    /// Reads what the first load wants. Of what went to batches after the one
    /// it waited for, all or nothing is there.
    fn read(&mut self, ahead: bool) {
        let Some(load) = self.loads.pop_front() else {
            return;
        };
        let mut page = Page {
            queue: load.queue,
            from: load.from,
            through: load.to,
            messages: Vec::new(),
        };
        let mut bytes = 0;
        if let Some(account) = self.accounts.get(&load.queue) {
            for (batch, stored) in account.messages.range(load.from..=load.to).map(|m| m.1) {
                if *batch > load.batch && !ahead {
                    continue;
                }
                if bytes >= load.bytes && bytes > 0 {
                    page.through = Position(stored.position.0 - 1);
                    break;
                }
                bytes += stored.message.stored_len();
                page.messages.push(stored.clone());
            }
        }
        self.pages.push_back((load.receiver, page));
    }
}

fn stored_weight(account: &Account) -> Weight {
    let mut weight = Weight::default();
    for (_, stored) in account.messages.values() {
        weight += Weight::of(&stored.message);
    }
    weight
}

/// Something done once between an append and what follows on it.
struct Interlude(Box<dyn FnOnce() + Send>);

impl Debug for Interlude {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Interlude")
    }
}

/// A store that knows what it has.
#[derive(Debug, Default)]
pub struct Ledger {
    books: Mutex<Books>,
    interlude: Mutex<Option<Interlude>>,
    at_once: AtomicBool,
    ahead: AtomicBool,
    /// The time at which it answers, milliseconds.
    now: AtomicU64,
}

impl Ledger {
    /// Has it answer loads at once; else the test says when.
    pub fn answer_at_once(&self) {
        self.at_once.store(true, Ordering::Relaxed);
    }

    /// Has `what` be done when the next append is made, before it returns.
    pub fn interrupt(&self, what: impl FnOnce() + Send + 'static) {
        *self.interlude.lock() = Some(Interlude(Box::new(what)));
    }

    /// Sets the time.
    pub fn set_now(&self, now: Now) {
        self.now.store(now.unix_ms, Ordering::Relaxed);
    }

    /// The lanes of a queue that it knows of.
    pub fn lanes(&self, queue: QueueId) -> Vec<QueueId> {
        let books = self.books.lock();
        let lanes = books.accounts.keys().copied();
        lanes.filter(|lane| lane.queue() == queue).collect()
    }

    /// What was declared, in order.
    pub fn changes(&self) -> Vec<Change> {
        let books = self.books.lock();
        let all = books.appends.iter().flatten();
        let changes = all.filter_map(|kept| match kept {
            Kept::Topology(change) => Some(change.clone()),
            _ => None,
        });
        changes.collect()
    }

    /// Has it find what was appended after the batch a load waited for, or not.
    pub fn set_ahead(&self, ahead: bool) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// The numbers of the messages that a queue has in the store, by place.
    pub fn numbers(&self, queue: QueueId) -> Vec<u32> {
        let books = self.books.lock();
        let messages = books.accounts.get(&queue).map(|account| &account.messages);
        let messages = messages.into_iter().flat_map(|messages| messages.values());
        messages
            .map(|(_, stored)| number(stored.message.view().body))
            .collect()
    }

    /// The messages that a queue has in the store, by place.
    pub fn stored(&self, queue: QueueId) -> Vec<Stored> {
        let books = self.books.lock();
        let messages = books.accounts.get(&queue).map(|account| &account.messages);
        let messages = messages.into_iter().flat_map(|messages| messages.values());
        messages.map(|(_, stored)| stored.clone()).collect()
    }

    /// What a store opened on the same data would say.
    pub fn remainder(&self, queue: QueueId) -> Remainder {
        let books = self.books.lock();
        let Some(account) = books.accounts.get(&queue) else {
            return Remainder::default();
        };
        let len = |(_, stored): &(Batch, Stored)| stored.message.stored_len() as u64;
        Remainder {
            messages: account.messages.len() as u64,
            bytes: account.messages.values().map(len).sum(),
            weight: stored_weight(account),
            first: account.messages.keys().next().copied().unwrap_or_default(),
            last: account.last,
            delivered: account.delivered,
        }
    }

    /// How many appends there were.
    pub fn appends(&self) -> usize {
        self.books.lock().appends.len()
    }

    /// What is left of it when power goes after so many appends.
    pub fn cut(&self, appends: usize) -> Self {
        let left = Self::default();
        for records in self.books.lock().appends.iter().take(appends) {
            left.books.lock().append(records.clone());
        }
        left
    }

    /// Whether a load isn't answered yet.
    pub fn is_asked(&self) -> bool {
        let books = self.books.lock();
        !books.loads.is_empty() || !books.pages.is_empty()
    }

    /// Opens it anew: who asked is gone, what is there can be read.
    pub fn reopen(&self) {
        let mut books = self.books.lock();
        books.loads.clear();
        books.pages.clear();
        let accounts = books.accounts.values_mut();
        for (batch, _) in accounts.flat_map(|account| account.messages.values_mut()) {
            *batch = Batch(0);
        }
    }

    /// Reads what the load that waits longest wants, without handing it over.
    pub fn read(&self) {
        self.books.lock().read(self.ahead.load(Ordering::Relaxed));
    }

    /// Hands over what was read first, reading it now if need be.
    pub fn answer(&self) {
        if self.books.lock().pages.is_empty() {
            self.read();
        }
        let page = self.books.lock().pages.pop_front();
        if let Some((receiver, page)) = page {
            receiver.receive(page, Now::at_ms(self.now.load(Ordering::Relaxed)));
        }
    }
}

impl Store for Ledger {
    fn append(&self, records: &[Record<'_>]) -> Batch {
        let batch = self
            .books
            .lock()
            .append(records.iter().map(Kept::new).collect());
        let interlude = self.interlude.lock().take();
        if let Some(Interlude(what)) = interlude {
            what();
        }
        batch
    }

    fn synced(&self) -> Batch {
        Batch(u64::MAX)
    }

    fn wake_when_synced(&self, _: Batch, waker: &Waker) {
        waker.wake_by_ref();
    }

    fn load(&self, load: Load) {
        self.books.lock().loads.push_back(load);
        if self.at_once.load(Ordering::Relaxed) {
            self.answer();
        }
    }
}
