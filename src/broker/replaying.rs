//! Sending chosen messages on from where they wait, or dropping them.
//!
//! The copy and the end of the original are one unit: a crash leaves each message
//! in one place or the other.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::effects::Effects;
use super::message::{Content, MessageView, trace_alone};
use super::once::Once;
use super::publishing::expiration_ms;
use super::queue::{Incoming, Pushed, Queue, Seen, Taken};
use super::routing::{RawTraits, RoutingKeys};
use super::trace::{Happening, Removal};
use super::unit::Unit;
use super::vhost::Vhost;
use crate::base::ids::QueueId;
use crate::wire::{Body, Properties, Refusal};

/// A message that is to be sent on, as it is then.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The message where it waits.
    pub seen: Seen,
    /// The exchange it is published to.
    pub exchange: Arc<str>,
    /// The routing key it is published with. It goes to no copies' keys: those
    /// have had it.
    pub routing_key: Arc<str>,
    /// Its properties, raw and known to parse.
    pub properties: BytesMut,
    /// Its body, if that is another one.
    pub body: Option<Bytes>,
}

/// What became of a message that was to be sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It went to so many queues.
    Sent(usize),
    /// It doesn't wait any more: it was handed out, or is gone.
    NotWaiting,
    /// It stays, because nothing is bound where it was to go.
    Unroutable,
    /// It stays, because a queue has no room for it.
    Full,
    /// It stays, because it would be dropped as one that has come before.
    Duplicate,
    /// It stays, because nobody may publish to that exchange.
    Refused(Refusal),
}

/// Sends messages on that wait in `queue`, all in one unit; says of each what
/// became of it. The rest is for [`see_to_effects`](super::dead_lettering::see_to_effects).
pub fn replay(
    vhost: &Vhost,
    queue: &Arc<Queue>,
    messages: &[Replay],
    effects: &mut Effects,
) -> Vec<Replayed> {
    let mut unit = Unit::default();
    let mut taken = Vec::new();
    let mut outcomes = Vec::with_capacity(messages.len());
    for message in messages {
        outcomes.push(send_on(
            vhost, queue, message, &mut unit, &mut taken, effects,
        ));
    }
    unit.depart(queue, taken);
    unit.commit(vhost.store(), effects);
    outcomes
}

fn send_on(
    vhost: &Vhost,
    queue: &Arc<Queue>,
    message: &Replay,
    unit: &mut Unit,
    taken: &mut Vec<Taken>,
    effects: &mut Effects,
) -> Replayed {
    if let Err(refusal) = vhost.check_publish(&message.exchange) {
        return Replayed::Refused(refusal);
    }
    let Some(original) = queue.take_out(&message.seen, effects) else {
        return Replayed::NotWaiting;
    };
    let start = unit.len();
    match publish(vhost, message, &original, unit, effects) {
        Ok(queues) => {
            trace(vhost, queue, message, &original, &queues, effects);
            taken.push(original);
            Replayed::Sent(queues.len())
        }
        Err(why) => {
            unit.take_back(start);
            queue.give_back(original, effects);
            why
        }
    }
}

/// Takes down that a message was sent on, if it is traced.
fn trace(
    vhost: &Vhost,
    queue: &Queue,
    message: &Replay,
    original: &Taken,
    to: &[Arc<Queue>],
    effects: &Effects,
) {
    let happening = || Happening::Replayed {
        queue: Arc::clone(queue.name()),
        by: effects.actor().into(),
        exchange: Arc::clone(&message.exchange),
        routing_key: Arc::clone(&message.routing_key),
        queues: to.iter().map(|queue| Arc::clone(queue.name())).collect(),
    };
    let (view, now) = (original.message().view(), effects.now());
    vhost.tracer().note_of(&view, vhost.name(), now, happening);
}

/// Takes down that somebody dropped a message, if it is traced.
fn trace_dropped(vhost: &Vhost, queue: &Queue, original: &Taken, effects: &Effects) {
    let happening = || Happening::Removed {
        queue: Arc::clone(queue.name()),
        by: effects.actor().into(),
        how: Removal::Dropped,
    };
    let (view, now) = (original.message().view(), effects.now());
    vhost.tracer().note_of(&view, vhost.name(), now, happening);
}

/// Adds the copy to `unit`; returns the queues it goes to.
fn publish(
    vhost: &Vhost,
    message: &Replay,
    original: &Taken,
    unit: &mut Unit,
    effects: &mut Effects,
) -> Result<Vec<Arc<Queue>>, Replayed> {
    let parsed = Properties::parse(&message.properties).unwrap_or_default();
    let expiration = parsed.expiration.and_then(|ms| expiration_ms(ms).ok());
    let content = content(message, original, parsed.is_persistent());
    let incoming = Incoming::new(content).expiring(expiration);
    let mut route = |known: &[QueueId]| {
        let mut queues = Vec::new();
        let mut traits = RawTraits::of(&incoming).known_to(known);
        let keys = RoutingKeys::one(&*message.routing_key);
        // Deleted since it was checked, it takes nothing.
        let _gone = vhost.route(&message.exchange, keys, &mut traits, &mut queues);
        queues
    };
    let once = Once::route(unit, &incoming, effects, &mut route);
    let once = once.map_err(|_| Replayed::Duplicate)?;
    if once.is_duplicate {
        return Err(Replayed::Duplicate);
    }
    if once.queues.is_empty() {
        return Err(Replayed::Unroutable);
    }
    for queue in &once.queues {
        match unit.reserve(queue, &incoming, effects) {
            Ok(()) => {}
            Err(Pushed::Refused) => return Err(Replayed::Full),
            Err(Pushed::Taken) => return Err(Replayed::Duplicate),
        }
    }
    Ok(once.queues)
}

fn content<'a>(message: &'a Replay, original: &'a Taken, persistent: bool) -> Content<'a> {
    let MessageView {
        body,
        shared_body,
        blind_copies,
        ..
    } = original.message().view();
    let other_body = message.body.as_ref().or(shared_body);
    Content {
        exchange: message.exchange.as_bytes(),
        routing_key: message.routing_key.as_bytes(),
        properties: &message.properties,
        persistent,
        dead_lettered: original.message().is_dead_lettered(),
        // It begins anew: whoever sends it on has seen to what was wrong.
        failed: false,
        blind_copies: trace_alone(blind_copies),
        body: other_body.map_or(Body::Borrowed(body), |body| Body::Shared(body.clone())),
    }
}

/// Drops messages that wait in `queue`; says of each whether it still did.
pub fn drop_chosen(
    vhost: &Vhost,
    queue: &Arc<Queue>,
    messages: &[Seen],
    effects: &mut Effects,
) -> Vec<bool> {
    let mut unit = Unit::default();
    let mut taken = Vec::new();
    let mut outcomes = Vec::with_capacity(messages.len());
    for seen in messages {
        let original = queue.take_out(seen, effects);
        outcomes.push(original.is_some());
        if let Some(original) = &original {
            trace_dropped(vhost, queue, original, effects);
        }
        taken.extend(original);
    }
    unit.depart(queue, taken);
    unit.commit(vhost.store(), effects);
    outcomes
}
