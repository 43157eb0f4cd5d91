//! Where messages went: what happens to those that rules choose, kept for a while.
//!
#![doc = include_str!("../../manual/trace.md")]

mod event;
mod ring;
mod rule;
mod story;
mod traceparent;
mod tracer;

pub use self::event::{Event, Happening, Identity, Removal, Way};
pub use self::ring::{Ring, RingStatus};
pub use self::rule::{Criteria, Rule, RuleError, Sample, fits};
pub use self::story::{Search, Stay, Story};
pub use self::traceparent::TraceParent;
pub use self::tracer::Tracer;

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Names a message that is traced, and every copy that the broker makes of it:
/// dead letters, replays. Later ones are greater, over restarts, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(NonZeroU64);

impl TraceId {
    /// The first there can be.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The one with that number; zero is none.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// Sixteen hexadecimal digits: more than a number in JSON can hold.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no [`TraceId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no id of a trace: expected sixteen hexadecimal digits")]
pub struct BadTraceId(String);

impl FromStr for TraceId {
    type Err = BadTraceId;

    fn from_str(text: &str) -> Result<Self, BadTraceId> {
        let number = u64::from_str_radix(text, 16).ok();
        let number = number.filter(|_| text.len() == 16);
        number
            .and_then(Self::new)
            .ok_or_else(|| BadTraceId(text.to_owned()))
    }
}
