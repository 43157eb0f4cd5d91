//! Work in a virtual host without an AMQP connection to it: what the management
//! interface does for a user, under the rules that hold for connections.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::permits::Permits;
use super::publish::push_all;
use super::replies::addresses;
use super::shared::Shared;
use super::tap::{self, Tap};
use super::traffic::{ChannelTraffic, Handed};
use crate::base::ids::{Batch, ConnectionId};
use crate::broker::access::{Grants, Permission};
use crate::broker::announcements::Peer;
use crate::broker::attempts::ReturnCause;
use crate::broker::consuming::check_get;
use crate::broker::dead_lettering::see_to_effects;
use crate::broker::effects::Effects;
use crate::broker::message::Content;
use crate::broker::publishing::{Copies, check_user_id, expiration_ms};
use crate::broker::queue::{Got, Incoming, Pushed, Queue, Settlement};
use crate::broker::routing::{RawTraits, RoutingKeys};
use crate::broker::spec::BindingSpec;
use crate::broker::subscriber::{Delivery, HeldSlot, Wake};
use crate::broker::vhost::Vhost;
use crate::wire::method::{ExchangeDeclare, QueueDeclare};
use crate::wire::{Body, Properties, Refusal};

/// One user's work in a virtual host.
///
/// Each operation leaves nothing to be done, but for [`Direct::take_batch`]:
/// what it changed is durable once that is synced. Messages that were taken and
/// not settled go back when this is dropped.
pub struct Direct {
    shared: Arc<Shared>,
    vhost: Arc<Vhost>,
    grants: Grants,
    effects: Effects,
    /// Nobody's connection: what is exclusive is somebody else's.
    id: ConnectionId,
    batch: Option<Batch>,
    held: Vec<(Arc<Queue>, HeldSlot)>,
    bell: Arc<Bell>,
    tap: Tap,
}

/// What traces and the firehose give for the channel: in RabbitMQ the management
/// has a connection with one channel for each request.
const CHANNEL: u16 = 1;

/// Rung when a message that was asked for is there.
#[derive(Debug, Default)]
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// A message to be published.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a str,
    /// Its properties, raw and known to parse.
    pub properties: &'a [u8],
    /// Its body.
    pub body: &'a Bytes,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in a queue at least.
    Routed,
    /// It went nowhere.
    Unroutable,
    /// A queue refused it.
    Refused,
}

/// A message that was taken out of a queue.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The exchange it was published to.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Its properties, raw.
    pub properties: Bytes,
    /// Its body.
    pub body: Bytes,
    /// Whether it may have been handed out before.
    pub redelivered: bool,
    /// How many messages were ready behind it.
    pub remaining: u64,
}

impl Direct {
    /// Work of the user whose `grants` these are.
    pub fn new(shared: &Arc<Shared>, vhost: &Arc<Vhost>, grants: Grants) -> Self {
        let mut effects = Effects::default();
        effects.set_actor(Arc::clone(grants.user()));
        effects.set_now(shared.now());
        let peer = Peer {
            connection: "management".into(),
            user: Arc::clone(grants.user()),
        };
        Self {
            tap: Tap::new(vhost, peer),
            shared: Arc::clone(shared),
            vhost: Arc::clone(vhost),
            grants,
            effects,
            id: shared.next_connection(),
            batch: None,
            held: Vec::new(),
            bell: Arc::default(),
        }
    }

    /// The last batch that something went to.
    pub fn take_batch(&mut self) -> Option<Batch> {
        self.batch.take()
    }

    /// Declares a queue; whether there was none of that name.
    ///
    /// # Errors
    /// As `queue.declare` (`semantics` 6).
    pub fn declare_queue(&mut self, method: &QueueDeclare<'_>) -> Result<bool, Refusal> {
        self.permits().queue_declare(method, method.queue)?;
        let created = !self.vhost.has_queue(method.queue);
        let name = || method.queue.to_owned();
        let declared = self
            .vhost
            .declare_queue(method, self.id, name, &mut self.effects);
        self.settle_effects();
        declared.map(|_| created)
    }

    /// Deletes a queue.
    ///
    /// # Errors
    /// As `queue.delete` (`semantics` 6.6).
    pub fn delete_queue(
        &mut self,
        name: &str,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(), Refusal> {
        self.permits().queue_delete(name)?;
        let effects = &mut self.effects;
        let deleted = self
            .vhost
            .delete_queue(name, if_unused, if_empty, self.id, effects);
        self.settle_effects();
        deleted.map(drop)
    }

    /// Drops all messages of a queue that are ready.
    ///
    /// # Errors
    /// As `queue.purge`.
    pub fn purge(&mut self, name: &str) -> Result<(), Refusal> {
        self.permits().read(name)?;
        let queue = self.vhost.queue(name, self.id)?;
        queue.purge(&mut self.effects);
        self.settle_effects();
        Ok(())
    }

    /// Declares an exchange; whether there was none of that name.
    ///
    /// # Errors
    /// As `exchange.declare` (`semantics` 7).
    pub fn declare_exchange(&mut self, method: &ExchangeDeclare<'_>) -> Result<bool, Refusal> {
        self.permits().exchange_declare(method)?;
        let created = !self.vhost.has_exchange(method.exchange);
        let declared = self.vhost.declare_exchange(method, &mut self.effects);
        self.settle_effects();
        declared.map(|()| created)
    }

    /// Deletes an exchange.
    ///
    /// # Errors
    /// As `exchange.delete`.
    pub fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<(), Refusal> {
        self.permits().exchange_delete(name)?;
        let deleted = self
            .vhost
            .delete_exchange(name, if_unused, &mut self.effects);
        self.settle_effects();
        deleted
    }

    /// Binds two ends together.
    ///
    /// # Errors
    /// As `queue.bind` and `exchange.bind`.
    pub fn bind(&mut self, spec: BindingSpec) -> Result<(), Refusal> {
        self.permits().binding(&spec)?;
        let bound = self.vhost.bind(spec, self.id, &mut self.effects);
        self.settle_effects();
        bound
    }

    /// Sets two ends apart.
    ///
    /// # Errors
    /// As `queue.unbind` and `exchange.unbind`.
    pub fn unbind(&mut self, spec: &BindingSpec) -> Result<(), Refusal> {
        self.permits().binding(spec)?;
        let unbound = self.vhost.unbind(spec, self.id, &mut self.effects);
        self.settle_effects();
        unbound
    }

    /// Publishes a message as a mandatory one.
    ///
    /// # Errors
    /// As `basic.publish` (`semantics` 8.1).
    pub fn publish(&mut self, letter: &Letter<'_>) -> Result<Fate, Refusal> {
        let Letter {
            exchange,
            routing_key,
            ..
        } = *letter;
        self.grants.check_exchange(Permission::Write, exchange)?;
        let target = self.vhost.check_publish(exchange)?;
        // Known to parse.
        let parsed = Properties::parse(letter.properties).unwrap_or_default();
        let expiration = parsed.expiration.map(expiration_ms).transpose()?;
        let copies = Copies::from_properties(&parsed)?.unwrap_or_default();
        let keys: Vec<&[u8]> = copies.keys.iter().map(|key| &key[..]).collect();
        self.permits().publish_keys(exchange, routing_key, &keys)?;
        if let Some(claimed) = parsed.user_id
            && !self.grants.may_impersonate()
        {
            check_user_id(claimed, self.grants.user())?;
        }
        let content = Content {
            exchange: exchange.as_bytes(),
            routing_key: routing_key.as_bytes(),
            properties: copies.properties.as_deref().unwrap_or(letter.properties),
            persistent: parsed.is_persistent(),
            dead_lettered: false,
            failed: false,
            blind_copies: &copies.blind_copies,
            body: Body::Shared(letter.body.clone()),
        };
        let incoming = Incoming::new(content).expiring(expiration);
        let replies = match exchange {
            "" => addresses(routing_key, &keys),
            _ => Vec::new(),
        };
        let keys = RoutingKeys::with_copies(routing_key, &keys);
        let mut queues = Vec::new();
        let mut traits = RawTraits::of(&incoming);
        self.vhost.route(exchange, keys, &mut traits, &mut queues)?;
        target.traffic.add(1, queues.len() as u64);
        let to = (&queues[..], &replies[..]);
        if self.tap.published(CHANNEL, &incoming.view(), &keys, to) {
            self.vhost.publish_copies(usize::MAX, &mut self.effects);
        }
        let (by, now) = ((&self.tap.peer, CHANNEL), self.effects.now());
        let traced = self.vhost.choose(by, &incoming, &keys, to, now);
        let incoming = match &traced {
            Some(blind_copies) => incoming.with_blind_copies(blind_copies),
            None => incoming,
        };
        let effects = &mut self.effects;
        let (pushed, mut routed) = push_all(&self.vhost, keys, &incoming, queues, effects);
        for address in replies {
            let replies = self.vhost.replies();
            routed |= replies.deliver(address, &incoming.view(), effects);
        }
        self.count(ChannelTraffic {
            published: 1,
            confirmed: u64::from(pushed == Pushed::Taken),
            returned: u64::from(!routed),
            ..ChannelTraffic::default()
        });
        self.settle_effects();
        Ok(match (pushed, routed) {
            (Pushed::Refused, _) => Fate::Refused,
            (Pushed::Taken, true) => Fate::Routed,
            (Pushed::Taken, false) => Fate::Unroutable,
        })
    }

    /// Takes the first ready message of a queue, which is settled at once with
    /// `no_ack`, else by [`Direct::settle`]; `None` when there is none.
    ///
    /// # Errors
    /// As `basic.get`.
    pub async fn get(&mut self, name: &str, no_ack: bool) -> Result<Option<Taken>, Refusal> {
        self.permits().read(name)?;
        let queue = self.vhost.queue(name, self.id)?;
        check_get(&queue)?;
        loop {
            self.effects.set_now(self.shared.now());
            let (tap, now) = (&self.tap, self.effects.now());
            let got = queue.get(no_ack, &self.bell, &mut self.effects, |delivery, left| {
                if tap.is_open() {
                    tap.delivered(CHANNEL, &delivered(&queue, delivery), now);
                }
                (delivery.held, taken(delivery, left))
            });
            let (handed, taken) = match got {
                Got::Message((held, taken)) => {
                    self.held
                        .extend(held.map(|slot| (Arc::clone(&queue), slot)));
                    (handed(&taken, no_ack), Some(taken))
                }
                Got::Nothing => (Handed::default(), None),
                Got::NotYet => {
                    self.settle_effects();
                    self.bell.0.notified().await;
                    continue;
                }
            };
            self.count(ChannelTraffic {
                get_empty: taken.is_none().into(),
                handed,
                ..ChannelTraffic::default()
            });
            self.settle_effects();
            return Ok(taken);
        }
    }

    /// Settles all messages that were taken and are to be.
    pub fn settle(&mut self, settlement: Settlement) {
        self.effects.set_now(self.shared.now());
        for (queue, slot) in std::mem::take(&mut self.held) {
            queue.settle(&[slot], settlement, &mut self.effects);
        }
        self.settle_effects();
    }

    fn count(&self, traffic: ChannelTraffic) {
        self.shared.roster.past().passed(traffic);
    }

    fn permits(&mut self) -> Permits<'_> {
        Permits {
            grants: &mut self.grants,
            vhost: &self.vhost,
        }
    }

    /// Sees to what an operation has left to be done.
    fn settle_effects(&mut self) {
        see_to_effects(&self.vhost, &mut self.effects);
        self.effects.tell_cancelled();
        self.effects.wake_all();
        self.batch = self.batch.max(self.effects.take_batch());
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            self.settle(Settlement::Requeue(ReturnCause::Returned));
        }
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}

fn taken(delivery: &Delivery<'_>, remaining: u64) -> Taken {
    let annotated = delivery.annotated().map(BytesMut::freeze);
    let message = delivery.message;
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    let body = message.shared_body.cloned();
    Taken {
        exchange: text(message.exchange),
        routing_key: text(message.routing_key),
        properties: annotated.unwrap_or_else(|| Bytes::copy_from_slice(message.properties)),
        body: body.unwrap_or_else(|| Bytes::copy_from_slice(message.body)),
        redelivered: delivery.redelivered,
        remaining,
    }
}

fn handed(taken: &Taken, no_ack: bool) -> Handed {
    Handed {
        got: u64::from(!no_ack),
        got_no_ack: u64::from(no_ack),
        redelivered: u64::from(taken.redelivered),
        ..Handed::default()
    }
}

/// What is told of a message that is taken.
fn delivered<'a>(queue: &'a Queue, delivery: &'a Delivery<'_>) -> tap::Handed<'a> {
    tap::Handed {
        message: &delivery.message,
        queue: queue.name(),
        consumer: None,
        redelivered: delivery.redelivered,
        to_settle: delivery.held.is_some(),
    }
}
