//! A message: one allocation, shared by everyone who holds it.
//!
//! ```text
//!   0        1              2         3          4                8
//!   +--------+--------------+---------+----------+----------------+
//!   | flags  | exchange len | key len | reserved | properties len |
//!   +--------+--------------+---------+----------+----------------+
//!   | exchange | routing key | properties (raw) | body, if inline  |
//!   +----------+-------------+------------------+-----------------+
//! ```
//!
//! With flag 16 the keys of blind copies come before the body: their length (u32)
//! and then each with a length of its own (u16); before the first key, the number
//! of a trace may stand (u64), with 65,535 for its length. Numbers are big-endian. The same octets go to disk as they are. A body over
//! [`MESSAGE_INLINE_MAX`] isn't copied in but kept beside the record.

use std::sync::Arc;

use bytes::Bytes;

use super::trace::TraceId;
use crate::base::limits::{MESSAGE_INLINE_MAX, SHORT_STR_MAX};
use crate::wire::{Body, DecodeError, Properties};

/// Octets of a record before the exchange's name.
const FIXED_LEN: usize = 8;
/// The message asks to survive a restart.
const PERSISTENT: u8 = 1;
/// The body isn't in the record.
const CHAINED: u8 = 2;
/// Its `x-death` header is the broker's, not something a client wrote.
const DEAD_LETTERED: u8 = 4;
/// An attempt at it failed in a queue it was dead-lettered from since.
const FAILED: u8 = 8;
/// It has blind copies, or is traced.
const BLIND_COPIES: u8 = 16;
/// In place of the length of a blind copy's key: the number of a trace follows.
const TRACE: u16 = u16::MAX;
/// Octets of that: no length, and the number.
const TRACE_LEN: usize = 10;

/// What a publisher sent, still borrowed from where it was read.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    /// The exchange published to.
    pub exchange: &'a [u8],
    /// The routing key.
    pub routing_key: &'a [u8],
    /// Property flags and properties, raw and known to parse.
    pub properties: &'a [u8],
    /// Whether the delivery mode is 2.
    pub persistent: bool,
    /// Whether the broker republishes it from a queue where it died.
    pub dead_lettered: bool,
    /// The keys of its `BCC` header, which nobody it is delivered to sees, as
    /// [`blind_keys`] takes them apart: it is dead-lettered by them, too. Its trace
    /// comes before them, if it has one: see [`put_trace`].
    pub blind_copies: &'a [u8],
    /// Whether an attempt at it failed in a queue it was dead-lettered from: it
    /// counts as handed out before in every queue it comes to from then on.
    pub failed: bool,
    /// The body.
    pub body: Body<'a>,
}

impl<'a> Content<'a> {
    /// What a delivery needs of it.
    pub fn view(&self) -> MessageView<'_> {
        MessageView {
            exchange: self.exchange,
            routing_key: self.routing_key,
            properties: self.properties,
            blind_copies: self.blind_copies,
            body: self.body.as_slice(),
            shared_body: self.body.as_shared(),
        }
    }
}

/// What a delivery needs of a message, wherever the message lives.
#[derive(Debug, Clone, Copy)]
pub struct MessageView<'a> {
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// The routing key it was published with.
    pub routing_key: &'a [u8],
    /// Property flags and properties, raw.
    pub properties: &'a [u8],
    /// The keys of blind copies, as [`blind_keys`] takes them apart.
    pub blind_copies: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// The body again, when it can be had without copying.
    pub shared_body: Option<&'a Bytes>,
}

/// A message that stays: queued, unacknowledged or stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    record: Arc<[u8]>,
    chained: Option<Arc<Bytes>>,
}

impl Message {
    /// Detaches `content` from the buffer it was read into.
    pub fn new(content: &Content<'_>) -> Self {
        let body = content.body.as_slice();
        let shared = content.body.as_shared().cloned();
        let chained = (body.len() > MESSAGE_INLINE_MAX)
            .then(|| Arc::new(shared.unwrap_or_else(|| Bytes::copy_from_slice(body))));
        let exchange = short(content.exchange);
        let key = short(content.routing_key);
        let inline = if chained.is_none() { body } else { &[] };
        let flags = if content.persistent { PERSISTENT } else { 0 }
            | if chained.is_some() { CHAINED } else { 0 }
            | if content.dead_lettered {
                DEAD_LETTERED
            } else {
                0
            }
            | if content.failed { FAILED } else { 0 };
        let blind = content.blind_copies;
        let flags = flags | if blind.is_empty() { 0 } else { BLIND_COPIES };
        let properties = content.properties;
        let [p0, p1, p2, p3] = (properties.len() as u32).to_be_bytes();
        let (exchange_len, key_len) = (exchange.len() as u8, key.len() as u8);
        let fixed = [flags, exchange_len, key_len, 0, p0, p1, p2, p3];
        // Almost no message has blind copies: the others don't pay for them.
        let record = if blind.is_empty() {
            concatenated(&[&fixed, exchange, key, properties, inline])
        } else {
            with_blind_copies(&[&fixed, exchange, key, properties], blind, inline)
        };
        Self { record, chained }
    }

    /// Takes a message back from the octets of [`Message::record`] and, if it
    /// had one, of [`Message::chained_body`].
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when the lengths don't fit the octets, or
    /// any other [`DecodeError`] when the properties don't parse.
    pub fn from_record(record: &[u8], chained: Option<Bytes>) -> Result<Self, DecodeError> {
        let message = Self {
            record: record.into(),
            chained: chained.map(Arc::new),
        };
        let parts = view_of(&message.record).ok_or(DecodeError::Truncated)?;
        Properties::parse(parts.properties)?;
        if (message.flags() & CHAINED != 0) != message.chained.is_some() {
            return Err(DecodeError::Truncated);
        }
        Ok(message)
    }

    /// The record, as it goes to disk.
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// The body, when it isn't in the record.
    pub fn chained_body(&self) -> Option<&Bytes> {
        self.chained.as_deref()
    }

    /// Whether it asks to survive a restart.
    pub fn is_persistent(&self) -> bool {
        self.flags() & PERSISTENT != 0
    }

    /// Whether its death history was written by the broker.
    pub fn is_dead_lettered(&self) -> bool {
        self.flags() & DEAD_LETTERED != 0
    }

    /// Whether an attempt at it failed in a queue it was dead-lettered from.
    pub fn has_failed(&self) -> bool {
        self.flags() & FAILED != 0
    }

    /// Whether it is traced. What has blind copies only pays for a look at them.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.flags() & BLIND_COPIES != 0 && trace_of(self.view().blind_copies).is_some()
    }

    /// Octets it takes in a store.
    pub fn stored_len(&self) -> usize {
        self.record.len() + self.chained.as_ref().map_or(0, |body| body.len())
    }

    /// Octets of its body.
    #[inline]
    pub fn body_len(&self) -> u64 {
        match &self.chained {
            Some(body) => body.len() as u64,
            None => self.view().body.len() as u64,
        }
    }

    /// What a delivery needs of it.
    #[inline]
    pub fn view(&self) -> MessageView<'_> {
        // A record is checked when it is made, so there are always parts.
        let mut view = view_of(&self.record).unwrap_or(EMPTY);
        if let Some(body) = self.chained.as_deref() {
            view.body = body;
            view.shared_body = Some(body);
        }
        view
    }

    fn flags(&self) -> u8 {
        self.record.first().copied().unwrap_or_default()
    }
}

/// The parts of a message's [`Message::record`]; `None` when the lengths don't fit
/// the octets. A body that isn't in there isn't among them.
#[inline]
pub fn view_of(record: &[u8]) -> Option<MessageView<'_>> {
    let (fixed, rest) = record.split_first_chunk::<FIXED_LEN>()?;
    let [flags, exchange_len, key_len, _, p0, p1, p2, p3] = *fixed;
    let properties_len = u32::from_be_bytes([p0, p1, p2, p3]) as usize;
    let (exchange, rest) = rest.split_at_checked(exchange_len.into())?;
    let (routing_key, rest) = rest.split_at_checked(key_len.into())?;
    let (properties, rest) = rest.split_at_checked(properties_len)?;
    let (blind_copies, body) = if flags & BLIND_COPIES == 0 {
        (&[][..], rest)
    } else {
        let (len, rest) = rest.split_first_chunk()?;
        rest.split_at_checked(u32::from_be_bytes(*len) as usize)?
    };
    Some(MessageView {
        exchange,
        routing_key,
        properties,
        blind_copies,
        body,
        shared_body: None,
    })
}

const EMPTY: MessageView<'static> = MessageView {
    exchange: &[],
    routing_key: &[],
    properties: crate::wire::properties::NO_PROPERTIES,
    blind_copies: &[],
    body: &[],
    shared_body: None,
};

/// The keys in `blind_copies`.
pub fn blind_keys(blind_copies: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut blind_copies = split_trace(blind_copies).1;
    std::iter::from_fn(move || {
        let (len, rest) = blind_copies.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        blind_copies = rest;
        Some(key)
    })
}

/// Puts the number of a trace before what a message has as blind copies: it goes
/// where the message goes, and into every copy the broker makes of it, and no
/// client sees it. Messages without either are no longer for it, nor slower.
pub fn put_trace(trace: TraceId, blind_copies: &[u8]) -> Vec<u8> {
    let number = trace.get().to_be_bytes();
    [
        &TRACE.to_be_bytes(),
        &number[..],
        split_trace(blind_copies).1,
    ]
    .concat()
}

/// The trace that a message with such blind copies has.
#[inline]
pub fn trace_of(blind_copies: &[u8]) -> Option<TraceId> {
    if blind_copies.is_empty() {
        return None;
    }
    let number = trace_alone(blind_copies).last_chunk()?;
    TraceId::new(u64::from_be_bytes(*number))
}

/// What stays of `blind_copies` where the keys don't count.
pub fn trace_alone(blind_copies: &[u8]) -> &[u8] {
    split_trace(blind_copies).0
}

fn split_trace(blind_copies: &[u8]) -> (&[u8], &[u8]) {
    let is_traced = blind_copies.starts_with(&TRACE.to_be_bytes());
    let len = if is_traced { TRACE_LEN } else { 0 };
    let split = blind_copies.split_at_checked(len);
    split.unwrap_or((&[], blind_copies))
}

/// Puts `keys` together for [`blind_keys`]. One of 65,535 octets or more is left
/// out: no queue or binding has such a key.
pub fn put_blind_keys<'k>(out: &mut Vec<u8>, keys: impl IntoIterator<Item = &'k [u8]>) {
    for key in keys {
        if let Some(len) = u16::try_from(key.len()).ok().filter(|len| *len != TRACE) {
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(key);
        }
    }
}

#[cold]
fn with_blind_copies(head: &[&[u8]], blind_copies: &[u8], body: &[u8]) -> Arc<[u8]> {
    let len = (blind_copies.len() as u32).to_be_bytes();
    let rest: [&[u8]; 3] = [&len, blind_copies, body];
    [head, &rest].concat().concat().into()
}

/// The octets of `parts` in one allocation. Filled in place: a `Vec` would be
/// copied once more to become shared.
#[inline(always)]
fn concatenated(parts: &[&[u8]]) -> Arc<[u8]> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut octets: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
    let whole = Arc::get_mut(&mut octets).unwrap_or_default();
    let mut at = 0;
    for part in parts {
        if let Some(place) = whole.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
        at += part.len();
    }
    octets
}

/// Names come from short strings, so nothing is ever cut here.
fn short(octets: &[u8]) -> &[u8] {
    &octets[..octets.len().min(SHORT_STR_MAX)]
}
