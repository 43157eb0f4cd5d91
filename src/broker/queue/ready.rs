//! The messages of a queue that wait for a consumer.
//!
//! ```text
//!   returned  [ r r ]                       first what came back (quorum queues)
//!   lanes     [ 9: o o o o . . . . . . . ]  then the highest priority,
//!             [ 5: o o ]                    within it the lowest place,
//!             [ 0: o o o o o . . . . . . ]  and so on
//! ```
//!
//! Where messages have groups, some are passed over: see `groups`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::backlog::{Entry, Wanted};
use super::groups::{Groups, Turn};
use super::lane::Lane;
use super::notices::Notices;
use super::residency::Residency;
use super::settings::Priorities;
use crate::base::clock::Now;
use crate::base::ids::{Batch, Position, QueueId};
use crate::broker::store::{Page, Remainder};
use crate::broker::subscriber::HeldSlot;
use crate::broker::weight::Weight;
use crate::wire::FieldTable;

/// The messages that wait, in the order in which they are handed out.
#[derive(Debug)]
pub(super) struct Ready {
    queue: QueueId,
    priorities: Option<Priorities>,
    residency: Arc<Residency>,
    /// Highest priority first, each made when it is used first.
    pub(super) lanes: Vec<Lane>,
    /// What came back to a queue that serves this first.
    pub(super) returned: VecDeque<Entry>,
    /// Those that wait for others of their group, where there are groups.
    pub(super) groups: Option<Box<Groups>>,
    /// What they weigh, wherever they are.
    weight: Weight,
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
            groups: None,
            weight: Weight::default(),
        };
        ready.lane(ready.usual_priority());
        ready
    }

    /// Keeps messages of one group in order, if `arguments` ask for that. To be
    /// called before there are any.
    pub(super) fn group_by(&mut self, arguments: &FieldTable) {
        self.groups = Groups::of(arguments).map(Box::new);
    }

    /// Whether messages have groups.
    pub(super) fn is_grouped(&self) -> bool {
        self.groups.is_some()
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
    #[inline]
    pub(super) fn lane(&mut self, priority: u8) -> &mut Lane {
        // Most queues have one.
        if matches!(&self.lanes[..], [only] if only.priority == priority) {
            return &mut self.lanes[0];
        }
        self.lane_of_several(priority)
    }

    fn lane_of_several(&mut self, priority: u8) -> &mut Lane {
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
        let parked = self.groups.as_ref().map_or(0, |groups| groups.len());
        self.returned.len() as u64 + lanes.sum::<u64>() + parked
    }

    /// Whether none wait.
    pub(super) fn is_empty(&self) -> bool {
        self.is_plain_empty() && self.groups.as_ref().is_none_or(|groups| groups.len() == 0)
    }

    /// The same without those that wait for others of their group.
    fn is_plain_empty(&self) -> bool {
        self.returned.is_empty() && self.lanes.iter().all(|lane| lane.backlog.is_empty())
    }

    /// Whether a message need not wait here before it is handed out.
    #[inline]
    pub(super) fn lets_pass(&self) -> bool {
        self.groups.is_none() && self.is_plain_empty()
    }

    /// Whether there is nothing to hand out because it has to be read back first.
    pub(super) fn is_coming(&self) -> bool {
        self.plain_head().is_none() && !self.is_plain_empty()
    }

    /// What they weigh.
    pub(super) fn weight(&self) -> Weight {
        self.weight
    }

    /// When the oldest one came, milliseconds since 1970, as far as that is known.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.lanes.iter().filter_map(Lane::oldest).min()
    }

    /// Has those that are there have come at `now`, milliseconds since 1970.
    pub(super) fn begin(&mut self, now: u64) {
        for lane in &mut self.lanes {
            lane.begin(now);
        }
    }

    #[inline]
    pub(super) fn come(&mut self, entry: &Entry) {
        self.weight += entry.weight();
    }

    #[inline]
    pub(super) fn leave(&mut self, entry: &Entry) {
        self.weight = self.weight.without(entry.weight());
    }

    /// The one that is handed out next, if it is in memory.
    #[inline]
    pub(super) fn head(&mut self) -> Option<&Entry> {
        if self.groups.is_some() && self.is_parked_next()? {
            return self.groups.as_ref()?.first_free();
        }
        self.plain_head()
    }

    #[inline(always)]
    fn plain_head(&self) -> Option<&Entry> {
        match self.returned.front() {
            None => {
                let mut lanes = self.lanes.iter();
                lanes.find(|lane| !lane.backlog.is_empty())?.backlog.head()
            }
            first => first,
        }
    }

    /// Takes that one.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        // Most queues have nothing but one lane.
        if self.groups.is_none()
            && self.returned.is_empty()
            && let [only] = &mut self.lanes[..]
        {
            let entry = only.backlog.pop()?;
            self.leave(&entry);
            return Some(entry);
        }
        self.pop_from_several()
    }

    fn pop_from_several(&mut self) -> Option<Entry> {
        let entry = if self.groups.is_some() && self.is_parked_next()? {
            self.groups.as_mut()?.pop_free()
        } else {
            self.plain_pop()
        }?;
        self.leave(&entry);
        Some(entry)
    }

    #[inline(always)]
    fn plain_pop(&mut self) -> Option<Entry> {
        if !self.returned.is_empty() {
            return self.returned.pop_front();
        }
        let mut lanes = self.lanes.iter_mut();
        lanes.find(|lane| !lane.backlog.is_empty())?.backlog.pop()
    }

    /// Whether the next one is among those that waited for others of their group.
    /// Parks what isn't its turn on the way; `None` when it is nobody's.
    fn is_parked_next(&mut self) -> Option<bool> {
        if !self.returned.is_empty() {
            // These belong to no group.
            return Some(false);
        }
        loop {
            let first = self.lanes.iter_mut().find(|l| !l.backlog.is_empty());
            let groups = self.groups.as_mut()?;
            let parked = groups.first_free().map(|entry| entry.priority());
            let Some(lane) = first else {
                return parked.map(|_| true);
            };
            let Some(head) = lane.backlog.head() else {
                // It has to be read back; only what comes before it doesn't wait.
                return parked.filter(|p| *p >= lane.priority).map(|_| true);
            };
            match groups.turn(head) {
                Turn::Now => return Some(false),
                Turn::AfterParked | Turn::Stuck => return parked.map(|_| true),
                Turn::Later => groups.park(lane.pass_over()?),
            }
        }
    }

    /// Whether one is in memory, whosever turn it is.
    pub(super) fn has_oldest(&self) -> bool {
        let parked = self.groups.as_ref().is_some_and(|groups| groups.len() > 0);
        parked || self.plain_head().is_some()
    }

    /// Takes the one with the first place, whosever turn it is.
    pub(super) fn pop_oldest(&mut self) -> Option<Entry> {
        let Some(groups) = &mut self.groups else {
            return self.pop();
        };
        // What is parked was passed over by all that is in the lanes, but for what
        // has a higher priority.
        let parked = groups.first().map(|entry| entry.priority());
        let plain = self.plain_head().map(|entry| entry.priority());
        let entry = match parked {
            Some(parked) if self.returned.is_empty() && plain.is_none_or(|p| p <= parked) => {
                self.groups.as_mut()?.pop_first()
            }
            _ => self.plain_pop(),
        }?;
        self.leave(&entry);
        Some(entry)
    }

    /// Takes one whose time is over and that is first of its priority.
    pub(super) fn pop_expired(&mut self, now: Now) -> Option<Entry> {
        if self.groups.is_some() {
            // Whatever is next then has time left.
            self.is_parked_next();
        }
        let is_expired = |head: Option<&Entry>| head.is_some_and(|entry| entry.is_expired(now));
        let parked = self.groups.as_mut().and_then(|g| g.pop_expired(now));
        let entry = if let Some(entry) = parked {
            Some(entry)
        } else if is_expired(self.returned.front()) {
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
        let parked = self.groups.as_ref().and_then(|g| g.first_free());
        let heads = heads.chain([self.returned.front(), parked]).flatten();
        heads
            .filter_map(|entry| entry.deadline)
            .min()
            .map(u64::from)
    }

    /// Adds a message behind those of its priority; one that the store has went
    /// there as part of `batch`.
    pub(super) fn push(&mut self, entry: Entry, batch: Batch) {
        self.come(&entry);
        let lane = self.lane(entry.priority());
        lane.backlog.push(entry, batch);
        if !lane.backlog.is_paging() {
            lane.trim(batch);
        }
    }

    /// Adds a message whose place was given out before.
    pub(super) fn arrive(&mut self, entry: Entry, batch: Batch) {
        self.come(&entry);
        let lane = self.lane(entry.priority());
        lane.backlog.release(entry.position);
        lane.backlog.push(entry, batch);
        lane.trim(batch);
    }

    /// Puts messages back to their places.
    pub(super) fn put_back(&mut self, mut entries: Vec<Entry>, batch: Batch) {
        for entry in &entries {
            self.come(entry);
        }
        if let Some(groups) = &mut self.groups {
            let plain = entries.into_iter().filter_map(|e| groups.come_back(e));
            entries = plain.collect();
        }
        while let Some(priority) = entries.last().map(|entry| entry.priority()) {
            let own = entries.extract_if(.., |entry| entry.priority() == priority);
            let own = own.collect();
            let lane = self.lane(priority);
            lane.backlog.put_back(own);
            lane.trim(batch);
        }
    }

    /// Adds a message to those that came back and are served first.
    pub(super) fn put_first(&mut self, entry: Entry) {
        self.come(&entry);
        let plain = match &mut self.groups {
            Some(groups) => groups.come_back(entry),
            None => Some(entry),
        };
        self.returned.extend(plain);
    }

    /// Drops all of them; what the store has of it is noted as settled.
    pub(super) fn purge(&mut self, notices: &mut Notices) -> u64 {
        let mut purged = self.returned.len() as u64;
        for entry in std::mem::take(&mut self.returned) {
            self.forget(&entry, notices);
        }
        for entry in self.take_parked() {
            purged += 1;
            self.forget(&entry, notices);
        }
        for lane in &mut self.lanes {
            purged += lane.backlog.purge(notices);
        }
        self.weight = Weight::default();
        purged
    }

    fn take_parked(&mut self) -> Vec<Entry> {
        let parked = self.groups.as_mut().map(|groups| groups.take());
        parked.into_iter().flatten().collect()
    }

    /// Drops all of them, as does the store.
    pub(super) fn clear(&mut self) {
        self.returned = VecDeque::new();
        self.take_parked();
        for lane in &mut self.lanes {
            lane.backlog.clear();
        }
        self.weight = Weight::default();
    }

    /// Notes for the store that a message is gone, if it has it.
    pub(super) fn forget(&mut self, entry: &Entry, notices: &mut Notices) {
        if entry.is_stored() {
            self.lane(entry.priority()).forget(entry, notices);
        }
    }

    /// Notes for the store how a message fared that came back, if it has it.
    pub(super) fn note_return(&mut self, entry: &Entry, notices: &mut Notices) {
        if entry.is_stored() {
            let lane = self.lane(entry.priority()).id;
            notices.returned(lane, entry.position, entry.attempts());
        }
    }

    /// A message was handed out.
    #[inline]
    pub(super) fn handed_out(&mut self, entry: &Entry, held: Option<HeldSlot>) {
        if entry.is_stored() {
            self.lane(entry.priority()).handed_out(entry.position);
        }
        if let (Some(groups), Some(held)) = (&mut self.groups, held) {
            groups.hand_out(entry, held);
        }
    }

    /// A message that was held is settled for good.
    #[inline]
    pub(super) fn settled(&mut self, held: HeldSlot) {
        if let Some(groups) = &mut self.groups {
            groups.settle(held);
        }
    }

    /// A message that was held is about to be put back, now or later.
    #[inline]
    pub(super) fn kept(&mut self, held: HeldSlot) {
        if let Some(groups) = &mut self.groups {
            groups.keep(held);
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
        let missing = lane.receive(page)?;
        self.weight = self.weight.without(missing.weight);
        Some(missing.messages)
    }

    /// Takes note of what a store held in a lane.
    pub(super) fn restore(&mut self, lane: QueueId, remainder: Remainder) {
        let priority = lane.lane() ^ self.usual_priority();
        self.lane(priority).restore(remainder);
        self.weight += remainder.weight;
    }

    /// Gives memory back once a long backlog has gone.
    pub(super) fn shrink(&mut self) {
        for lane in &mut self.lanes {
            lane.backlog.shrink();
        }
        if let Some(groups) = &mut self.groups {
            groups.shrink();
        }
    }
}
