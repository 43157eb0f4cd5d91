//! Paths of the API: names become segments whatever is in them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 leaves as it is in a segment.
const ESCAPED: &AsciiSet = &DOTS.remove(b'.');

/// The same for a segment of dots alone, which would lead elsewhere.
const DOTS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// The path of these segments: `["queues", "/", "a b"]` is `/queues/%2F/a%20b`.
pub fn path(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        let dots = segment.bytes().all(|octet| octet == b'.');
        path.extend(utf8_percent_encode(
            segment,
            if dots { DOTS } else { ESCAPED },
        ));
    }
    path
}

/// `text` as the value of a query's parameter.
pub(super) fn query_value(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(
            path(&["queues", "/", "a b/c?d"]),
            "/queues/%2F/a%20b%2Fc%3Fd"
        );
        assert_eq!(path(&["users", "..", "a.b"]), "/users/%2E%2E/a.b");
        assert_eq!(path(&["queues", "größe"]), "/queues/gr%C3%B6%C3%9Fe");
    }
}
