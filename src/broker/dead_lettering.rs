//! Carrying dead letters on to where their queues send them.

use std::sync::Arc;

use super::effects::Effects;
use super::message::{blind_keys, trace_alone};
use super::once::Once;
use super::publishing::{Copies, expiration_ms};
use super::queue::{DeadLetter, DeadLetterTarget, Incoming, Pushed, Queue, is_cycle};
use super::routing::{RawTraits, RoutingKeys};
use super::trace::Happening;
use super::unit::Unit;
use super::vhost::Vhost;
use crate::base::ids::QueueId;
use crate::wire::Properties;

/// How many letters are carried on in one append: a crash leaves each in one
/// place anyway, and nobody has to wait for all of a hundred thousand.
const LETTERS_TOGETHER: usize = 256;

/// Sees to all that operations on queues have left to be done in their virtual
/// host: dead letters are carried on, queues that nobody uses are deleted, until
/// there are no more.
pub fn see_to_effects(vhost: &Vhost, effects: &mut Effects) {
    while !effects.is_settled() {
        for queue in effects.take_unused() {
            vhost.remove_queue(&queue, effects);
        }
        for queue in effects.take_expired() {
            vhost.expire_queue(&queue, effects);
        }
        drain_dead_letters(vhost, effects);
    }
}

/// Publishes every dead letter in `effects` to its queue's dead-letter
/// exchange, and what dies on the way again, until there are none left.
///
/// A loop, not a recursion: a letter that dies again waits its turn.
pub fn drain_dead_letters(vhost: &Vhost, effects: &mut Effects) {
    while effects.has_dead_letters() {
        let mut unit = Unit::default();
        let letters = effects.take_dead_letters(LETTERS_TOGETHER);
        carry(vhost, letters, &mut unit, effects);
        unit.commit(vhost.store(), effects);
    }
}

/// Adds to `unit` that the dead letters in `effects` go from their queues to
/// where those send them: a crash leaves a letter in one place or the other.
pub fn carry_dead_letters(vhost: &Vhost, unit: &mut Unit, effects: &mut Effects) {
    let letters = effects.take_dead_letters(usize::MAX);
    carry(vhost, letters, unit, effects);
}

fn carry(vhost: &Vhost, letters: Vec<DeadLetter>, unit: &mut Unit, effects: &mut Effects) {
    for letter in letters {
        if let Some(exchange) = letter.held_back_by() {
            release(vhost, &letter, exchange, unit, effects);
        } else if let Some(target) = letter.target() {
            let is_taken = republish(vhost, &letter, target, unit, effects);
            if !is_taken && letter.has_to_arrive() {
                letter.stay(effects);
                continue;
            }
        } else {
            trace(vhost, &letter, None, "", &[], effects);
        }
        unit.bury(&letter);
    }
}

/// Takes down that a letter goes `to` an exchange or nowhere, if it is traced.
fn trace(
    vhost: &Vhost,
    letter: &DeadLetter,
    to: Option<&str>,
    routing_key: &str,
    queues: &[Arc<Queue>],
    effects: &Effects,
) {
    let message = letter.message().view();
    let happening = || Happening::Died {
        queue: Arc::clone(letter.queue().name()),
        reason: letter.reason().name(),
        exchange: to.map(Into::into),
        routing_key: routing_key.into(),
        queues: queues.iter().map(|to| Arc::clone(to.name())).collect(),
    };
    let now = effects.now();
    vhost
        .tracer()
        .note_of(&message, vhost.name(), now, happening);
}

/// Publishes a dead letter where its queue sends it; whether anything takes it.
fn republish(
    vhost: &Vhost,
    letter: &DeadLetter,
    target: &DeadLetterTarget,
    unit: &mut Unit,
    effects: &mut Effects,
) -> bool {
    let own_key = String::from_utf8_lossy(letter.message().view().routing_key);
    let routing_key = target.routing_key.as_deref().unwrap_or(&own_key);
    let headers = letter.headers(effects.now());
    let properties = letter.properties(&headers);
    let with_copies = target.routing_key.is_none();
    let mut content = letter.content(&target.exchange, routing_key, &properties);
    if !with_copies {
        content.blind_copies = trace_alone(content.blind_copies);
    }
    let incoming = Incoming::new(content);
    let start = unit.len();
    let mut route = |known: &[QueueId]| {
        let to = &target.exchange;
        targets(
            vhost,
            to,
            routing_key.as_bytes(),
            with_copies,
            &incoming,
            known,
        )
    };
    let Ok(mut once) = Once::route(unit, &incoming, effects, &mut route) else {
        return false;
    };
    once.queues.retain(|queue| {
        if is_cycle(&headers, queue.name()) {
            let (from, to) = (&**letter.queue().name(), &**queue.name());
            tracing::warn!(from, to, "dropped a message that dies in a circle");
            return false;
        }
        // One that is refused is dropped, unless that mustn't be (`semantics` 12).
        unit.publish(queue, &incoming, effects) == Pushed::Taken
    });
    let is_taken = once.is_duplicate || !once.queues.is_empty();
    if !is_taken {
        unit.take_back(start);
    }
    if is_taken || !letter.has_to_arrive() {
        let to = Some(&*target.exchange);
        trace(vhost, letter, to, routing_key, &once.queues, effects);
    }
    is_taken
}

/// Routes a message that an exchange has held back, now that its time has come.
/// It begins to live now as far as its expiration goes.
fn release(
    vhost: &Vhost,
    letter: &DeadLetter,
    exchange: &str,
    unit: &mut Unit,
    effects: &mut Effects,
) {
    let properties = letter.released_properties();
    let content = letter.released(&properties);
    let routing_key = content.routing_key;
    let parsed = Properties::parse(&properties).unwrap_or_default();
    // Checked when it was published.
    let expiration = parsed.expiration.and_then(|ms| expiration_ms(ms).ok());
    let incoming = Incoming::new(content).expiring(expiration);
    let mut route =
        |known: &[QueueId]| targets(vhost, exchange, routing_key, true, &incoming, known);
    // The same message is on its way: one of them is enough.
    let mut once = Once::route(unit, &incoming, effects, &mut route).unwrap_or_default();
    once.queues
        .retain(|queue| unit.publish(queue, &incoming, effects) == Pushed::Taken);
    let key = String::from_utf8_lossy(routing_key);
    trace(vhost, letter, Some(exchange), &key, &once.queues, effects);
}

/// The queues that a message goes to by `routing_key` and, if wanted, by the keys
/// of its copies; the queues `known_to` remember it. An exchange that isn't there drops it (`semantics` 12).
fn targets(
    vhost: &Vhost,
    exchange: &str,
    routing_key: &[u8],
    with_copies: bool,
    incoming: &Incoming<'_>,
    known_to: &[QueueId],
) -> Vec<Arc<Queue>> {
    let copies = Properties::parse(incoming.view().properties)
        .ok()
        .filter(|_| with_copies)
        .and_then(|properties| Copies::from_properties(&properties).ok().flatten())
        .unwrap_or_default();
    let blind_copies = incoming.view().blind_copies;
    let blind = blind_keys(blind_copies).filter(|_| with_copies);
    let keys = copies.keys.iter().map(|key| &key[..]);
    let keys: Vec<&[u8]> = keys.chain(blind).collect();
    let mut queues = Vec::new();
    let _missing = vhost.route(
        exchange,
        RoutingKeys::with_copies(routing_key, &keys),
        &mut RawTraits::of(incoming).known_to(known_to),
        &mut queues,
    );
    queues
}
