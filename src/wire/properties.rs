//! The basic class's properties: kept raw, decoded when somebody asks.

use bytes::{BufMut, BytesMut};
use nom::number::complete::{be_u8, be_u16, be_u64};

use super::error::{DecodeError, complete, fail};
use super::field::FieldTable;
use super::parse::{Parsed, long_octets, put_long_octets, put_short_octets, short_octets};

/// The raw form of no properties at all: a word of flags, none of them set.
pub const NO_PROPERTIES: &[u8] = &[0, 0];

/// The only flag of a content with just a delivery mode, the commonest shape.
const DELIVERY_MODE_ONLY: u16 = 1 << 12;

macro_rules! properties {
    ($($(#[$doc:meta])* $flag:literal $name:ident: $type:ty = $parse:path, $put:path;)*) => {
        /// The properties of a content (basic class), borrowed from their raw
        /// form. Short strings are opaque octets: no one checks that they are UTF-8.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Properties<'a> {
            $($(#[$doc])* pub $name: Option<$type>,)*
        }

        const KNOWN_FLAGS: u16 = 0 $(| 1 << $flag)*;

        impl<'a> Properties<'a> {
            fn parse_flagged(input: &'a [u8], flags: u16) -> Parsed<'a, Self> {
                $(let (input, $name) = if flags & 1 << $flag != 0 {
                    let (rest, value) = $parse(input)?;
                    (rest, Some(value))
                } else {
                    (input, None)
                };)*
                Ok((input, Self { $($name,)* }))
            }

            /// Appends flags and properties in their raw form.
            pub fn put(&self, out: &mut BytesMut) {
                out.put_u16(0 $(| u16::from(self.$name.is_some()) << $flag)*);
                $(if let Some(value) = self.$name {
                    $put(out, value);
                })*
            }
        }
    };
}

properties! {
    /// MIME type of the body.
    15 content_type: &'a [u8] = short_octets, put_short_octets;
    /// MIME encoding of the body.
    14 content_encoding: &'a [u8] = short_octets, put_short_octets;
    /// The entries of the header table, raw; [`Properties::headers_table`] decodes them.
    13 headers: &'a [u8] = long_octets, put_long_octets;
    /// 2 is persistent, everything else transient.
    12 delivery_mode: u8 = be_u8, BufMut::put_u8;
    /// 0 to 255.
    11 priority: u8 = be_u8, BufMut::put_u8;
    /// The application's correlation id.
    10 correlation_id: &'a [u8] = short_octets, put_short_octets;
    /// Where to reply to.
    9 reply_to: &'a [u8] = short_octets, put_short_octets;
    /// Time to live, milliseconds in decimal digits.
    8 expiration: &'a [u8] = short_octets, put_short_octets;
    /// The application's message id.
    7 message_id: &'a [u8] = short_octets, put_short_octets;
    /// Seconds since the Unix epoch.
    6 timestamp: u64 = be_u64, BufMut::put_u64;
    /// The application's message type.
    5 kind: &'a [u8] = short_octets, put_short_octets;
    /// The user who published, checked by the broker.
    4 user_id: &'a [u8] = short_octets, put_short_octets;
    /// The application that published.
    3 app_id: &'a [u8] = short_octets, put_short_octets;
    /// Deprecated.
    2 cluster_id: &'a [u8] = short_octets, put_short_octets;
}

impl<'a> Properties<'a> {
    /// Parses the raw form: flags, then the properties they announce.
    ///
    /// # Errors
    /// [`DecodeError`] when a flag is unknown, a property truncated or octets
    /// are left over. The header table is *not* looked into.
    pub fn parse(raw: &'a [u8]) -> Result<Self, DecodeError> {
        complete(raw, |input| {
            let (rest, flags) = be_u16(input)?;
            if flags & !KNOWN_FLAGS != 0 {
                return fail(DecodeError::UnknownProperty(flags));
            }
            if flags == 0 {
                return Ok((rest, Self::default()));
            }
            if flags == DELIVERY_MODE_ONLY {
                let (rest, mode) = be_u8(rest)?;
                let properties = Self {
                    delivery_mode: Some(mode),
                    ..Self::default()
                };
                return Ok((rest, properties));
            }
            Self::parse_flagged(rest, flags)
        })
    }

    /// Whether the delivery mode asks for the message to survive a restart.
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode == Some(2)
    }

    /// The header table, decoded; empty when there is none.
    ///
    /// # Errors
    /// [`DecodeError`] when the table is malformed.
    pub fn headers_table(&self) -> Result<FieldTable, DecodeError> {
        self.headers
            .map_or(Ok(FieldTable::new()), FieldTable::parse_entries)
    }

    /// These properties in their raw form, with `headers` for their header table.
    pub fn with_headers(&self, headers: &FieldTable) -> BytesMut {
        let mut entries = BytesMut::new();
        headers.put_entries(&mut entries);
        let changed = Properties {
            headers: (!headers.is_empty()).then_some(&entries[..]),
            ..*self
        };
        let mut out = BytesMut::with_capacity(entries.len() + 64);
        changed.put(&mut out);
        out
    }
}
