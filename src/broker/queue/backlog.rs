//! The ready messages of a queue, in order of their places.
//!
//! ```text
//!   places  1 . . . . . . . . . . . . . . . . . . . . . . . . . . . . ->
//!           [    entries    ] [ paged.first   . . .   paged.last ]
//!              in memory           left to the store
//!                                 b      b          b              b
//!                                   beyond: in memory all the same
//! ```
//!
//! When a backlog grows long, its back is left to the store: no memory is taken
//! for those messages, however many they are. They are read back a page at a
//! time as the front is handed out. What the store doesn't have stays in
//! memory, wherever its place is.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU64;
use std::sync::Arc;

use super::departures::Departures;
use super::notices::Notices;
use super::residency::{Residency, Share};
use super::state::State;
use crate::base::clock::Now;
use crate::base::ids::{Batch, Position, QueueId};
use crate::broker::attempts::Attempts;
use crate::broker::message::Message;
use crate::broker::store::{Page, Record, Remainder, Stored};
use crate::broker::weight::{Gone, Weight};

/// Memory a waiting message takes besides its octets: its entry, the head of
/// its allocation and what the allocator rounds up.
const ENTRY_OVERHEAD: u64 = 96;

/// A message in a queue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place, kept for life.
    pub position: Position,
    /// The message.
    pub message: Message,
    /// When it expires, milliseconds since 1970 by the wall clock. Non-zero, so
    /// that it takes no more room than its number.
    pub deadline: Option<NonZeroU64>,
    pub(super) state: State,
}

impl Entry {
    /// How it has fared in its queue.
    pub fn attempts(&self) -> Attempts {
        self.state.attempts()
    }

    /// Its priority there.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.state.priority()
    }

    /// Whether it was handed out before.
    #[inline]
    pub fn is_redelivered(&self) -> bool {
        self.state.is_redelivered()
    }

    /// Whether the store has it.
    #[inline]
    pub fn is_stored(&self) -> bool {
        self.state.is_stored()
    }

    /// What it takes in the store, octets.
    pub fn stored_len(&self) -> u64 {
        self.message.stored_len() as u64
    }

    /// What it weighs.
    pub fn weight(&self) -> Weight {
        Weight::of(&self.message)
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Now) -> bool {
        self.deadline.is_some_and(|at| at.get() <= now.unix_ms)
    }

    /// What the store is told once it has left `queue`, if it has it.
    pub fn settled(&self, queue: QueueId) -> Option<Record<'static>> {
        self.is_stored()
            .then(|| Record::settled(queue, self.position, &self.message))
    }

    /// What the store is told of its coming to `queue`.
    pub fn publish(&self, queue: QueueId, delivered: bool) -> Record<'_> {
        Record::Publish {
            queue,
            position: self.position,
            message: &self.message,
            deadline: self.deadline.map(NonZeroU64::get),
            delivered,
        }
    }

    /// What counts of it as kept in memory though the store has it, octets.
    fn resident_len(&self) -> u64 {
        if self.is_stored() {
            self.stored_len() + ENTRY_OVERHEAD
        } else {
            0
        }
    }
}

/// Messages left to the store: those it has between two places, without those
/// in [`Backlog::beyond`].
#[derive(Debug)]
struct Paged {
    first: Position,
    last: Position,
    /// How many they are, what they take and weigh.
    all: Gone,
    /// The last batch that one of them went to.
    batch: Batch,
}

impl Paged {
    fn add(&mut self, entry: &Entry, batch: Batch) {
        self.first = self.first.min(entry.position);
        self.last = self.last.max(entry.position);
        self.all += Gone::one(&entry.message);
        self.batch = self.batch.max(batch);
    }

    fn remove(&mut self, entry: &Entry) {
        self.all = self.all.without(Gone::one(&entry.message));
    }
}

/// A part of the messages left to the store that is wanted back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The first place.
    pub from: Position,
    /// The last place, included.
    pub to: Position,
    /// How much is wanted, octets.
    pub bytes: usize,
    /// The last batch that one of them went to.
    pub batch: Batch,
}

/// The messages that wait, lowest place first.
#[derive(Debug)]
pub struct Backlog {
    entries: VecDeque<Entry>,
    paged: Option<Paged>,
    /// Those with places from `paged.first` on that are in memory: messages the
    /// store doesn't have, and those that came too late for a page on its way.
    beyond: VecDeque<Entry>,
    /// The last place of the page on its way.
    loading: Option<Position>,
    /// Places given out to stored messages that haven't arrived yet.
    reserved: BTreeSet<Position>,
    /// Those of them whose messages are gone, but may be in the page on its way.
    departed: Vec<Position>,
    departures: Departures,
    share: Share,
    /// The lane they are stored in, and the priority they have.
    lane: QueueId,
    priority: u8,
}

impl Backlog {
    /// An empty one that goes by `residency`, of messages of one priority that
    /// are stored in `lane`.
    pub fn new(lane: QueueId, priority: u8, residency: Arc<Residency>) -> Self {
        Self {
            entries: VecDeque::new(),
            paged: None,
            beyond: VecDeque::new(),
            loading: None,
            reserved: BTreeSet::new(),
            departed: Vec::new(),
            departures: Departures::default(),
            share: Share::new(residency),
            lane,
            priority,
        }
    }

    /// How many wait, in memory and elsewhere.
    pub fn len(&self) -> u64 {
        let resident = self.entries.len() + self.beyond.len();
        resident as u64 + self.paged.as_ref().map_or(0, |paged| paged.all.messages)
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.paged.is_none()
    }

    /// Whether some are left to the store.
    pub fn is_paging(&self) -> bool {
        self.paged.is_some()
    }

    /// Whether the first one can be had at once.
    pub fn has_head(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The message with the lowest place, if it is in memory.
    pub fn head(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// The lowest place of one that waits.
    pub fn first(&self) -> Option<Position> {
        let head = self.entries.front().map(|entry| entry.position);
        head.or_else(|| Some(self.paged.as_ref()?.first))
    }

    /// Adds a message; one that the store has went there as part of `batch`.
    pub fn push(&mut self, entry: Entry, batch: Batch) {
        let too_late = self.loading.is_some_and(|to| entry.position <= to);
        match &mut self.paged {
            Some(paged) if entry.is_stored() && entry.position >= paged.first && !too_late => {
                paged.add(&entry, batch);
            }
            _ => self.insert(entry),
        }
    }

    /// Gives out the place of a stored message that arrives later.
    pub fn reserve(&mut self, position: Position) {
        self.reserved.insert(position);
    }

    /// Takes back a place given out, because its message is about to be pushed
    /// or never comes.
    pub fn release(&mut self, position: Position) {
        self.reserved.remove(&position);
    }

    /// Takes the message with the lowest place, if it is in memory.
    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.share.sub(entry.resident_len());
        Some(entry)
    }

    /// Puts messages back where they were. Those that were handed out lately
    /// belong near the head, so going from the highest place down makes each
    /// insertion move only what waits before it.
    pub fn put_back(&mut self, mut returned: Vec<Entry>) {
        returned.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.position));
        for entry in returned {
            self.insert(entry);
        }
    }

    fn insert(&mut self, entry: Entry) {
        self.share.add(entry.resident_len());
        let entries = match &self.paged {
            Some(paged) if entry.position >= paged.first => &mut self.beyond,
            _ => &mut self.entries,
        };
        let is_last = |last: &Entry| last.position < entry.position;
        if entries.back().is_none_or(is_last) {
            entries.push_back(entry);
            return;
        }
        let at = entries.partition_point(|waiting| waiting.position < entry.position);
        entries.insert(at, entry);
    }

    /// Leaves the back to the store when more is in memory than should be. What
    /// was handed out before, up to `delivered`, isn't: it may be so still, and
    /// reading it back would make two of it. Nor is the first: it is wanted next.
    pub fn trim(&mut self, delivered: Position, batch: Batch) {
        if !self.share.is_over() || self.loading.is_some() {
            return;
        }
        let mut left = self.share.octets();
        let keep = self.share.marks().high / 2;
        let gone = self.entries.iter().skip(1).rev().take_while(|entry| {
            let goes = left > keep && (!entry.is_stored() || entry.position > delivered);
            left = left.saturating_sub(entry.resident_len());
            goes
        });
        let at = self.entries.len() - gone.count();
        let mut resident = VecDeque::new();
        for entry in self.entries.split_off(at) {
            if !entry.is_stored() {
                resident.push_back(entry);
                continue;
            }
            self.share.sub(entry.resident_len());
            let nothing_yet = Paged {
                first: entry.position,
                last: entry.position,
                all: Gone::default(),
                batch,
            };
            self.paged.get_or_insert(nothing_yet).add(&entry, batch);
        }
        self.settle_beyond(resident);
        self.entries.shrink_to(2 * self.entries.len());
    }

    /// Sorts what was cut off the entries and stays in memory to where it
    /// belongs now.
    fn settle_beyond(&mut self, cut: VecDeque<Entry>) {
        let first = self.paged.as_ref().map(|paged| paged.first);
        let mut late = VecDeque::new();
        for entry in cut {
            if first.is_some_and(|first| entry.position >= first) {
                late.push_back(entry);
            } else {
                self.entries.push_back(entry);
            }
        }
        late.append(&mut self.beyond);
        self.beyond = late;
    }

    /// What is to be read back now. It counts as on its way from then on.
    pub fn wanted(&mut self) -> Option<Wanted> {
        let paged = self.paged.as_ref()?;
        let page = self.share.marks().page;
        let enough = self.has_head() && self.share.octets() >= page / 2;
        if enough || self.loading.is_some() {
            return None;
        }
        self.loading = Some(paged.last);
        // The page is to fit in memory, where messages take more than they do
        // in the store.
        let average = paged.all.octets / paged.all.messages.max(1);
        let bytes = page * average / (average + ENTRY_OVERHEAD);
        Some(Wanted {
            from: paged.first,
            to: paged.last,
            bytes: bytes as usize,
            batch: paged.batch,
        })
    }

    /// Takes what was read back; messages up to `delivered` were handed out
    /// before. `None` when nobody waits for that page any more, else what turns out
    /// to be missing from the store.
    pub fn receive(&mut self, page: Page, delivered: Position) -> Option<Gone> {
        let expected = |paged: &mut Paged| self.loading.is_some() && paged.first == page.from;
        let mut paged = self.paged.take_if(expected)?;
        self.loading = None;
        let departed = std::mem::take(&mut self.departed);
        for stored in page.messages {
            if self.reserved.contains(&stored.position) {
                continue;
            }
            self.move_up(|waiting| waiting.position < stored.position);
            let position = Some(stored.position);
            if self.beyond.front().map(|entry| entry.position) == position {
                continue;
            }
            let entry = restored(stored, self.priority, delivered);
            paged.remove(&entry);
            self.share.add(entry.resident_len());
            self.entries.push_back(entry);
        }
        self.release_all(departed);
        if page.through >= paged.last {
            self.entries.append(&mut self.beyond);
            return Some(paged.all);
        }
        self.move_up(|waiting| waiting.position <= page.through);
        paged.first = Position(page.through.0 + 1);
        self.paged = Some(paged);
        Some(Gone::default())
    }

    fn move_up(&mut self, mut which: impl FnMut(&Entry) -> bool) {
        while let Some(entry) = self.beyond.pop_front_if(|entry| which(entry)) {
            self.entries.push_back(entry);
        }
    }

    /// Takes everything out and gives the memory back; what the store has of
    /// it is noted as settled. Returns how many there were.
    pub fn purge(&mut self, notices: &mut Notices) -> u64 {
        let messages = self.len();
        for entry in self.entries.iter().filter(|entry| entry.is_stored()) {
            let (position, gone) = (entry.position, Gone::one(&entry.message));
            notices.settled(self.lane, position, position, gone);
        }
        if let Some(paged) = &self.paged {
            let mut gone = paged.all;
            for late in self.beyond.iter().filter(|entry| entry.is_stored()) {
                gone += Gone::one(&late.message);
            }
            // What is yet to arrive is none of what is purged.
            let mut first = paged.first;
            for reserved in self.reserved.range(paged.first..=paged.last) {
                gone.messages = 0;
                if first < *reserved {
                    let before = Position(reserved.0 - 1);
                    notices.settled(self.lane, first, before, Gone::default());
                }
                first = Position(reserved.0 + 1);
            }
            notices.settled(self.lane, first, paged.last, gone);
        }
        self.clear();
        messages
    }

    /// Takes everything out and gives the memory back, as does the store.
    pub fn clear(&mut self) {
        self.share.sub(self.share.octets());
        self.entries = VecDeque::new();
        self.beyond = VecDeque::new();
        self.paged = None;
        self.loading = None;
        let departed = std::mem::take(&mut self.departed);
        self.release_all(departed);
    }

    /// Leaves to the store what it was found to have.
    pub fn restore(&mut self, remainder: Remainder) {
        self.paged = (remainder.messages > 0).then_some(Paged {
            first: remainder.first,
            last: remainder.last,
            all: Gone {
                messages: remainder.messages,
                octets: remainder.bytes,
                weight: remainder.weight,
            },
            batch: Batch::default(),
        });
    }

    /// Gives memory back once a long backlog has gone.
    pub fn shrink(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > 1024 {
            self.entries = VecDeque::new();
        }
        if self.is_empty() {
            self.departures.forget();
        }
    }
}

/// Looking at messages, and taking some out that needn't be first.
impl Backlog {
    /// Those after a place that are in memory and come before all that are left to
    /// the store.
    pub(super) fn first_after(&self, after: Position) -> impl Iterator<Item = &Entry> {
        let at = self.entries.partition_point(|e| e.position <= after);
        self.entries.range(at..)
    }

    /// The others in memory.
    pub(super) fn beyond_after(&self, after: Position) -> impl Iterator<Item = &Entry> {
        let at = self.beyond.partition_point(|e| e.position <= after);
        self.beyond.range(at..)
    }

    /// What of those left to the store comes after a place, for about so many.
    pub(super) fn stored_after(&self, after: Position, messages: u64) -> Option<Wanted> {
        let paged = self.paged.as_ref()?;
        let from = paged.first.max(Position(after.0.saturating_add(1)));
        if from > paged.last {
            return None;
        }
        let average = paged.all.octets / paged.all.messages.max(1);
        Some(Wanted {
            from,
            to: paged.last,
            bytes: average.saturating_mul(messages).max(1) as usize,
            batch: paged.batch,
        })
    }

    /// The message in a place, if it is in memory.
    pub(super) fn resident(&self, position: Position) -> Option<&Entry> {
        [&self.entries, &self.beyond].into_iter().find_map(|all| {
            let at = all.binary_search_by_key(&position, |entry| entry.position);
            all.get(at.ok()?)
        })
    }

    /// How many messages were taken out so far, for
    /// [`Backlog::is_left_to_the_store`].
    pub(super) fn departures(&self) -> u64 {
        self.departures.count()
    }

    /// Whether the message in a place is left to the store. It was when there had
    /// been so many departures.
    pub(super) fn is_left_to_the_store(&self, position: Position, departures: u64) -> bool {
        let paged = self.paged.as_ref();
        paged.is_some_and(|paged| (paged.first..=paged.last).contains(&position))
            && !self.reserved.contains(&position)
            && !self.departures.may_include(position, departures)
    }

    /// Takes out the message in a place, if it is in memory. The store has it until
    /// [`Backlog::depart`].
    pub(super) fn take_resident(&mut self, position: Position) -> Option<Entry> {
        let lists = [&mut self.entries, &mut self.beyond];
        let entry = lists.into_iter().find_map(|all| {
            let at = all.binary_search_by_key(&position, |entry| entry.position);
            all.remove(at.ok()?)
        })?;
        self.share.sub(entry.resident_len());
        if entry.is_stored() {
            self.reserve(position);
        }
        Some(entry)
    }

    /// Takes out a message that is left to the store and was read from there by
    /// somebody else, when there had been so many departures; whether it is one.
    pub(super) fn take_stored(&mut self, entry: &Entry, departures: u64) -> bool {
        if !entry.is_stored() || !self.is_left_to_the_store(entry.position, departures) {
            return false;
        }
        self.reserve(entry.position);
        let is_last = self.loading.is_none();
        let Some(paged) = &mut self.paged else {
            return false;
        };
        paged.remove(entry);
        if paged.all.messages == 0 && is_last {
            self.paged = None;
            self.entries.append(&mut self.beyond);
        }
        true
    }

    /// A message that was taken out is gone, as the store hears with `batch`. What
    /// is on its way from there may have it still; what is asked for later won't.
    pub(super) fn depart(&mut self, position: Position, batch: Batch) {
        if let Some(paged) = &mut self.paged {
            paged.batch = paged.batch.max(batch);
        }
        self.departures.note(position);
        if self.loading.is_some() {
            self.departed.push(position);
        } else {
            self.release(position);
        }
    }

    fn release_all(&mut self, departed: Vec<Position>) {
        for position in departed {
            self.release(position);
        }
    }
}

/// A message read back; those up to `delivered` were handed out before.
pub(super) fn restored(stored: Stored, priority: u8, delivered: Position) -> Entry {
    let came_back = stored.attempts.returns > 0 || stored.message.has_failed();
    Entry {
        position: stored.position,
        message: stored.message,
        deadline: stored.deadline.and_then(NonZeroU64::new),
        state: State::new(priority, stored.attempts)
            .redelivered(came_back || stored.position <= delivered)
            .stored(true),
    }
}
