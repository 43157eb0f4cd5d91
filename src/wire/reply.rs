//! Reply codes (AMQP 0-9-1, 1.1; RabbitMQ's names).

use crate::base::limits::SHORT_STR_MAX;

/// A reply code with the name its texts begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum ReplyCode {
    Success = 200,
    ContentTooLarge = 311,
    NoRoute = 312,
    NoConsumers = 313,
    ConnectionForced = 320,
    InvalidPath = 402,
    AccessRefused = 403,
    NotFound = 404,
    ResourceLocked = 405,
    PreconditionFailed = 406,
    FrameError = 501,
    SyntaxError = 502,
    CommandInvalid = 503,
    ChannelError = 504,
    UnexpectedFrame = 505,
    ResourceError = 506,
    NotAllowed = 530,
    NotImplemented = 540,
    InternalError = 541,
}

impl ReplyCode {
    /// The number that goes on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The upper-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::ContentTooLarge => "CONTENT_TOO_LARGE",
            Self::NoRoute => "NO_ROUTE",
            Self::NoConsumers => "NO_CONSUMERS",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::InvalidPath => "INVALID_PATH",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Whether the whole connection goes down with it, or only the channel.
    pub const fn is_hard(self) -> bool {
        matches!(self.code(), 320 | 402 | 501..=541)
    }

    /// The reply text: the name, ` - `, the explanation.
    pub fn text(self, explanation: &str) -> String {
        format!("{} - {explanation}", self.name())
    }
}

/// A request that isn't granted: what any layer answers with, before somebody
/// turns it into the close of a channel or of a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} - {explanation}", code.name())]
pub struct Refusal {
    /// The reply code; it decides whether the connection goes down too.
    pub code: ReplyCode,
    /// What is wrong, without the code's name before it.
    pub explanation: String,
}

impl Refusal {
    /// A refusal with `explanation`.
    pub fn new(code: ReplyCode, explanation: impl Into<String>) -> Self {
        Self {
            code,
            explanation: explanation.into(),
        }
    }

    /// The reply text, cut to the 255 octets a short string holds; without an
    /// explanation just the code's name.
    pub fn text(&self) -> String {
        if self.explanation.is_empty() {
            return self.code.name().to_owned();
        }
        let mut text = self.code.text(&self.explanation);
        text.truncate(text.floor_char_boundary(SHORT_STR_MAX));
        text
    }
}
