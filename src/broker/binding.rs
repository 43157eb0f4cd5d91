//! The bindings of a virtual host.

use std::sync::Arc;

use ahash::RandomState;
use bytes::BytesMut;
use hashbrown::HashTable;
use slab::Slab;

use super::exchange::{ExchangeId, Target, TargetId};
use crate::wire::FieldTable;

/// The place of a binding in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BindingId(pub(super) u32);

/// A binding, and where the lists at its ends have it: taking it off them
/// costs the same however long they are.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) source: ExchangeId,
    pub(super) target: Target,
    pub(super) routing_key: Arc<str>,
    /// Ordered by name: the order they came in doesn't tell bindings apart.
    pub(super) arguments: FieldTable,
    pub(super) place_at_source: u32,
    pub(super) place_at_target: u32,
}

/// What identifies a binding.
#[derive(Debug, Clone, Copy)]
pub(super) struct BindingKey<'a> {
    pub(super) source: ExchangeId,
    pub(super) target: TargetId,
    pub(super) routing_key: &'a str,
    /// Ordered by name.
    pub(super) arguments: &'a FieldTable,
}

/// All bindings, found by what identifies them.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    slab: Slab<Binding>,
    index: HashTable<BindingId>,
    hasher: RandomState,
}

impl Binding {
    fn key(&self) -> BindingKey<'_> {
        BindingKey {
            source: self.source,
            target: self.target.id(),
            routing_key: &self.routing_key,
            arguments: &self.arguments,
        }
    }
}

impl BindingKey<'_> {
    fn hash(&self, hasher: &RandomState) -> u64 {
        if self.arguments.is_empty() {
            return hasher.hash_one((self.source, self.target, self.routing_key));
        }
        let arguments = encoded(self.arguments);
        hasher.hash_one((self.source, self.target, self.routing_key, &arguments[..]))
    }

    fn matches(&self, other: &Self) -> bool {
        self.source == other.source
            && self.target == other.target
            && self.routing_key == other.routing_key
            && same_arguments(self.arguments, other.arguments)
    }
}

impl Bindings {
    pub(super) fn find(&self, key: &BindingKey<'_>) -> Option<BindingId> {
        let same = |id: &BindingId| {
            self.get(*id)
                .is_some_and(|binding| binding.key().matches(key))
        };
        self.index.find(key.hash(&self.hasher), same).copied()
    }

    pub(super) fn get(&self, id: BindingId) -> Option<&Binding> {
        self.slab.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: BindingId) -> Option<&mut Binding> {
        self.slab.get_mut(id.0 as usize)
    }

    /// Adds a binding that isn't there yet.
    pub(super) fn insert(&mut self, binding: Binding) -> BindingId {
        let hash = binding.key().hash(&self.hasher);
        let id = BindingId(self.slab.insert(binding) as u32);
        let (slab, hasher) = (&self.slab, &self.hasher);
        self.index
            .insert_unique(hash, id, |id| slab[id.0 as usize].key().hash(hasher));
        id
    }

    pub(super) fn remove(&mut self, id: BindingId) -> Option<Binding> {
        let binding = self.slab.try_remove(id.0 as usize)?;
        let hash = binding.key().hash(&self.hasher);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        Some(binding)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.slab.iter().map(|(_, binding)| binding)
    }
}

/// Compared as they are encoded: a NaN in them doesn't make a binding unequal
/// to itself.
fn same_arguments(one: &FieldTable, other: &FieldTable) -> bool {
    (one.is_empty() && other.is_empty()) || encoded(one) == encoded(other)
}

fn encoded(arguments: &FieldTable) -> BytesMut {
    let mut out = BytesMut::new();
    arguments.put_entries(&mut out);
    out
}
