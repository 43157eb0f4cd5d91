//! The thread that reads messages back: for queues that want them, and to write
//! them again where a segment holds little else.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::block::Block;
use super::gather::Gather;
use super::index::Index;
use super::moves::Mover;
use super::paging;
use super::positions::BLOCK;
use super::reading::SegmentReader;
use super::segment::HEADER_LEN;
use crate::base::clock::{Clock, Now, SystemClock};
use crate::base::ids::{Batch, QueueId};
use crate::broker::store::{Load, Page, Receiver, Record};
use crate::broker::weight::Gone;

/// Takes orders for the thread.
#[derive(Debug)]
pub(super) struct Pager {
    orders: Arc<(Mutex<Orders>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Orders {
    loads: VecDeque<Load>,
    /// Those that want a batch that the index doesn't have yet.
    early: Vec<Load>,
    /// The last batch that the index has.
    indexed: Batch,
    /// The segment to be emptied.
    emptied: Option<u64>,
    /// What was offered to the committer isn't written yet.
    offered: bool,
    stopped: bool,
}

enum Order {
    Load(Load),
    Empty(u64),
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) reader: SegmentReader,
    pub(super) index: Arc<Mutex<Index>>,
    pub(super) gather: Arc<Gather>,
}

impl Pager {
    /// Starts the thread.
    pub(super) fn start(reading: Reading) -> io::Result<Self> {
        let orders = Arc::new((Mutex::new(Orders::default()), Condvar::new()));
        let worker = Worker {
            reading,
            orders: Arc::clone(&orders),
            mover: None,
            clock: SystemClock::new(),
        };
        let thread = thread::Builder::new().name("log-pager".into());
        let thread = thread.spawn(move || worker.run())?;
        Ok(Self {
            orders,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Orders messages to be read back.
    pub(super) fn load(&self, load: Load) {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        if load.batch <= orders.indexed {
            orders.loads.push_back(load);
            changed.notify_one();
        } else {
            orders.early.push(load);
        }
    }

    /// The index has all of `batch`, and of those before.
    pub(super) fn indexed(&self, batch: Batch) {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        orders.indexed = batch;
        if !orders.early.is_empty() {
            let orders = &mut *orders;
            let due = orders.early.extract_if(.., |load| load.batch <= batch);
            orders.loads.extend(due);
            changed.notify_one();
        }
    }

    /// Orders a segment to be emptied, unless one is being emptied.
    pub(super) fn empty(&self, segment: u64) -> bool {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        if orders.emptied.is_some() || orders.offered {
            return false;
        }
        orders.emptied = Some(segment);
        changed.notify_one();
        true
    }

    /// What was offered to the committer is written.
    pub(super) fn moved(&self) {
        let (orders, changed) = &*self.orders;
        orders.lock().offered = false;
        changed.notify_one();
    }

    /// Ends the thread. What is still wanted is never read.
    pub(super) fn stop(&self) {
        let (orders, changed) = &*self.orders;
        orders.lock().stopped = true;
        changed.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // It panicked and said so; there is nothing left of it to end.
            thread.join().ok();
        }
    }
}

/// A receiver that panics must not take the thread along, on which all other
/// queues depend.
fn hand_over(receiver: Arc<dyn Receiver>, page: Page, now: Now) {
    if catch_unwind(AssertUnwindSafe(|| receiver.receive(page, now))).is_err() {
        tracing::error!("taking messages read back panicked: their queue is stuck");
    }
}

/// Wants to know only whether something can be read.
#[derive(Debug)]
struct Nobody;

impl Receiver for Nobody {
    fn receive(self: Arc<Self>, _: Page, _: Now) {}
}

struct Worker {
    reading: Reading,
    orders: Arc<(Mutex<Orders>, Condvar)>,
    mover: Option<Mover>,
    clock: SystemClock,
}

impl Worker {
    fn run(mut self) {
        while let Some(order) = self.next() {
            match order {
                Order::Load(load) => {
                    let Reading { reader, index, .. } = &self.reading;
                    let page = paging::read(reader, index, &load, |block| {
                        self.give_up(load.queue, block);
                    });
                    hand_over(load.receiver, page, self.clock.now());
                }
                Order::Empty(segment) => self.empty(segment),
            }
        }
    }

    fn next(&self) -> Option<Order> {
        let (orders, changed) = &*self.orders;
        let mut orders = orders.lock();
        loop {
            if orders.stopped {
                return None;
            }
            if let Some(load) = orders.loads.pop_front() {
                return Some(Order::Load(load));
            }
            match orders.emptied {
                Some(segment) if !orders.offered => return Some(Order::Empty(segment)),
                _ => changed.wait(&mut orders),
            }
        }
    }

    /// What is live still in a segment that was emptied can't be read: asking
    /// for it sets it aside.
    fn report_rest(&self, segment: u64) {
        let Reading { reader, index, .. } = &self.reading;
        let rest = index.lock().blocks_in(segment);
        for (queue, block) in rest {
            let load = Load {
                queue,
                from: block.position(0),
                to: block.position(BLOCK as u16 - 1),
                bytes: usize::MAX,
                batch: Batch(0),
                receiver: Arc::new(Nobody),
            };
            paging::read(reader, index, &load, |block| self.give_up(queue, block));
        }
    }

    /// Settles what is damaged, whatever it took and weighed.
    fn give_up(&self, queue: QueueId, block: &Block) {
        for (first, last) in block.live.ranges() {
            self.reading.gather.append(&[Record::Settle {
                queue,
                first: block.position(first),
                last: block.position(last),
                gone: Gone {
                    messages: u64::from(last - first) + 1,
                    ..Gone::default()
                },
            }]);
        }
    }

    /// Offers the next part of a segment's messages to the committer.
    fn empty(&mut self, segment: u64) {
        let Reading {
            reader,
            index,
            gather,
        } = &self.reading;
        let mover = match self.mover.take() {
            Some(mover) => Ok(mover),
            None => reader
                .read_whole(segment, HEADER_LEN as u64)
                .map(|stretch| Mover::new(segment, stretch)),
        };
        let mut mover = match mover {
            Ok(mover) => mover,
            Err(error) => {
                self.orders.0.lock().emptied = None;
                if index.lock().live_in(segment) > 0 {
                    tracing::error!(%error, "a segment can't be read: it stays");
                } else {
                    // It went by itself; there may be another one to be emptied.
                    gather.nudge();
                }
                return;
            }
        };
        let moves = mover.next(&index.lock());
        let mut orders = self.orders.0.lock();
        match moves {
            Some(moves) => {
                orders.offered = true;
                drop(orders);
                self.mover = Some(mover);
                gather.offer(moves);
            }
            None => {
                orders.emptied = None;
                drop(orders);
                self.report_rest(segment);
                // There may be another one to be emptied.
                self.reading.gather.nudge();
            }
        }
    }
}
