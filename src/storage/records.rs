//! The records of the log as octets.
//!
//! ```text
//! publish   1  flags  queue  position  size  [body size]  [deadline]  [returns  failures  cause]  message  [body]
//! settle    2  queue  first  further  messages  octets  bodies  properties
//! deliver   3  queue  up to
//! return    4  queue  position  returns  failures  cause
//! topology  5  size   change
//! ```
//!
//! The first octet says what it is; the numbers after it are those of
//! [`super::codec`]. `further` counts the positions directly behind the first
//! that are settled as well. The flags of a publish: 1 it has a body of its own
//! besides the message, 2 it was handed out at once, 4 it has a deadline, 8 it
//! came back before, 16 it was in an older segment before.

use super::changes::encode_change;
use super::codec::{CodecError, Head, Reader};
use crate::base::ids::{Position, QueueId};
use crate::broker::attempts::{Attempts, ReturnCause};
use crate::broker::change::Change;
use crate::broker::message::Message;
use crate::broker::weight::{Gone, Weight};

const PUBLISH: u8 = 1;
const SETTLE: u8 = 2;
const DELIVER: u8 = 3;
const RETURN: u8 = 4;
const TOPOLOGY: u8 = 5;

const CHAINED: u8 = 1;
const DELIVERED: u8 = 2;
const EXPIRES: u8 = 4;
const RETURNED: u8 = 8;
const MOVED: u8 = 16;

/// A message that entered a queue, as a record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published<'a> {
    pub(super) queue: QueueId,
    pub(super) position: Position,
    /// The octets of [`Message::record`].
    pub(super) message: &'a [u8],
    /// The octets of [`Message::chained_body`].
    pub(super) body: Option<&'a [u8]>,
    /// When it expires, milliseconds since 1970.
    pub(super) deadline: Option<u64>,
    /// How it fared in the queue so far.
    pub(super) attempts: Attempts,
    /// It was handed out.
    pub(super) delivered: bool,
    /// It was written before, in an older segment.
    pub(super) moved: bool,
}

impl<'a> Published<'a> {
    /// A message just published.
    pub(super) fn new(queue: QueueId, position: Position, message: &'a Message) -> Self {
        Self {
            queue,
            position,
            message: message.record(),
            body: message.chained_body().map(|body| &body[..]),
            deadline: None,
            attempts: Attempts::default(),
            delivered: false,
            moved: false,
        }
    }

    /// Octets of the message and its body: [`Message::stored_len`].
    pub(super) fn bytes(&self) -> u64 {
        (self.message.len() + self.body.map_or(0, <[u8]>::len)) as u64
    }

    /// What it weighs.
    pub(super) fn weight(&self) -> Weight {
        Weight::of_record(self.message, self.body.map(<[u8]>::len))
    }
}

/// A record read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// A message entered a queue.
    Publish(Published<'a>),
    /// The messages from `first` to `last`, both included, left a queue.
    Settle {
        queue: QueueId,
        first: u64,
        last: u64,
        gone: Gone,
    },
    /// The messages up to a place were handed out.
    Deliver { queue: QueueId, up_to: u64 },
    /// A message came back.
    Return {
        queue: QueueId,
        position: u64,
        attempts: Attempts,
    },
    /// An encoded [`Change`].
    Topology(&'a [u8]),
}

/// Appends a message that entered a queue.
pub(super) fn put_publish(out: &mut Vec<u8>, published: &Published<'_>) {
    let flag = |on, flag| if on { flag } else { 0 };
    let flags = flag(published.body.is_some(), CHAINED)
        | flag(published.delivered, DELIVERED)
        | flag(published.deadline.is_some(), EXPIRES)
        | flag(published.attempts.returns > 0, RETURNED)
        | flag(published.moved, MOVED);
    let mut head = Head::new(PUBLISH);
    head.put(flags.into());
    head.put(published.queue.0);
    head.put(published.position.0);
    head.put(published.message.len() as u64);
    if let Some(body) = published.body {
        head.put(body.len() as u64);
    }
    if let Some(deadline) = published.deadline {
        head.put(deadline);
    }
    if published.attempts.returns > 0 {
        put_attempts(&mut head, published.attempts);
    }
    out.extend_from_slice(head.octets());
    out.extend_from_slice(published.message);
    if let Some(body) = published.body {
        out.extend_from_slice(body);
    }
}

/// Appends that the messages from `first` to `last` left a queue.
pub(super) fn put_settle(out: &mut Vec<u8>, queue: QueueId, first: u64, last: u64, gone: Gone) {
    let mut head = Head::new(SETTLE);
    head.put(queue.0);
    head.put(first);
    head.put(last.saturating_sub(first));
    head.put(gone.messages);
    head.put(gone.octets);
    head.put(gone.weight.bodies);
    head.put(gone.weight.properties);
    out.extend_from_slice(head.octets());
}

/// Appends that the messages up to a place were handed out.
pub(super) fn put_deliver(out: &mut Vec<u8>, queue: QueueId, up_to: Position) {
    let mut head = Head::new(DELIVER);
    head.put(queue.0);
    head.put(up_to.0);
    out.extend_from_slice(head.octets());
}

/// Appends that a message came back.
pub(super) fn put_return(
    out: &mut Vec<u8>,
    queue: QueueId,
    position: Position,
    attempts: Attempts,
) {
    let mut head = Head::new(RETURN);
    head.put(queue.0);
    head.put(position.0);
    put_attempts(&mut head, attempts);
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
        match input.octet()? {
            PUBLISH => read_publish(input).map(Entry::Publish),
            SETTLE => {
                let queue = QueueId(input.number()?);
                let first = input.number()?;
                let last = first.checked_add(input.number()?).ok_or(CodecError)?;
                let gone = read_gone(input)?;
                Ok(Entry::Settle {
                    queue,
                    first,
                    last,
                    gone,
                })
            }
            DELIVER => Ok(Entry::Deliver {
                queue: QueueId(input.number()?),
                up_to: input.number()?,
            }),
            RETURN => Ok(Entry::Return {
                queue: QueueId(input.number()?),
                position: input.number()?,
                attempts: read_attempts(input)?,
            }),
            TOPOLOGY => {
                let size = input.number()?;
                Ok(Entry::Topology(input.take(size)?))
            }
            _ => Err(CodecError),
        }
    }
}

fn read_gone(input: &mut Reader<'_>) -> Result<Gone, CodecError> {
    Ok(Gone {
        messages: input.number()?,
        octets: input.number()?,
        weight: Weight {
            bodies: input.number()?,
            properties: input.number()?,
        },
    })
}

fn read_publish<'a>(input: &mut Reader<'a>) -> Result<Published<'a>, CodecError> {
    let flags = input.octet()?;
    if flags & !(CHAINED | DELIVERED | EXPIRES | RETURNED | MOVED) != 0 {
        return Err(CodecError);
    }
    let has = |flag| flags & flag != 0;
    let queue = QueueId(input.number()?);
    let position = Position(input.number()?);
    let size = input.number()?;
    let mut number_if = |flag| has(flag).then(|| input.number()).transpose();
    let body_size = number_if(CHAINED)?;
    let deadline = number_if(EXPIRES)?;
    let attempts = has(RETURNED).then(|| read_attempts(input)).transpose()?;
    Ok(Published {
        queue,
        position,
        message: input.take(size)?,
        body: body_size.map(|size| input.take(size)).transpose()?,
        deadline,
        attempts: attempts.unwrap_or_default(),
        delivered: has(DELIVERED),
        moved: has(MOVED),
    })
}

fn put_attempts(head: &mut Head, attempts: Attempts) {
    for number in numbers_of(attempts) {
        head.put(number);
    }
}

/// What is written of a message's attempts: returns, failures, and the last
/// cause, counted from one.
pub(super) fn numbers_of(attempts: Attempts) -> [u64; 3] {
    let cause = attempts.cause.map_or(0, |cause| cause as u64 + 1);
    [attempts.returns.into(), attempts.failures.into(), cause]
}

/// Reads back what [`numbers_of`] gave.
///
/// # Errors
/// [`CodecError`] when it makes no sense.
pub(super) fn read_attempts(input: &mut Reader<'_>) -> Result<Attempts, CodecError> {
    let returns = u32::try_from(input.number()?).map_err(|_| CodecError)?;
    let failures = u16::try_from(input.number()?).map_err(|_| CodecError)?;
    let cause = match input.number()?.checked_sub(1) {
        None => None,
        Some(number) => {
            let number = usize::try_from(number).map_err(|_| CodecError)?;
            Some(*ReturnCause::ALL.get(number).ok_or(CodecError)?)
        }
    };
    Ok(Attempts {
        returns,
        failures,
        cause,
    })
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.0 = Reader(&[]);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let published = |body, deadline, attempts, delivered| Published {
            queue: QueueId(7),
            position: Position(1 << 40),
            message: b"message",
            body,
            deadline,
            attempts,
            delivered,
            moved: delivered,
        };
        let often = Attempts {
            returns: u32::MAX,
            failures: u16::MAX,
            cause: Some(ReturnCause::TimedOut),
        };
        let publishes = [
            published(None, None, Attempts::default(), false),
            published(Some(b"body"), Some(u64::MAX), often, true),
        ];
        let gone = Gone {
            messages: 97,
            octets: u64::MAX,
            weight: Weight {
                bodies: 98,
                properties: 99,
            },
        };
        let mut out = Vec::new();
        for publish in &publishes {
            put_publish(&mut out, publish);
        }
        put_settle(&mut out, QueueId(u64::MAX), 3, u64::MAX, gone);
        put_deliver(&mut out, QueueId(1), Position(2));
        put_return(&mut out, QueueId(1), Position(2), often);
        put_encoded_topology(&mut out, b"change");
        let found: Result<Vec<_>, _> = Entries::new(&out).collect();
        let expected = [
            Entry::Publish(publishes[0]),
            Entry::Publish(publishes[1]),
            Entry::Settle {
                queue: QueueId(u64::MAX),
                first: 3,
                last: u64::MAX,
                gone,
            },
            Entry::Deliver {
                queue: QueueId(1),
                up_to: 2,
            },
            Entry::Return {
                queue: QueueId(1),
                position: 2,
                attempts: often,
            },
            Entry::Topology(b"change"),
        ];
        assert_eq!(found.as_deref(), Ok(&expected[..]));
        for end in 0..out.len() {
            let cut: Vec<_> = Entries::new(&out[..end]).collect();
            let whole = cut.iter().filter(|entry| entry.is_ok()).count();
            assert!(
                whole < expected.len() && cut.len() - whole <= 1,
                "cut at {end}"
            );
        }
    }

    #[test]
    fn flags_of_a_later_version_are_not_overlooked() {
        assert_eq!(
            Entries::new(&[PUBLISH, 32, 1, 1, 0]).next(),
            Some(Err(CodecError))
        );
    }
}
