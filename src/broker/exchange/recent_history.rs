//! The recent-history exchange: to everything bound, and the last few messages
//! again to whatever is bound later.
//!
//! What it keeps is in memory and gone after a restart, the exchange durable or
//! not. It is bounded in number by the exchange's argument and in octets by
//! [`HISTORY_BYTES_MAX`], whatever the argument says.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

use super::targets::{Target, Targets};
use crate::base::limits::HISTORY_BYTES_MAX;
use crate::broker::erlang;
use crate::broker::message::Message;
use crate::broker::queue::Incoming;
use crate::broker::resource::precondition;
use crate::broker::routing::{RoutingKeys, Traits};
use crate::wire::{FieldTable, FieldValue, Refusal};

/// The argument that says how many messages are kept.
const LENGTH: &str = "x-recent-history-length";
/// How many are kept when nothing is said.
const LENGTH_DEFAULT: usize = 20;
/// The header of a message that isn't to be kept.
const NO_STORE: &str = "x-recent-history-no-store";

/// What is bound to a recent-history exchange, and what has come by.
#[derive(Debug)]
pub(in crate::broker) struct RecentHistory {
    targets: Targets,
    length: usize,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    messages: VecDeque<Remembered>,
    octets: usize,
}

/// A message that came by.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Remembered {
    message: Message,
    expiration: Option<u64>,
    /// The keys of its `CC` and `BCC` headers.
    pub(in crate::broker) copies: Box<[Bytes]>,
}

impl Remembered {
    /// The message, as if it came again.
    pub(in crate::broker) fn incoming(&self) -> Incoming<'static> {
        Incoming::kept(self.message.clone()).expiring(self.expiration)
    }
}

impl RecentHistory {
    /// An exchange declared with `arguments`, which were checked.
    pub(super) fn new(arguments: &FieldTable) -> Self {
        let length = arguments.get(LENGTH).and_then(FieldValue::as_i64);
        let length = length.and_then(|length| usize::try_from(length).ok());
        Self {
            targets: Targets::default(),
            length: length.unwrap_or(LENGTH_DEFAULT),
            past: Mutex::default(),
        }
    }

    pub(super) fn insert(&mut self, target: &Target) {
        self.targets.insert(target);
    }

    pub(super) fn remove(&mut self, target: &Target) {
        self.targets.remove(target);
    }

    pub(super) fn route(
        &self,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        found: &mut dyn FnMut(&Target),
    ) {
        self.remember(keys, traits);
        self.targets.iter().for_each(found);
    }

    /// What has come by, oldest first.
    pub(super) fn past(&self) -> Vec<Remembered> {
        self.past.lock().messages.iter().cloned().collect()
    }

    fn remember(&self, keys: &RoutingKeys<'_>, traits: &mut dyn Traits) {
        if traits.headers().get(NO_STORE) == Some(&FieldValue::Bool(true)) {
            return;
        }
        let Some(incoming) = traits.incoming() else {
            return;
        };
        let remembered = Remembered {
            message: incoming.message().clone(),
            expiration: incoming.expiration(),
            copies: keys.copies().map(Bytes::copy_from_slice).collect(),
        };
        let mut past = self.past.lock();
        past.octets += remembered.message.stored_len();
        past.messages.push_back(remembered);
        while past.messages.len() > self.length || past.octets > HISTORY_BYTES_MAX {
            let Some(oldest) = past.messages.pop_front() else {
                return;
            };
            past.octets -= oldest.message.stored_len();
        }
    }
}

/// Checks the arguments of an exchange to be.
///
/// # Errors
/// 406 when the length isn't a positive integer.
pub(super) fn check_arguments(arguments: &FieldTable) -> Result<(), Refusal> {
    let Some(value) = arguments.get(LENGTH) else {
        return Ok(());
    };
    let is_signed = matches!(value.type_name(), "byte" | "short" | "signedint" | "long");
    if is_signed && value.as_i64().is_some_and(|length| length > 0) {
        return Ok(());
    }
    Err(precondition(format!(
        "Invalid argument {}, '{LENGTH}' must be a positive integer",
        erlang::term(value)
    )))
}
