//! Carrying dead letters on to where their queues send them.

use std::sync::Arc;

use super::effects::Effects;
use super::publishing::Copies;
use super::queue::{DeadLetter, Incoming, Queue};
use super::routing::{RawTraits, RoutingKeys};
use super::unit::Unit;
use super::vhost::Vhost;
use crate::wire::Properties;

/// Publishes every dead letter in `effects` to its queue's dead-letter
/// exchange, and what dies on the way again, until there are none left.
///
/// A loop, not a recursion: a letter that dies again waits its turn.
pub fn drain_dead_letters(vhost: &Vhost, effects: &mut Effects) {
    while effects.has_dead_letters() {
        let mut unit = Unit::default();
        carry_dead_letters(vhost, &mut unit, effects);
        unit.commit(vhost.store(), effects);
    }
}

/// Adds to `unit` that the dead letters in `effects` go from their queues to
/// where those send them: a crash leaves a letter in one place or the other.
pub fn carry_dead_letters(vhost: &Vhost, unit: &mut Unit, effects: &mut Effects) {
    for letter in effects.take_dead_letters() {
        if let Some(target) = letter.queue().dead_letter() {
            let own_key = String::from_utf8_lossy(letter.message().view().routing_key);
            let routing_key = target.routing_key.as_deref().unwrap_or(&own_key);
            let properties = letter.properties(effects.now());
            let content = letter.content(&target.exchange, routing_key, &properties);
            let incoming = Incoming::new(content);
            for queue in &targets(vhost, &letter, &target.exchange, routing_key, &incoming) {
                unit.publish(queue, &incoming, effects);
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
    exchange: &str,
    routing_key: &str,
    incoming: &Incoming<'_>,
) -> Vec<Arc<Queue>> {
    let raw = letter.message().view().properties;
    let own_keys = letter
        .queue()
        .dead_letter()
        .is_some_and(|target| target.routing_key.is_none());
    let copies = Properties::parse(raw)
        .ok()
        .filter(|_| own_keys)
        .and_then(|properties| Copies::from_properties(&properties).ok().flatten())
        .unwrap_or_default();
    let keys: Vec<&[u8]> = copies.keys.iter().map(|key| &key[..]).collect();
    let mut queues = Vec::new();
    // A dead-letter exchange that isn't there drops the message (`semantics` 12).
    let _missing = vhost.route(
        exchange,
        RoutingKeys::with_copies(routing_key, &keys),
        &mut RawTraits::of(incoming),
        &mut queues,
    );
    queues
}
