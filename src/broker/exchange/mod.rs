//! The types of exchanges: how each finds what a message goes to.

mod consistent_hash;
mod deduplicating;
mod delayed;
mod direct;
mod fanout;
mod hash;
mod headers;
mod ordered;
mod recent_history;
mod targets;
mod topic;

use std::sync::Arc;

use self::consistent_hash::ConsistentHash;
use self::deduplicating::Deduplicating;
pub(super) use self::delayed::Delayed;
use self::direct::DirectTable;
use self::fanout::FanoutTable;
use self::headers::HeadersTable;
use self::ordered::{Chance, Ordered};
use self::recent_history::RecentHistory;
pub(super) use self::recent_history::Remembered;
pub(super) use self::targets::{ExchangeId, Target, TargetId};
use self::topic::TopicTrie;
use super::binding::BindingId;
use super::delay::DELAYED_EXCHANGE;
use super::once::ONCE_EXCHANGE;
use super::queue::Queue;
use super::resource::{Resource, precondition};
use super::routing::{RoutingKeys, Traits};
use super::spec::ExchangeSpec;
use crate::base::limits::TOPIC_HASH_WORDS_MAX;
use crate::wire::{FieldTable, Refusal};

/// What is bound to an exchange, arranged as its type looks it up.
#[derive(Debug)]
pub(super) enum RouteTable {
    Direct(DirectTable),
    Fanout(FanoutTable),
    Topic(TopicTrie),
    Headers(HeadersTable),
    ConsistentHash(ConsistentHash),
    ModulusHash(Ordered),
    Random(Ordered, Chance),
    LocalRandom(Ordered, Chance),
    RecentHistory(RecentHistory),
    Delayed(Delayed),
    Deduplicating(Box<Deduplicating>),
}

/// A binding as a table sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) id: BindingId,
    pub(super) key: &'a Arc<str>,
    pub(super) arguments: &'a FieldTable,
    pub(super) target: &'a Target,
    /// The target's name.
    pub(super) name: &'a Arc<str>,
}

impl<'a> Bound<'a> {
    /// What tells the target from others for good: ids are given anew.
    fn identity(&self) -> [&'a [u8]; 2] {
        let kind: &[u8] = match self.target {
            Target::Queue(_) => b"queue",
            Target::Exchange(_) => b"exchange",
        };
        [kind, self.name.as_bytes()]
    }
}

impl RouteTable {
    /// An empty table for an exchange; [`None`] if there is no such type.
    pub(super) fn new(spec: &ExchangeSpec) -> Option<Self> {
        let plain = Self::plain(spec)?;
        // What holds messages back looks for duplicates when it lets go of them.
        if !deduplicating::is_asked_for(spec) || matches!(plain, Self::Delayed(_)) {
            return Some(plain);
        }
        Some(Self::Deduplicating(Box::new(Deduplicating::new(plain))))
    }

    fn plain(spec: &ExchangeSpec) -> Option<Self> {
        match &*spec.kind {
            "direct" => Some(Self::Direct(DirectTable::default())),
            "fanout" | ONCE_EXCHANGE => Some(Self::Fanout(FanoutTable::default())),
            "topic" => Some(Self::Topic(TopicTrie::default())),
            "headers" => Some(Self::Headers(HeadersTable::default())),
            "x-consistent-hash" => Some(Self::ConsistentHash(ConsistentHash::new(&spec.arguments))),
            "x-modulus-hash" => Some(Self::ModulusHash(Ordered::default())),
            "x-random" => Some(Self::Random(Ordered::default(), Chance::of(&spec.name))),
            "x-local-random" => {
                // With one node, all queues are local.
                let chance = Chance::of(&spec.name);
                Some(Self::LocalRandom(Ordered::default(), chance))
            }
            "x-recent-history" => Some(Self::RecentHistory(RecentHistory::new(&spec.arguments))),
            DELAYED_EXCHANGE => Some(Self::Delayed(Delayed::new(spec))),
            _ => None,
        }
    }

    /// Checks the arguments of an exchange to be.
    ///
    /// # Errors
    /// 406 when its type can't have them.
    pub(super) fn check_arguments(
        &self,
        exchange: Resource<'_>,
        spec: &ExchangeSpec,
    ) -> Result<(), Refusal> {
        let arguments = &spec.arguments;
        match self {
            Self::Deduplicating(table) => {
                deduplicating::check_arguments(exchange, spec)?;
                table.inner().check_arguments(exchange, spec)
            }
            Self::ConsistentHash(_) => consistent_hash::check_arguments(exchange, arguments),
            Self::RecentHistory(_) => recent_history::check_arguments(arguments),
            Self::Delayed(table) => {
                table.check()?;
                let inner = table.inner();
                inner.map_or(Ok(()), |inner| inner.check_arguments(exchange, spec))
            }
            _ => Ok(()),
        }
    }

    /// Checks key, arguments and target of a binding to be.
    ///
    /// # Errors
    /// 406 when the type of exchange can't have such a binding.
    pub(super) fn check(
        &self,
        key: &str,
        arguments: &FieldTable,
        target: &Target,
    ) -> Result<(), Refusal> {
        match self {
            Self::Topic(_) => check_topic_key(key),
            Self::Headers(_) => headers::check_arguments(arguments),
            Self::ConsistentHash(_) => consistent_hash::check_weight(key),
            Self::LocalRandom(..) => ordered::check_local(key, target),
            Self::Deduplicating(table) => table.inner().check(key, arguments, target),
            Self::Delayed(table) => {
                let inner = table.inner();
                inner.map_or(Ok(()), |inner| inner.check(key, arguments, target))
            }
            _ => Ok(()),
        }
    }

    /// Adds a binding that isn't there yet.
    pub(super) fn insert(&mut self, bound: &Bound<'_>) {
        match self {
            Self::Direct(table) => table.insert(bound.key, bound.target),
            Self::Fanout(table) => table.insert(bound.target),
            Self::Topic(trie) => trie.insert(bound.key, bound.target),
            Self::Headers(table) => table.insert(bound.id, bound.arguments, bound.target),
            Self::ConsistentHash(table) => table.insert(bound),
            Self::ModulusHash(table) => table.insert(bound),
            Self::Random(table, _) | Self::LocalRandom(table, _) => table.insert(bound),
            Self::RecentHistory(table) => table.insert(bound.target),
            Self::Deduplicating(table) => table.inner_mut().insert(bound),
            Self::Delayed(table) => {
                if let Some(inner) = table.inner_mut() {
                    inner.insert(bound);
                }
            }
        }
    }

    /// Removes a binding that is there.
    pub(super) fn remove(&mut self, bound: &Bound<'_>) {
        match self {
            Self::Direct(table) => table.remove(bound.key, bound.target),
            Self::Fanout(table) => table.remove(bound.target),
            Self::Topic(trie) => trie.remove(bound.key, bound.target),
            Self::Headers(table) => table.remove(bound.id),
            Self::ConsistentHash(table) => table.remove(bound),
            Self::ModulusHash(table) => table.remove(bound),
            Self::Random(table, _) | Self::LocalRandom(table, _) => table.remove(bound),
            Self::RecentHistory(table) => table.remove(bound.target),
            Self::Deduplicating(table) => table.inner_mut().remove(bound),
            Self::Delayed(table) => {
                if let Some(inner) = table.inner_mut() {
                    inner.remove(bound);
                }
            }
        }
    }

    /// Calls `found` with everything a message goes to, some of it perhaps
    /// more than once.
    pub(super) fn route(
        &self,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        found: &mut dyn FnMut(&Target),
    ) {
        match self {
            Self::Direct(table) => keys.iter().for_each(|key| table.route(key, found)),
            Self::Fanout(table) => table.route(found),
            Self::Topic(trie) => keys.iter().for_each(|key| trie.route(key, found)),
            Self::Headers(table) if table.is_empty() => {}
            Self::Headers(table) => table.route(traits.headers(), found),
            Self::ConsistentHash(table) => table.route(keys, traits, found),
            Self::ModulusHash(table) => table.route_by_hash(keys, found),
            Self::Random(table, chance) | Self::LocalRandom(table, chance) => {
                table.route_by_chance(chance, found);
            }
            Self::RecentHistory(table) => table.route(keys, traits, found),
            Self::Delayed(table) => table.route(keys, traits, found),
            Self::Deduplicating(table) => table.route(keys, traits, found),
        }
    }

    /// Whether each message has to be looked at: where it goes isn't decided by
    /// its keys alone, or it is kept.
    pub(super) fn looks_at_messages(&self) -> bool {
        match self {
            Self::Direct(_) | Self::Fanout(_) | Self::Topic(_) | Self::ModulusHash(_) => false,
            Self::Headers(table) => !table.is_empty(),
            Self::ConsistentHash(table) => table.looks_at_messages(),
            Self::Random(..)
            | Self::LocalRandom(..)
            | Self::RecentHistory(_)
            | Self::Delayed(_)
            | Self::Deduplicating(_) => true,
        }
    }

    /// Has it remember the messages it routes in `queue`, if it does.
    pub(super) fn remember_in(&mut self, queue: &Arc<Queue>) {
        match self {
            Self::Deduplicating(table) => table.remember_in(Arc::clone(queue)),
            Self::Delayed(table) => {
                if let Some(inner) = table.inner_mut() {
                    inner.remember_in(queue);
                }
            }
            _ => {}
        }
    }

    /// Whether it remembers the messages it routes.
    pub(super) fn remembers(&self) -> bool {
        match self {
            Self::Deduplicating(_) => true,
            Self::Delayed(table) => table.inner().is_some_and(Self::remembers),
            _ => false,
        }
    }

    /// The messages that what is newly bound gets, oldest first.
    pub(super) fn past(&self) -> Vec<Remembered> {
        match self {
            Self::RecentHistory(table) => table.past(),
            Self::Delayed(table) => table.inner().map(Self::past).unwrap_or_default(),
            Self::Deduplicating(table) => table.inner().past(),
            _ => Vec::new(),
        }
    }
}

fn check_topic_key(key: &str) -> Result<(), Refusal> {
    let hashes = topic::hash_words(key);
    if hashes <= TOPIC_HASH_WORDS_MAX {
        return Ok(());
    }
    Err(precondition(format!(
        "Topic binding key '{key}' uses {hashes} '#' wildcards, at most \
         {TOPIC_HASH_WORDS_MAX} are allowed"
    )))
}
