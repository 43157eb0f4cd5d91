//! Direct reply-to: replies that go straight to who asked, through no queue
//! (`semantics` 13).

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::RwLock;

use super::effects::Effects;
use super::message::MessageView;

/// What requesters consume from and give as their reply-to. An address proper,
/// which this stands for, begins with it and a dot.
pub const DIRECT_REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Whether `name` is that of direct reply-to or an address of it: queues that
/// are none.
pub fn is_direct_reply_to(name: &str) -> bool {
    name.strip_prefix(DIRECT_REPLY_TO)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Somebody who waits for replies.
///
/// Called with the addresses locked: must neither wait nor call back into them.
pub trait Requester: Debug + Send + Sync {
    /// Takes a reply; whether there was room for it.
    fn reply(&self, message: &MessageView<'_>, effects: &mut Effects) -> bool;
}

/// The addresses that somebody waits at.
#[derive(Debug, Default)]
pub struct Replies {
    requesters: RwLock<HashMap<Arc<str>, Arc<dyn Requester>, ahash::RandomState>>,
}

impl Replies {
    /// Has replies to `address` go to `requester`.
    pub fn open(&self, address: Arc<str>, requester: Arc<dyn Requester>) {
        self.requesters.write().insert(address, requester);
    }

    /// Ends that: once this returns, nothing more is delivered there.
    pub fn close(&self, address: &str) {
        self.requesters.write().remove(address);
    }

    /// Whether somebody waits at `address`.
    pub fn is_open(&self, address: &str) -> bool {
        self.requesters.read().contains_key(address)
    }

    /// Delivers a reply; whether somebody was there to take it.
    pub fn deliver(&self, address: &str, reply: &MessageView<'_>, effects: &mut Effects) -> bool {
        let requesters = self.requesters.read();
        let requester = requesters.get(address);
        requester.is_some_and(|requester| requester.reply(reply, effects))
    }
}
