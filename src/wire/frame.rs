//! Frames: found by their head, cut out whole, looked into once.

use crate::base::limits::FRAME_OVERHEAD;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};

use super::error::{DecodeError, complete};
use super::parse::{Parsed, short_octets};

/// The octet that ends each frame.
pub const FRAME_END: u8 = 0xCE;
/// The octets of a frame before its payload.
pub const HEAD_LEN: usize = 7;

/// The kinds of frame that AMQP 0-9-1 defines (2.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A method with its arguments.
    Method,
    /// A content header: size and properties.
    Header,
    /// A piece of a content's body.
    Body,
    /// A sign of life.
    Heartbeat,
}

impl FrameKind {
    /// The kind an octet stands for, if any.
    pub const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Method),
            2 => Some(Self::Header),
            3 => Some(Self::Body),
            8 => Some(Self::Heartbeat),
            _ => None,
        }
    }

    /// The octet that stands for this kind.
    pub const fn octet(self) -> u8 {
        match self {
            Self::Method => 1,
            Self::Header => 2,
            Self::Body => 3,
            Self::Heartbeat => 8,
        }
    }
}

/// The first seven octets of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// The type octet, not yet known to be a [`FrameKind`].
    pub kind: u8,
    /// The channel.
    pub channel: u16,
    /// Octets of payload that follow.
    pub size: u32,
}

impl FrameHead {
    /// Peeks at the head of the frame at the front of `input`; `None` while
    /// fewer than seven octets are there.
    pub fn peek(input: &[u8]) -> Option<Self> {
        let [kind, c0, c1, s0, s1, s2, s3, ..] = *input else {
            return None;
        };
        Some(Self {
            kind,
            channel: u16::from_be_bytes([c0, c1]),
            size: u32::from_be_bytes([s0, s1, s2, s3]),
        })
    }

    /// Octets of the whole frame, end octet included.
    pub const fn frame_len(self) -> usize {
        self.size as usize + FRAME_OVERHEAD
    }
}

/// A whole frame, borrowed from the read buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel it belongs to; 0 is the connection itself.
    pub channel: u16,
    /// The payload.
    pub payload: &'a [u8],
}

/// Why the octets at the front of the buffer aren't a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// The announced payload is larger than agreed.
    TooLarge {
        /// The type octet.
        kind: u8,
        /// The payload size announced.
        size: u32,
        /// The largest payload agreed on.
        limit: u32,
    },
    /// The octet after the payload isn't 0xCE.
    BadEnd {
        /// The type octet.
        kind: u8,
        /// The payload.
        payload: Vec<u8>,
        /// The octet found.
        end: u8,
    },
    /// The type octet isn't one of [`FrameKind`].
    UnknownKind {
        /// The type octet.
        kind: u8,
        /// The payload.
        payload: Vec<u8>,
    },
}

impl<'a> Frame<'a> {
    /// Cuts the frame at the front of `input`, if it is there whole.
    ///
    /// `payload_max` is the largest payload taken, in octets: RabbitMQ lets a
    /// payload be as large as frame_max itself, eight octets more than agreed.
    /// Returns the frame and how many octets it took.
    ///
    /// # Errors
    /// [`FrameError`], as soon as the head or the end octet shows it.
    pub fn cut(input: &'a [u8], payload_max: u32) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(head) = FrameHead::peek(input) else {
            return Ok(None);
        };
        if head.size > payload_max {
            return Err(FrameError::TooLarge {
                kind: head.kind,
                size: head.size,
                limit: payload_max.saturating_sub(FRAME_OVERHEAD as u32),
            });
        }
        let len = head.frame_len();
        let (Some(payload), Some(&end)) = (input.get(HEAD_LEN..len - 1), input.get(len - 1)) else {
            return Ok(None);
        };
        if end != FRAME_END {
            return Err(FrameError::BadEnd {
                kind: head.kind,
                payload: payload.to_vec(),
                end,
            });
        }
        let Some(kind) = FrameKind::from_octet(head.kind) else {
            return Err(FrameError::UnknownKind {
                kind: head.kind,
                payload: payload.to_vec(),
            });
        };
        let frame = Self {
            kind,
            channel: head.channel,
            payload,
        };
        Ok(Some((frame, len)))
    }
}

/// The payload of a content header frame (2.3.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// The class of the method the content belongs to.
    pub class: u16,
    /// Always 0 from a correct peer.
    pub weight: u16,
    /// Octets of body that follow, over all body frames.
    pub body_size: u64,
    /// Property flags and properties, not looked into.
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Parses the payload of a header frame.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when it is shorter than its fixed part.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        complete(payload, |input| -> Parsed<'a, Self> {
            let (rest, class) = be_u16(input)?;
            let (rest, weight) = be_u16(rest)?;
            let (properties, body_size) = be_u64(rest)?;
            let header = Self {
                class,
                weight,
                body_size,
                properties,
            };
            Ok((&[], header))
        })
    }
}

/// The payload of a `basic.deliver`, whose names need not be UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The delivery tag.
    pub tag: u64,
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// The routing key it was published with.
    pub routing_key: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Class and method id of what this is the payload of.
    pub const IDS: (u16, u16) = (60, 60);

    /// Parses the payload of such a method frame.
    ///
    /// # Errors
    /// [`DecodeError`] when the arguments don't fill the payload exactly.
    pub fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        complete(payload, |input| -> Parsed<'a, Self> {
            let (rest, _ids) = be_u32(input)?;
            let (rest, _consumer) = short_octets(rest)?;
            let (rest, tag) = be_u64(rest)?;
            let (rest, _redelivered) = be_u8(rest)?;
            let (rest, exchange) = short_octets(rest)?;
            let (rest, routing_key) = short_octets(rest)?;
            let delivery = Self {
                tag,
                exchange,
                routing_key,
            };
            Ok((rest, delivery))
        })
    }
}
