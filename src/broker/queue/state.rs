//! What else a queue knows of a message, in eight octets: there may be many.

use crate::broker::attempts::{Attempts, ReturnCause};

/// The store has it.
const STORED: u8 = 1;
/// It was handed out before.
const REDELIVERED: u8 = 2;
/// From here on: why it came back last, counted from one.
const CAUSE_SHIFT: u32 = 2;

/// What else a queue knows of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    returns: u32,
    failures: u16,
    priority: u8,
    flags: u8,
}

impl State {
    /// A message of a priority that has fared like this so far.
    #[inline]
    pub(super) fn new(priority: u8, attempts: Attempts) -> Self {
        let cause = attempts.cause.map_or(0, |cause| cause as u8 + 1);
        Self {
            returns: attempts.returns,
            failures: attempts.failures,
            priority,
            flags: cause << CAUSE_SHIFT,
        }
    }

    /// The same, in the store or not.
    #[inline]
    pub(super) fn stored(self, stored: bool) -> Self {
        self.with(STORED, stored)
    }

    /// The same, handed out before or not.
    #[inline]
    pub(super) fn redelivered(self, redelivered: bool) -> Self {
        self.with(REDELIVERED, redelivered)
    }

    #[inline]
    fn with(mut self, flag: u8, on: bool) -> Self {
        self.flags = self.flags & !flag | if on { flag } else { 0 };
        self
    }

    #[inline]
    pub(super) fn is_stored(self) -> bool {
        self.flags & STORED != 0
    }

    #[inline]
    pub(super) fn is_redelivered(self) -> bool {
        self.flags & REDELIVERED != 0
    }

    #[inline]
    pub(super) fn priority(self) -> u8 {
        self.priority
    }

    pub(super) fn attempts(self) -> Attempts {
        let cause = usize::from(self.flags >> CAUSE_SHIFT).checked_sub(1);
        Attempts {
            returns: self.returns,
            failures: self.failures,
            cause: cause.and_then(|cause| ReturnCause::ALL.get(cause).copied()),
        }
    }

    /// Counts one more attempt in vain.
    pub(super) fn count(&mut self, cause: ReturnCause) {
        let mut attempts = self.attempts();
        attempts.count(cause);
        *self = Self::new(self.priority, attempts)
            .stored(self.is_stored())
            .redelivered(true);
    }
}

// A cache line holds a message and who has it.
const _: () = assert!(size_of::<State>() == 8);
