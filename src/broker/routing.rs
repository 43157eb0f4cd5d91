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
use super::queue::Queue;
use super::topology::Topology;
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

    /// All keys, the message's own first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        iter::once(self.main).chain(self.copies.iter().copied())
    }
}

/// Where the headers of a message come from when an exchange asks for them.
pub trait HeaderSource {
    /// The header table.
    fn headers(&mut self) -> &FieldTable;
}

impl HeaderSource for FieldTable {
    fn headers(&mut self) -> &FieldTable {
        self
    }
}

/// The headers in raw properties, decoded when first asked for.
#[derive(Debug)]
pub struct RawHeaders<'a> {
    properties: &'a [u8],
    decoded: Option<FieldTable>,
}

impl<'a> RawHeaders<'a> {
    /// The headers of `properties`, which are flags and properties in their raw
    /// form. Malformed ones count as none.
    pub fn new(properties: &'a [u8]) -> Self {
        Self {
            properties,
            decoded: None,
        }
    }
}

impl HeaderSource for RawHeaders<'_> {
    fn headers(&mut self) -> &FieldTable {
        let properties = self.properties;
        self.decoded.get_or_insert_with(|| {
            Properties::parse(properties)
                .and_then(|properties| properties.headers_table())
                .unwrap_or_default()
        })
    }
}

/// An exchange that may be published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishTarget {
    /// Whether exchange and routing key alone decide the route, so that it may
    /// be kept for as long as the generation stays the same.
    pub cacheable: bool,
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
        headers: &mut dyn HeaderSource,
        out: &mut Vec<Arc<Queue>>,
    ) -> bool {
        let first = out.len();
        if exchange.is_empty() {
            self.route_by_name(keys, out);
        } else {
            let Some(start) = self.exchange_id(exchange) else {
                return false;
            };
            self.route_from(start, keys, headers, out);
        }
        drop_duplicates(out, first);
        true
    }

    /// Whether keys alone decide what messages to an exchange reach. On the
    /// safe side where following all ways would be needed to tell.
    pub(super) fn routes_by_keys(&self, id: ExchangeId) -> bool {
        if !self.has_headers_bindings() {
            return true;
        }
        self.exchange(id).is_some_and(|exchange| {
            !exchange.table.needs_headers()
                && exchange.exchange_targets == 0
                && exchange.alternate.is_none()
        })
    }

    fn route_from(
        &self,
        start: ExchangeId,
        keys: &RoutingKeys<'_>,
        headers: &mut dyn HeaderSource,
        out: &mut Vec<Arc<Queue>>,
    ) {
        // Every exchange met, in the order in which it is looked into.
        let mut met: Vec<ExchangeId> = Vec::new();
        let mut next = 0;
        let mut current = Some(start);
        while let Some(id) = current {
            if let Some(exchange) = self.exchange(id) {
                let mut matched = false;
                exchange.table.route(keys, headers, &mut |target| {
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
