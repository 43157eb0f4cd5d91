//! The messages: what they are follows from their number, so that one that
//! comes back can be held against what was sent.

use bytes::BytesMut;
use harrier::wire::{FieldTable, Properties};
use rand::RngExt;
use rand::rngs::SmallRng;

/// The smallest body: the id and two octets more.
const BODY_MIN: usize = 10;
/// Octets between which the filling of a body changes.
const STRIPE: usize = 512;

/// One in so many messages is left unsettled for many rounds.
const STUBBORN_ONE_IN: u32 = 50;

/// A message: who published it, and as which of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Publishers count on from round to round: a later one has a higher number.
    pub publisher: u32,
    /// From 1.
    pub seq: u32,
}

impl Id {
    /// The id in a body; `None` when there is none, or the rest of the body
    /// isn't what belongs to it.
    pub fn of(body: &[u8]) -> Option<Self> {
        let id = Self {
            publisher: u32::from_be_bytes(body.get(..4)?.try_into().ok()?),
            seq: u32::from_be_bytes(body.get(4..8)?.try_into().ok()?),
        };
        (body == id.body(body.len())).then_some(id)
    }

    /// A body of `len` octets.
    pub fn body(self, len: usize) -> Vec<u8> {
        let mut body = vec![0; len];
        for (stripe, octets) in body.chunks_mut(STRIPE).enumerate() {
            octets.fill((self.mixed() as u8).wrapping_add(stripe as u8));
        }
        body[..4].copy_from_slice(&self.publisher.to_be_bytes());
        body[4..8].copy_from_slice(&self.seq.to_be_bytes());
        body
    }

    /// The properties it is published with, raw.
    pub fn properties(self, persistent: bool) -> Vec<u8> {
        let number = self.to_string();
        let mut properties = Properties {
            delivery_mode: Some(if persistent { 2 } else { 1 }),
            ..Properties::default()
        };
        let mut headers = FieldTable::new();
        if self.mixed().is_multiple_of(3) {
            properties.message_id = Some(number.as_bytes());
            headers.push("number", &*number);
        }
        if headers.is_empty() {
            let mut raw = BytesMut::new();
            properties.put(&mut raw);
            return raw.to_vec();
        }
        properties.with_headers(&headers).to_vec()
    }

    /// Whether it is one of the few that nobody settles for a long time.
    pub fn is_stubborn(self) -> bool {
        (self.mixed() >> 8).is_multiple_of(STUBBORN_ONE_IN)
    }

    fn mixed(self) -> u32 {
        let mixed = (self.publisher ^ self.seq.rotate_left(16)).wrapping_mul(0x9E37_79B1);
        mixed ^ (mixed >> 15)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.publisher, self.seq)
    }
}

/// How long a body is to be: mostly short, some chained, a few in many frames.
pub fn body_len(rng: &mut SmallRng) -> usize {
    match rng.random_range(0..1000) {
        0..3 => 300 * 1024,
        3..40 => rng.random_range(8 * 1024..20 * 1024),
        40..200 => rng.random_range(400..4000),
        _ => rng.random_range(BODY_MIN..400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_changed_is_seen() {
        let id = Id {
            publisher: 7,
            seq: 9,
        };
        let body = id.body(3 * STRIPE);
        assert_eq!(Id::of(&body), Some(id));
        let mut changed = body.clone();
        changed[2 * STRIPE] ^= 1;
        assert_eq!(Id::of(&changed), None);
        // Pieces that changed places.
        let moved = [&body[..8], &body[STRIPE..], &body[8..STRIPE]].concat();
        assert_eq!(Id::of(&moved), None);
    }
}
