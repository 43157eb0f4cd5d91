//! Octets that nobody meant: they may be refused, and nothing else happens.
//!
//! No panic, no endless nesting, and no more memory than the input justifies.

use bytes::BytesMut;
use harrier::wire::frame::ContentHeader;
use harrier::wire::{FieldTable, Frame, Method, Properties};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::content::any_properties;
use crate::memory::peak_of;
use crate::methods::any_payload;
use crate::tables::nested;

/// The most memory an octet of input may cost. The dearest octets are those of
/// a table full of nameless void entries: two octets of input for 72 of table,
/// in a vector that doubles and holds its old and its new half while it does.
const PEAK_PER_OCTET: usize = 128;
/// What may be allocated whatever the input's size.
const PEAK_FIXED: usize = 1024;

/// Octets that are nearly right: some of them changed, dropped or doubled.
fn damaged(right: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), any::<u8>(), 0..4_u8);
    (right, vec(change, 1..6)).prop_map(|(mut octets, changes)| {
        for (at, octet, how) in changes {
            let at = at
                .index(octets.len() + 1)
                .min(octets.len().saturating_sub(1));
            match how {
                _ if octets.is_empty() => octets.push(octet),
                0 => octets[at] = octet,
                1 => octets.insert(at, octet),
                2 => octets.truncate(at),
                _ => drop(octets.remove(at)),
            }
        }
        octets
    })
}

fn any_octets() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..2000)
}

/// Puts `octets` through every decoder that a peer can reach.
fn decode_as_everything(octets: &[u8]) {
    let _ = Frame::cut(octets, 131_072);
    let _ = Method::parse(octets);
    let _ = ContentHeader::parse(octets);
    let _ = FieldTable::parse_entries(octets);
    if let Ok(properties) = Properties::parse(octets) {
        let _ = properties.headers_table();
    }
}

#[track_caller]
fn assert_frugal(octets: &[u8]) {
    let peak = peak_of(|| decode_as_everything(octets));
    let most = PEAK_FIXED + octets.len() * PEAK_PER_OCTET;
    assert!(peak <= most, "{peak} octets held for {} read", octets.len());
}

proptest! {
    #[test]
    fn octets_at_random(octets in any_octets()) {
        assert_frugal(&octets);
    }

    #[test]
    fn damaged_methods(octets in damaged(any_payload())) {
        assert_frugal(&octets);
    }

    #[test]
    fn damaged_properties(octets in damaged(any_properties())) {
        assert_frugal(&octets);
    }

    #[test]
    fn what_is_accepted_is_written_the_same_the_second_time(octets in damaged(any_payload())) {
        // Not the first time: a boolean may be any octet, unused bits may be set.
        let Ok(method) = Method::parse(&octets) else { return Ok(()) };
        let mut once = BytesMut::new();
        method.put(&mut once);
        let mut twice = BytesMut::new();
        Method::parse(&once).unwrap().put(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn accepted_properties_are_written_as_they_came(octets in damaged(any_properties())) {
        let Ok(properties) = Properties::parse(&octets) else { return Ok(()) };
        let mut written = BytesMut::new();
        properties.put(&mut written);
        prop_assert_eq!(&written[..], &octets[..]);
    }
}

#[test]
fn the_dearest_inputs_stay_within_bounds() {
    let frame_max = 131_064;
    let void_entries: Vec<u8> = [0, b'V'].repeat(frame_max / 2);
    assert_frugal(&void_entries);
    let mut void_array = vec![0, b'A'];
    void_array.extend(u32::try_from(frame_max - 6).unwrap().to_be_bytes());
    void_array.resize(frame_max, b'V');
    assert_frugal(&void_array);
    let nested_once = [0, b'F', 0, 0, 0, 6, 0, b'F', 0, 0, 0, 0].repeat(frame_max / 12);
    assert_frugal(&nested_once);
    for kind in [b'F', b'A'] {
        for depth in [2, 8, 63, 20_000] {
            let one = nested(depth, kind);
            assert_frugal(&one.repeat(frame_max / one.len()));
        }
    }
}

#[test]
fn an_announced_length_costs_nothing() {
    for tag in [b'S', b'x', b'F', b'A'] {
        let entry = [0, tag, 0xFF, 0xFF, 0xFF, 0xFF];
        let peak = peak_of(|| FieldTable::parse_entries(&entry).is_err());
        assert!(peak <= PEAK_FIXED, "{peak}");
    }
    let head = [1, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(peak_of(|| Frame::cut(&head, u32::MAX) == Ok(None)), 0);
}

#[test]
fn properties_and_content_headers_are_read_without_allocating() {
    let octets = [&[0xA0, 0, 4][..], b"json", &[0, 0, 0, 3, 0, b't', 1]].concat();
    assert_eq!(peak_of(|| Properties::parse(&octets).unwrap().headers), 0);
    let header = [&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &octets].concat();
    assert_eq!(peak_of(|| ContentHeader::parse(&header).is_ok()), 0);
}
