//! Consumers that keep a message for too long lose it, and their place
//! (`semantics` 9.6).
//!
//! What is held carries the second it was handed out in; nothing is kept in order
//! of that. Only when the first one may be overdue are they all looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::consumers::ConsumerSlot;
use super::core::{Held, QueueCore};
use crate::base::clock::Now;
use crate::broker::subscriber::{HeldSlot, Subscriber};

/// The second that follows, since 1970: so that nobody has less time than said.
fn next_second(now: Now) -> u32 {
    u32::try_from(now.unix_ms.div_ceil(1000)).unwrap_or(u32::MAX)
}

fn due(since: u32, timeout: u64) -> u64 {
    (u64::from(since) * 1000).saturating_add(timeout)
}

/// Somebody who asked for a message and has to settle it.
#[derive(Debug)]
struct Getter {
    subscriber: Arc<dyn Subscriber>,
    timeout: u64,
}

/// When it is worth looking at what consumers hold.
#[derive(Debug, Default)]
pub(super) struct Timeouts {
    /// Who has the messages that no consumer was handed.
    getters: BTreeMap<HeldSlot, Getter>,
    /// Nothing is overdue before then, milliseconds since 1970; `None` when
    /// nothing ever will be.
    first: Option<u64>,
}

impl Timeouts {
    /// Notes a message that is handed out now, if there is a limit to how long it
    /// may be held; the second that counts for it.
    #[inline]
    pub(super) fn begin(&mut self, timeout: Option<u64>, now: Now) -> u32 {
        let Some(timeout) = timeout else {
            return 0;
        };
        let since = next_second(now);
        self.note(since, timeout);
        since
    }

    /// Notes a message handed out in the second `since`, to be settled within
    /// `timeout` milliseconds.
    #[inline]
    pub(super) fn note(&mut self, since: u32, timeout: u64) {
        let at = due(since, timeout);
        if self.first.is_none_or(|first| at < first) {
            self.first = Some(at);
        }
    }

    /// A message isn't held any more.
    #[inline]
    pub(super) fn forget(&mut self, slot: HeldSlot) {
        if !self.getters.is_empty() {
            self.getters.remove(&slot);
        }
    }

    /// When something may be overdue first.
    pub(super) fn first(&self) -> Option<u64> {
        self.first
    }
}

/// A consumer that is late.
#[derive(Debug)]
pub struct Late {
    /// Which one; `None` when it isn't one, but asked for a message.
    pub consumer: Option<ConsumerSlot>,
    /// Its receiving end.
    pub subscriber: Arc<dyn Subscriber>,
    /// Milliseconds it had.
    pub timeout: u64,
    /// What it has kept for longer.
    pub held: Vec<HeldSlot>,
}

impl QueueCore {
    /// Gives who got a message, if there is a limit, so long to settle it.
    /// `usual` is the limit, milliseconds, where the queue has none of its own.
    pub fn time_got(
        &mut self,
        slot: HeldSlot,
        usual: Option<u64>,
        now: Now,
        subscriber: impl FnOnce() -> Arc<dyn Subscriber>,
    ) {
        let timeout = self.settings.consumer_timeout.or(usual);
        let Some(timeout) = timeout.filter(|timeout| *timeout > 0) else {
            return;
        };
        if let Some(held) = self.held.get_mut(slot.0 as usize) {
            held.since = next_second(now);
            self.timeouts.note(held.since, timeout);
            let subscriber = subscriber();
            let getter = Getter {
                subscriber,
                timeout,
            };
            self.timeouts.getters.insert(slot, getter);
        }
    }

    /// Those who are late, with what they should have settled.
    pub fn late(&mut self, now: Now) -> Vec<Late> {
        if self.timeouts.first.is_none_or(|first| first > now.unix_ms) {
            return Vec::new();
        }
        let mut first = None;
        let mut consumers: BTreeMap<u32, Late> = BTreeMap::new();
        let mut late = Vec::new();
        for (slot, held) in &self.held {
            let slot = HeldSlot(slot as u32);
            let Some((timeout, subscriber)) = self.keeper(slot, held) else {
                continue;
            };
            let at = due(held.since, timeout);
            if at > now.unix_ms {
                first = Some(first.map_or(at, |first: u64| first.min(at)));
                continue;
            }
            let new = || Late {
                consumer: held.consumer,
                subscriber: Arc::clone(subscriber),
                timeout,
                held: Vec::new(),
            };
            match held.consumer {
                Some(named) => {
                    let late = consumers.entry(named.index()).or_insert_with(new);
                    late.held.push(slot);
                }
                None => late.push(Late {
                    held: vec![slot],
                    ..new()
                }),
            }
        }
        self.timeouts.first = first;
        late.extend(consumers.into_values());
        late
    }

    /// Who has a message, and how long he may, if there is a limit.
    fn keeper(&self, slot: HeldSlot, held: &Held) -> Option<(u64, &Arc<dyn Subscriber>)> {
        match held.consumer {
            Some(named) => {
                let consumer = self.consumers.get(named)?;
                Some((consumer.timeout()?, consumer.subscriber()))
            }
            None => {
                let getter = self.timeouts.getters.get(&slot)?;
                Some((getter.timeout, &getter.subscriber))
            }
        }
    }
}
