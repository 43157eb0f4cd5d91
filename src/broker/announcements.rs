//! What the broker publishes of its own: copies of messages to the firehose,
//! what happens to the event exchange (`semantics` 17).
//!
//! Where something happens some lock is held, and publishing takes others. So
//! it is put down, under a lock that is a leaf, and published soon after, in the
//! order in which it happened. What nobody is bound to isn't put down.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::message::Content;
use super::subscriber::Wake;
use crate::base::clock::Now;
use crate::base::limits::{ANNOUNCEMENTS_BYTES_MAX, SHORT_STR_MAX};
use crate::wire::{Body, FieldTable, FieldValue, Properties};

/// What an announcement counts for beside its body, octets.
const WEIGHT: usize = 1024;
/// The delivery mode of an event.
const PERSISTENT: u8 = 2;

/// Whether something is announced: it has to be enabled, and somebody bound. The
/// firehose's is looked at with every delivery and has a cache line of its own,
/// so that nobody's writing nearby makes that slow.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Switch(AtomicU8);

const ENABLED: u8 = 1;
const BOUND: u8 = 2;
/// Messages are traced, whether or not they are copied.
const TRACED: u8 = 4;

impl Switch {
    /// A switch for what is always enabled.
    fn enabled() -> Self {
        Self(AtomicU8::new(ENABLED))
    }

    /// Whether both are so.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (ENABLED | BOUND) == ENABLED | BOUND
    }

    /// Whether messages have to be looked at: they are copied or traced.
    #[inline]
    pub fn is_tapped(&self) -> bool {
        // Neither of the two lower bits alone means that, the third does.
        self.0.load(Ordering::Relaxed) >= ENABLED | BOUND
    }

    /// Whether messages are traced.
    pub fn is_traced(&self) -> bool {
        self.0.load(Ordering::Relaxed) & TRACED != 0
    }

    /// Whether the former is so.
    pub fn is_enabled(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ENABLED != 0
    }

    pub(super) fn enable(&self, enabled: bool) {
        self.set(ENABLED, enabled);
    }

    pub(super) fn trace(&self, traced: bool) {
        self.set(TRACED, traced);
    }

    pub(super) fn set_bound(&self, bound: bool) {
        self.set(BOUND, bound);
    }

    fn set(&self, bit: u8, on: bool) {
        if on {
            self.0.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// A message of the broker's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    pub(super) vhost: Arc<str>,
    pub(super) exchange: &'static str,
    pub(super) routing_key: String,
    pub(super) headers: FieldTable,
    pub(super) body: Bytes,
    /// Events are persistent and say when they were announced.
    pub(super) is_event: bool,
}

impl Announcement {
    /// The virtual host it is published in.
    pub fn vhost(&self) -> &Arc<str> {
        &self.vhost
    }

    /// What it is about: `queue.created`.
    pub fn routing_key(&self) -> &str {
        &self.routing_key
    }

    /// What it says.
    pub fn headers(&self) -> &FieldTable {
        &self.headers
    }

    /// Its properties, announced `now`.
    pub(super) fn properties(&self, now: Now) -> BytesMut {
        if !self.is_event {
            return Properties::default().with_headers(&self.headers);
        }
        let mut headers = self.headers.clone();
        let ms = i64::try_from(now.unix_ms).unwrap_or(i64::MAX);
        headers.push("timestamp_in_ms", ms);
        let properties = Properties {
            delivery_mode: Some(PERSISTENT),
            timestamp: Some(now.unix_secs()),
            ..Properties::default()
        };
        properties.with_headers(&headers)
    }

    /// Its content, with `properties`. A queue's name fills a short string by
    /// itself, so a key that begins with more loses its end.
    pub(super) fn content<'a>(&'a self, properties: &'a [u8]) -> Content<'a> {
        let key_len = self.routing_key.floor_char_boundary(SHORT_STR_MAX);
        Content {
            exchange: self.exchange.as_bytes(),
            routing_key: self
                .routing_key
                .get(..key_len)
                .unwrap_or_default()
                .as_bytes(),
            properties,
            persistent: self.is_event,
            dead_lettered: false,
            failed: false,
            blind_copies: &[],
            body: Body::Shared(self.body.clone()),
        }
    }

    fn weight(&self) -> usize {
        WEIGHT + self.body.len()
    }
}

/// Announcements that wait to be published.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    announcements: VecDeque<Announcement>,
    octets: usize,
    /// What found no room since that was last looked at.
    dropped: u64,
}

impl Pending {
    /// Adds one, unless too much waits; whether it is the only one.
    pub(super) fn put(&self, announcement: Announcement) -> bool {
        let mut waiting = self.0.lock();
        let octets = waiting.octets + announcement.weight();
        if octets > ANNOUNCEMENTS_BYTES_MAX {
            waiting.dropped += 1;
            return false;
        }
        waiting.octets = octets;
        waiting.announcements.push_back(announcement);
        waiting.announcements.len() == 1
    }

    /// Takes the oldest ones, at most `count`. What found no room is logged: it
    /// comes faster than it can be published.
    pub(super) fn take(&self, count: usize) -> VecDeque<Announcement> {
        let mut waiting = self.0.lock();
        let dropped = mem::take(&mut waiting.dropped);
        let count = count.min(waiting.announcements.len());
        let rest = waiting.announcements.split_off(count);
        let taken = mem::replace(&mut waiting.announcements, rest);
        waiting.octets -= taken.iter().map(Announcement::weight).sum::<usize>();
        drop(waiting);
        if dropped > 0 {
            tracing::warn!(dropped, "events or traces dropped: too many to publish");
        }
        taken
    }
}

/// Takes down what happens, for all virtual hosts.
#[derive(Debug)]
pub struct Herald {
    pub(super) events: Arc<Switch>,
    pending: Pending,
    listener: OnceLock<Arc<dyn Wake>>,
    node: OnceLock<Arc<str>>,
}

impl Default for Herald {
    fn default() -> Self {
        Self {
            events: Arc::new(Switch::enabled()),
            pending: Pending::default(),
            listener: OnceLock::new(),
            node: OnceLock::new(),
        }
    }
}

impl Herald {
    /// Has `listener` woken whenever there is something to publish. The first
    /// one stays.
    pub fn listen(&self, listener: Arc<dyn Wake>) {
        let _first = self.listener.set(listener);
    }

    /// Has announcements come from the node called `name`. The first one stays.
    pub fn set_node(&self, name: Arc<str>) {
        let _first = self.node.set(name);
    }

    /// The node that announcements come from.
    pub fn node(&self) -> &str {
        self.node.get().map_or("", |name| name)
    }

    /// The events to be published, oldest first, at most `count`.
    pub fn take(&self, count: usize) -> VecDeque<Announcement> {
        self.pending.take(count)
    }

    pub(super) fn put(&self, event: Announcement) {
        if self.pending.put(event) {
            self.wake_listener();
        }
    }

    /// Says that there is something to publish.
    pub(super) fn wake_listener(&self) {
        if let Some(listener) = self.listener.get() {
            Arc::clone(listener).wake();
        }
    }
}

/// Who is connected, as announcements name him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// His connection: `127.0.0.1:50834 -> 127.0.0.1:5672`.
    pub connection: Arc<str>,
    /// Who he is.
    pub user: Arc<str>,
}

pub(super) fn text(octets: &[u8]) -> FieldValue {
    FieldValue::LongStr(Bytes::copy_from_slice(octets))
}
