//! What of a queue's messages counts where its octets are limited
//! (`semantics` 11).

use std::ops::AddAssign;

use crate::broker::message::Message;

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

    /// What is left without `other`.
    pub fn without(self, other: Self) -> Self {
        Self {
            bodies: self.bodies.saturating_sub(other.bodies),
            properties: self.properties.saturating_sub(other.properties),
        }
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.bodies += other.bodies;
        self.properties += other.properties;
    }
}
