//! Direct reply-to as its requester and its responders use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{BufMut, BytesMut};

use super::outbox::{ChannelSlot, Outbox};
use super::session::Session;
use crate::base::ids::ConnectionId;
use crate::broker::effects::Effects;
use crate::broker::message::MessageView;
use crate::broker::replies::{DIRECT_REPLY_TO, Requester, is_direct_reply_to};
use crate::wire::{Properties, Refusal, ReplyCode};

/// The consumer of a channel's replies.
#[derive(Debug)]
pub struct ReplyConsumer {
    /// Its tag.
    pub tag: Arc<str>,
    /// Where replies to it are published.
    pub address: Arc<str>,
}

/// A requester as its responders see it: a way into its outbox.
#[derive(Debug)]
struct OutboxRequester {
    outbox: Arc<Outbox>,
    channel: u16,
    slot: ChannelSlot,
    tag: Arc<str>,
    /// Whether the last reply found no room, so that only the first is logged.
    is_overrun: AtomicBool,
}

impl Requester for OutboxRequester {
    fn reply(&self, message: &MessageView<'_>, effects: &mut Effects) -> bool {
        let outbox = &self.outbox;
        let taken = outbox.put_reply(self.channel, self.slot, &self.tag, message, effects);
        let was_overrun = self.is_overrun.swap(!taken, Ordering::Relaxed);
        if !taken && !was_overrun {
            let (channel, tag) = (self.channel, &*self.tag);
            tracing::warn!(channel, tag, "requester doesn't read: replies are dropped");
        }
        taken
    }
}

impl Session {
    /// Makes a channel the requester that replies go to.
    ///
    /// # Errors
    /// 406 for a consumer that would acknowledge, or a second one.
    pub(super) fn consume_replies(
        &mut self,
        number: u16,
        tag: Arc<str>,
        no_ack: bool,
        answer: impl FnOnce(&Arc<Outbox>),
    ) -> Result<(), Refusal> {
        if !no_ack {
            return Err(refuse("reply consumer cannot acknowledge"));
        }
        let (id, outbox) = (self.id, Arc::clone(&self.outbox));
        let channel = self.channel_mut(number)?;
        if channel.replies.is_some() {
            return Err(refuse("reply consumer already set"));
        }
        let address = new_address(id, number);
        channel.replies = Some(ReplyConsumer {
            tag: Arc::clone(&tag),
            address: Arc::clone(&address),
        });
        let slot = channel.slot;
        answer(&outbox);
        let requester = OutboxRequester {
            outbox,
            channel: number,
            slot,
            tag,
            is_overrun: AtomicBool::new(false),
        };
        self.vhost.replies().open(address, Arc::new(requester));
        Ok(())
    }

    /// Whether somebody waits at `address`: 404 otherwise, as for a queue.
    /// Direct reply-to by its bare name is always there.
    pub(super) fn check_reply_address(&self, address: &str) -> Result<(), Refusal> {
        if address == DIRECT_REPLY_TO || self.vhost.replies().is_open(address) {
            return Ok(());
        }
        let vhost = self.vhost.name();
        let text = format!("no queue '{address}' in vhost '{vhost}'");
        Err(Refusal::new(ReplyCode::NotFound, text))
    }

    /// The properties of a publish with the channel's own address in the place
    /// of the name that stands for it, if that is what its reply-to says.
    ///
    /// # Errors
    /// 406 when the channel doesn't consume replies.
    pub(super) fn address_reply_to(
        &self,
        number: u16,
        parsed: &Properties<'_>,
    ) -> Result<Option<Arc<str>>, Refusal> {
        if parsed.reply_to != Some(DIRECT_REPLY_TO.as_bytes()) {
            return Ok(None);
        }
        let channel = self.channels.get(&number);
        match channel.and_then(|channel| channel.replies.as_ref()) {
            Some(consumer) => Ok(Some(Arc::clone(&consumer.address))),
            None => Err(refuse("fast reply consumer does not exist")),
        }
    }
}

/// The addresses among the keys that a message is published to the default
/// exchange with, each once.
pub(super) fn addresses<'a>(routing_key: &'a str, copies: &[&'a [u8]]) -> Vec<&'a str> {
    let copies = copies.iter().filter_map(|key| str::from_utf8(key).ok());
    let mut found: Vec<&str> = Vec::new();
    for key in std::iter::once(routing_key).chain(copies) {
        if is_direct_reply_to(key) && !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

/// An address nobody can guess: whoever has it may reply.
fn new_address(id: ConnectionId, channel: u16) -> Arc<str> {
    let mut who = BytesMut::with_capacity(10);
    who.put_u64(id.0);
    who.put_u16(channel);
    let random: [u8; 16] = rand::random();
    let (who, key) = (
        BASE64_URL_SAFE_NO_PAD.encode(who),
        BASE64_URL_SAFE_NO_PAD.encode(random),
    );
    format!("{DIRECT_REPLY_TO}.{who}.{key}").into()
}

fn refuse(text: &str) -> Refusal {
    Refusal::new(ReplyCode::PreconditionFailed, text.to_owned())
}
