//! Messages in order where it counts, and side by side where it doesn't
//! (`x-message-group`).
//!
//! ```text
//!   lanes   A2 B1 A3 C1 ...    the head belongs to a group that is busy (A1 is
//!            |                 held): it is parked, and the next one looked at
//!            v
//!   parked  A: A2 A3           in order; the first of a group that isn't busy is
//!           B: B2              free, and handed out before what comes later
//! ```
//!
//! A group is busy from when one of its messages is handed out until that is
//! settled for good: one that comes back, at once or after a while, goes before
//! the rest of its group. Of a group that has neither a message held nor one
//! parked, nothing is kept.
//!
//! Every message is parked at most once each time it is ready, so that a delivery
//! costs the same however long the backlog of a busy group is. What is parked is
//! in memory; there is a limit to it, and beyond that messages of other groups
//! wait as well.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::backlog::Entry;
use crate::base::clock::Now;
use crate::base::ids::Position;
use crate::base::limits::{PARKED_MESSAGES_MAX, PARKED_OCTETS_MAX};
use crate::broker::arguments::MESSAGE_GROUP;
use crate::broker::message::Message;
use crate::broker::subscriber::HeldSlot;
use crate::wire::{FieldTable, FieldValue, Properties};

/// The value of the argument that has the routing key name the group.
const ROUTING_KEY: &str = "routing-key";

/// Where a message stands in the order of its queue.
type Place = (Reverse<u8>, Position);

fn place(entry: &Entry) -> Place {
    (Reverse(entry.priority()), entry.position)
}

/// Groups to be kept room for when there are none.
const KEPT: usize = 1024;

/// What names a message's group.
#[derive(Debug)]
enum GroupBy {
    RoutingKey,
    Header(String),
}

/// What a group is called.
type Key = Arc<[u8]>;

/// A group that has something going on.
#[derive(Debug, Default)]
struct Group {
    /// Whether one of its messages is held, or waits to be tried again.
    is_busy: bool,
    /// Its messages that are parked, in order.
    parked: VecDeque<Place>,
}

#[derive(Debug)]
struct Parked {
    entry: Entry,
    key: Key,
}

/// What may become of the message that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may be handed out.
    Now,
    /// One that was parked goes first.
    AfterParked,
    /// Its group is busy: it is to be parked.
    Later,
    /// Its group is busy, and nothing more can be parked.
    Stuck,
}

/// The groups of a queue's messages.
#[derive(Debug)]
pub(super) struct Groups {
    by: GroupBy,
    /// Those that are busy or have messages parked.
    active: HashMap<Key, Group, ahash::RandomState>,
    /// The groups of the messages that are held.
    held: HashMap<HeldSlot, Key, ahash::RandomState>,
    parked: BTreeMap<Place, Parked>,
    /// The first ones of the groups that aren't busy.
    free: BTreeSet<Place>,
    octets: u64,
    /// The group of the message looked at last.
    looked_at: Option<(Place, Option<Key>)>,
}

impl Groups {
    /// Those of a queue with these arguments, if it has any.
    pub(super) fn of(arguments: &FieldTable) -> Option<Self> {
        let by = match arguments.get(MESSAGE_GROUP)?.as_str()? {
            ROUTING_KEY => GroupBy::RoutingKey,
            header => GroupBy::Header(header.into()),
        };
        Some(Self {
            by,
            active: HashMap::default(),
            held: HashMap::default(),
            parked: BTreeMap::new(),
            free: BTreeSet::new(),
            octets: 0,
            looked_at: None,
        })
    }

    /// How many messages are parked.
    pub(super) fn len(&self) -> u64 {
        self.parked.len() as u64
    }

    /// What may become of `head`, which nothing but parked messages goes before.
    pub(super) fn turn(&mut self, head: &Entry) -> Turn {
        let at = place(head);
        if self.free.first().is_some_and(|first| *first < at) {
            return Turn::AfterParked;
        }
        let group = self.look_at(head).and_then(|key| self.active.get(&key));
        if group.is_none_or(|group| !group.is_busy && group.parked.is_empty()) {
            return Turn::Now;
        }
        let full = self.parked.len() >= PARKED_MESSAGES_MAX || self.octets >= PARKED_OCTETS_MAX;
        if full { Turn::Stuck } else { Turn::Later }
    }

    fn look_at(&mut self, entry: &Entry) -> Option<Key> {
        let at = place(entry);
        if let Some((known, key)) = &self.looked_at
            && *known == at
        {
            return key.clone();
        }
        let key = self.key_of(&entry.message);
        self.looked_at = Some((at, key.clone()));
        key
    }

    /// What a message's group is called; `None` when it belongs to none, and
    /// waits for nobody.
    fn key_of(&self, message: &Message) -> Option<Key> {
        let view = message.view();
        let name = match &self.by {
            GroupBy::RoutingKey => return Some(view.routing_key.into()),
            GroupBy::Header(name) => name,
        };
        let properties = Properties::parse(view.properties).ok()?;
        properties.headers?;
        match properties.headers_table().ok()?.get(name)? {
            FieldValue::LongStr(text) => Some(text[..].into()),
            FieldValue::Void => None,
            // However it was written: 7 is the same group for all clients.
            other => Some(match other.as_i64() {
                Some(number) => number.to_string().as_bytes().into(),
                None => format!("{other:?}").as_bytes().into(),
            }),
        }
    }

    /// Parks a message until its group is free.
    pub(super) fn park(&mut self, entry: Entry) {
        let key = self.look_at(&entry).unwrap_or_default();
        self.insert(key, entry, |_| {});
    }

    /// Takes a message of a group back that was handed out: the group is free for
    /// it. A message that belongs to none is handed back.
    pub(super) fn come_back(&mut self, entry: Entry) -> Option<Entry> {
        let Some(key) = self.key_of(&entry.message) else {
            return Some(entry);
        };
        self.insert(key, entry, |group| group.is_busy = false);
        None
    }

    fn insert(&mut self, key: Key, entry: Entry, change: impl FnOnce(&mut Group)) {
        let at = place(&entry);
        self.octets += entry.stored_len();
        let group = Arc::clone(&key);
        self.parked.insert(at, Parked { entry, key });
        self.update(group, |group| {
            let behind = group.parked.partition_point(|other| *other < at);
            group.parked.insert(behind, at);
            change(group);
        });
    }

    /// Changes a group, and what is free with it.
    fn update(&mut self, key: Key, change: impl FnOnce(&mut Group)) {
        let group = self.active.entry(Arc::clone(&key)).or_default();
        let free = |group: &Group| group.parked.front().copied().filter(|_| !group.is_busy);
        let before = free(group);
        change(group);
        let after = free(group);
        if !group.is_busy && group.parked.is_empty() {
            self.active.remove(&key);
        }
        if before != after {
            before.inspect(|place| {
                self.free.remove(place);
            });
            self.free.extend(after);
        }
    }

    /// The first parked message that may be handed out.
    pub(super) fn first_free(&self) -> Option<&Entry> {
        let place = self.free.first()?;
        self.parked.get(place).map(|parked| &parked.entry)
    }

    /// Takes that one.
    pub(super) fn pop_free(&mut self) -> Option<Entry> {
        let place = *self.free.first()?;
        self.unpark(place)
    }

    /// Takes that one if its time is over.
    pub(super) fn pop_expired(&mut self, now: Now) -> Option<Entry> {
        self.first_free().filter(|entry| entry.is_expired(now))?;
        self.pop_free()
    }

    /// The first of all that are parked, busy or not.
    pub(super) fn first(&self) -> Option<&Entry> {
        let parked = self.parked.first_key_value();
        parked.map(|(_, parked)| &parked.entry)
    }

    /// Takes that one.
    pub(super) fn pop_first(&mut self) -> Option<Entry> {
        let place = *self.parked.first_key_value()?.0;
        self.unpark(place)
    }

    /// Those of one priority that are parked after a place, in order.
    pub(super) fn after(&self, priority: u8, after: Position) -> impl Iterator<Item = &Entry> {
        let from = (Reverse(priority), Position(after.0.saturating_add(1)));
        let to = (Reverse(priority), Position(u64::MAX));
        let parked = self.parked.range(from..=to);
        parked.map(|(_, parked)| &parked.entry)
    }

    /// Takes the one that has this place.
    pub(super) fn take_out(&mut self, priority: u8, position: Position) -> Option<Entry> {
        self.unpark((Reverse(priority), position))
    }

    fn unpark(&mut self, place: Place) -> Option<Entry> {
        let Parked { entry, key } = self.parked.remove(&place)?;
        self.octets -= entry.stored_len();
        self.looked_at = Some((place, Some(Arc::clone(&key))));
        self.update(key, |group| {
            if let Ok(at) = group.parked.binary_search(&place) {
                group.parked.remove(at);
            }
        });
        Some(entry)
    }

    /// A message was handed out: its group is busy.
    pub(super) fn hand_out(&mut self, entry: &Entry, slot: HeldSlot) {
        if let Some(key) = self.look_at(entry) {
            self.held.insert(slot, Arc::clone(&key));
            self.update(key, |group| group.is_busy = true);
        }
    }

    /// A message is settled for good: its group is free.
    pub(super) fn settle(&mut self, slot: HeldSlot) {
        if let Some(key) = self.held.remove(&slot) {
            self.update(key, |group| group.is_busy = false);
        }
    }

    /// A message isn't held any more, but is to come back: its group stays busy.
    pub(super) fn keep(&mut self, slot: HeldSlot) {
        self.held.remove(&slot);
    }

    /// Takes out all that is parked.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Entry> + use<> {
        self.free = BTreeSet::new();
        self.octets = 0;
        self.active.retain(|_, group| {
            group.parked = VecDeque::new();
            group.is_busy
        });
        let parked = std::mem::take(&mut self.parked).into_values();
        parked.map(|parked| parked.entry)
    }

    /// Gives memory back once many groups have come to rest.
    pub(super) fn shrink(&mut self) {
        if self.active.is_empty() && self.active.capacity() > KEPT {
            self.active = HashMap::default();
            self.held = HashMap::default();
        }
    }
}
