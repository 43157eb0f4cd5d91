//! What becomes of messages that were handed out, and of those that can't stay.

use super::backlog::Entry;
use super::core::QueueCore;
use super::dead_letter::DeathReason;
use super::incoming::Incoming;
use super::retries;
use super::settings::Overflow;
use crate::base::ids::QueueId;
use crate::broker::attempts::ReturnCause;
use crate::broker::effects::Effects;
use crate::broker::message::Message;
use crate::broker::subscriber::HeldSlot;
use crate::broker::weight::{Gone, Weight};

impl QueueCore {
    /// Settles messages as done.
    pub fn acknowledge(&mut self, held: &[HeldSlot]) {
        for slot in held {
            if let Some(entry) = self.release(*slot) {
                self.traffic.acknowledged += 1;
                self.ready.settled(*slot);
                self.forget(&entry);
            }
        }
    }

    /// Takes messages back, to be put back to their places. Those that failed
    /// too often die.
    pub fn take_back(&mut self, held: &[HeldSlot], cause: ReturnCause) -> Vec<Entry> {
        let limit = self.settings.delivery_limit;
        let mut returned = Vec::with_capacity(held.len());
        for slot in held {
            let Some(mut entry) = self.release(*slot) else {
                continue;
            };
            entry.state.count(cause);
            if cause.is_failure() && limit.is_some_and(|limit| entry.attempts().failures > limit) {
                self.ready.settled(*slot);
                self.bury(entry, DeathReason::DeliveryLimit);
                continue;
            }
            self.traffic.returned += 1;
            self.ready.kept(*slot);
            self.ready.note_return(&entry, &mut self.notices);
            returned.push(entry);
        }
        returned
    }

    /// Puts messages back to where they belong, or keeps them until they are to
    /// be tried again.
    pub fn put_back(&mut self, mut returned: Vec<Entry>, effects: &Effects) {
        if self.deleted || returned.is_empty() {
            return;
        }
        if let Some(delayed) = self.settings.delayed_retry {
            let now = effects.now().unix_ms;
            for entry in std::mem::take(&mut returned) {
                match delayed.delay(entry.attempts(), retries::chance(&entry)) {
                    0 => returned.push(entry),
                    delay => self.retries.keep(now.saturating_add(delay), entry),
                }
            }
        }
        self.put_in_place(returned);
    }

    /// Puts messages back: to the front where what came back is served first,
    /// else to their places.
    pub(super) fn put_in_place(&mut self, returned: Vec<Entry>) {
        self.has_deadlines |= returned.iter().any(|entry| entry.deadline.is_some());
        if self.settings.quorum {
            for entry in returned {
                self.ready.put_first(entry);
            }
        } else {
            self.ready.put_back(returned, self.batch);
        }
        self.make_room_first();
    }

    /// Takes messages out for good: those that are dead-lettered stay in the
    /// store until their copies arrive.
    pub fn discard(&mut self, held: &[HeldSlot], cause: ReturnCause) {
        for slot in held {
            if let Some(mut entry) = self.release(*slot) {
                entry.state.count(cause);
                self.ready.settled(*slot);
                self.bury(entry, DeathReason::Rejected);
            }
        }
    }

    /// The messages held in those places.
    pub fn messages_in<'a>(&'a self, held: &'a [HeldSlot]) -> impl Iterator<Item = &'a Message> {
        let entries = held
            .iter()
            .filter_map(|slot| self.held.get(slot.0 as usize));
        entries.map(|held| &held.entry().message)
    }

    /// A message dies: it is dead-lettered if the queue says where to, else dropped.
    /// Of one that is traced, whoever would carry it on tells that.
    pub(super) fn bury(&mut self, entry: Entry, reason: DeathReason) {
        self.traffic.note_death(reason);
        if self.settings.dead_letter.is_some() || entry.message.is_traced() {
            self.dying.push((entry, reason));
        } else {
            self.forget(&entry);
        }
    }

    /// Makes room before consumers are asked. Those of quorum queues are asked
    /// first, so that what comes back to a full queue isn't lost if somebody takes
    /// it again.
    pub fn make_room_first(&mut self) {
        if !self.settings.quorum {
            self.make_room();
        }
    }

    /// Drops from the head what there is no room for, as far as it is in memory:
    /// what comes back from the store is seen to then. Returns whether that was
    /// anything.
    pub fn make_room(&mut self) -> bool {
        if self.settings.overflow != Overflow::DropHead {
            return false;
        }
        let mut dropped = false;
        while self.is_full()
            && let Some(entry) = self.ready.pop_oldest()
        {
            self.bury(entry, DeathReason::MaxLength);
            dropped = true;
        }
        dropped
    }

    /// Whether [`QueueCore::make_room`] has something to do.
    pub fn has_to_make_room(&self) -> bool {
        self.settings.overflow == Overflow::DropHead && self.ready.has_oldest() && self.is_full()
    }

    /// Whether anything died that is to be dead-lettered.
    #[inline]
    pub fn has_dying(&self) -> bool {
        !self.dying.is_empty()
    }

    /// Takes out what died and is to be dead-lettered, each with what it is
    /// stored under.
    pub fn take_dying(&mut self) -> Vec<(QueueId, Entry, DeathReason)> {
        let dying = std::mem::take(&mut self.dying).into_iter();
        dying
            .map(|(entry, reason)| (self.ready.lane(entry.priority()).id, entry, reason))
            .collect()
    }

    /// How many messages count where that is limited, and their octets. Quorum
    /// queues count those, too, that wait to be tried again, dead letters that
    /// nothing takes, and properties.
    fn counted(&self) -> (u64, u64) {
        let mut weight = self.ready.weight();
        if !self.settings.quorum {
            return (self.ready.len(), weight.bodies);
        }
        let (letters, of_letters) = self.undelivered();
        weight += self.retries.weight();
        weight += of_letters;
        let messages = self.ready.len() + self.retries.len() + letters;
        (messages, weight.bodies + weight.properties)
    }

    /// The same with those that have their places and come once they are stored,
    /// but for as many as consumers wait for.
    fn counted_with_coming(&self) -> (u64, u64) {
        let (messages, bytes) = self.counted();
        if self.coming.messages == 0 {
            return (messages, bytes);
        }
        let Gone {
            messages: all,
            weight,
            ..
        } = self.coming;
        let passing = match self.ready.lets_pass() {
            true => self.consumers.room(),
            false => 0,
        };
        let staying = all.saturating_sub(passing);
        let Weight { bodies, properties } = weight.share(staying, all);
        let properties = if self.settings.quorum { properties } else { 0 };
        (messages + staying, bytes + bodies + properties)
    }

    fn is_full(&self) -> bool {
        if !self.settings.is_limited() {
            return false;
        }
        let (messages, bytes) = self.counted();
        self.is_over(messages, bytes)
    }

    fn is_over(&self, messages: u64, bytes: u64) -> bool {
        let over = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is > limit);
        over(self.settings.max_length, messages) || over(self.settings.max_length_bytes, bytes)
    }

    /// Whether a message is refused because there is no room for it.
    ///
    /// A classic queue is exact; a quorum queue takes messages until it is over a
    /// limit and none from then on until it is down to 80 % of it
    /// (`semantics` 11).
    pub(super) fn refuses(&mut self, incoming: &Incoming<'_>, effects: &Effects) -> bool {
        if self.settings.overflow == Overflow::DropHead {
            return false;
        }
        if self.settings.quorum {
            return self.refusing;
        }
        let (messages, bytes) = self.counted_with_coming();
        let body = incoming.view().body.len() as u64;
        let refused = self.is_over(messages + 1, bytes + body);
        if refused && self.settings.overflow == Overflow::RejectPublishDeadLetter {
            let mut entry = self.enter(incoming, effects.now());
            entry.state = entry.state.stored(false);
            self.bury(entry, DeathReason::MaxLength);
        }
        refused
    }

    /// Notes whether a quorum queue is full. To be called whenever something has
    /// come or gone.
    pub fn note_full(&mut self) {
        if !self.checks_arrivals && !self.refusing {
            return;
        }
        if !self.settings.quorum
            || !self.settings.is_limited()
            || self.settings.overflow == Overflow::DropHead
        {
            self.refusing = false;
            return;
        }
        let (messages, bytes) = self.counted_with_coming();
        let above = |limit: Option<u64>, is: u64| {
            limit.is_some_and(|limit| u128::from(is) * 10 > u128::from(limit) * 8)
        };
        let (length, octets) = (self.settings.max_length, self.settings.max_length_bytes);
        self.refusing = if self.refusing {
            above(length, messages) || above(octets, bytes)
        } else {
            self.is_over(messages, bytes)
        };
    }
}
