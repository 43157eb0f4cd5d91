//! Heartbeats, both ways (AMQP 0-9-1, 4.2.7).

use std::time::Duration;

use crate::base::clock::Now;

use super::action::Liveness;

/// The heartbeats of one connection.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    /// The interval agreed on, seconds; 0 is none.
    interval_secs: u16,
    /// When the peer was last known to be there.
    heard_at: Option<Now>,
}

impl Heartbeat {
    pub(super) const fn every(interval_secs: u16) -> Self {
        Self {
            interval_secs,
            heard_at: None,
        }
    }

    /// The interval agreed on.
    pub(super) fn interval(&self) -> Option<Duration> {
        (self.interval_secs > 0).then(|| Duration::from_secs(self.interval_secs.into()))
    }

    /// Judges the peer at `now`; `heard` says whether anything came since the
    /// last call. The first call starts the watch.
    pub(super) fn listen(&mut self, now: Now, heard: bool) -> Liveness {
        let Some(interval) = self.interval() else {
            return Liveness::Alive;
        };
        let heard_at = match self.heard_at {
            Some(at) if !heard => at,
            _ => now,
        };
        self.heard_at = Some(heard_at);
        if now.monotonic_ms > heard_at.after(interval * 2).monotonic_ms {
            Liveness::Dead
        } else {
            Liveness::Alive
        }
    }
}
