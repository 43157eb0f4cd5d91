//! The name of a binding among those between the same two ends.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::BytesMut;

use crate::wire::FieldTable;

/// The name of a binding among those between the same two ends: its routing key
/// as a form has it, then what tells its arguments from others. RabbitMQ makes
/// that part of a hash of Erlang's terms; here it is one of the arguments as
/// AMQP has them: the same for the same arguments, and no more is said of it.
pub fn properties_key(routing_key: &str, arguments: &FieldTable) -> String {
    if routing_key.is_empty() && arguments.is_empty() {
        return "~".to_owned();
    }
    let mut key = String::with_capacity(routing_key.len());
    for octet in routing_key.bytes() {
        match octet {
            b' ' => key.push('+'),
            b'-' | b'_' | b'.' => key.push(octet.into()),
            _ if octet.is_ascii_alphanumeric() => key.push(octet.into()),
            // Nothing can go wrong with a text.
            _ => write!(key, "%{octet:02X}").unwrap_or_default(),
        }
    }
    if arguments.is_empty() {
        return key;
    }
    let mut octets = BytesMut::new();
    arguments.put_entries(&mut octets);
    let hash = crc32c::crc32c(&octets).to_be_bytes();
    format!("{key}~{}", BASE64_URL_SAFE_NO_PAD.encode(hash))
}
