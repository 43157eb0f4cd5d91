//! Frames of the source turned into frames for the destination, and confirms
//! of the destination into acknowledgements for the source.

use bytes::Bytes;

use super::headers::Stamp;
use super::link::{CHANNEL, Incoming, Link, LinkError};
use super::transfer::{Admission, Transfer};
use crate::wire::frame::{ContentHeader, Delivery};
use crate::wire::method::BasicAck;
use crate::wire::{FrameKind, Method, encode};

/// Octets on their way to the destination at which the source has to wait.
pub(super) const OUTBOUND_HIGH: usize = 4 * 1024 * 1024;

/// Where messages are published to; `None` is where they were before.
#[derive(Debug, Default)]
pub(super) struct Route {
    pub(super) exchange: Option<Bytes>,
    pub(super) routing_key: Option<Bytes>,
    /// A message that gets into no queue is not to be lost.
    pub(super) mandatory: bool,
}

/// What of a message has come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing: the next frame is a method.
    Nothing,
    /// The method.
    Method { tag: u64, forward: bool },
    /// Some of the body, with so many octets to come.
    Body { tag: u64, forward: bool, left: u64 },
}

/// Moves what comes in from one connection to the other.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) transfer: Transfer,
    pub(super) route: Route,
    pub(super) stamp: Stamp,
    part: Part,
    /// Forwarded and not yet told to anyone.
    forwarded: u64,
}

/// Why messages don't move any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("source: {0}")]
    Source(LinkError),
    #[error("destination: {0}")]
    Destination(LinkError),
    /// It is full, as a rule.
    #[error("destination refused a message")]
    Refused,
    /// The queue that messages go to was deleted.
    #[error("destination has no queue for a message: {0}")]
    Unroutable(String),
}

impl Relay {
    pub(super) fn new(transfer: Transfer, route: Route, stamp: Stamp) -> Self {
        Self {
            transfer,
            route,
            stamp,
            part: Part::Nothing,
            forwarded: 0,
        }
    }

    /// Whether no message is cut in two.
    pub(super) fn is_between_messages(&self) -> bool {
        self.part == Part::Nothing
    }

    /// How many messages were forwarded since this was last asked.
    pub(super) fn take_forwarded(&mut self) -> u64 {
        std::mem::take(&mut self.forwarded)
    }

    /// A frame from the source, at `seconds` since the Unix epoch.
    ///
    /// # Errors
    /// [`LinkError`] of the source.
    pub(super) fn take_delivery(
        &mut self,
        frame: Incoming,
        (source, destination): (&mut Link, &mut Link),
        seconds: u64,
    ) -> Result<(), LinkError> {
        match (frame.kind, self.part) {
            (FrameKind::Method, _) if Method::peek_ids(&frame.payload) == Some(Delivery::IDS) => {
                let delivery = Delivery::parse(&frame.payload)?;
                self.begin(&delivery, destination);
            }
            (FrameKind::Method, _) => source.notice(&Method::parse(&frame.payload)?)?,
            (FrameKind::Header, Part::Method { tag, forward }) => {
                let header = ContentHeader::parse(&frame.payload)?;
                let left = header.body_size;
                if forward {
                    let properties = frame.payload.slice_ref(header.properties);
                    let properties = self.stamp.apply(properties, seconds);
                    let out = &mut destination.outbound;
                    encode::content_header(out, CHANNEL, left, &properties);
                }
                self.part = Part::Body { tag, forward, left };
            }
            (FrameKind::Body, Part::Body { tag, forward, left }) => {
                if forward {
                    let max = destination.frame_max;
                    encode::body(&mut destination.outbound, CHANNEL, &frame.payload, max);
                }
                let left = left.saturating_sub(frame.payload.len() as u64);
                self.part = Part::Body { tag, forward, left };
            }
            (kind, part) => {
                let unexpected = format!("{kind:?} frame after {part:?}");
                return Err(LinkError::Protocol(unexpected));
            }
        }
        if let Part::Body {
            tag,
            forward,
            left: 0,
        } = self.part
        {
            self.part = Part::Nothing;
            if forward {
                self.end(tag, source);
            }
        }
        Ok(())
    }

    fn begin(&mut self, delivery: &Delivery<'_>, destination: &mut Link) {
        let forward = self.transfer.admit() == Admission::Forward;
        if forward {
            let own = |set: &Option<Bytes>, own: &[u8]| {
                set.clone().unwrap_or_else(|| Bytes::copy_from_slice(own))
            };
            let exchange = own(&self.route.exchange, delivery.exchange);
            let key = own(&self.route.routing_key, delivery.routing_key);
            let out = &mut destination.outbound;
            encode::publish(out, CHANNEL, &exchange, &key, self.route.mandatory);
        }
        let tag = delivery.tag;
        self.part = Part::Method { tag, forward };
    }

    fn end(&mut self, tag: u64, source: &mut Link) {
        self.forwarded += 1;
        if let Some(delivery_tag) = self.transfer.published(tag) {
            let ack = BasicAck {
                delivery_tag,
                multiple: false,
            };
            encode::method(&mut source.outbound, CHANNEL, ack);
        }
    }

    /// A frame from the destination.
    ///
    /// # Errors
    /// [`Failure`] when the destination doesn't keep a message.
    pub(super) fn take_confirm(
        &mut self,
        frame: &Incoming,
        (source, destination): (&mut Link, &mut Link),
    ) -> Result<(), Failure> {
        if frame.kind != FrameKind::Method {
            return Ok(());
        }
        let method = Method::parse(&frame.payload);
        match method.map_err(|error| Failure::Destination(error.into()))? {
            Method::BasicAck(ack) => {
                let safe = self.transfer.confirmed(ack.delivery_tag, ack.multiple);
                if let Some(delivery_tag) = safe {
                    let ack = BasicAck {
                        delivery_tag,
                        multiple: true,
                    };
                    encode::method(&mut source.outbound, CHANNEL, ack);
                }
                Ok(())
            }
            Method::BasicNack(_) => Err(Failure::Refused),
            Method::BasicReturn(returned) => {
                Err(Failure::Unroutable(returned.reply_text.to_owned()))
            }
            other => destination.notice(&other).map_err(Failure::Destination),
        }
    }
}
