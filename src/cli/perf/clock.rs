//! Time in nanoseconds, comparable between a filling and a draining run.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch that never step back within a run.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    origin: Instant,
    origin_ns: u64,
}

impl Stopwatch {
    /// Reads the wall clock once; from here on only the monotonic one counts.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            origin: Instant::now(),
            origin_ns: wall.map_or(0, |wall| wall.as_nanos() as u64),
        }
    }

    /// The time now.
    pub fn now_ns(&self) -> u64 {
        self.origin_ns + self.origin.elapsed().as_nanos() as u64
    }
}
