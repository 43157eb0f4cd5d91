//! Records and changes as octets.
//!
//! ```text
//! publish          1  queue  position  size             record
//! publish chained  2  queue  position  size  body size  record  body
//! settle           3  queue  first     further
//! topology         4  size   change
//! ```
//!
//! The first octet says what it is; the numbers after it are varints: seven
//! bits an octet, the low ones first, the high bit set on all but the last.
//! `further` counts the positions directly behind the first that are settled
//! as well.

use std::sync::Arc;

use bytes::BytesMut;

use crate::base::ids::{Position, QueueId};
use crate::broker::change::Change;
use crate::broker::message::Message;
use crate::broker::spec::{BindingSpec, Destination, ExchangeSpec, QueueSpec};
use crate::wire::FieldTable;

const PUBLISH: u8 = 1;
const PUBLISH_CHAINED: u8 = 2;
const SETTLE: u8 = 3;
const TOPOLOGY: u8 = 4;

/// The octets don't hold what was expected. With a frame's checksum intact
/// that means they were written by a program that knows more than this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record can't be read")]
pub struct CodecError;

/// A record read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// A message entered a queue.
    Publish {
        queue: QueueId,
        position: Position,
        record: &'a [u8],
        chained: Option<&'a [u8]>,
    },
    /// The messages from `first` to `last`, both included, left a queue.
    Settle {
        queue: QueueId,
        first: u64,
        last: u64,
    },
    /// An encoded [`Change`].
    Topology(&'a [u8]),
}

/// Appends a message that entered a queue.
pub(super) fn put_publish(out: &mut Vec<u8>, queue: QueueId, position: Position, m: &Message) {
    let record = m.record();
    let chained = m.chained_body();
    let mut head = Head::new(match chained {
        None => PUBLISH,
        Some(_) => PUBLISH_CHAINED,
    });
    head.put(queue.0);
    head.put(position.0);
    head.put(record.len() as u64);
    if let Some(body) = chained {
        head.put(body.len() as u64);
    }
    out.extend_from_slice(head.octets());
    out.extend_from_slice(record);
    if let Some(body) = chained {
        out.extend_from_slice(body);
    }
}

/// Appends that the messages from `first` to `last` left a queue.
pub(super) fn put_settle(out: &mut Vec<u8>, queue: QueueId, first: u64, last: u64) {
    let mut head = Head::new(SETTLE);
    head.put(queue.0);
    head.put(first);
    head.put(last - first);
    out.extend_from_slice(head.octets());
}

/// Appends a change of what is declared.
pub(super) fn put_topology(out: &mut Vec<u8>, change: &Change) {
    put_encoded_topology(out, &encode_change(change));
}

/// The same for a change that is encoded already.
pub(super) fn put_encoded_topology(out: &mut Vec<u8>, encoded: &[u8]) {
    let mut head = Head::new(TOPOLOGY);
    head.put(encoded.len() as u64);
    out.extend_from_slice(head.octets());
    out.extend_from_slice(encoded);
}

/// The kind and the numbers of a record, gathered so that they're appended in
/// one go: one check of the room instead of one an octet.
struct Head {
    octets: [u8; Self::MAX],
    len: usize,
}

impl Head {
    /// A kind and four numbers of ten octets at most.
    const MAX: usize = 1 + 4 * 10;

    fn new(kind: u8) -> Self {
        let mut octets = [0; Self::MAX];
        octets[0] = kind;
        Self { octets, len: 1 }
    }

    fn put(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.octets[self.len] = value as u8 | 0x80;
            self.len += 1;
            value >>= 7;
        }
        self.octets[self.len] = value as u8;
        self.len += 1;
    }

    fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// Reads the records of a frame one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entries<'a>(Reader<'a>);

impl<'a> Entries<'a> {
    /// The records in `octets`.
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(Reader(octets))
    }

    fn read(&mut self) -> Result<Entry<'a>, CodecError> {
        let input = &mut self.0;
        let kind = input.octet()?;
        match kind {
            PUBLISH | PUBLISH_CHAINED => {
                let queue = QueueId(input.number()?);
                let position = Position(input.number()?);
                let size = input.number()?;
                let body_size = match kind {
                    PUBLISH => None,
                    _ => Some(input.number()?),
                };
                let record = input.take(size)?;
                let chained = body_size.map(|size| input.take(size)).transpose()?;
                Ok(Entry::Publish {
                    queue,
                    position,
                    record,
                    chained,
                })
            }
            SETTLE => {
                let queue = QueueId(input.number()?);
                let first = input.number()?;
                let last = first.checked_add(input.number()?).ok_or(CodecError)?;
                Ok(Entry::Settle { queue, first, last })
            }
            TOPOLOGY => {
                let size = input.number()?;
                Ok(Entry::Topology(input.take(size)?))
            }
            _ => Err(CodecError),
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.0.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.0.0 = &[];
        }
        Some(entry)
    }
}

const VHOST_CREATED: u8 = 1;
const VHOST_DELETED: u8 = 2;
const EXCHANGE_DECLARED: u8 = 3;
const EXCHANGE_DELETED: u8 = 4;
const QUEUE_DECLARED: u8 = 5;
const QUEUE_DELETED: u8 = 6;
const BOUND: u8 = 7;
const UNBOUND: u8 = 8;

const TO_QUEUE: u8 = b'q';
const TO_EXCHANGE: u8 = b'e';

/// A change as octets, the same every time.
pub fn encode_change(change: &Change) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let (kind, vhost) = kind_and_vhost(change);
    out.push(kind);
    put_text(&mut out, vhost);
    match change {
        Change::VhostCreated { .. } | Change::VhostDeleted { .. } => {}
        Change::ExchangeDeclared { spec, .. } => put_exchange(&mut out, spec),
        Change::ExchangeDeleted { name, .. } => put_text(&mut out, name),
        Change::QueueDeclared { id, spec, .. } => {
            put_number(&mut out, id.0);
            put_queue(&mut out, spec);
        }
        Change::QueueDeleted { id, name, .. } => {
            put_number(&mut out, id.0);
            put_text(&mut out, name);
        }
        Change::Bound { spec, .. } | Change::Unbound { spec, .. } => put_binding(&mut out, spec),
    }
    out
}

fn kind_and_vhost(change: &Change) -> (u8, &str) {
    match change {
        Change::VhostCreated { vhost } => (VHOST_CREATED, vhost),
        Change::VhostDeleted { vhost } => (VHOST_DELETED, vhost),
        Change::ExchangeDeclared { vhost, .. } => (EXCHANGE_DECLARED, vhost),
        Change::ExchangeDeleted { vhost, .. } => (EXCHANGE_DELETED, vhost),
        Change::QueueDeclared { vhost, .. } => (QUEUE_DECLARED, vhost),
        Change::QueueDeleted { vhost, .. } => (QUEUE_DELETED, vhost),
        Change::Bound { vhost, .. } => (BOUND, vhost),
        Change::Unbound { vhost, .. } => (UNBOUND, vhost),
    }
}

/// Reads back what [`encode_change`] wrote.
///
/// # Errors
/// [`CodecError`] when the octets aren't exactly one change.
pub fn decode_change(octets: &[u8]) -> Result<Change, CodecError> {
    let mut input = Reader(octets);
    let kind = input.octet()?;
    let vhost = input.text()?;
    let change = match kind {
        VHOST_CREATED => Change::VhostCreated { vhost },
        VHOST_DELETED => Change::VhostDeleted { vhost },
        EXCHANGE_DECLARED => Change::ExchangeDeclared {
            vhost,
            spec: input.exchange()?,
        },
        EXCHANGE_DELETED => Change::ExchangeDeleted {
            vhost,
            name: input.text()?,
        },
        QUEUE_DECLARED => Change::QueueDeclared {
            vhost,
            id: QueueId(input.number()?),
            spec: input.queue()?,
        },
        QUEUE_DELETED => Change::QueueDeleted {
            vhost,
            id: QueueId(input.number()?),
            name: input.text()?,
        },
        BOUND => Change::Bound {
            vhost,
            spec: input.binding()?,
        },
        UNBOUND => Change::Unbound {
            vhost,
            spec: input.binding()?,
        },
        _ => return Err(CodecError),
    };
    match input.0 {
        [] => Ok(change),
        _ => Err(CodecError),
    }
}

pub(super) fn put_number(out: &mut Vec<u8>, value: u64) {
    let mut head = Head::new(0);
    head.put(value);
    out.extend_from_slice(&head.octets()[1..]);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_table(out: &mut Vec<u8>, table: &FieldTable) {
    let mut entries = BytesMut::new();
    table.put_entries(&mut entries);
    put_number(out, entries.len() as u64);
    out.extend_from_slice(&entries);
}

fn put_flags(out: &mut Vec<u8>, flags: [bool; 3]) {
    let [a, b, c] = flags.map(u8::from);
    out.push(a | b << 1 | c << 2);
}

fn put_exchange(out: &mut Vec<u8>, spec: &ExchangeSpec) {
    put_text(out, &spec.name);
    put_text(out, &spec.kind);
    put_flags(out, [spec.durable, spec.auto_delete, spec.internal]);
    put_table(out, &spec.arguments);
}

fn put_queue(out: &mut Vec<u8>, spec: &QueueSpec) {
    put_text(out, &spec.name);
    put_flags(out, [spec.durable, spec.auto_delete, spec.exclusive]);
    put_table(out, &spec.arguments);
}

/// Appends where a binding leads.
pub(super) fn put_destination(out: &mut Vec<u8>, destination: &Destination) {
    out.push(match destination {
        Destination::Queue(_) => TO_QUEUE,
        Destination::Exchange(_) => TO_EXCHANGE,
    });
    put_text(out, destination.name());
}

fn put_binding(out: &mut Vec<u8>, spec: &BindingSpec) {
    put_text(out, &spec.source);
    put_destination(out, &spec.destination);
    put_text(out, &spec.routing_key);
    put_table(out, &spec.arguments);
}

#[derive(Debug, Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn octet(&mut self) -> Result<u8, CodecError> {
        let (octet, rest) = self.0.split_first().ok_or(CodecError)?;
        self.0 = rest;
        Ok(*octet)
    }

    fn number(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits {
                return Err(CodecError);
            }
            value |= bits << shift;
            if octet < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError)
    }

    fn take(&mut self, size: u64) -> Result<&'a [u8], CodecError> {
        let size = usize::try_from(size).map_err(|_| CodecError)?;
        let (taken, rest) = self.0.split_at_checked(size).ok_or(CodecError)?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<Arc<str>, CodecError> {
        let size = self.number()?;
        let text = std::str::from_utf8(self.take(size)?).map_err(|_| CodecError)?;
        Ok(text.into())
    }

    fn table(&mut self) -> Result<FieldTable, CodecError> {
        let size = self.number()?;
        FieldTable::parse_entries(self.take(size)?).map_err(|_| CodecError)
    }

    fn flags(&mut self) -> Result<[bool; 3], CodecError> {
        match self.octet()? {
            flags @ 0..8 => Ok([flags & 1 != 0, flags & 2 != 0, flags & 4 != 0]),
            _ => Err(CodecError),
        }
    }

    fn exchange(&mut self) -> Result<ExchangeSpec, CodecError> {
        let name = self.text()?;
        let kind = self.text()?;
        let [durable, auto_delete, internal] = self.flags()?;
        Ok(ExchangeSpec {
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments: self.table()?,
        })
    }

    fn queue(&mut self) -> Result<QueueSpec, CodecError> {
        let name = self.text()?;
        let [durable, auto_delete, exclusive] = self.flags()?;
        Ok(QueueSpec {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments: self.table()?,
        })
    }

    fn binding(&mut self) -> Result<BindingSpec, CodecError> {
        let source = self.text()?;
        let kind = self.octet()?;
        let name = self.text()?;
        let destination = match kind {
            TO_QUEUE => Destination::Queue(name),
            TO_EXCHANGE => Destination::Exchange(name),
            _ => return Err(CodecError),
        };
        Ok(BindingSpec {
            source,
            destination,
            routing_key: self.text()?,
            arguments: self.table()?,
        })
    }
}
