//! Why a payload could not be decoded.

use nom::error::{ErrorKind, ParseError};

/// What is wrong with a payload. The protocol layer turns it into the reply
/// code and text of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The payload ends before its last argument does.
    #[error("payload is truncated")]
    Truncated,
    /// Octets are left over after the last argument.
    #[error("payload has {0} octets too many")]
    Trailing(usize),
    /// A short string argument of a method isn't UTF-8.
    #[error("short string is not valid UTF-8")]
    NotUtf8,
    /// A field value has a tag the dialect doesn't know.
    #[error("unknown field type {0:#04x}")]
    UnknownFieldType(u8),
    /// Tables nest deeper than [`TABLE_DEPTH_MAX`](crate::base::limits::TABLE_DEPTH_MAX).
    #[error("tables nest too deep")]
    TooDeep,
    /// No such class or method in the grammar.
    #[error("unknown method {class}.{method}")]
    UnknownMethod {
        /// The class id found.
        class: u16,
        /// The method id found.
        method: u16,
    },
    /// The property flags set a bit that the basic class doesn't define.
    #[error("unknown property flag in {0:#06x}")]
    UnknownProperty(u16),
}

impl<'a> ParseError<&'a [u8]> for DecodeError {
    // The parsers used are of fixed size: the only way they fail is too little input.
    fn from_error_kind(_: &'a [u8], _: ErrorKind) -> Self {
        Self::Truncated
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Ends a parse with `error` for good; nom's recoverable errors aren't used.
pub(super) fn fail<T>(error: DecodeError) -> Result<T, nom::Err<DecodeError>> {
    Err(nom::Err::Failure(error))
}

/// Runs `parser` over all of `input`; what it leaves over is an error.
pub(super) fn complete<'a, T>(
    input: &'a [u8],
    parser: impl FnOnce(&'a [u8]) -> nom::IResult<&'a [u8], T, DecodeError>,
) -> Result<T, DecodeError> {
    match parser(input) {
        Ok(([], value)) => Ok(value),
        Ok((rest, _)) => Err(DecodeError::Trailing(rest.len())),
        Err(nom::Err::Error(error) | nom::Err::Failure(error)) => Err(error),
        Err(nom::Err::Incomplete(_)) => Err(DecodeError::Truncated),
    }
}
