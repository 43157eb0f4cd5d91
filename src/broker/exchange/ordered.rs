//! The exchanges that pick one binding of all: the modulus-hash exchange by the
//! message's keys, the random ones by chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::targets::Target;
use super::{Bound, hash};
use crate::broker::arguments;
use crate::broker::binding::BindingId;
use crate::broker::resource::precondition;
use crate::broker::routing::RoutingKeys;
use crate::wire::Refusal;

/// Bindings in the order of their destinations, exchanges before queues and then
/// by name: the same in every run, whatever order they were made in.
#[derive(Debug, Default)]
pub(in crate::broker) struct Ordered {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    target: Target,
    binding: BindingId,
}

type Rank<'a> = (bool, &'a str);

fn rank<'a>(target: &Target, name: &'a str) -> Rank<'a> {
    (matches!(target, Target::Queue(_)), name)
}

impl Entry {
    fn rank(&self) -> Rank<'_> {
        rank(&self.target, &self.name)
    }
}

impl Ordered {
    pub(super) fn insert(&mut self, bound: &Bound<'_>) {
        let place = self.first_of(bound);
        let entry = Entry {
            name: Arc::clone(bound.name),
            target: bound.target.clone(),
            binding: bound.id,
        };
        self.entries.insert(place, entry);
    }

    pub(super) fn remove(&mut self, bound: &Bound<'_>) {
        let first = self.first_of(bound);
        let found = self.entries.iter().skip(first);
        let place = found.take_while(|entry| entry.target.id() == bound.target.id());
        if let Some((place, _)) = (first..)
            .zip(place)
            .find(|(_, entry)| entry.binding == bound.id)
        {
            self.entries.remove(place);
        }
    }

    fn first_of(&self, bound: &Bound<'_>) -> usize {
        let wanted = rank(bound.target, bound.name);
        self.entries.partition_point(|entry| entry.rank() < wanted)
    }

    /// Where the message's keys together lead, copies included.
    pub(super) fn route_by_hash(&self, keys: &RoutingKeys<'_>, found: &mut dyn FnMut(&Target)) {
        self.pick(found, || hash::of_parts(keys.iter()));
    }

    /// Where chance leads.
    pub(super) fn route_by_chance(&self, chance: &Chance, found: &mut dyn FnMut(&Target)) {
        self.pick(found, || chance.next());
    }

    fn pick(&self, found: &mut dyn FnMut(&Target), hash: impl FnOnce() -> u64) {
        let count = self.entries.len();
        let place = if count > 1 {
            hash::below(hash(), count)
        } else {
            0
        };
        if let Some(entry) = self.entries.get(place) {
            found(&entry.target);
        }
    }
}

/// A sequence that looks random (SplitMix64). Begun from the exchange's name and
/// moved on by nothing but messages: the core has no randomness of its own, and
/// what happened can be had again.
#[derive(Debug)]
pub(in crate::broker) struct Chance {
    state: AtomicU64,
}

/// What the state moves on by: odd and without a pattern, so that it comes by
/// every value.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    pub(super) fn of(exchange: &str) -> Self {
        Self {
            state: AtomicU64::new(hash::of_parts([exchange.as_bytes()])),
        }
    }

    fn next(&self) -> u64 {
        hash::mixed(self.state.fetch_add(STEP, Ordering::Relaxed))
    }
}

/// Checks a binding of a local-random exchange to be.
///
/// # Errors
/// 406 when it has a key, or leads to anything but a classic queue.
pub(super) fn check_local(key: &str, target: &Target) -> Result<(), Refusal> {
    if !key.is_empty() {
        let text = format!("Non empty binding '{key}' key not permitted");
        return Err(precondition(text));
    }
    let Target::Queue(queue) = target else {
        return Err(precondition("Destination not found"));
    };
    let kind = arguments::queue_type(&queue.spec().arguments).unwrap_or_default();
    if kind == arguments::QueueType::Classic {
        return Ok(());
    }
    Err(precondition(format!(
        "Queue type {} not valid for this exchange type",
        kind.internal_name()
    )))
}
