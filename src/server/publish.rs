//! Publishing: checked, routed, handed to queues.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::channel::{Channel, HeldPublish};
use super::replies::addresses;
use super::routes::{Generations, Route};
use super::session::Session;
use super::traffic::Tally;
use crate::base::clock::Now;
use crate::base::ids::{Batch, QueueId};
use crate::broker::access::Permission;
use crate::broker::effects::Effects;
use crate::broker::message::{Content, MessageView};
use crate::broker::once::publish_once;
use crate::broker::publishing::{Copies, check_user_id, expiration_ms};
use crate::broker::queue::{Incoming, Pushed, Queue};
use crate::broker::routing::{RawTraits, RoutingKeys};
use crate::broker::traffic::ExchangeTraffic;
use crate::broker::vhost::Vhost;
use crate::protocol::Publish;
use crate::wire::method::BasicReturn;
use crate::wire::{Properties, Refusal, ReplyCode};

/// What became of a publish.
#[derive(Debug, Clone, Copy, Default)]
pub struct Published {
    /// The batch that a confirm has to wait for.
    pub batch: Option<Batch>,
    /// Whether a queue refused it, so that it is not confirmed.
    pub refused: bool,
}

impl Session {
    /// Publishes a message, or keeps it for the channel's transaction. Returns
    /// what a confirm has to say.
    ///
    /// # Errors
    /// What `semantics` 8.1 lists; the channel is closed for it.
    pub fn publish(
        &mut self,
        publish: &Publish<'_>,
        out: &mut BytesMut,
    ) -> Result<Published, Refusal> {
        let found;
        let checked = if is_plain(publish) {
            &PLAIN
        } else {
            found = self.check_or_refuse(publish)?;
            &found
        };
        if checked.copies.is_none() && !publish.transactional && self.is_own_id(publish) {
            let generations = self.generations();
            let (exchange, key) = (publish.exchange, publish.routing_key);
            if let Some(route) = self.routes.get(generations, exchange, key) {
                if !self.tally.is_of(publish.channel, &route.exchange) {
                    add_up(&self.channels, &mut self.tally, self.effects.now());
                    self.tally.turn_to(publish.channel, &route.exchange);
                }
                self.tally.add(route.queues.len());
                let incoming = checked.incoming(publish);
                self.effects.take_batch();
                let mut refused = false;
                for queue in &route.queues {
                    refused |= queue.push(&incoming, &mut self.effects) == Pushed::Refused;
                }
                let routed = !route.queues.is_empty();
                let batch = self.after_push(routed, publish, &incoming, out);
                return Ok(Published { batch, refused });
            }
        }
        self.publish_uncached(publish, checked, out)
    }

    fn check_or_refuse(&mut self, publish: &Publish<'_>) -> Result<Checked, Refusal> {
        self.check_properties(publish).or_else(|refusal| {
            // An exchange that is forbidden or isn't there is said first.
            let exchange = publish.exchange.as_str();
            self.grants.check_exchange(Permission::Write, exchange)?;
            self.vhost.check_publish(exchange)?;
            Err(refusal)
        })
    }

    fn publish_uncached(
        &mut self,
        publish: &Publish<'_>,
        checked: &Checked,
        out: &mut BytesMut,
    ) -> Result<Published, Refusal> {
        let generations = self.generations();
        let (exchange, key) = (publish.exchange.as_str(), publish.routing_key.as_str());
        self.grants.check_exchange(Permission::Write, exchange)?;
        let target = self.vhost.check_publish(exchange)?;
        let copies = checked.copies.as_deref().unwrap_or_default();
        let keys: Vec<&[u8]> = copies.iter().map(|key| &key[..]).collect();
        self.permits().publish_keys(exchange, key, &keys)?;
        self.check_user_id(publish)?;
        let replies = match exchange {
            "" => addresses(key, &keys),
            _ => Vec::new(),
        };
        // Addresses come and go without the topology changing.
        let cacheable = target.cacheable && checked.copies.is_none() && replies.is_empty();
        let incoming = checked.incoming(publish);
        let keys = RoutingKeys::with_copies(key, &keys);
        let mut queues = Vec::new();
        let mut traits = RawTraits::of(&incoming);
        self.vhost.route(exchange, keys, &mut traits, &mut queues)?;
        self.tap_publish(publish.channel, &incoming, &keys, &queues, &replies);
        let traced = self.trace_publish(publish.channel, &incoming, &keys, (&queues, &replies));
        let incoming = match &traced {
            Some(blind_copies) => incoming.with_blind_copies(blind_copies),
            None => incoming,
        };
        self.count(
            publish.channel,
            &target.traffic,
            queues.len() + replies.len(),
        );
        if cacheable {
            let (exchange, key) = (publish.exchange, publish.routing_key);
            let route = Route {
                exchange: target.traffic,
                queues: queues.clone(),
            };
            self.routes.put(generations, exchange, key, route);
        }
        if publish.transactional {
            self.hold_publish(publish, &incoming, queues, &replies)?;
            return Ok(Published::default());
        }
        self.effects.take_batch();
        let (pushed, mut routed) =
            push_all(&self.vhost, keys, &incoming, queues, &mut self.effects);
        let refused = pushed == Pushed::Refused;
        if refused {
            self.trace_refused(&incoming);
        }
        for address in replies {
            let reply = incoming.view();
            routed |= self
                .vhost
                .replies()
                .deliver(address, &reply, &mut self.effects);
        }
        let batch = self.after_push(routed, publish, &incoming, out);
        Ok(Published { batch, refused })
    }

    /// Counts a publish that went to so many queues.
    fn count(&mut self, channel: u16, exchange: &Arc<ExchangeTraffic>, queues: usize) {
        if !self.tally.is_of(channel, exchange) {
            add_up(&self.channels, &mut self.tally, self.effects.now());
            self.tally.turn_to(channel, exchange);
        }
        self.tally.add(queues);
    }

    /// What is left once the queues have a message.
    fn after_push(
        &mut self,
        routed: bool,
        publish: &Publish<'_>,
        incoming: &Incoming<'_>,
        out: &mut BytesMut,
    ) -> Option<Batch> {
        let batch = self.effects.take_batch();
        if !routed {
            self.tally.went_nowhere(publish.mandatory);
            if publish.mandatory {
                self.send_back(publish.channel, &incoming.view(), out);
            }
        }
        if !self.effects.is_settled() {
            self.see_to_effects();
        }
        batch
    }

    fn hold_publish(
        &mut self,
        publish: &Publish<'_>,
        incoming: &Incoming<'_>,
        targets: Vec<Arc<Queue>>,
        replies: &[&str],
    ) -> Result<(), Refusal> {
        let is_open = |address: &&&str| self.vhost.replies().is_open(address);
        let held = HeldPublish {
            replies: replies
                .iter()
                .filter(is_open)
                .map(|a| (*a).into())
                .collect(),
            message: incoming.message().clone(),
            expiration: incoming.expiration(),
            targets,
            mandatory: publish.mandatory,
        };
        let channel = self.channel_mut(publish.channel)?;
        channel.transaction.publishes.push(held);
        channel.view.uncommitted.add(1);
        Ok(())
    }

    /// Sends back what a transaction held and goes nowhere.
    pub(super) fn return_held(&self, number: u16, held: &HeldPublish, out: &mut BytesMut) {
        if !held.is_routed() && held.mandatory {
            self.send_back(number, &held.message.view(), out);
        }
    }

    fn send_back(&self, channel: u16, message: &MessageView<'_>, out: &mut BytesMut) {
        let method = BasicReturn {
            reply_code: ReplyCode::NoRoute.code(),
            reply_text: ReplyCode::NoRoute.name(),
            exchange: str::from_utf8(message.exchange).unwrap_or_default(),
            routing_key: str::from_utf8(message.routing_key).unwrap_or_default(),
        };
        self.outbox.append(out);
        self.outbox.put_return(channel, method, message);
    }

    /// What routes found now depend on.
    fn generations(&self) -> Generations {
        Generations {
            topology: self.vhost.generation(),
            access: self.grants.generation(),
        }
    }

    /// Whether a message names its publisher, or nobody.
    fn is_own_id(&self, publish: &Publish<'_>) -> bool {
        let claimed = publish.parsed.user_id;
        claimed.is_none_or(|claimed| claimed == self.grants.user().as_bytes())
    }

    fn check_user_id(&mut self, publish: &Publish<'_>) -> Result<(), Refusal> {
        match publish.parsed.user_id {
            Some(claimed) if !self.grants.may_impersonate() => {
                check_user_id(claimed, self.grants.user())
            }
            _ => Ok(()),
        }
    }

    /// Checks the properties that don't name anybody, in RabbitMQ's order.
    fn check_properties(&self, publish: &Publish<'_>) -> Result<Checked, Refusal> {
        let reply_to = match publish.parsed.reply_to {
            Some(_) => self.address_reply_to(publish.channel, &publish.parsed)?,
            None => None,
        };
        let addressed = reply_to.as_ref().map(|address| Properties {
            reply_to: Some(address.as_bytes()),
            ..publish.parsed
        });
        let parsed = addressed.as_ref().unwrap_or(&publish.parsed);
        let properties = addressed.map(|addressed| {
            let mut changed = BytesMut::new();
            addressed.put(&mut changed);
            changed
        });
        let expiration = parsed.expiration.map(expiration_ms).transpose()?;
        let copies = match parsed.headers {
            Some(_) => Copies::from_properties(parsed)?,
            None => None,
        };
        let has_copies = copies.is_some();
        let Copies {
            keys,
            blind_copies,
            properties: without_bcc,
        } = copies.unwrap_or_default();
        Ok(Checked {
            copies: has_copies.then_some(keys),
            blind_copies,
            properties: without_bcc.or(properties),
            expiration,
        })
    }
}

/// Hands a message to the queues it was routed to. What became of it, and
/// whether it went anywhere.
pub(super) fn push_all(
    vhost: &Vhost,
    keys: RoutingKeys<'_>,
    incoming: &Incoming<'_>,
    queues: Vec<Arc<Queue>>,
    effects: &mut Effects,
) -> (Pushed, bool) {
    if queues.iter().any(|queue| queue.remembers_for().is_some()) {
        let exchange = str::from_utf8(incoming.view().exchange).unwrap_or_default();
        let mut found = Some(queues);
        let mut route = |known: &[QueueId]| {
            found.take().unwrap_or_else(|| {
                let mut traits = RawTraits::of(incoming).known_to(known);
                let mut queues = Vec::new();
                let _gone = vhost.route(exchange, keys, &mut traits, &mut queues);
                queues
            })
        };
        return publish_once(vhost.store(), incoming, effects, &mut route);
    }
    let mut pushed = Pushed::Taken;
    for queue in &queues {
        if queue.push(incoming, effects) == Pushed::Refused {
            pushed = Pushed::Refused;
        }
    }
    (pushed, !queues.is_empty())
}

/// Adds up what was counted.
pub(super) fn add_up(
    channels: &HashMap<u16, Channel, ahash::RandomState>,
    tally: &mut Tally,
    now: Now,
) {
    let channel = tally.channel().and_then(|number| channels.get(&number));
    tally.settle(channel.map(|channel| &*channel.view), now.unix_ms);
}

/// What the properties of a publish come to.
#[derive(Debug)]
struct Checked {
    /// The keys it is to be routed by besides its own, if it has such headers.
    copies: Option<Vec<Bytes>>,
    /// Those of them that nobody sees, put together.
    blind_copies: Vec<u8>,
    /// Its properties, when they aren't those it came with.
    properties: Option<BytesMut>,
    /// Milliseconds after which it expires.
    expiration: Option<u64>,
}

/// What most come to: they have nothing to look at.
static PLAIN: Checked = Checked {
    copies: None,
    blind_copies: Vec::new(),
    properties: None,
    expiration: None,
};

/// Whether a publish has none of the properties that there is to look at.
#[inline(always)]
fn is_plain(publish: &Publish<'_>) -> bool {
    let parsed = &publish.parsed;
    parsed.reply_to.is_none() && parsed.headers.is_none() && parsed.expiration.is_none()
}

impl Checked {
    /// The message as queues are to have it.
    fn incoming<'a>(&'a self, publish: &'a Publish<'_>) -> Incoming<'a> {
        let content = Content {
            exchange: publish.exchange.as_bytes(),
            routing_key: publish.routing_key.as_bytes(),
            properties: self.properties.as_deref().unwrap_or(publish.properties),
            persistent: publish.parsed.is_persistent(),
            dead_lettered: false,
            failed: false,
            blind_copies: &self.blind_copies,
            body: publish.body.clone(),
        };
        Incoming::new(content).expiring(self.expiration)
    }
}
