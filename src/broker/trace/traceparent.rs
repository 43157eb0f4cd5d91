//! The `traceparent` header of W3C's Trace Context, by which applications tell
//! each other which trace they are part of.
//!
//! Read here: OpenTelemetry's `TraceContextPropagator` takes ids and versions of too
//! few digits for good, and upper case in a version.

use std::fmt;

/// The header's name.
const HEADER: &str = "traceparent";
/// Octets of a header of version 0; later versions may have more behind them.
const LEN: usize = 55;

/// What a `traceparent` header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: u128,
    /// The span that the message was published in.
    pub span: u64,
    /// Whether whoever published it records that trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// The header's name.
    pub const HEADER: &'static str = HEADER;

    /// Reads a header; `None` when it isn't one, as the standard wants it taken.
    pub fn parse(text: &str) -> Option<Self> {
        let fixed = text.get(..LEN)?;
        let mut parts = fixed.split('-');
        let mut hex = |len: usize| {
            let part = parts.next().filter(|part| part.len() == len)?;
            let is_hex = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
            part.bytes().all(is_hex).then_some(part)
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let rest = text.get(LEN..)?;
        if version == "ff" || !(rest.is_empty() || (version != "00" && rest.starts_with('-'))) {
            return None;
        }
        let found = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            is_sampled: u8::from_str_radix(flags, 16).ok()? & 1 != 0,
        };
        (found.trace != 0 && found.span != 0).then_some(found)
    }
}

/// As version 0 of the header.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}
