//! A content comes in pieces: method, header, bodies. This puts it together
//! when the pieces don't all lie in one read buffer.

use bytes::{Bytes, BytesMut};

use crate::base::limits::{CONTENT_SIZE_MAX, MESSAGE_INLINE_MAX};
use crate::wire::encode::BASIC_CLASS;
use crate::wire::frame::ContentHeader;
use crate::wire::method::BasicPublish;
use crate::wire::{DecodeError, FieldTable, Frame, FrameKind, Properties};

use super::error::{Failure, PUBLISH};

/// How far the content of a channel has come.
#[derive(Debug, Default)]
pub(super) enum Assembly {
    /// No method with a content is pending.
    #[default]
    Idle,
    /// `basic.publish` came, its header is next.
    Header(Box<Content>),
    /// The header came, so many octets of body are outstanding.
    Body(Box<Content>, u64),
}

/// A content, or what has come of it.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) mandatory: bool,
    /// Raw, and known to be well formed.
    pub(super) properties: Vec<u8>,
    /// The body, once it is whole.
    pub(super) body: Bytes,
    /// The pieces of the body so far: grows with what came, not with what was announced.
    pieces: BytesMut,
}

impl Assembly {
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Starts a content with its method.
    pub(super) fn begin(&mut self, method: &BasicPublish<'_>) {
        *self = Self::Header(Box::new(Content {
            exchange: method.exchange.to_owned(),
            routing_key: method.routing_key.to_owned(),
            mandatory: method.mandatory,
            ..Content::default()
        }));
    }

    /// What is wrong with a method frame at this point, if anything.
    pub(super) fn refuses_method(&self) -> Option<Failure> {
        match self {
            Self::Idle => None,
            Self::Header(_) => Some(not_a_header()),
            Self::Body(..) => Some(not_a_body()),
        }
    }

    /// Takes a header or body frame. `shared` is the payload as a slice of
    /// the read buffer, made only when it is to be kept that way. Returns the
    /// content when it is whole.
    pub(super) fn take(
        &mut self,
        frame: &Frame<'_>,
        message_size_max: u64,
        shared: impl FnOnce() -> Bytes,
    ) -> Result<Option<Box<Content>>, Failure> {
        match std::mem::take(self) {
            Self::Idle => Err(Failure::out_of_turn(
                (0, 0),
                "expected method frame, got non method frame instead",
            )),
            Self::Header(content) => self.take_header(content, frame, message_size_max),
            Self::Body(content, missing) => self.take_body(content, missing, frame, shared),
        }
    }

    fn take_header(
        &mut self,
        mut content: Box<Content>,
        frame: &Frame<'_>,
        message_size_max: u64,
    ) -> Result<Option<Box<Content>>, Failure> {
        let header = checked_header(frame, message_size_max)?;
        content.properties = header.properties.to_vec();
        if header.body_size == 0 {
            return Ok(Some(content));
        }
        *self = Self::Body(content, header.body_size);
        Ok(None)
    }

    fn take_body(
        &mut self,
        mut content: Box<Content>,
        missing: u64,
        frame: &Frame<'_>,
        shared: impl FnOnce() -> Bytes,
    ) -> Result<Option<Box<Content>>, Failure> {
        if frame.kind != FrameKind::Body {
            return Err(not_a_body());
        }
        let piece = frame.payload;
        let left = missing
            .checked_sub(piece.len() as u64)
            .ok_or_else(Failure::body_overrun)?;
        let only = content.pieces.is_empty() && left == 0;
        if only && piece.len() > MESSAGE_INLINE_MAX {
            content.body = shared();
            return Ok(Some(content));
        }
        content.pieces.extend_from_slice(piece);
        if left == 0 {
            content.body = std::mem::take(&mut content.pieces).freeze();
            return Ok(Some(content));
        }
        *self = Self::Body(content, left);
        Ok(None)
    }
}

/// The header of a publish, checked in everything that doesn't need the broker.
fn checked_header<'a>(
    frame: &Frame<'a>,
    message_size_max: u64,
) -> Result<ContentHeader<'a>, Failure> {
    if frame.kind != FrameKind::Header {
        return Err(not_a_header());
    }
    let header = ContentHeader::parse(frame.payload)
        .map_err(|_| Failure::unknown_frame(frame.kind.octet(), frame.payload))?;
    if header.weight != 0 {
        return Err(not_a_header());
    }
    if header.class != BASIC_CLASS {
        let class = header.class;
        return Err(Failure::out_of_turn(
            PUBLISH,
            format!("expected content header for class 60, got one for class {class} instead"),
        ));
    }
    if header.body_size > CONTENT_SIZE_MAX {
        return Err(Failure::content_too_large(header.body_size));
    }
    parse_properties(header.properties)
        .map_err(|error| Failure::undecodable(error, PUBLISH, header.properties))?;
    if header.body_size > message_size_max {
        return Err(Failure::message_too_large(
            header.body_size,
            message_size_max,
        ));
    }
    Ok(header)
}

/// Properties that can go on to any consumer: their header table is looked
/// through, too, since a broken one would break whoever gets it.
pub(super) fn parse_properties(raw: &[u8]) -> Result<Properties<'_>, DecodeError> {
    let properties = Properties::parse(raw)?;
    if let Some(entries) = properties.headers {
        FieldTable::check_entries(entries)?;
    }
    Ok(properties)
}

fn not_a_header() -> Failure {
    Failure::out_of_turn(
        PUBLISH,
        "expected content header for class 60, got non content header frame instead",
    )
}

fn not_a_body() -> Failure {
    Failure::out_of_turn(
        PUBLISH,
        "expected content body, got non content body frame instead",
    )
}
