//! Octets the way an Erlang shell shows a binary: clients and people who
//! know RabbitMQ's error texts look for exactly this form.

use std::fmt::Write;

/// How many octets of a payload an error text shows.
const SNIPPET_MAX: usize = 16;
/// Octets beyond this can't be seen in a reply text anyway.
const OCTETS_MAX: usize = 128;

/// `all octets = <<...>>`, or the first sixteen.
pub(super) fn snippet(payload: &[u8]) -> String {
    match payload.get(..SNIPPET_MAX) {
        Some(first) if payload.len() > SNIPPET_MAX => {
            format!("first {SNIPPET_MAX} octets = {}", printed(first))
        }
        _ => format!("all octets = {}", printed(payload)),
    }
}

/// `<<1,2,3>>`, whatever the octets are.
pub(super) fn octets(octets: &[u8]) -> String {
    let mut text = String::from("<<");
    for (at, octet) in octets.iter().take(OCTETS_MAX).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a String can't fail.
        let _ = write!(text, "{comma}{octet}");
    }
    text.push_str(">>");
    text
}

/// `<<"abc">>` when all octets can be printed, else as numbers.
fn printed(payload: &[u8]) -> String {
    let printable = |octet: &u8| matches!(octet, b' '..=b'~' | 8..=13 | 27);
    if payload.is_empty() || !payload.iter().all(printable) {
        return octets(payload);
    }
    let mut text = String::from("<<\"");
    for octet in payload {
        match octet {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            8 => text.push_str("\\b"),
            9 => text.push_str("\\t"),
            10 => text.push_str("\\n"),
            11 => text.push_str("\\v"),
            12 => text.push_str("\\f"),
            13 => text.push_str("\\r"),
            27 => text.push_str("\\e"),
            other => text.push(char::from(*other)),
        }
    }
    text.push_str("\">>");
    text
}
