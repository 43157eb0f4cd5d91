//! The messages of a queue that wait for a consumer.
//!
//! ```text
//!   returned  [ r r ]                       first what came back (quorum queues)
//!   lanes     [ 9: o o o o . . . . . . . ]  then the highest priority,
//!             [ 5: o o ]                    within it the lowest place,
//!             [ 0: o o o o o . . . . . . ]  and so on
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use super::backlog::{Entry, Wanted};
use super::lane::Lane;
use super::notices::Notices;
use super::residency::Residency;
use super::settings::Priorities;
use crate::base::clock::Now;
use crate::base::ids::{Batch, Position, QueueId};
use crate::broker::store::{Page, Remainder};

/// The messages that wait, in the order in which they are handed out.
#[derive(Debug)]
pub(super) struct Ready {
    queue: QueueId,
    priorities: Option<Priorities>,
    residency: Arc<Residency>,
    /// Highest priority first, each made when it is used first.
    lanes: Vec<Lane>,
    /// What came back to a queue that serves this first.
    returned: VecDeque<Entry>,
    /// Octets of their bodies, when somebody wants to know: those of messages left
    /// to the store before that, or by an earlier run, count once they are read
    /// back. So nothing is dropped that may have room.
    bytes: Option<u64>,
}

impl Ready {
    pub(super) fn new(
        queue: QueueId,
        priorities: Option<Priorities>,
        residency: Arc<Residency>,
    ) -> Self {
        let mut ready = Self {
            queue,
            priorities,
            residency,
            lanes: Vec::with_capacity(1),
            returned: VecDeque::new(),
            bytes: None,
        };
        ready.lane(ready.usual_priority());
        ready
    }

    fn usual_priority(&self) -> u8 {
        self.priorities.map_or(0, |levels| levels.usual)
    }

    /// The level of a message that asks for `priority`.
    pub(super) fn level(&self, priority: Option<u8>) -> u8 {
        self.priorities.map_or(0, |levels| {
            priority.map_or(levels.usual, |priority| priority.min(levels.highest))
        })
    }

    /// Whether messages have priorities here.
    pub(super) fn has_priorities(&self) -> bool {
        self.priorities.is_some()
    }

    /// The lane of a priority.
    pub(super) fn lane(&mut self, priority: u8) -> &mut Lane {
        let at = self.lanes.partition_point(|lane| lane.priority > priority);
        if self
            .lanes
            .get(at)
            .is_none_or(|lane| lane.priority != priority)
        {
            // The usual priority has the plain number: the shortest in the log.
            let id = self.queue.with_lane(priority ^ self.usual_priority());
            let residency = Arc::clone(&self.residency);
            self.lanes.insert(at, Lane::new(id, priority, residency));
        }
        &mut self.lanes[at]
    }

    /// How many wait, in memory and elsewhere.
    pub(super) fn len(&self) -> u64 {
        let lanes = self.lanes.iter().map(|lane| lane.backlog.len());
        self.returned.len() as u64 + lanes.sum::<u64>()
    }

    /// Whether none wait.
    pub(super) fn is_empty(&self) -> bool {
        self.returned.is_empty() && self.lanes.iter().all(|lane| lane.backlog.is_empty())
    }

    /// Octets of their bodies; 0 unless it is counted.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.unwrap_or_default()
    }

    /// Counts the octets of bodies from now on, or doesn't any more.
    pub(super) fn count_bytes(&mut self, wanted: bool) {
        self.bytes = wanted.then(|| {
            let returned: u64 = self.returned.iter().map(Entry::body_len).sum();
            let lanes: u64 = self.lanes.iter_mut().map(Lane::weigh).sum();
            returned + lanes
        });
    }

    fn come(&mut self, entry: &Entry) {
        if let Some(bytes) = &mut self.bytes {
            *bytes += entry.body_len();
        }
    }

    fn leave(&mut self, entry: &Entry) {
        if let Some(bytes) = &mut self.bytes {
            *bytes = bytes.saturating_sub(entry.body_len());
        }
    }

    /// The one that is handed out next, if it is in memory.
    pub(super) fn head(&self) -> Option<&Entry> {
        match self.returned.front() {
            None => {
                let mut lanes = self.lanes.iter();
                lanes.find(|lane| !lane.backlog.is_empty())?.backlog.head()
            }
            first => first,
        }
    }

    /// Takes that one.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = match self.returned.pop_front() {
            None => {
                let mut lanes = self.lanes.iter_mut();
                lanes.find(|lane| !lane.backlog.is_empty())?.backlog.pop()
            }
            first => first,
        }?;
        self.leave(&entry);
        Some(entry)
    }

    /// Takes one whose time is over and that is first of its priority.
    pub(super) fn pop_expired(&mut self, now: Now) -> Option<Entry> {
        let is_expired = |head: Option<&Entry>| head.is_some_and(|entry| entry.is_expired(now));
        let entry = if is_expired(self.returned.front()) {
            self.returned.pop_front()
        } else {
            let mut lanes = self.lanes.iter_mut();
            let lane = lanes.find(|lane| is_expired(lane.backlog.head()))?;
            lane.backlog.pop()
        }?;
        self.leave(&entry);
        Some(entry)
    }

    /// The first time at which there is one for [`Ready::pop_expired`].
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let heads = self.lanes.iter().map(|lane| lane.backlog.head());
        let heads = heads.chain([self.returned.front()]).flatten();
        heads
            .filter_map(|entry| entry.deadline)
            .min()
            .map(u64::from)
    }

    /// Adds a message behind those of its priority; one that the store has went
    /// there as part of `batch`.
    pub(super) fn push(&mut self, entry: Entry, batch: Batch) {
        self.come(&entry);
        let lane = self.lane(entry.priority);
        lane.backlog.push(entry, batch);
        if !lane.backlog.is_paging() {
            lane.trim(batch);
        }
    }

    /// Adds a message whose place was given out before.
    pub(super) fn arrive(&mut self, entry: Entry, batch: Batch) {
        self.come(&entry);
        let lane = self.lane(entry.priority);
        lane.backlog.release(entry.position);
        lane.backlog.push(entry, batch);
        lane.trim(batch);
    }

    /// Puts messages back to their places.
    pub(super) fn put_back(&mut self, mut entries: Vec<Entry>, batch: Batch) {
        for entry in &entries {
            self.come(entry);
        }
        while let Some(priority) = entries.last().map(|entry| entry.priority) {
            let own = entries.extract_if(.., |entry| entry.priority == priority);
            let own = own.collect();
            let lane = self.lane(priority);
            lane.backlog.put_back(own);
            lane.trim(batch);
        }
    }

    /// Adds a message to those that came back and are served first.
    pub(super) fn put_first(&mut self, entry: Entry) {
        self.come(&entry);
        self.returned.push_back(entry);
    }

    /// Drops all of them; what the store has of it is noted as settled.
    pub(super) fn purge(&mut self, notices: &mut Notices) -> u64 {
        let mut purged = self.returned.len() as u64;
        for entry in std::mem::take(&mut self.returned) {
            self.forget(&entry, notices);
        }
        for lane in &mut self.lanes {
            purged += lane.backlog.purge(notices);
        }
        self.bytes = self.bytes.map(|_| 0);
        purged
    }

    /// Drops all of them, as does the store.
    pub(super) fn clear(&mut self) {
        self.returned = VecDeque::new();
        for lane in &mut self.lanes {
            lane.backlog.clear();
        }
        self.bytes = self.bytes.map(|_| 0);
    }

    /// Notes for the store that a message is gone, if it has it.
    pub(super) fn forget(&mut self, entry: &Entry, notices: &mut Notices) {
        if entry.stored {
            self.lane(entry.priority).forget(entry, notices);
        }
    }

    /// Notes for the store how a message fared that came back, if it has it.
    pub(super) fn note_return(&mut self, entry: &Entry, notices: &mut Notices) {
        if entry.stored {
            let lane = self.lane(entry.priority).id;
            notices.returned(lane, entry.position, entry.attempts);
        }
    }

    /// A message was handed out.
    pub(super) fn handed_out(&mut self, entry: &Entry) {
        if entry.stored {
            self.lane(entry.priority).handed_out(entry.position);
        }
    }

    /// Gives out the place of a stored message that arrives later.
    pub(super) fn reserve(&mut self, priority: u8, position: Position) {
        self.lane(priority).backlog.reserve(position);
    }

    /// Notes for the store how far messages were handed out.
    pub(super) fn note_delivered(&mut self, notices: &mut Notices) {
        for lane in &mut self.lanes {
            lane.note_delivered(notices);
        }
    }

    /// What is to be read back from the store now, and of which lane: of the
    /// highest priority first.
    pub(super) fn wanted(&mut self) -> Option<(QueueId, Wanted)> {
        self.lanes.iter_mut().find_map(Lane::wanted)
    }

    /// Takes what was read back. `None` when nobody waits for that page any more,
    /// else how many messages turn out to be missing.
    pub(super) fn receive(&mut self, page: Page) -> Option<u64> {
        let lane = self.lanes.iter_mut().find(|lane| lane.id == page.queue)?;
        let (missing, weight) = lane.receive(page)?;
        if let Some(bytes) = &mut self.bytes {
            *bytes += weight;
        }
        Some(missing)
    }

    /// Takes note of what a store held in a lane.
    pub(super) fn restore(&mut self, lane: QueueId, remainder: Remainder) {
        let priority = lane.lane() ^ self.usual_priority();
        self.lane(priority).restore(remainder);
    }

    /// Gives memory back once a long backlog has gone.
    pub(super) fn shrink(&mut self) {
        for lane in &mut self.lanes {
            lane.backlog.shrink();
        }
    }
}
