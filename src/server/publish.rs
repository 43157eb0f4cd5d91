//! Publishing: checked, routed, handed to queues.

use std::sync::Arc;

use bytes::BytesMut;

use super::channel::HeldPublish;
use super::session::Session;
use crate::base::ids::Batch;
use crate::broker::message::{Content, MessageView};
use crate::broker::publishing::{Copies, check_user_id, expiration_ms};
use crate::broker::queue::{Incoming, Queue};
use crate::broker::routing::{RawHeaders, RoutingKeys};
use crate::protocol::Publish;
use crate::wire::method::BasicReturn;
use crate::wire::{Refusal, ReplyCode};

impl Session {
    /// Publishes a message, or keeps it for the channel's transaction.
    /// Returns the batch that a confirm has to wait for.
    ///
    /// # Errors
    /// What `semantics` 8.1 lists; the channel is closed for it.
    pub fn publish(
        &mut self,
        publish: Publish<'_>,
        out: &mut BytesMut,
    ) -> Result<Option<Batch>, Refusal> {
        let (copies, expiration) = self.check(&publish).or_else(|refusal| {
            // An exchange that isn't there is said first.
            self.vhost.check_publish(publish.exchange)?;
            Err(refusal)
        })?;
        if copies.is_none() && !publish.transactional {
            let generation = self.vhost.generation();
            let (exchange, key) = (publish.exchange, publish.routing_key);
            if let Some(queues) = self.routes.get(generation, exchange, key) {
                let incoming = Incoming::new(content(&publish, None)).expiring(expiration);
                self.effects.take_batch();
                for queue in queues.iter() {
                    queue.push(&incoming, &mut self.effects);
                }
                let routed = !queues.is_empty();
                return Ok(self.after_push(routed, &publish, &incoming, out));
            }
        }
        self.publish_uncached(&publish, copies, expiration, out)
    }

    fn publish_uncached(
        &mut self,
        publish: &Publish<'_>,
        copies: Option<Copies>,
        expiration: Option<u64>,
        out: &mut BytesMut,
    ) -> Result<Option<Batch>, Refusal> {
        let generation = self.vhost.generation();
        let target = self.vhost.check_publish(publish.exchange)?;
        let cacheable = target.cacheable && copies.is_none();
        let copies = copies.unwrap_or_default();
        let keys: Vec<&[u8]> = copies.keys.iter().map(|key| &key[..]).collect();
        let mut queues = Vec::new();
        self.vhost.route(
            publish.exchange,
            RoutingKeys::with_copies(publish.routing_key, &keys),
            &mut RawHeaders::new(publish.properties),
            &mut queues,
        )?;
        if cacheable {
            let (exchange, key) = (publish.exchange, publish.routing_key);
            let route = queues.as_slice().into();
            self.routes.put(generation, exchange, key, route);
        }
        let content = content(publish, copies.properties.as_deref());
        let incoming = Incoming::new(content).expiring(expiration);
        if publish.transactional {
            self.hold_publish(publish, &incoming, queues)?;
            return Ok(None);
        }
        self.effects.take_batch();
        for queue in &queues {
            queue.push(&incoming, &mut self.effects);
        }
        Ok(self.after_push(!queues.is_empty(), publish, &incoming, out))
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
        if !routed && publish.mandatory {
            self.send_back(publish.channel, &incoming.view(), out);
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
    ) -> Result<(), Refusal> {
        let held = HeldPublish {
            message: incoming.message().clone(),
            expiration: incoming.expiration(),
            targets,
            mandatory: publish.mandatory,
        };
        let channel = self.channel_mut(publish.channel)?;
        channel.transaction.publishes.push(held);
        Ok(())
    }

    /// Sends back what a transaction held and goes nowhere.
    pub(super) fn return_held(&self, number: u16, held: &HeldPublish, out: &mut BytesMut) {
        if held.targets.is_empty() && held.mandatory {
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

    /// Checks the properties, in RabbitMQ's order; returns the copies they ask
    /// for and the milliseconds after which the message expires.
    fn check(&self, publish: &Publish<'_>) -> Result<(Option<Copies>, Option<u64>), Refusal> {
        let expiration = publish.parsed.expiration.map(expiration_ms).transpose()?;
        let copies = match publish.parsed.headers {
            Some(_) => Copies::from_properties(&publish.parsed)?,
            None => None,
        };
        if let Some(claimed) = publish.parsed.user_id {
            check_user_id(claimed, &self.user)?;
        }
        Ok((copies, expiration))
    }
}

/// The content of a publish, with `properties` in place of its own if given.
fn content<'a>(publish: &'a Publish<'_>, properties: Option<&'a [u8]>) -> Content<'a> {
    Content {
        exchange: publish.exchange,
        routing_key: publish.routing_key,
        properties: properties.unwrap_or(publish.properties),
        persistent: publish.parsed.is_persistent(),
        dead_lettered: false,
        body: publish.body.clone(),
    }
}
