//! What clients do wrong, with the reply codes and texts RabbitMQ has for it.

use crate::base::limits::CONTENT_SIZE_MAX;
use crate::wire::{DecodeError, Frame, FrameError, Refusal, ReplyCode};

use super::erlang;

/// Class and method id at fault, as close methods carry them.
pub(super) type Ids = (u16, u16);
/// No method is at fault.
pub(super) const NO_METHOD: Ids = (0, 0);
/// `basic.publish`.
pub(super) const PUBLISH: Ids = (60, 40);

/// A broken rule. Its code decides whether the channel or the connection goes.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the client gets to read.
    pub(super) refusal: Refusal,
    /// The method at fault.
    pub(super) ids: Ids,
}

impl Failure {
    pub(super) fn new(code: ReplyCode, ids: Ids, explanation: impl Into<String>) -> Self {
        Self {
            refusal: Refusal::new(code, explanation),
            ids,
        }
    }

    pub(super) fn expected_open(ids: Ids) -> Self {
        Self::new(ReplyCode::ChannelError, ids, "expected 'channel.open'")
    }

    pub(super) fn second_open(ids: Ids) -> Self {
        Self::new(ReplyCode::ChannelError, ids, "second 'channel.open' seen")
    }

    pub(super) fn unexpected_method(ids: Ids, state: &str) -> Self {
        let text = format!("unexpected method in connection state {state}");
        Self::new(ReplyCode::ChannelError, ids, text)
    }

    pub(super) fn unimplemented(ids: Ids) -> Self {
        Self::new(ReplyCode::CommandInvalid, ids, "unimplemented method")
    }

    pub(super) fn not_implemented(ids: Ids, what: impl Into<String>) -> Self {
        Self::new(ReplyCode::NotImplemented, ids, what)
    }

    pub(super) fn precondition(ids: Ids, what: impl Into<String>) -> Self {
        Self::new(ReplyCode::PreconditionFailed, ids, what)
    }

    pub(super) fn too_many_channels(open: usize, max: u16) -> Self {
        let text = format!(
            "number of channels opened ({open}) has reached the negotiated channel_max ({max})"
        );
        Self::new(ReplyCode::NotAllowed, NO_METHOD, text)
    }

    pub(super) fn content_too_large(size: u64) -> Self {
        let text =
            format!("content body size {size} exceeds maximum allowed size {CONTENT_SIZE_MAX}");
        Self::new(ReplyCode::FrameError, PUBLISH, text)
    }

    pub(super) fn message_too_large(size: u64, max: u64) -> Self {
        let text = format!("message size {size} is larger than configured max size {max}");
        Self::precondition(PUBLISH, text)
    }

    pub(super) fn body_overrun() -> Self {
        let text = "content body frame exceeds remaining content size";
        Self::new(ReplyCode::FrameError, PUBLISH, text)
    }

    /// A frame that may not come at this point of a content.
    pub(super) fn out_of_turn(ids: Ids, text: impl Into<String>) -> Self {
        Self::new(ReplyCode::UnexpectedFrame, ids, text)
    }

    /// A frame of a kind that doesn't belong on its channel.
    pub(super) fn unexpected_frame(frame: &Frame<'_>) -> Self {
        let octets = erlang::snippet(frame.payload);
        let text = format!("type {}, {octets}", frame.kind.octet());
        Self::new(ReplyCode::UnexpectedFrame, NO_METHOD, text)
    }

    /// A frame that is none of the known ones: `kind` is its type octet.
    pub(super) fn unknown_frame(kind: u8, payload: &[u8]) -> Self {
        Self::frame(kind, payload, "unknown_frame")
    }

    /// A method's arguments, `octets`, don't follow the grammar.
    pub(super) fn undecodable(error: DecodeError, ids: Ids, octets: &[u8]) -> Self {
        match error {
            DecodeError::NotUtf8 => Self::new(
                ReplyCode::FrameError,
                NO_METHOD,
                "Malformed UTF-8 in shortstr",
            ),
            DecodeError::UnknownMethod { .. } => Self::unimplemented(ids),
            _ => {
                let text = format!("cannot decode {}", erlang::octets(octets));
                Self::new(ReplyCode::FrameError, ids, text)
            }
        }
    }

    fn frame(kind: u8, payload: &[u8], problem: &str) -> Self {
        let octets = erlang::snippet(payload);
        let text = format!("type {kind}, {octets}: {problem}");
        Self::new(ReplyCode::FrameError, NO_METHOD, text)
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge { kind, size, limit } => {
                Self::frame(kind, &[], &format!("{{frame_too_large,{size},{limit}}}"))
            }
            FrameError::BadEnd { kind, payload, end } => {
                let problem = format!("{{invalid_frame_end_marker,{end}}}");
                Self::frame(kind, &payload, &problem)
            }
            FrameError::UnknownKind { kind, payload } => Self::unknown_frame(kind, &payload),
        }
    }
}
