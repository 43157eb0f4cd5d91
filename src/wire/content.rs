//! The body of a content, on its way from a read buffer to wherever it stays.

use bytes::Bytes;

/// A body that is either still in the read buffer or already somewhere it can
/// stay without being copied again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// Borrowed from the read buffer: whoever keeps it copies it.
    Borrowed(&'a [u8]),
    /// Shared: keeping it costs a reference.
    Shared(Bytes),
}

impl Body<'_> {
    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(octets) => octets,
            Self::Shared(octets) => octets,
        }
    }

    /// The shared octets, when the body doesn't live in a read buffer.
    pub fn as_shared(&self) -> Option<&Bytes> {
        match self {
            Self::Borrowed(_) => None,
            Self::Shared(octets) => Some(octets),
        }
    }
}
