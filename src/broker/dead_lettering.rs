//! Carrying dead letters on to where their queues send them.

use std::sync::Arc;

use super::effects::Effects;
use super::publishing::Copies;
use super::queue::{DeadLetter, DeadLetterTarget, Incoming, Queue, is_cycle};
use super::routing::{RawTraits, RoutingKeys};
use super::unit::Unit;
use super::vhost::Vhost;
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
        if let Some(target) = letter.target() {
            let own_key = String::from_utf8_lossy(letter.message().view().routing_key);
            let routing_key = target.routing_key.as_deref().unwrap_or(&own_key);
            let headers = letter.headers(effects.now());
            let properties = letter.properties(&headers);
            let content = letter.content(&target.exchange, routing_key, &properties);
            let incoming = Incoming::new(content);
            for queue in &targets(vhost, &letter, target, routing_key, &incoming) {
                if is_cycle(&headers, queue.name()) {
                    let (from, to) = (&**letter.queue().name(), &**queue.name());
                    tracing::warn!(from, to, "dropped a message that dies in a circle");
                    continue;
                }
                // A dead letter that is refused is dropped (`semantics` 12).
                let _refused = unit.publish(queue, &incoming, effects);
            }
        }
        unit.bury(&letter);
    }
}

/// Where a letter goes: by the queue's dead-letter routing key, or else by the
/// message's own keys, copies included.
fn targets(
    vhost: &Vhost,
    letter: &DeadLetter,
    target: &DeadLetterTarget,
    routing_key: &str,
    incoming: &Incoming<'_>,
) -> Vec<Arc<Queue>> {
    let raw = letter.message().view().properties;
    let own_keys = target.routing_key.is_none();
    let copies = Properties::parse(raw)
        .ok()
        .filter(|_| own_keys)
        .and_then(|properties| Copies::from_properties(&properties).ok().flatten())
        .unwrap_or_default();
    let keys: Vec<&[u8]> = copies.keys.iter().map(|key| &key[..]).collect();
    let mut queues = Vec::new();
    // A dead-letter exchange that isn't there drops the message (`semantics` 12).
    let _missing = vhost.route(
        &target.exchange,
        RoutingKeys::with_copies(routing_key, &keys),
        &mut RawTraits::of(incoming),
        &mut queues,
    );
    queues
}
