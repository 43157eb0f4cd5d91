//! The codec: what it accepts it writes again, and what it wrote it accepts.

use bytes::BytesMut;
use harrier::wire::frame::{ContentHeader, FRAME_END};
use harrier::wire::{FieldTable, Frame, Method, Properties};

/// The largest payload taken, as after the usual tuning.
const PAYLOAD_MAX: u32 = 131_072;

/// Cuts a stream into frames.
pub fn frame(octets: &[u8]) {
    let mut rest = octets;
    while let Ok(Some((frame, len))) = Frame::cut(rest, PAYLOAD_MAX) {
        let mut written = vec![frame.kind.octet()];
        written.extend(frame.channel.to_be_bytes());
        written.extend((frame.payload.len() as u32).to_be_bytes());
        written.extend(frame.payload);
        written.push(FRAME_END);
        assert_eq!(written, rest[..len]);
        assert_eq!(Frame::cut(&rest[..len - 1], PAYLOAD_MAX), Ok(None));
        rest = &rest[len..];
    }
    let _ = ContentHeader::parse(octets);
}

/// Parses the payload of a method frame.
pub fn method(octets: &[u8]) {
    let Ok(method) = Method::parse(octets) else {
        return;
    };
    assert_eq!(Method::peek_ids(octets), Some(method.ids()));
    let put = |method: &Method<'_>| {
        let mut out = BytesMut::new();
        method.put(&mut out);
        out
    };
    // Unused bits and booleans other than 0 and 1 are gone after the first time.
    let once = put(&method);
    assert_eq!(once.len(), octets.len());
    let again = Method::parse(&once).expect("a method that was just written");
    assert_eq!(put(&again), once);
}

/// Parses the entries of a field table.
pub fn table(octets: &[u8]) {
    let Ok(table) = FieldTable::parse_entries(octets) else {
        return;
    };
    let put = |table: &FieldTable| {
        let mut out = BytesMut::new();
        table.put_entries(&mut out);
        out
    };
    let once = put(&table);
    assert_eq!(once.len(), octets.len());
    let again = FieldTable::parse_entries(&once).expect("a table that was just written");
    assert_eq!(put(&again), once);
}

/// Parses properties in their raw form.
pub fn properties(octets: &[u8]) {
    let Ok(properties) = Properties::parse(octets) else {
        return;
    };
    let mut written = BytesMut::new();
    properties.put(&mut written);
    assert_eq!(written, octets);
    if let Ok(headers) = properties.headers_table() {
        let changed = properties.with_headers(&headers);
        let parsed = Properties::parse(&changed).expect("properties that were just written");
        let same = Properties {
            headers: properties.headers,
            ..parsed
        };
        assert_eq!(same, properties);
    }
}
