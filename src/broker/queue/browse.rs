//! Looking at the messages that wait, without handing any out.
//!
//! ```text
//!   returned      what came back to a quorum queue
//!   lanes         the highest priority first, by place; what is left to the
//!                 store is read from there, beside the queue's own reading
//!   retries       what waits to be tried again, by when
//! ```
//!
//! A look changes nothing: neither order nor counts, nor what is in memory. It
//! goes on after a place in that order, not after a number of messages, so it
//! neither repeats nor passes over one while others come and go.

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Queue;
use super::backlog::{Entry, Wanted};
use super::core::QueueCore;
use super::retries::RetryKey;
use crate::base::clock::Now;
use crate::base::ids::{Position, QueueId};
use crate::base::limits::QUEUE_PAGE;
use crate::broker::attempts::Attempts;
use crate::broker::message::Message;
use crate::broker::store::{Load, Page, Receiver};

/// How many messages are looked at with the lock held.
const LOOK_BUDGET: usize = 512;

/// Which message of a queue: no other one ever has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Its priority there.
    pub priority: u8,
    /// Its place among those of that priority.
    pub position: Position,
}

impl Place {
    /// That of a waiting message.
    pub fn of(entry: &Entry) -> Self {
        Self {
            priority: entry.priority(),
            position: entry.position,
        }
    }
}

/// `17`, or `17p9` for one of priority 9.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position.0)?;
        match self.priority {
            0 => Ok(()),
            priority => write!(f, "p{priority}"),
        }
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let (position, priority) = text.split_once('p').unwrap_or((text, "0"));
        match (position.parse(), priority.parse()) {
            (Ok(position), Ok(priority)) => Ok(Self {
                priority,
                position: Position(position),
            }),
            _ => Err(BadPlace(text.to_owned())),
        }
    }
}

/// A text that names no message and no place to go on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither the id of a message, like 17 or 17p9, nor a cursor as it was given")]
pub struct BadPlace(String);

/// Where a look goes on: after a message, whether that is still there or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cursor {
    /// From the first message on.
    #[default]
    Start,
    /// After one that came back to its queue.
    Returned(Place),
    /// After one that waits in its place.
    Waiting(Place),
    /// After one that waits to be tried again.
    Delayed(RetryKey),
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => Ok(()),
            Self::Returned(place) => write!(f, "r{place}"),
            Self::Waiting(place) => write!(f, "w{place}"),
            Self::Delayed(RetryKey { due, serial }) => write!(f, "d{due}.{serial}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let bad = || BadPlace(text.to_owned());
        let mut rest = text.chars();
        match rest.next() {
            None => Ok(Self::Start),
            Some('r') => Ok(Self::Returned(rest.as_str().parse()?)),
            Some('w') => Ok(Self::Waiting(rest.as_str().parse()?)),
            Some('d') => {
                let (due, serial) = rest.as_str().split_once('.').ok_or_else(bad)?;
                Ok(Self::Delayed(RetryKey {
                    due: due.parse().map_err(|_| bad())?,
                    serial: serial.parse().map_err(|_| bad())?,
                }))
            }
            Some(_) => Err(bad()),
        }
    }
}

/// What somebody wants to look at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Where to begin.
    pub after: Cursor,
    /// Messages at most.
    pub messages: usize,
    /// Octets about which to stop, as [`Message::stored_len`] counts them.
    pub bytes: usize,
}

/// What of a queue was looked at.
#[derive(Debug, Default)]
pub struct Glance {
    /// Messages in the order in which they are handed out, those last that wait
    /// to be tried again. There may be fewer than wanted, or none, though more
    /// wait.
    pub seen: Vec<Seen>,
    /// Where to go on, if there may be more.
    pub next: Option<Cursor>,
}

/// A message that waited when it was looked at.
#[derive(Debug, Clone)]
pub struct Seen {
    pub(super) entry: Entry,
    pub(super) cursor: Cursor,
    /// How many messages of its priority had been taken out by then.
    pub(super) departures: u64,
}

impl Seen {
    /// Which one it is.
    pub fn place(&self) -> Place {
        Place::of(&self.entry)
    }

    /// Where a look goes on after it.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.entry.message
    }

    /// When it expires, milliseconds since 1970.
    pub fn deadline(&self) -> Option<u64> {
        self.entry.deadline.map(u64::from)
    }

    /// How it has fared in its queue.
    pub fn attempts(&self) -> Attempts {
        self.entry.attempts()
    }

    /// Whether it was handed out before.
    pub fn is_redelivered(&self) -> bool {
        self.entry.is_redelivered()
    }

    /// When it is tried again, milliseconds since 1970, if it waits for that.
    pub fn due(&self) -> Option<u64> {
        match self.cursor {
            Cursor::Delayed(key) => Some(key.due),
            _ => None,
        }
    }
}

/// How far a queue had got: what comes later is beyond it.
#[derive(Debug, Clone, Default)]
pub struct Frontier(Vec<Place>);

impl Frontier {
    /// Whether a message was there already.
    pub fn covers(&self, place: Place) -> bool {
        let mut lanes = self.0.iter();
        let lane = lanes.find(|last| last.priority == place.priority);
        lane.is_some_and(|last| place.position <= last.position)
    }
}

/// Gathers what a look comes across.
#[derive(Debug)]
pub(super) struct Gathering {
    seen: Vec<Seen>,
    messages: usize,
    bytes: usize,
    /// For what is seen next, see [`Seen::departures`].
    pub(super) departures: u64,
}

impl Gathering {
    fn of(look: &Look) -> Self {
        Self {
            departures: 0,
            seen: Vec::new(),
            messages: look.messages.clamp(1, LOOK_BUDGET),
            bytes: look.bytes.max(1),
        }
    }

    /// Adds a message; whether there was room for it.
    pub(super) fn add(&mut self, entry: &Entry, cursor: Cursor) -> bool {
        if self.messages == 0 || self.bytes == 0 {
            return false;
        }
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(entry.message.stored_len());
        self.seen.push(Seen {
            entry: entry.clone(),
            cursor,
            departures: self.departures,
        });
        true
    }

    /// The same for a message in its place.
    pub(super) fn add_waiting(&mut self, entry: &Entry) -> bool {
        self.add(entry, Cursor::Waiting(Place::of(entry)))
    }

    /// Whether nothing was found yet.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How many more messages are wanted.
    pub(super) fn messages_left(&self) -> u64 {
        self.messages as u64
    }

    /// Ends the look before its end.
    fn cut(self) -> Glance {
        let next = self.seen.last().map(Seen::cursor);
        Glance {
            seen: self.seen,
            next,
        }
    }
}

/// How far a look got.
#[derive(Debug)]
pub(super) enum Reached {
    /// There is no more.
    End,
    /// There is more than was wanted.
    Enough,
    /// What comes next is in the store.
    Stored(InStore),
}

/// Messages to be looked at that are in the store.
#[derive(Debug)]
pub(super) struct InStore {
    /// What they are stored under.
    pub(super) lane: QueueId,
    /// Which they are.
    pub(super) wanted: Wanted,
    /// See [`Seen::departures`].
    pub(super) departures: u64,
}

impl QueueCore {
    /// Looks at what is in memory.
    ///
    /// # Errors
    /// What is to be read back from the store instead, for
    /// [`QueueCore::glance_at`].
    pub(super) fn glance(&self, look: &Look) -> Result<Glance, InStore> {
        let mut found = Gathering::of(look);
        if !matches!(look.after, Cursor::Delayed(_)) {
            match self.ready.look(look.after, &mut found) {
                Reached::End => {}
                Reached::Enough => return Ok(found.cut()),
                Reached::Stored(mut stored) => {
                    if !found.is_empty() {
                        return Ok(found.cut());
                    }
                    let bytes = stored.wanted.bytes.min(look.bytes);
                    stored.wanted.bytes = bytes.min(QUEUE_PAGE as usize);
                    return Err(stored);
                }
            }
        }
        let after = match look.after {
            Cursor::Delayed(key) => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        for (key, entry) in self.retries.after(after) {
            if !found.add(entry, Cursor::Delayed(key)) {
                return Ok(found.cut());
            }
        }
        Ok(Glance {
            seen: found.seen,
            next: None,
        })
    }

    /// Looks at what was read back, as far as it still waits. It was asked for when
    /// there had been so many departures.
    pub(super) fn glance_at(&self, look: &Look, page: Page, departures: u64) -> Glance {
        let mut found = Gathering::of(look);
        found.departures = departures;
        match self.ready.look_at(page, &mut found) {
            Ok(through) => Glance {
                seen: found.seen,
                next: through.map(Cursor::Waiting),
            },
            Err(Enough) => found.cut(),
        }
    }
}

/// There is more than was wanted.
#[derive(Debug)]
pub(super) struct Enough;

impl Queue {
    /// Looks at messages that wait and hands them to `then`, with no lock held: at
    /// once or, if they have to be read back, on the store's thread. A store that
    /// is closed in the meantime drops `then`.
    pub fn browse(self: &Arc<Self>, look: Look, then: impl FnOnce(Glance) + Send + 'static) {
        let glance = self.core.lock().glance(&look);
        match glance {
            Ok(glance) => then(glance),
            Err(InStore {
                lane,
                wanted,
                departures,
            }) => self.store.load(Load {
                queue: lane,
                from: wanted.from,
                to: wanted.to,
                bytes: wanted.bytes,
                batch: wanted.batch,
                receiver: Arc::new(Looker {
                    queue: Arc::clone(self),
                    look,
                    departures,
                    then: Mutex::new(Some(Box::new(then))),
                }),
            }),
        }
    }

    /// How far it has got.
    pub fn frontier(&self) -> Frontier {
        Frontier(self.core.lock().ready.last_places().collect())
    }

    /// Whether a message is handed out and not settled yet.
    pub fn is_held(&self, place: Place) -> bool {
        self.core.lock().is_held(place)
    }
}

type Then = Box<dyn FnOnce(Glance) + Send>;

/// Somebody who looks at what is in the store.
struct Looker {
    queue: Arc<Queue>,
    look: Look,
    departures: u64,
    then: Mutex<Option<Then>>,
}

impl fmt::Debug for Looker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, look, .. } = self;
        f.debug_struct("Looker")
            .field("queue", queue.name())
            .field("look", look)
            .finish_non_exhaustive()
    }
}

impl Receiver for Looker {
    fn receive(self: Arc<Self>, page: Page, _: Now) {
        let core = self.queue.core.lock();
        let glance = core.glance_at(&self.look, page, self.departures);
        drop(core);
        let then = self.then.lock().take();
        if let Some(then) = then {
            then(glance);
        }
    }
}
