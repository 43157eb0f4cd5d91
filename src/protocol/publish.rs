//! The short way of what comes most: a publish that lies whole in the read
//! buffer, and the settling of deliveries.
//!
//! Nothing is copied and nothing allocated. Whatever isn't exactly as expected
//! is left where it is for the long way, which finds the right words for it.

use bytes::Bytes;

use crate::base::limits::MESSAGE_INLINE_MAX;
use crate::wire::{Body, Frame, FrameKind, Properties};

use super::action::{Action, Publish, Settle};
use super::assembly::{Content, checked_header};
use super::connection::Connection;

/// The octets of a frame that settles deliveries.
const SETTLE_LEN: usize = 21;
/// Frame head, class and method id.
const METHOD_HEAD_LEN: usize = 11;

impl Connection {
    /// Works on a publish, ack, nack or reject at `*at`, if that is what is
    /// there and nothing about it is out of the ordinary.
    #[inline]
    pub(super) fn quick_step<'i>(
        &mut self,
        input: &'i Bytes,
        at: &mut usize,
    ) -> Option<Action<'i>> {
        let rest = input.get(*at..)?;
        let &[1, _, _, _, _, _, _, 0, 60, 0, id, ..] = rest else {
            return None;
        };
        match id {
            40 => self.quick_publish(input, at),
            80 | 90 | 120 => self.quick_settle(rest, at),
            _ => None,
        }
    }

    fn quick_settle<'i>(&mut self, rest: &[u8], at: &mut usize) -> Option<Action<'i>> {
        let &[
            1,
            c0,
            c1,
            0,
            0,
            0,
            13,
            0,
            60,
            0,
            id,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
            bits,
            0xCE,
        ] = rest.first_chunk::<SETTLE_LEN>()?
        else {
            return None;
        };
        let channel = u16::from_be_bytes([c0, c1]);
        if !self.channels.get(channel)?.is_ready() {
            return None;
        }
        let tag = u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let (first, second) = (bits & 1 != 0, bits & 2 != 0);
        let settle = match id {
            80 => Settle::Ack {
                tag,
                multiple: first,
            },
            90 => Settle::Reject {
                tag,
                requeue: first,
            },
            _ => Settle::Nack {
                tag,
                multiple: first,
                requeue: second,
            },
        };
        *at += SETTLE_LEN;
        Some(Action::Settle { channel, settle })
    }

    fn quick_publish<'i>(&mut self, input: &'i Bytes, at: &mut usize) -> Option<Action<'i>> {
        let payload_max = self.payload_max();
        let size_max = self.settings.message_size_max;
        let (method, header_at) = cut(input, *at, payload_max)?;
        let arguments = Arguments::parse(method.payload)?;
        let (header, mut end) = cut(input, header_at, payload_max)?;
        if header.channel != method.channel {
            return None;
        }
        let (content, parsed) = checked_header(&header, size_max).ok()?;
        let mut body = Body::Borrowed(&[]);
        if content.body_size > 0 {
            let (frame, body_end) = cut(input, end, payload_max)?;
            let whole = frame.kind == FrameKind::Body
                && frame.channel == method.channel
                && frame.payload.len() as u64 == content.body_size;
            if !whole {
                return None;
            }
            body = if frame.payload.len() <= MESSAGE_INLINE_MAX {
                Body::Borrowed(frame.payload)
            } else {
                Body::Shared(input.slice_ref(frame.payload))
            };
            end = body_end;
        }
        let channel = self.channels.get_mut(method.channel)?;
        if !channel.is_ready() {
            return None;
        }
        let publish = Publish {
            channel: method.channel,
            exchange: arguments.exchange,
            routing_key: arguments.routing_key,
            mandatory: arguments.mandatory,
            properties: content.properties,
            parsed,
            body,
            seq: channel.number_publish(),
            transactional: channel.is_tx(),
        };
        *at = end;
        Some(Action::Publish(publish))
    }

    /// Hands out the content that was put together last.
    pub(super) fn publish_assembled(&mut self, channel: u16) -> Action<'_> {
        let Some(content) = self.assembled.as_deref_mut() else {
            return Action::Continue;
        };
        let (seq, transactional) = match self.channels.get_mut(channel) {
            Some(channel) => (channel.number_publish(), channel.is_tx()),
            None => (None, false),
        };
        let large = content.body.len() > MESSAGE_INLINE_MAX;
        let shared = if large {
            std::mem::take(&mut content.body)
        } else {
            Bytes::new()
        };
        let content: &Content = content;
        Action::Publish(Publish {
            channel,
            exchange: &content.exchange,
            routing_key: &content.routing_key,
            mandatory: content.mandatory,
            properties: &content.properties,
            parsed: Properties::parse(&content.properties).unwrap_or_default(),
            body: if large {
                Body::Shared(shared)
            } else {
                Body::Borrowed(&content.body)
            },
            seq,
            transactional,
        })
    }
}

/// Cuts the whole frame at `at`; also returns where it ends.
#[inline]
fn cut(input: &Bytes, at: usize, payload_max: u32) -> Option<(Frame<'_>, usize)> {
    let (frame, len) = Frame::cut(input.get(at..)?, payload_max).ok()??;
    Some((frame, at + len))
}

/// The arguments of `basic.publish` that matter.
struct Arguments<'a> {
    exchange: &'a str,
    routing_key: &'a str,
    mandatory: bool,
}

impl<'a> Arguments<'a> {
    /// Parses the payload of the method's frame: ids, ticket, two short
    /// strings, the bits. `immediate` isn't for here.
    fn parse(payload: &'a [u8]) -> Option<Self> {
        let rest = payload.get(METHOD_HEAD_LEN - 7 + 2..)?;
        let (exchange, rest) = short_str(rest)?;
        let (routing_key, rest) = short_str(rest)?;
        let &[bits] = rest else {
            return None;
        };
        (bits & 2 == 0).then_some(Self {
            exchange,
            routing_key,
            mandatory: bits & 1 != 0,
        })
    }
}

#[inline]
fn short_str(input: &[u8]) -> Option<(&str, &[u8])> {
    let (&len, rest) = input.split_first()?;
    let (octets, rest) = rest.split_at_checked(usize::from(len))?;
    Some((std::str::from_utf8(octets).ok()?, rest))
}
