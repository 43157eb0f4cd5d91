//! The consistent-hash exchange: each message to one of the destinations, always
//! the same for the same key, and to each by its weight.
//!
//! RabbitMQ numbers buckets, as many as all weights together, and moves those
//! behind down when a destination goes, which sends most keys elsewhere. Here
//! every destination draws a lot for the key and the highest wins (rendezvous
//! hashing): when one goes, only its own keys move, and when one comes, keys move
//! only to it. What it draws depends on names and weights alone, so a restart
//! moves nothing, and a weight of a million costs no more than one of 1.

use bytes::Bytes;

use super::Bound;
use super::hash;
use super::targets::{Target, TargetId};
use crate::broker::binding::BindingId;
use crate::broker::erlang;
use crate::broker::resource::{Resource, precondition};
use crate::broker::routing::{RoutingKeys, Traits};
use crate::wire::{FieldTable, FieldValue, Properties, Refusal};

/// The argument that names the header to hash by.
const HASH_HEADER: &str = "hash-header";
/// The argument that names the property to hash by.
const HASH_PROPERTY: &str = "hash-property";

/// What is bound to a consistent-hash exchange.
#[derive(Debug)]
pub(in crate::broker) struct ConsistentHash {
    by: HashBy,
    destinations: Vec<Destination>,
    /// Whether all weigh the same. The highest lot wins then: what the weights
    /// make of it takes twice as long to find.
    is_even: bool,
}

/// What of a message is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HashBy {
    RoutingKey,
    Header(Bytes),
    Property(Property),
}

/// A property that messages may be hashed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    MessageId,
    CorrelationId,
    Timestamp,
}

#[derive(Debug)]
struct Destination {
    target: Target,
    /// The hash of its name.
    seed: u64,
    /// The weights it was bound with. Only the oldest counts (`semantics` 7).
    weights: Vec<(BindingId, f64)>,
}

impl Destination {
    fn id(&self) -> TargetId {
        self.target.id()
    }

    fn weight(&self) -> f64 {
        self.weights.first().map_or(1.0, |(_, weight)| *weight)
    }

    /// What it draws for a key.
    fn lot(&self, key: u64) -> u64 {
        hash::mixed(key ^ self.seed) >> (u64::BITS - f64::MANTISSA_DIGITS)
    }

    /// What its weight makes of that: `u^(1/w)` for a `u` from 0 to 1, as a
    /// logarithm. The highest of several is a destination's with the chance of
    /// its weight.
    fn weighted_lot(&self, key: u64) -> f64 {
        let even = (self.lot(key) as f64 + 0.5) / (1_u64 << f64::MANTISSA_DIGITS) as f64;
        even.ln() / self.weight()
    }
}

impl ConsistentHash {
    /// An exchange declared with `arguments`.
    pub(super) fn new(arguments: &FieldTable) -> Self {
        Self {
            by: HashBy::of(arguments),
            destinations: Vec::new(),
            is_even: true,
        }
    }

    pub(super) fn insert(&mut self, bound: &Bound<'_>) {
        let weight = (bound.id, weight(bound.key).unwrap_or(1.0));
        let id = bound.target.id();
        match self.destinations.iter_mut().find(|known| known.id() == id) {
            Some(known) => known.weights.push(weight),
            None => self.destinations.push(Destination {
                target: bound.target.clone(),
                seed: hash::of_parts(bound.identity()),
                weights: vec![weight],
            }),
        }
        self.weigh();
    }

    pub(super) fn remove(&mut self, bound: &Bound<'_>) {
        let id = bound.target.id();
        let place = self.destinations.iter().position(|known| known.id() == id);
        let Some(place) = place else {
            return;
        };
        if let Some(known) = self.destinations.get_mut(place) {
            known.weights.retain(|(binding, _)| *binding != bound.id);
            if known.weights.is_empty() {
                self.destinations.swap_remove(place);
            }
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let weights = self.destinations.iter().map(Destination::weight);
        let next = weights.clone().skip(1);
        self.is_even = weights.zip(next).all(|(one, other)| one == other);
    }

    pub(super) fn route(
        &self,
        keys: &RoutingKeys<'_>,
        traits: &mut dyn Traits,
        found: &mut dyn FnMut(&Target),
    ) {
        if self.destinations.len() < 2 {
            self.destinations
                .iter()
                .for_each(|only| found(&only.target));
            return;
        }
        let key = self.by.hash(keys, traits);
        let all = self.destinations.iter();
        let winner = if self.is_even {
            all.max_by_key(|one| one.lot(key))
        } else {
            all.map(|one| (one.weighted_lot(key), one))
                .max_by(|(one, _), (other, _)| one.total_cmp(other))
                .map(|(_, one)| one)
        };
        if let Some(winner) = winner {
            found(&winner.target);
        }
    }

    /// Whether more of a message than its key is hashed.
    pub(super) fn looks_at_messages(&self) -> bool {
        self.by != HashBy::RoutingKey
    }
}

impl HashBy {
    /// Reads the arguments, which were checked.
    fn of(arguments: &FieldTable) -> Self {
        let text = |name| arguments.get(name).and_then(FieldValue::as_octets);
        if let Some(name) = text(HASH_HEADER) {
            return Self::Header(Bytes::copy_from_slice(name));
        }
        text(HASH_PROPERTY)
            .and_then(Property::named)
            .map_or(Self::RoutingKey, Self::Property)
    }

    /// The hash of what a message has. All that lack it have the same.
    fn hash(&self, keys: &RoutingKeys<'_>, traits: &mut dyn Traits) -> u64 {
        match self {
            Self::RoutingKey => hash::of_parts([keys.main()]),
            Self::Header(name) => {
                let value = traits.headers().get_octets(name);
                value.map_or_else(absent, hash::of_value)
            }
            Self::Property(property) => property.hash(&traits.properties()),
        }
    }
}

impl Property {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"message_id" => Some(Self::MessageId),
            b"correlation_id" => Some(Self::CorrelationId),
            b"timestamp" => Some(Self::Timestamp),
            _ => None,
        }
    }

    fn hash(self, properties: &Properties<'_>) -> u64 {
        let octets = match self {
            Self::MessageId => properties.message_id,
            Self::CorrelationId => properties.correlation_id,
            Self::Timestamp => {
                let digits = properties.timestamp.map(|seconds| seconds.to_string());
                return digits.map_or_else(absent, |digits| hash::of_parts([digits.as_bytes()]));
            }
        };
        octets.map_or_else(absent, |octets| hash::of_parts([octets]))
    }
}

fn absent() -> u64 {
    hash::of_parts([])
}

/// Reads a weight: an integer, a sign allowed. [`None`] if it is none.
fn weight(key: &str) -> Option<f64> {
    let digits = key.strip_prefix(['+', '-']).unwrap_or(key);
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| key.parse().ok()).flatten()
}

/// Checks the arguments of an exchange to be.
///
/// # Errors
/// 406 when both ways of hashing are asked for, or one that isn't there.
pub(super) fn check_arguments(
    exchange: Resource<'_>,
    arguments: &FieldTable,
) -> Result<(), Refusal> {
    let given = |name| arguments.get(name).map(|value| (name, value));
    let (name, value) = match (given(HASH_HEADER), given(HASH_PROPERTY)) {
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => {
            let text = "hash-header and hash-property are mutually exclusive";
            return Err(precondition(text));
        }
        (Some(one), None) | (None, Some(one)) => one,
    };
    let Some(octets) = value.as_octets() else {
        // RabbitMQ crashes on these, and closes the connection with 541.
        return Err(precondition(format!(
            "invalid type '{}' for arg '{name}' in {exchange}",
            value.type_name()
        )));
    };
    if name == HASH_PROPERTY && Property::named(octets).is_none() {
        let named = String::from_utf8_lossy(octets);
        return Err(precondition(format!("Unsupported property: {named}")));
    }
    Ok(())
}

/// Checks the key of a binding to be: its weight.
///
/// # Errors
/// 406 when it isn't a positive integer.
pub(super) fn check_weight(key: &str) -> Result<(), Refusal> {
    match weight(key) {
        Some(weight) if weight >= 1.0 => Ok(()),
        Some(_) => Err(precondition("The binding key must be greater than 0")),
        None => Err(precondition(format!(
            "The binding key must be an integer: {}",
            erlang::text_binary(key)
        ))),
    }
}
