//! Hashes that stay the same over restarts and versions: where a message went
//! yesterday is where one like it goes today. Not for tables that clients fill:
//! anybody can make these collide.

use crate::wire::FieldValue;
use bytes::BytesMut;

/// FNV-1a over 64 bits: its start and its prime.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// Stands between parts, so that `ab`, `c` isn't `a`, `bc`. Keys are UTF-8 and
/// have no such octet.
const BETWEEN: u8 = 0xff;

/// The hash of octets that come in parts.
pub(super) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let fold = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(PRIME);
    let hash = parts.into_iter().fold(START, |hash, part| {
        fold(part.iter().fold(hash, fold), &BETWEEN)
    });
    mixed(hash)
}

/// The hash of a header's value. Integers of any width hash by value, as the
/// headers exchange compares them.
pub(super) fn of_value(value: &FieldValue) -> u64 {
    match (value.as_octets(), value.as_i64()) {
        (Some(octets), _) => of_parts([octets]),
        (_, Some(integer)) => of_parts([&b"integer"[..], &integer.to_be_bytes()]),
        _ => {
            let mut encoded = BytesMut::new();
            value.put(&mut encoded);
            of_parts([&b"other"[..], &encoded])
        }
    }
}

/// Spreads every bit over all others: the finisher of SplitMix64.
pub(super) const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// `hash` as a share of `count`: from 0 up to `count`, each as likely.
pub(super) const fn below(hash: u64, count: usize) -> usize {
    ((hash as u128 * count as u128) >> u64::BITS) as usize
}
