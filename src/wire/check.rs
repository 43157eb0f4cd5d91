//! Tables looked through without being taken apart: most of them only pass by.

use nom::bytes::complete::take;
use nom::number::complete::be_u8;

use super::error::{DecodeError, complete, fail};
use super::field::FieldTable;
use super::parse::{Parsed, long_octets, short_octets};
use crate::base::limits::TABLE_DEPTH_MAX;

impl FieldTable {
    /// Whether [`parse_entries`](Self::parse_entries) would succeed, found
    /// out without allocating anything.
    ///
    /// # Errors
    /// [`DecodeError`] when an entry is malformed or nests too deep.
    pub fn check_entries(octets: &[u8]) -> Result<(), DecodeError> {
        complete(octets, |input| entries(input, 0))
    }
}

fn entries(mut input: &[u8], depth: usize) -> Parsed<'_, ()> {
    while !input.is_empty() {
        let (rest, _name) = short_octets(input)?;
        (input, _) = value(rest, depth + 1)?;
    }
    Ok((input, ()))
}

fn items(mut input: &[u8], depth: usize) -> Parsed<'_, ()> {
    while !input.is_empty() {
        (input, _) = value(input, depth + 1)?;
    }
    Ok((input, ()))
}

fn value(input: &[u8], depth: usize) -> Parsed<'_, ()> {
    let (rest, tag) = be_u8(input)?;
    let fixed = match tag {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' => {
            let (rest, _octets) = long_octets(rest)?;
            return Ok((rest, ()));
        }
        b'F' | b'A' if depth >= TABLE_DEPTH_MAX => return fail(DecodeError::TooDeep),
        b'F' | b'A' => {
            let (rest, nested) = long_octets(rest)?;
            let inner = if tag == b'F' { entries } else { items };
            inner(nested, depth)?;
            return Ok((rest, ()));
        }
        other => return fail(DecodeError::UnknownFieldType(other)),
    };
    let (rest, _octets) = take(fixed as usize)(rest)?;
    Ok((rest, ()))
}
