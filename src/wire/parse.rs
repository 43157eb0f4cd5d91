//! The argument types of the grammar, each with its parser and its encoding.

use bytes::{BufMut, BytesMut};
use nom::IResult;
use nom::bytes::complete::take;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};

use super::error::{DecodeError, fail};
use crate::base::limits::SHORT_STR_MAX;

/// The result of parsing an argument from the front of the input.
pub type Parsed<'a, T> = IResult<&'a [u8], T, DecodeError>;

/// An argument of a method: how it is read and how it is written.
pub trait Argument<'a>: Sized {
    /// Reads the argument from the front of `input`.
    ///
    /// # Errors
    /// [`DecodeError`] when the input ends too soon or isn't such an argument.
    fn parse(input: &'a [u8]) -> Parsed<'a, Self>;
    /// Appends the argument.
    fn put(&self, out: &mut BytesMut);
}

macro_rules! number {
    ($type:ty, $parser:ident, $put:ident) => {
        impl<'a> Argument<'a> for $type {
            fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
                $parser(input)
            }

            fn put(&self, out: &mut BytesMut) {
                out.$put(*self);
            }
        }
    };
}

number!(u8, be_u8, put_u8);
number!(u16, be_u16, put_u16);
number!(u32, be_u32, put_u32);
number!(u64, be_u64, put_u64);

/// A short string of a method: at most 255 octets of UTF-8.
impl<'a> Argument<'a> for &'a str {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, octets) = short_octets(input)?;
        match std::str::from_utf8(octets) {
            Ok(text) => Ok((rest, text)),
            Err(_) => fail(DecodeError::NotUtf8),
        }
    }

    fn put(&self, out: &mut BytesMut) {
        put_short_str(out, self);
    }
}

/// A long string: up to 4 GiB of anything, bounded by its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LongStr<'a>(pub &'a [u8]);

impl<'a> Argument<'a> for LongStr<'a> {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, octets) = long_octets(input)?;
        Ok((rest, Self(octets)))
    }

    fn put(&self, out: &mut BytesMut) {
        put_long_octets(out, self.0);
    }
}

/// The octets of a short string, whatever they are.
pub(super) fn short_octets(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, len) = be_u8(input)?;
    take(len)(rest)
}

/// The octets of a long string, table or array.
pub(super) fn long_octets(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, len) = be_u32(input)?;
    take(len)(rest)
}

/// Appends a short string, cut at a character boundary when it is longer than
/// the 255 octets that fit.
pub fn put_short_str(out: &mut BytesMut, text: &str) {
    let cut = text.floor_char_boundary(SHORT_STR_MAX.min(text.len()));
    put_short_octets(out, text.get(..cut).unwrap_or_default().as_bytes());
}

/// Appends a short string of at most 255 octets; what is over is left out.
pub(super) fn put_short_octets(out: &mut BytesMut, octets: &[u8]) {
    let octets = octets.get(..SHORT_STR_MAX).unwrap_or(octets);
    out.put_u8(octets.len() as u8);
    out.put_slice(octets);
}

/// Appends a long string.
pub(super) fn put_long_octets(out: &mut BytesMut, octets: &[u8]) {
    let octets = octets.get(..u32::MAX as usize).unwrap_or(octets);
    out.put_u32(octets.len() as u32);
    out.put_slice(octets);
}

/// Writes `len` over the four octets at `at`, which were kept free for it.
pub(super) fn set_len(out: &mut BytesMut, at: usize, len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}
