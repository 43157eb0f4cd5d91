//! What of a queue's messages counts where its octets are limited
//! (`semantics` 11).

use std::ops::AddAssign;

use super::message::{Message, view_of};

/// Octets of messages: classic queues count bodies, quorum queues all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Octets of bodies.
    pub bodies: u64,
    /// Octets of properties, as in content headers.
    pub properties: u64,
}

impl Weight {
    /// That of one message.
    pub fn of(message: &Message) -> Self {
        let view = message.view();
        Self {
            bodies: view.body.len() as u64,
            properties: view.properties.len() as u64,
        }
    }

    /// That of a stored message, by its [`Message::record`]; `chained` is how long
    /// its body is, if that isn't in there.
    pub fn of_record(record: &[u8], chained: Option<usize>) -> Self {
        view_of(record).map_or_else(Self::default, |view| Self {
            bodies: chained.unwrap_or(view.body.len()) as u64,
            properties: view.properties.len() as u64,
        })
    }

    /// What is left without `other`.
    pub fn without(self, other: Self) -> Self {
        Self {
            bodies: self.bodies.saturating_sub(other.bodies),
            properties: self.properties.saturating_sub(other.properties),
        }
    }

    /// What `some` of `all` messages weigh that weigh this together, if each
    /// weighs the same.
    pub fn share(self, some: u64, all: u64) -> Self {
        let part = |octets: u64| {
            let part = u128::from(octets) * u128::from(some) / u128::from(all.max(1));
            u64::try_from(part).unwrap_or(octets).min(octets)
        };
        Self {
            bodies: part(self.bodies),
            properties: part(self.properties),
        }
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.bodies += other.bodies;
        self.properties += other.properties;
    }
}

/// Stored messages that left their queue together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gone {
    /// How many; 0 where only the sum of several notices is known, which the last
    /// of them has.
    pub messages: u64,
    /// What they took, the sum of [`Message::stored_len`]; 0 where neither this nor
    /// what they weighed is known.
    pub octets: u64,
    /// What they weighed.
    pub weight: Weight,
}

impl Gone {
    /// One message.
    pub fn one(message: &Message) -> Self {
        Self {
            messages: 1,
            octets: message.stored_len() as u64,
            weight: Weight::of(message),
        }
    }

    /// What is left without `other`.
    pub fn without(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            octets: self.octets.saturating_sub(other.octets),
            weight: self.weight.without(other.weight),
        }
    }
}

impl AddAssign for Gone {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.octets += other.octets;
        self.weight += other.weight;
    }
}
