//! How a message has fared in its queue so far.

use bytes::BytesMut;

use crate::wire::{FieldTable, Properties};

/// Why a message came back to its queue (`semantics` 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnCause {
    /// `basic.nack`, or `basic.recover`: whoever had it couldn't take it now.
    Returned,
    /// `basic.reject`: whoever had it failed at it.
    Rejected,
    /// The channel or the connection it was handed to closed.
    Closed,
    /// Whoever had it took longer than the consumer timeout.
    TimedOut,
}

impl ReturnCause {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Returned, Self::Rejected, Self::Closed, Self::TimedOut];

    /// Whether it counts as a failed attempt.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Rejected | Self::Closed)
    }

    /// The name in the `x-last-failure` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Rejected => "rejected",
            Self::Closed => "closed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// How often a message was handed out in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// How often it has come back to its queue.
    pub returns: u32,
    /// How many of these were failed attempts. Counts up to 65,535 and stays there.
    pub failures: u16,
    /// Why it came back last.
    pub cause: Option<ReturnCause>,
}

impl Attempts {
    /// Counts one more return.
    pub fn count(&mut self, cause: ReturnCause) {
        self.returns = self.returns.saturating_add(1);
        self.failures = self.failures.saturating_add(cause.is_failure().into());
        self.cause = Some(cause);
    }
}

impl Attempts {
    /// Properties that say so in headers: `x-acquired-count`, how often the
    /// message was handed out before, and `x-delivery-count`, how many of these
    /// attempts failed (`semantics` 10); and, where that is known here,
    /// `x-last-failure`, why it came back last.
    pub fn annotate(&self, properties: &[u8]) -> BytesMut {
        // Checked when the message came in; an empty default keeps it moving.
        let properties = Properties::parse(properties).unwrap_or_default();
        let mut headers: FieldTable = properties.headers_table().unwrap_or_default();
        headers.set("x-acquired-count", i64::from(self.returns));
        if self.failures > 0 {
            headers.set("x-delivery-count", i64::from(self.failures));
        }
        if let Some(last) = self.cause {
            headers.set("x-last-failure", last.name());
        }
        properties.with_headers(&headers)
    }
}
