//! Deliveries, picked out of the read buffer without an allocation.

use super::error::PerfError;
use super::stamp::{STAMP_LEN, Stamp};
use crate::wire::frame::ContentHeader;
use crate::wire::{Frame, FrameKind};

/// Class and method id of `basic.deliver`, as a payload begins with them.
const DELIVER: [u8; 4] = [0, 60, 0, 60];

/// One message as it reached a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// The queue it came from, by its index: we name consumers by it.
    pub queue: u16,
    /// The delivery tag.
    pub tag: u64,
    /// Whether the broker handed it out before.
    pub redelivered: bool,
    /// Octets of body.
    pub body_len: u64,
    /// What its producer wrote at the front; `None` if the body is too short.
    pub stamp: Option<Stamp>,
}

/// What a frame meant to [`DeliveryScan`].
#[derive(Debug, PartialEq, Eq)]
pub enum Scanned {
    /// A message is complete.
    Message(Delivery),
    /// Part of a message; more has to come.
    Partial,
    /// A method that isn't a delivery.
    Other,
}

/// Puts deliveries together from the frames of one channel.
#[derive(Debug, Default)]
pub struct DeliveryScan {
    awaited: Awaited,
    queue: u16,
    tag: u64,
    redelivered: bool,
    body_len: u64,
    body_left: u64,
    stamp: Option<Stamp>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    #[default]
    Method,
    Header,
    Body,
}

impl DeliveryScan {
    /// Takes the next frame.
    ///
    /// # Errors
    /// [`PerfError::Protocol`] when it can't follow the frame before.
    pub fn on_frame(&mut self, frame: &Frame<'_>) -> Result<Scanned, PerfError> {
        match (self.awaited, frame.kind) {
            (Awaited::Method, FrameKind::Method) => self.on_method(frame.payload),
            (Awaited::Header, FrameKind::Header) => self.on_header(frame.payload),
            (Awaited::Body, FrameKind::Body) => self.on_body(frame.payload),
            (_, FrameKind::Heartbeat) => Ok(Scanned::Other),
            // The connection's own methods may come between a content's frames.
            (_, FrameKind::Method) if frame.channel == 0 => Ok(Scanned::Other),
            (awaited, kind) => Err(PerfError::Protocol(format!(
                "the server sent a {kind:?} frame where {awaited:?} was due"
            ))),
        }
    }

    fn on_method(&mut self, payload: &[u8]) -> Result<Scanned, PerfError> {
        let Some(arguments) = payload.strip_prefix(&DELIVER) else {
            return Ok(Scanned::Other);
        };
        let malformed = || PerfError::Protocol("the server sent a short basic.deliver".to_owned());
        let (consumer_tag, rest) = arguments
            .split_first()
            .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)))
            .ok_or_else(malformed)?;
        let (tag, rest) = rest.split_first_chunk().ok_or_else(malformed)?;
        self.queue = decimal(consumer_tag);
        self.tag = u64::from_be_bytes(*tag);
        self.redelivered = rest.first().is_some_and(|bits| bits & 1 != 0);
        self.awaited = Awaited::Header;
        Ok(Scanned::Partial)
    }

    fn on_header(&mut self, payload: &[u8]) -> Result<Scanned, PerfError> {
        let header = ContentHeader::parse(payload).map_err(|error| {
            PerfError::Protocol(format!("the server sent a bad content header: {error}"))
        })?;
        self.body_len = header.body_size;
        self.body_left = header.body_size;
        self.stamp = None;
        if header.body_size == 0 {
            return Ok(self.complete());
        }
        self.awaited = Awaited::Body;
        Ok(Scanned::Partial)
    }

    fn on_body(&mut self, payload: &[u8]) -> Result<Scanned, PerfError> {
        if self.body_left == self.body_len {
            self.stamp = payload
                .first_chunk::<STAMP_LEN>()
                .map(|octets| Stamp::from_octets(*octets));
        }
        let left = self.body_left.checked_sub(payload.len() as u64);
        self.body_left = left.ok_or_else(|| {
            PerfError::Protocol("the server sent more body than it announced".to_owned())
        })?;
        if self.body_left > 0 {
            return Ok(Scanned::Partial);
        }
        Ok(self.complete())
    }

    fn complete(&mut self) -> Scanned {
        self.awaited = Awaited::Method;
        Scanned::Message(Delivery {
            queue: self.queue,
            tag: self.tag,
            redelivered: self.redelivered,
            body_len: self.body_len,
            stamp: self.stamp,
        })
    }
}

/// The number that ASCII digits stand for; anything else is some number, too.
fn decimal(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |number: u16, digit| {
        let digit = u16::from(digit.wrapping_sub(b'0'));
        number.wrapping_mul(10).wrapping_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode::{self, DeliverArguments};
    use bytes::BytesMut;

    fn scan(octets: &[u8]) -> Result<Vec<Scanned>, PerfError> {
        let mut scan = DeliveryScan::default();
        let mut rest = octets;
        let mut seen = Vec::new();
        while let Some((frame, len)) = Frame::cut(rest, 131_072).expect("a frame") {
            seen.push(scan.on_frame(&frame)?);
            rest = &rest[len..];
        }
        Ok(seen)
    }

    fn put_delivery(out: &mut BytesMut, tag: u64, body: &[u8]) {
        let arguments = DeliverArguments {
            channel: 1,
            consumer_tag: "207",
            delivery_tag: tag,
            redelivered: true,
            exchange: b"x",
            routing_key: b"key",
        };
        encode::deliver(out, &arguments);
        encode::content_header(out, 1, body.len() as u64, &[0, 0]);
        encode::body(out, 1, body, 4096);
    }

    #[test]
    fn a_message_of_three_body_frames() {
        let stamp = Stamp {
            producer: 3,
            number: 12,
            sent_ns: 34,
        };
        let mut body = vec![0; 10_000];
        body[..STAMP_LEN].copy_from_slice(&stamp.to_octets());
        let mut out = BytesMut::new();
        put_delivery(&mut out, 5, &body);
        let seen = scan(&out).expect("good frames");
        let expected = Delivery {
            queue: 207,
            tag: 5,
            redelivered: true,
            body_len: 10_000,
            stamp: Some(stamp),
        };
        assert_eq!(seen.len(), 5);
        assert_eq!(seen.last(), Some(&Scanned::Message(expected)));
    }

    #[test]
    fn an_empty_body_has_no_stamp() {
        let mut out = BytesMut::new();
        put_delivery(&mut out, 1, b"");
        put_delivery(&mut out, 2, b"short");
        let stamps: Vec<_> = scan(&out)
            .expect("good frames")
            .into_iter()
            .filter_map(|scanned| match scanned {
                Scanned::Message(delivery) => Some((delivery.tag, delivery.stamp)),
                _ => None,
            })
            .collect();
        assert_eq!(stamps, [(1, None), (2, None)]);
    }

    #[test]
    fn a_body_without_its_method_is_an_error() {
        let mut out = BytesMut::new();
        encode::body(&mut out, 1, b"x", 4096);
        assert!(scan(&out).is_err());
    }
}
