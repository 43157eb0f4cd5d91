//! How fast counters move, now and over the last day.
//!
//! Every five seconds all counters are read and what has changed since
//! is put down. An object whose counters never moved has nothing here; one that
//! is idle again keeps some 500 octets; one that is busy some 2 KB, the whole
//! [`RATES_BYTES_MAX`] at most: where that isn't enough, less far back is kept.
//!
//! ```text
//!   sweep --> values of every object --changed--> Track: a Series for each span
//!                                                  |      |  5 s apart, 10 minutes
//!                                                  |      `  1 minute apart, 1 hour ...
//!                                                  `-- rates, for who asks for nothing more
//! ```

mod ages;
mod series;
mod sweep;
mod track;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value};

pub use self::ages::{Ages, Span};
pub use self::series::Series;
pub use self::sweep::run;
pub use self::track::Track;

use super::row::Wanted;
use crate::base::ids::{ConnectionId, QueueId};
use crate::base::limits::RATES_BYTES_MAX;

/// What counters are of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All there is.
    Node,
    /// A virtual host, by name.
    Vhost(Arc<str>),
    /// A queue.
    Queue(QueueId),
    /// An exchange, by virtual host and name.
    Exchange(Arc<str>, Arc<str>),
    /// A connection.
    Connection(ConnectionId),
    /// A channel, by connection and number.
    Channel(ConnectionId, u16),
}

/// The history of all counters.
#[derive(Debug, Default)]
pub struct Rates {
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    tracks: HashMap<Subject, Track>,
    /// When the last sweep was, milliseconds since 1970; 0 for never.
    swept: u64,
    /// How often what is kept was halved.
    halvings: u32,
}

/// The counters of an object, with what they count.
pub type Counters<'a> = (&'a [&'static str], &'a [u64]);

impl Rates {
    /// Takes a sweep's values. What isn't among them is forgotten.
    pub fn record(&self, at: u64, values: Vec<(Subject, Vec<u64>)>) {
        let mut past = self.past.lock();
        let first = past.swept == 0;
        past.swept = at;
        let halvings = past.halvings;
        let mut octets = 0;
        let mut tracks = HashMap::with_capacity(past.tracks.len());
        for (subject, values) in values {
            let track = match past.tracks.remove(&subject) {
                Some(mut track) => {
                    track.record(at, &values);
                    track
                }
                None if values.iter().all(|value| *value == 0) => continue,
                // What was there before the first sweep has come at no time.
                None => Track::new(&subject, at, values, first),
            };
            tracks.insert(subject, track);
        }
        for (subject, track) in &mut tracks {
            track.trim(
                at,
                if *subject == Subject::Node {
                    0
                } else {
                    halvings
                },
            );
            octets += track.octets();
        }
        past.tracks = tracks;
        if octets > RATES_BYTES_MAX {
            past.halvings += 1;
        } else if octets < RATES_BYTES_MAX / 4 {
            past.halvings = halvings.saturating_sub(1);
        }
    }

    /// Forgets all there was.
    pub fn reset(&self) {
        *self.past.lock() = Past::default();
    }

    /// Octets that the history takes.
    pub fn octets(&self) -> usize {
        let past = self.past.lock();
        past.tracks.values().map(Track::octets).sum()
    }

    /// Puts counters into an object, each with its `_details`: its rate, and as
    /// far back as `ages` asks for. `first` is where these are among all the
    /// counters of `subject`.
    pub fn put(
        &self,
        object: &mut Map<String, Value>,
        subject: &Subject,
        first: usize,
        counters: Counters<'_>,
        span: Option<Span>,
    ) {
        self.put_wanted(object, subject, first, counters, span, &Wanted::All);
    }

    /// The same with those counters alone that are wanted.
    pub fn put_wanted(
        &self,
        object: &mut Map<String, Value>,
        subject: &Subject,
        first: usize,
        (names, values): Counters<'_>,
        span: Option<Span>,
        wanted: &Wanted<'_>,
    ) {
        let counters = names.iter().zip(values).enumerate();
        let mut counters = counters
            .filter(|(_, (name, _))| wanted.has_counter(name))
            .peekable();
        if counters.peek().is_none() {
            return;
        }
        let past = self.past.lock();
        let track = past.tracks.get(subject);
        for (at, (name, value)) in counters {
            let details = match track {
                Some(track) => track.details(first + at, past.swept, span),
                None => track::nothing(*value, past.swept, span),
            };
            object.insert((*name).to_owned(), (*value).into());
            object.insert(format!("{name}_details"), details);
        }
    }

    /// How fast a counter moves, per second.
    pub fn rate(&self, subject: &Subject, counter: usize) -> f64 {
        let past = self.past.lock();
        let track = past.tracks.get(subject);
        track.map_or(0.0, |track| track.rate(counter, past.swept))
    }
}
