//! Time as an argument.
//!
//! No layer below the server reads a clock. Whoever drives the broker reads
//! both clocks once per batch of work and hands the result down, so that the
//! state machines can be tested without sleeping and replayed from a log.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds on a clock that never goes back; its zero has no meaning.
    pub monotonic_ms: u64,
    /// Milliseconds since the Unix epoch, for everything that survives a restart.
    pub unix_ms: u64,
}

impl Now {
    /// A reading for tests and simulations: both clocks show `ms`.
    pub const fn at_ms(ms: u64) -> Self {
        Self {
            monotonic_ms: ms,
            unix_ms: ms,
        }
    }

    /// This reading moved on by `duration`.
    pub fn after(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            monotonic_ms: self.monotonic_ms.saturating_add(ms),
            unix_ms: self.unix_ms.saturating_add(ms),
        }
    }

    /// Seconds since the Unix epoch, the unit of AMQP's `timestamp`.
    pub fn unix_secs(self) -> u64 {
        self.unix_ms / 1000
    }
}

/// Where readings come from: the machine, or a test that turns the hands itself.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading starts at zero now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// How long something takes, for those who only count it: nothing they do may
/// depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since it began.
    pub fn microseconds(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
