//! Numbers and texts as octets, for everything the store writes.
//!
//! Numbers are varints: seven bits an octet, the low ones first, the high bit
//! set on all but the last. A text is its length and UTF-8.

use std::sync::Arc;

/// The octets don't hold what was expected. With a checksum intact that means
/// they were written by a program that knows more than this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record can't be read")]
pub struct CodecError;

/// The kind and the numbers of a record, gathered so that they're appended in
/// one go: one check of the room instead of one an octet.
pub(super) struct Head {
    octets: [u8; Self::MAX],
    len: usize,
}

impl Head {
    /// Two octets, and eight numbers of ten octets at most.
    const MAX: usize = 2 + 8 * 10;

    /// Begins with the octet that tells the kind.
    pub(super) fn new(kind: u8) -> Self {
        let mut octets = [0; Self::MAX];
        octets[0] = kind;
        Self { octets, len: 1 }
    }

    /// Adds a number.
    pub(super) fn put(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.octets[self.len] = value as u8 | 0x80;
            self.len += 1;
            value >>= 7;
        }
        self.octets[self.len] = value as u8;
        self.len += 1;
    }

    /// What was gathered.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

/// Appends a number.
pub(super) fn put_number(out: &mut Vec<u8>, value: u64) {
    let mut head = Head::new(0);
    head.put(value);
    out.extend_from_slice(&head.octets()[1..]);
}

/// Appends a text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// What is left of some octets that are read from the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next octet.
    pub(super) fn octet(&mut self) -> Result<u8, CodecError> {
        let (octet, rest) = self.0.split_first().ok_or(CodecError)?;
        self.0 = rest;
        Ok(*octet)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits {
                return Err(CodecError);
            }
            value |= bits << shift;
            if octet < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError)
    }

    /// The next `size` octets.
    pub(super) fn take(&mut self, size: u64) -> Result<&'a [u8], CodecError> {
        let size = usize::try_from(size).map_err(|_| CodecError)?;
        let (taken, rest) = self.0.split_at_checked(size).ok_or(CodecError)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next text.
    pub(super) fn text(&mut self) -> Result<Arc<str>, CodecError> {
        let size = self.number()?;
        let text = std::str::from_utf8(self.take(size)?).map_err(|_| CodecError)?;
        Ok(text.into())
    }
}
