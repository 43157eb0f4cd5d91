//! Which queues a message goes to.
//!
//! ```text
//!   exchange --matches--> queue                    each queue once
//!      |         `------> exchange --> ...         each exchange once
//!      `--matches nothing--> alternate exchange --> ...
//! ```

use std::iter;
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashSet;

use super::exchange::{ExchangeId, Target};
use super::queue::{Incoming, Queue};
use super::topology::Topology;
use super::traffic::ExchangeTraffic;
use crate::base::ids::QueueId;
use crate::wire::{FieldTable, Properties};

/// The keys a message is routed by: its own, and those of its `CC` and `BCC`
/// headers. Octets, since what comes from a header needn't be UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct RoutingKeys<'a> {
    main: &'a [u8],
    copies: &'a [&'a [u8]],
}

impl<'a> RoutingKeys<'a> {
    /// A message with just a routing key.
    pub fn one(main: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::with_copies(main, &[])
    }

    /// A message with `copies` in its `CC` and `BCC` headers.
    pub fn with_copies(main: &'a (impl AsRef<[u8]> + ?Sized), copies: &'a [&'a [u8]]) -> Self {
        Self {
            main: main.as_ref(),
            copies,
        }
    }

    /// The message's own key.
    pub fn main(&self) -> &'a [u8] {
        self.main
    }

    /// The keys of its copies.
    pub fn copies(&self) -> impl Iterator<Item = &'a [u8]> {
        self.copies.iter().copied()
    }

    /// All keys, the message's own first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        iter::once(self.main).chain(self.copies())
    }
}

/// What exchanges may ask about a message beside its keys.
pub trait Traits {
    /// The header table.
    fn headers(&mut self) -> &FieldTable;

    /// The properties.
    fn properties(&self) -> Properties<'_> {
        Properties::default()
    }

    /// Whether what remembers messages in `queue` has had this one.
    fn is_known_to(&self, _queue: QueueId) -> bool {
        false
    }

    /// The message itself, for exchanges that keep some. [`None`] when none is
    /// on its way, and somebody just asks where one would go.
    fn incoming(&self) -> Option<&Incoming<'_>> {
        None
    }
}

impl Traits for FieldTable {
    fn headers(&mut self) -> &FieldTable {
        self
    }
}

/// What raw properties say about a message, decoded when first asked for.
/// Malformed ones count as none.
#[derive(Debug)]
pub struct RawTraits<'a> {
    properties: &'a [u8],
    headers: Option<FieldTable>,
    incoming: Option<&'a Incoming<'a>>,
    known_to: &'a [QueueId],
}

impl<'a> RawTraits<'a> {
    /// A message with `properties`, which are flags and properties in their raw
    /// form.
    pub fn new(properties: &'a [u8]) -> Self {
        Self {
            properties,
            headers: None,
            incoming: None,
            known_to: &[],
        }
    }

    /// A message on its way into queues.
    pub fn of(incoming: &'a Incoming<'a>) -> Self {
        Self {
            incoming: Some(incoming),
            ..Self::new(incoming.view().properties)
        }
    }

    /// The same message, which what remembers messages in `queues` has had.
    pub fn known_to(self, queues: &'a [QueueId]) -> Self {
        Self {
            known_to: queues,
            ..self
        }
    }
}

impl Traits for RawTraits<'_> {
    fn headers(&mut self) -> &FieldTable {
        let properties = self.properties;
        self.headers.get_or_insert_with(|| {
            Properties::parse(properties)
                .and_then(|properties| properties.headers_table())
                .unwrap_or_default()
        })
    }

    fn properties(&self) -> Properties<'_> {
        Properties::parse(self.properties).unwrap_or_default()
    }

    fn is_known_to(&self, queue: QueueId) -> bool {
        self.known_to.contains(&queue)
    }

    fn incoming(&self) -> Option<&Incoming<'_>> {
        self.incoming
    }
}

/// An exchange that may be published to.
#[derive(Debug)]
pub struct PublishTarget {
    /// Whether exchange and routing key alone decide the route, so that it may
    /// be kept for as long as the generation stays the same.
    pub cacheable: bool,
    /// Counts what passes it.
    pub traffic: Arc<ExchangeTraffic>,
}

/// Duplicates among more queues than this are found through a set.
const SCANNED_MAX: usize = 32;

impl Topology {
    /// Adds the queues that a message to `exchange` goes to, each once.
    /// Whether there is such an exchange.
    pub(super) fn route(
        &self,
        exchange: &str,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        out: &mut Vec<Arc<Queue>>,
    ) -> bool {
        let first = out.len();
        if exchange.is_empty() {
            self.route_by_name(keys, out);
            drop_duplicates(out, first);
            return true;
        }
        let Some(start) = self.exchange_id(exchange) else {
            return false;
        };
        self.route_from(start, keys, traits, out);
        true
    }

    /// Whether keys alone decide what messages to an exchange reach. On the
    /// safe side where following all ways would be needed to tell.
    pub(super) fn routes_by_keys(&self, id: ExchangeId) -> bool {
        if !self.looks_at_messages() {
            return true;
        }
        self.exchange(id).is_some_and(|exchange| {
            !exchange.table.looks_at_messages()
                && exchange.exchange_targets == 0
                && exchange.alternate.is_none()
        })
    }

    /// Adds the queues that a message in the exchange `start` goes to, each once.
    pub(super) fn route_from(
        &self,
        start: ExchangeId,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        out: &mut Vec<Arc<Queue>>,
    ) {
        let first = out.len();
        // Every exchange met, in the order in which it is looked into.
        let mut met: Vec<ExchangeId> = Vec::new();
        let mut next = 0;
        let mut current = Some(start);
        while let Some(id) = current {
            if let Some(exchange) = self.exchange(id) {
                let mut matched = false;
                exchange.table.route(keys, traits, &mut |target| {
                    matched = true;
                    match target {
                        Target::Queue(queue) => out.push(Arc::clone(queue)),
                        Target::Exchange(to) => meet(*to, start, &mut met),
                    }
                });
                if let Some(alternate) = exchange.alternate.as_deref().filter(|_| !matched) {
                    match self.exchange_id(alternate) {
                        Some(to) => meet(to, start, &mut met),
                        None if alternate.is_empty() => self.route_by_name(keys, out),
                        None => {}
                    }
                }
            }
            current = met.get(next).copied();
            next += 1;
        }
        drop_duplicates(out, first);
    }

    /// What the default exchange does.
    fn route_by_name(&self, keys: &RoutingKeys<'_>, out: &mut Vec<Arc<Queue>>) {
        out.extend(keys.iter().filter_map(|key| self.queue(key).cloned()));
    }
}

/// Notes an exchange to be looked into, unless it is or was noted before.
fn meet(id: ExchangeId, start: ExchangeId, met: &mut Vec<ExchangeId>) {
    if id != start && !met.contains(&id) {
        met.push(id);
    }
}

/// Leaves each queue once, where it comes first, looking from `first` on.
fn drop_duplicates(queues: &mut Vec<Arc<Queue>>, first: usize) {
    let found = queues.len() - first;
    if found <= 1 {
        return;
    }
    if found > SCANNED_MAX {
        let mut seen: HashSet<_, RandomState> =
            HashSet::with_capacity_and_hasher(found, RandomState::new());
        let mut at = 0;
        queues.retain(|queue| {
            at += 1;
            at <= first || seen.insert(queue.id())
        });
        return;
    }
    let mut kept = first;
    for at in first..queues.len() {
        let is_new = !queues[first..kept]
            .iter()
            .any(|queue| Arc::ptr_eq(queue, &queues[at]));
        if is_new {
            queues.swap(kept, at);
            kept += 1;
        }
    }
    queues.truncate(kept);
}
