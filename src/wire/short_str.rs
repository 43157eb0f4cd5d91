//! Short strings of methods.

use super::error::DecodeError;

/// A short string of a method: UTF-8, as it was found when it was read. Kept as
/// octets, because those are compared and copied with every message, while its
/// text is asked for seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ShortStr<'a>(&'a [u8]);

impl<'a> ShortStr<'a> {
    /// Takes `octets` as they came.
    ///
    /// # Errors
    /// [`DecodeError::NotUtf8`].
    #[inline(always)]
    pub fn new(octets: &'a [u8]) -> Result<Self, DecodeError> {
        // Names are ASCII but for few, which is seen several octets at a time.
        if octets.is_ascii() || std::str::from_utf8(octets).is_ok() {
            Ok(Self(octets))
        } else {
            Err(DecodeError::NotUtf8)
        }
    }

    /// Its octets.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its text.
    pub fn as_str(self) -> &'a str {
        // Looked at when it was made.
        std::str::from_utf8(self.0).unwrap_or_default()
    }
}

impl<'a> From<&'a str> for ShortStr<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}
