//! What the load generator writes at the front of each body.
//!
//! ```text
//!   0           2                 8                16         size
//!   +-----------+-----------------+-----------------+----------+
//!   | producer  |     number      |     sent_ns     |  filler  |
//!   +-----------+-----------------+-----------------+----------+
//!     u16         u48               u64
//! ```

/// Octets of a stamp: the smallest body.
pub const STAMP_LEN: usize = 16;

const NUMBER_BITS: u32 = 48;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// Who sent a message, as which of theirs, and when it should have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The producer's index.
    pub producer: u16,
    /// Counts this producer's messages from 0; below 2^48.
    pub number: u64,
    /// The intended time of sending, nanoseconds of [`Stopwatch`](super::clock::Stopwatch).
    pub sent_ns: u64,
}

impl Stamp {
    /// The stamp as it goes into the body.
    pub fn to_octets(self) -> [u8; STAMP_LEN] {
        let id = u64::from(self.producer) << NUMBER_BITS | self.number & NUMBER_MASK;
        (u128::from(id) << 64 | u128::from(self.sent_ns)).to_be_bytes()
    }

    /// Reads a stamp back. Any sixteen octets are one: the verification finds
    /// out whether somebody else's message was read.
    pub fn from_octets(octets: [u8; STAMP_LEN]) -> Self {
        let both = u128::from_be_bytes(octets);
        let id = (both >> 64) as u64;
        Self {
            producer: (id >> NUMBER_BITS) as u16,
            number: id & NUMBER_MASK,
            sent_ns: both as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_back_as_it_was() {
        let stamp = Stamp {
            producer: 0xABCD,
            number: NUMBER_MASK - 7,
            sent_ns: u64::MAX - 3,
        };
        assert_eq!(Stamp::from_octets(stamp.to_octets()), stamp);
    }
}
