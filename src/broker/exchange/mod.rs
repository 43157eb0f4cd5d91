//! The types of exchanges: how each finds what a message goes to.

mod direct;
mod fanout;
mod headers;
mod targets;
mod topic;

use std::sync::Arc;

use self::direct::DirectTable;
use self::fanout::FanoutTable;
use self::headers::HeadersTable;
pub(super) use self::targets::{ExchangeId, Target, TargetId};
use self::topic::TopicTrie;
use super::binding::BindingId;
use super::resource::precondition;
use super::routing::{HeaderSource, RoutingKeys};
use crate::base::limits::TOPIC_HASH_WORDS_MAX;
use crate::wire::{FieldTable, Refusal};

/// What is bound to an exchange, arranged as its type looks it up.
#[derive(Debug)]
pub(super) enum RouteTable {
    Direct(DirectTable),
    Fanout(FanoutTable),
    Topic(TopicTrie),
    Headers(HeadersTable),
}

impl RouteTable {
    /// An empty table for an exchange of type `kind`; [`None`] if there is no
    /// such type.
    pub(super) fn of_kind(kind: &str) -> Option<Self> {
        match kind {
            "direct" => Some(Self::Direct(DirectTable::default())),
            "fanout" => Some(Self::Fanout(FanoutTable::default())),
            "topic" => Some(Self::Topic(TopicTrie::default())),
            "headers" => Some(Self::Headers(HeadersTable::default())),
            _ => None,
        }
    }

    /// Checks key and arguments of a binding to be.
    ///
    /// # Errors
    /// 406 when the type of exchange can't have such a binding.
    pub(super) fn check(&self, key: &str, arguments: &FieldTable) -> Result<(), Refusal> {
        match self {
            Self::Direct(_) | Self::Fanout(_) => Ok(()),
            Self::Topic(_) => check_topic_key(key),
            Self::Headers(_) => headers::check_arguments(arguments),
        }
    }

    /// Adds a binding that isn't there yet.
    pub(super) fn insert(
        &mut self,
        binding: BindingId,
        key: &Arc<str>,
        arguments: &FieldTable,
        target: &Target,
    ) {
        match self {
            Self::Direct(table) => table.insert(key, target),
            Self::Fanout(table) => table.insert(target),
            Self::Topic(trie) => trie.insert(key, target),
            Self::Headers(table) => table.insert(binding, arguments, target),
        }
    }

    /// Removes a binding that is there.
    pub(super) fn remove(&mut self, binding: BindingId, key: &str, target: &Target) {
        match self {
            Self::Direct(table) => table.remove(key, target),
            Self::Fanout(table) => table.remove(target),
            Self::Topic(trie) => trie.remove(key, target),
            Self::Headers(table) => table.remove(binding),
        }
    }

    /// Calls `found` with everything a message goes to, some of it perhaps
    /// more than once.
    pub(super) fn route(
        &self,
        keys: &RoutingKeys<'_>,
        headers: &mut dyn HeaderSource,
        found: &mut dyn FnMut(&Target),
    ) {
        match self {
            Self::Direct(table) => keys.iter().for_each(|key| table.route(key, found)),
            Self::Fanout(table) => table.route(found),
            Self::Topic(trie) => keys.iter().for_each(|key| trie.route(key, found)),
            Self::Headers(table) if table.is_empty() => {}
            Self::Headers(table) => table.route(headers.headers(), found),
        }
    }

    /// Whether anything but a message's keys decides where it goes.
    pub(super) fn needs_headers(&self) -> bool {
        matches!(self, Self::Headers(table) if !table.is_empty())
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
