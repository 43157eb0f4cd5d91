//! How logins went, counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::base::limits::LOGIN_SOURCES_MAX;

/// What somebody logs in over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// AMQP 0-9-1
    Amqp,
    /// The management API.
    Http,
}

impl Protocol {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Http, Self::Amqp];

    /// RabbitMQ's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amqp => "amqp091",
            Self::Http => "http",
        }
    }
}

/// How many logins were tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Those that were right.
    pub succeeded: u64,
    /// Those that weren't, or weren't looked at.
    pub failed: u64,
}

/// Who tried to log in, from where and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// From where.
    pub address: IpAddr,
    /// Who.
    pub user: Arc<str>,
    /// How.
    pub protocol: Protocol,
}

/// All logins since the start, or since somebody began to count anew.
#[derive(Debug, Default)]
pub struct Attempts {
    amqp: Counter,
    http: Counter,
    sources: Mutex<HashMap<Source, Tally, ahash::RandomState>>,
}

#[derive(Debug, Default)]
struct Counter {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Attempts {
    /// Counts one.
    pub fn count(&self, source: Source, succeeded: bool) {
        let counter = self.counter(source.protocol);
        let cell = if succeeded {
            &counter.succeeded
        } else {
            &counter.failed
        };
        cell.fetch_add(1, Ordering::Relaxed);
        let mut sources = self.sources.lock();
        // Those that come too late count in the totals alone.
        if sources.len() >= LOGIN_SOURCES_MAX && !sources.contains_key(&source) {
            return;
        }
        let tally = sources.entry(source).or_default();
        if succeeded {
            tally.succeeded += 1;
        } else {
            tally.failed += 1;
        }
    }

    /// Those over one protocol.
    pub fn tally(&self, protocol: Protocol) -> Tally {
        let counter = self.counter(protocol);
        Tally {
            succeeded: counter.succeeded.load(Ordering::Relaxed),
            failed: counter.failed.load(Ordering::Relaxed),
        }
    }

    /// Those of each source, up to [`LOGIN_SOURCES_MAX`] of them.
    pub fn by_source(&self) -> Vec<(Source, Tally)> {
        let sources = self.sources.lock();
        sources
            .iter()
            .map(|(who, tally)| (who.clone(), *tally))
            .collect()
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        for protocol in Protocol::ALL {
            let counter = self.counter(protocol);
            counter.succeeded.store(0, Ordering::Relaxed);
            counter.failed.store(0, Ordering::Relaxed);
        }
        self.reset_sources();
    }

    /// Forgets the sources; the totals stay.
    pub fn reset_sources(&self) {
        self.sources.lock().clear();
    }

    fn counter(&self, protocol: Protocol) -> &Counter {
        match protocol {
            Protocol::Amqp => &self.amqp,
            Protocol::Http => &self.http,
        }
    }
}
