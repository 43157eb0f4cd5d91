//! Which messages a queue has had lately, so that it takes none of them twice.
//!
//! ```text
//!   order  [ (7, key) (8, key) (9, key) ... ]   forgotten from the front
//!   known  { key: place }
//! ```
//!
//! A message is known by a hash of its id: 128 bits of SHA-256, so that an id
//! takes 16 octets however long it is, and nobody finds two with the same. The
//! store has those of persistent messages in a lane of the queue's own, each
//! appended with its message: after a crash, both are there or neither.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use ahash::RandomState;
use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::Pushed;
use super::core::QueueCore;
use super::incoming::Incoming;
use super::reserving::Reserved;
use crate::base::clock::Now;
use crate::base::ids::{Batch, Position, QueueId};
use crate::base::limits::{DEDUPLICATION_DEFAULT, DEDUPLICATION_MAX, QUEUE_PAGE};
use crate::broker::arguments::{
    DEDUPLICATION, DEDUPLICATION_HEADER, DEDUPLICATION_SIZE, DEDUPLICATION_TTL,
};
use crate::broker::effects::Effects;
use crate::broker::message::{Content, Message};
use crate::broker::once::remembers_for;
use crate::broker::store::{Load, Page, Receiver, Record, Remainder, Store, Stored};
use crate::broker::weight::{Gone, Weight};
use crate::wire::properties::NO_PROPERTIES;
use crate::wire::{Body, FieldTable, FieldValue, Properties};

/// The lane of a queue in which the store has what the window knows.
pub const WINDOW_LANE: u8 = 0xff;
/// How many are forgotten at a time because their time is over.
const FORGET_BUDGET: usize = 64;
/// What one takes in the store: the fixed part of a record, no properties, the key.
const MARK: Gone = Gone {
    messages: 1,
    octets: 8 + 2 + 16,
    weight: Weight {
        bodies: 16,
        properties: 2,
    },
};
/// Of what is kept until others push it out.
const FOREVER: u64 = u64::MAX;

/// What a message is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageKey([u8; 16]);

impl MessageKey {
    fn of(id: &FieldValue) -> Self {
        let mut octets = BytesMut::new();
        id.put(&mut octets);
        let hash = Sha256::digest(&octets);
        let mut key = [0; 16];
        key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(key)
    }
}

/// Whether a queue or exchange with `arguments` knows what it has had.
pub fn deduplicates(arguments: &FieldTable) -> bool {
    arguments.get(DEDUPLICATION) == Some(&FieldValue::Bool(true))
}

/// A message remembered.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    position: Position,
    key: MessageKey,
    /// When it is forgotten at the latest, milliseconds since 1970.
    until: u64,
    stored: bool,
    /// Its message has a place, but hasn't come to it yet.
    is_coming: bool,
}

/// What the store is told of a message remembered.
#[derive(Debug)]
pub struct Mark {
    lane: QueueId,
    position: Position,
    key: MessageKey,
    until: u64,
    /// The key in the form of a message, if the store is to have it.
    stored: Option<Message>,
}

impl Mark {
    /// What the store is told, if anything.
    pub fn record(&self) -> Option<Record<'_>> {
        Some(Record::Publish {
            queue: self.lane,
            position: self.position,
            message: self.stored.as_ref()?,
            deadline: (self.until != FOREVER).then_some(self.until),
            delivered: false,
        })
    }

    /// What its message is known by.
    pub fn key(&self) -> MessageKey {
        self.key
    }
}

/// What is known of a message that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sighting {
    New,
    Duplicate,
    /// Another of that id is on its way, and may not arrive.
    Coming,
}

/// The messages a queue has had lately.
#[derive(Debug)]
pub(super) struct Window {
    lane: QueueId,
    /// Whether there is nothing else to the queue.
    is_all: bool,
    /// The header with the id.
    header: Box<str>,
    capacity: usize,
    /// Milliseconds after which a message is forgotten.
    ttl: Option<u64>,
    known: HashMap<MessageKey, Position, RandomState>,
    order: VecDeque<Remembered>,
    last: Position,
    duplicates: u64,
    /// What the store is to be told with the message that has just come.
    fresh: Option<Mark>,
    forgotten: Vec<Record<'static>>,
}

impl Window {
    /// That of the queue `id` called `name`, if `arguments` ask for one.
    pub(super) fn of(id: QueueId, name: &str, arguments: &FieldTable) -> Option<Self> {
        if !deduplicates(arguments) {
            return None;
        }
        let number = |name| arguments.get(name).and_then(FieldValue::as_i64);
        let positive = |name| number(name).and_then(|value| u64::try_from(value).ok());
        let header = arguments.get(DEDUPLICATION_HEADER);
        let header = header.and_then(FieldValue::as_str);
        let capacity = positive(DEDUPLICATION_SIZE).unwrap_or(DEDUPLICATION_DEFAULT);
        Some(Self {
            lane: id.with_lane(WINDOW_LANE),
            is_all: remembers_for(name, arguments).is_some(),
            header: header.unwrap_or(DEDUPLICATION_HEADER).into(),
            capacity: capacity.clamp(1, DEDUPLICATION_MAX) as usize,
            ttl: positive(DEDUPLICATION_TTL),
            known: HashMap::default(),
            order: VecDeque::new(),
            last: Position(0),
            duplicates: 0,
            fresh: None,
            forgotten: Vec::new(),
        })
    }

    /// How many messages were duplicates.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// What a message is known by, and milliseconds after which it is to be
    /// forgotten; `None` when it has no id.
    fn identify(&self, incoming: &Incoming<'_>) -> Option<(MessageKey, Option<u64>)> {
        let properties = Properties::parse(incoming.view().properties).ok()?;
        let headers = properties.headers_table().unwrap_or_default();
        let id = match (headers.get(&self.header), properties.message_id) {
            (Some(id), _) => id.clone(),
            (None, Some(id)) => FieldValue::LongStr(Bytes::copy_from_slice(id)),
            (None, None) => return None,
        };
        let own = headers.get(DEDUPLICATION_TTL).and_then(FieldValue::as_i64);
        let own = own.and_then(|ms| u64::try_from(ms).ok());
        Some((MessageKey::of(&id), own.or(self.ttl)))
    }

    fn place_of(&self, position: Position) -> Option<usize> {
        self.order
            .binary_search_by_key(&position, |remembered| remembered.position)
            .ok()
    }

    fn sight(&self, key: MessageKey, now: u64) -> Sighting {
        let place = self.known.get(&key).and_then(|at| self.place_of(*at));
        match place.and_then(|place| self.order.get(place)) {
            Some(known) if known.until <= now => Sighting::New,
            Some(known) if known.is_coming => Sighting::Coming,
            Some(_) => Sighting::Duplicate,
            None => Sighting::New,
        }
    }

    /// Remembers a message that is about to come.
    fn remember(&mut self, key: MessageKey, until: u64, stored: bool) -> Mark {
        self.last.0 += 1;
        self.add(Remembered {
            position: self.last,
            key,
            until,
            stored,
            is_coming: true,
        });
        Mark {
            lane: self.lane,
            position: self.last,
            key,
            until,
            stored: stored.then(|| message_of(key)),
        }
    }

    fn add(&mut self, remembered: Remembered) {
        self.known.insert(remembered.key, remembered.position);
        self.order.push_back(remembered);
    }

    /// Forgets those whose time is over, as far as they come first.
    fn forget_late(&mut self, now: u64) {
        for _ in 0..FORGET_BUDGET {
            let is_late = |first: &Remembered| first.until <= now;
            if !self.order.front().is_some_and(is_late) || !self.forget_first() {
                return;
            }
        }
    }

    /// Forgets the first one; whether there is one that can be.
    fn forget_first(&mut self) -> bool {
        // One on its way goes to the store yet: that has to come before.
        match self.order.front() {
            Some(first) if !first.is_coming => {}
            _ => return false,
        }
        let Some(first) = self.order.pop_front() else {
            return false;
        };
        self.drop_known(&first);
        if first.stored {
            self.forgotten.push(Record::Settle {
                queue: self.lane,
                first: first.position,
                last: first.position,
                gone: MARK,
            });
        }
        true
    }

    /// One of that id that came later is known still.
    fn drop_known(&mut self, gone: &Remembered) {
        if self.known.get(&gone.key) == Some(&gone.position) {
            self.known.remove(&gone.key);
        }
    }

    /// The message has come.
    fn arrived(&mut self, position: Position) {
        let place = self.place_of(position);
        if let Some(remembered) = place.and_then(|place| self.order.get_mut(place)) {
            remembered.is_coming = false;
        }
        self.forget_most();
    }

    /// The message doesn't come after all.
    fn release(&mut self, position: Position) {
        let place = self.place_of(position);
        if let Some(gone) = place.and_then(|place| self.order.remove(place)) {
            self.drop_known(&gone);
        }
    }

    /// Takes what the store held.
    fn recall(&mut self, stored: Vec<Stored>) {
        for Stored {
            position,
            message,
            deadline,
            ..
        } in stored
        {
            let Ok(key) = message.view().body.try_into() else {
                continue;
            };
            self.add(Remembered {
                position,
                key: MessageKey(key),
                until: deadline.unwrap_or(FOREVER),
                stored: true,
                is_coming: false,
            });
            self.forget_most();
        }
    }

    /// Forgets what is more than it may remember.
    fn forget_most(&mut self) {
        while self.order.len() > self.capacity && self.forget_first() {}
    }
}

/// A key in the form of a message, for the store.
fn message_of(MessageKey(key): MessageKey) -> Message {
    Message::new(&Content {
        exchange: b"",
        routing_key: b"",
        properties: NO_PROPERTIES,
        persistent: true,
        dead_lettered: false,
        failed: false,
        blind_copies: &[],
        body: Body::Borrowed(&key),
    })
}

impl QueueCore {
    /// What becomes of a message that may have come before; `None` when it is new,
    /// and remembered from now on. `is_own` says whether the one of that id that is
    /// on its way comes together with it.
    pub(super) fn recognise(
        &mut self,
        incoming: &Incoming<'_>,
        is_own: &dyn Fn(MessageKey) -> bool,
        effects: &mut Effects,
    ) -> Option<Pushed> {
        let window = self.window.as_mut()?;
        let now = effects.now().unix_ms;
        window.forget_late(now);
        let (key, ttl) = window.identify(incoming)?;
        match window.sight(key, now) {
            Sighting::New => {
                let until = ttl.map_or(FOREVER, |ms| now.saturating_add(ms));
                let stored = self.durable && incoming.is_persistent();
                window.fresh = Some(window.remember(key, until, stored));
                None
            }
            // Nobody can tell yet: its publisher is to try again.
            Sighting::Coming if !is_own(key) => Some(Pushed::Refused),
            Sighting::Coming | Sighting::Duplicate => {
                window.duplicates += 1;
                // It counts as stored when the first one is.
                effects.stored(self.batch);
                Some(Pushed::Taken)
            }
        }
    }

    /// Whether it holds no messages and just remembers those that come by.
    pub(super) fn remembers_only(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.is_all)
    }

    /// Remembers a message that is to come by.
    pub(super) fn reserve_mark(
        &mut self,
        incoming: &Incoming<'_>,
        is_own: &dyn Fn(MessageKey) -> bool,
        effects: &mut Effects,
    ) -> Result<Reserved, Pushed> {
        if let Some(pushed) = self.recognise(incoming, is_own, effects) {
            return Err(pushed);
        }
        Ok(Reserved {
            lane: self.ready.lane(0).id,
            entry: None,
            mark: self.take_mark(),
        })
    }

    /// What was remembered of the message that has just come, to be stored with it.
    pub(super) fn take_mark(&mut self) -> Option<Mark> {
        self.window.as_mut()?.fresh.take()
    }

    /// Tells the store of a message, if it is to have it, together with what is
    /// remembered of it and what is forgotten over it.
    #[cold]
    pub(super) fn keep_marked(
        &mut self,
        message: Option<Record<'_>>,
        store: &dyn Store,
        effects: &mut Effects,
    ) {
        let Some(window) = &mut self.window else {
            return;
        };
        let mark = window.fresh.take();
        if let Some(mark) = &mark {
            window.arrived(mark.position);
        }
        let mut records: Vec<_> = message.into_iter().collect();
        records.extend(mark.as_ref().and_then(Mark::record));
        records.extend(std::mem::take(&mut window.forgotten));
        if !records.is_empty() {
            self.batch = store.append(&records);
            effects.stored(self.batch);
        }
    }

    /// The message that goes with `mark` has come.
    pub(super) fn mark_arrived(&mut self, mark: &Mark) {
        if let Some(window) = &mut self.window {
            window.arrived(mark.position);
            self.notices.add(&mut window.forgotten);
        }
    }

    /// The message that goes with `mark` doesn't come after all.
    pub(super) fn release_mark(&mut self, mark: &Mark) {
        if let Some(window) = &mut self.window {
            window.release(mark.position);
        }
    }

    /// Takes note of the last place in use of what the store remembers, if that is
    /// what is in `lane`.
    pub fn expects_marks(&mut self, lane: QueueId, remainder: Remainder) -> bool {
        match &mut self.window {
            Some(window) if window.lane == lane => {
                window.last = remainder.last;
                true
            }
            _ => false,
        }
    }

    /// Remembers what the store held.
    pub fn recall(&mut self, page: Page) {
        if let Some(window) = &mut self.window {
            window.recall(page.messages);
        }
    }
}

/// Waits for pages from the store.
#[derive(Debug)]
struct Waiting(SyncSender<Page>);

impl Receiver for Waiting {
    fn receive(self: Arc<Self>, page: Page, _: Now) {
        // Whoever waited may have gone.
        let _gone = self.0.send(page);
    }
}

/// Reads all that the store held in `lane` and hands it to `take`, page by page.
/// Waits for it: until a queue knows what it has had it can't take anything.
pub(super) fn read_all(
    store: &dyn Store,
    lane: QueueId,
    remainder: Remainder,
    mut take: impl FnMut(Page),
) {
    let mut from = remainder.first;
    while remainder.messages > 0 && from <= remainder.last {
        let (sender, pages) = sync_channel(1);
        store.load(Load {
            queue: lane,
            from,
            to: remainder.last,
            bytes: QUEUE_PAGE as usize,
            batch: Batch::default(),
            receiver: Arc::new(Waiting(sender)),
        });
        let Ok(page) = pages.recv() else {
            tracing::error!(%lane, "what a queue has had can't be read back");
            return;
        };
        from = Position(page.through.0.saturating_add(1));
        take(page);
    }
}
