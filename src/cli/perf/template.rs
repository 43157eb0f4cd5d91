//! Publishes encoded once; only their stamps change from then on.

use std::ops::Range;

use bytes::BytesMut;

use super::error::PerfError;
use super::session::CHANNEL;
use super::stamp::{STAMP_LEN, Stamp};
use crate::wire::encode;
use crate::wire::frame::HEAD_LEN;
use crate::wire::method::BasicPublish;

/// Octets written at once: enough that the system call costs next to nothing
/// a message, few enough to stay in the cache between stamping and writing.
const BATCH_LEN: usize = 64 * 1024;

/// The largest ring; thousands of queues with huge bodies would need more.
const RING_LEN_MAX: usize = 1 << 30;

/// Where a publish goes and what it carries besides the body.
#[derive(Debug, Clone)]
pub struct Target {
    /// The exchange; empty is the default one.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The properties, raw.
    pub properties: Vec<u8>,
}

/// Encoded publishes, one behind the other, that a producer sends in turn.
pub struct PublishRing {
    octets: Vec<u8>,
    /// Octets of one publish, all its frames.
    stride: usize,
    /// Where in a publish its stamp is.
    stamp_at: usize,
    /// Publishes in the ring: a multiple of the number of targets.
    len: usize,
    /// The most publishes in one batch.
    batch: usize,
}

impl PublishRing {
    /// Encodes publishes of `body_len` octets (at least [`STAMP_LEN`]) to
    /// `targets` in turn.
    ///
    /// # Errors
    /// [`PerfError::Usage`] when the ring would be larger than 1 GiB or the
    /// targets' publishes differ in length.
    pub fn new(targets: &[Target], body_len: usize, frame_max: u32) -> Result<Self, PerfError> {
        let body = vec![b'.'; body_len.max(STAMP_LEN)];
        let mut round = BytesMut::new();
        let mut stride = 0;
        let mut stamp_at = 0;
        for target in targets {
            let start = round.len();
            stamp_at = put_publish(&mut round, target, &body, frame_max);
            stride = round.len() - start;
            if round.len() > RING_LEN_MAX {
                return Err(PerfError::Usage(
                    "queues times size is more than 1 GiB for one producer: use more producers"
                        .to_owned(),
                ));
            }
        }
        if stride == 0 || stride * targets.len() != round.len() {
            return Err(PerfError::Usage(
                "the publishes differ in length".to_owned(),
            ));
        }
        let batch = (BATCH_LEN / stride).max(1);
        let rounds = batch.div_ceil(targets.len());
        Ok(Self {
            octets: round.repeat(rounds),
            stride,
            stamp_at,
            len: targets.len() * rounds,
            batch,
        })
    }

    /// Stamps up to `count` publishes, from the producer's message `first` on,
    /// with the times `sent_ns` gives for their numbers. Returns how many and
    /// where they are.
    pub fn stamp(
        &mut self,
        producer: u16,
        first: u64,
        count: usize,
        mut sent_ns: impl FnMut(u64) -> u64,
    ) -> (usize, Range<usize>) {
        let slot = (first % self.len as u64) as usize;
        let count = count.min(self.batch).min(self.len - slot);
        let range = slot * self.stride..(slot + count) * self.stride;
        let publishes = self.octets.get_mut(range.clone()).unwrap_or_default();
        for (number, publish) in (first..).zip(publishes.chunks_exact_mut(self.stride)) {
            let stamp = Stamp {
                producer,
                number,
                sent_ns: sent_ns(number),
            };
            if let Some(place) = publish.get_mut(self.stamp_at..self.stamp_at + STAMP_LEN) {
                place.copy_from_slice(&stamp.to_octets());
            }
        }
        (count, range)
    }

    /// The encoded publishes in `range`.
    pub fn octets(&self, range: Range<usize>) -> &[u8] {
        self.octets.get(range).unwrap_or_default()
    }
}

/// Appends one publish; returns where in it the body begins.
fn put_publish(out: &mut BytesMut, target: &Target, body: &[u8], frame_max: u32) -> usize {
    let start = out.len();
    let publish = BasicPublish {
        exchange: &target.exchange,
        routing_key: &target.routing_key,
        ..BasicPublish::default()
    };
    encode::method(out, CHANNEL, publish);
    encode::content_header(out, CHANNEL, body.len() as u64, &target.properties);
    let body_at = out.len() + HEAD_LEN - start;
    encode::body(out, CHANNEL, body, frame_max);
    body_at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, FrameKind, Method};

    const FRAME_MAX: u32 = 4096;

    fn ring(keys: &[&str], body_len: usize) -> PublishRing {
        let targets: Vec<Target> = keys
            .iter()
            .map(|key| Target {
                exchange: "x".to_owned(),
                routing_key: (*key).to_owned(),
                properties: vec![0, 0],
            })
            .collect();
        PublishRing::new(&targets, body_len, FRAME_MAX).expect("a ring")
    }

    /// Routing key and stamp of each publish in `octets`.
    fn decode(mut octets: &[u8]) -> Vec<(String, Stamp)> {
        let mut publishes = Vec::new();
        let mut key = String::new();
        let mut body = Vec::new();
        while let Some((frame, len)) = Frame::cut(octets, FRAME_MAX).expect("a frame") {
            match frame.kind {
                FrameKind::Method => match Method::parse(frame.payload).expect("a method") {
                    Method::BasicPublish(publish) => key = publish.routing_key.to_owned(),
                    other => panic!("{other:?}"),
                },
                FrameKind::Header => body.clear(),
                _ => {
                    if body.is_empty() {
                        let stamp = frame.payload.first_chunk().expect("a stamp");
                        publishes.push((key.clone(), Stamp::from_octets(*stamp)));
                    }
                    body.extend_from_slice(frame.payload);
                }
            }
            octets = &octets[len..];
        }
        assert!(octets.is_empty());
        publishes
    }

    #[test]
    fn each_publish_gets_its_own_stamp() {
        let mut ring = ring(&["k"], 16);
        let (count, range) = ring.stamp(7, 0, 5, |number| 1000 + number);
        assert_eq!(count, 5);
        let numbers: Vec<_> = decode(ring.octets(range))
            .into_iter()
            .map(|(_, stamp)| (stamp.producer, stamp.number, stamp.sent_ns))
            .collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4].map(|n| (7, n, 1000 + n)));
    }

    #[test]
    fn batches_follow_each_other_around_the_ring() {
        let mut ring = ring(&["a", "b", "c"], 16);
        let mut first = 0;
        while first < 10_000 {
            let (count, range) = ring.stamp(0, first, 700, |_| 1);
            assert!(range.len() <= BATCH_LEN && count > 0);
            for (key, stamp) in decode(ring.octets(range)) {
                assert_eq!(stamp.number, first);
                assert_eq!(key, ["a", "b", "c"][(first % 3) as usize]);
                first += 1;
            }
        }
    }

    #[test]
    fn a_large_body_is_cut_into_frames() {
        let mut ring = ring(&["k"], 10_000);
        let (_, range) = ring.stamp(1, 41, 1, |_| 9);
        let publishes = decode(ring.octets(range));
        assert_eq!(publishes.len(), 1);
        assert_eq!(publishes[0].1.number, 41);
    }

    #[test]
    fn targets_of_different_length_are_refused() {
        let target = |key: &str| Target {
            exchange: String::new(),
            routing_key: key.to_owned(),
            properties: vec![0, 0],
        };
        assert!(PublishRing::new(&[target("a"), target("bb")], 16, FRAME_MAX).is_err());
        assert!(PublishRing::new(&[], 16, FRAME_MAX).is_err());
    }
}
