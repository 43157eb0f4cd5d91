//! The exchanges that pick one of what is bound: by hash or by chance.

use std::collections::BTreeMap;

use harrier::broker::routing::{RawTraits, RoutingKeys};
use harrier::wire::{FieldTable, FieldValue, Properties};
use proptest::prelude::*;

use crate::support::{Host, exchange, queue_with, table, text, to_exchange, to_queue};

/// A consistent-hash exchange `x`, with a queue for each name and weight.
fn weighted(queues: &[(&str, u32)]) -> Host {
    let mut host = Host::new();
    host.exchange("x", "x-consistent-hash");
    for (name, weight) in queues {
        host.queue(name);
        host.bind(to_queue("x", name, &weight.to_string())).unwrap();
    }
    host
}

/// The one queue that a key leads to.
fn only(host: &Host, exchange: &str, key: &str) -> String {
    let mut found = host.route(exchange, key);
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    found.remove(0)
}

fn keys(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("key-{number}"))
}

/// How far `counted` is from the shares expected: Pearson's chi-square.
fn chi_square(counted: &BTreeMap<String, u32>, shares: &[(&str, u32)]) -> f64 {
    let whole: u32 = shares.iter().map(|(_, share)| share).sum();
    let total: u32 = counted.values().sum();
    shares
        .iter()
        .map(|(name, share)| {
            let expected = f64::from(total) * f64::from(*share) / f64::from(whole);
            let seen = f64::from(counted.get(*name).copied().unwrap_or(0));
            (seen - expected).powi(2) / expected
        })
        .sum()
}

/// What chi-square exceeds once in a thousand times with three degrees of freedom.
const RARE_OF_FOUR: f64 = 16.27;

#[test]
fn a_consistent_hash_goes_by_weight() {
    for shares in [
        [("a", 1), ("b", 1), ("c", 1), ("d", 1)],
        [("a", 1), ("b", 2), ("c", 3), ("d", 10)],
        [("one", 100), ("two", 100), ("three", 1), ("four", 100)],
    ] {
        let host = weighted(&shares);
        let mut counted = BTreeMap::new();
        for key in keys(20_000) {
            *counted.entry(only(&host, "x", &key)).or_default() += 1;
        }
        let off = chi_square(&counted, &shares);
        assert!(off < RARE_OF_FOUR, "{off}: {counted:?}");
    }
}

#[test]
fn a_destination_that_gets_heavier_takes_keys_and_gives_none() {
    let even = weighted(&[("a", 2), ("b", 2), ("c", 2)]);
    let heavy = weighted(&[("a", 2), ("b", 3), ("c", 2)]);
    let mut taken = 0;
    for key in keys(2_000) {
        let (was, is) = (only(&even, "x", &key), only(&heavy, "x", &key));
        assert!(is == was || is == "b", "{key} went from {was} to {is}");
        taken += u32::from(is != was);
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn a_consistent_hash_takes_no_notice_of_copies() {
    let host = weighted(&[("a", 1), ("b", 1), ("c", 1)]);
    for key in keys(50) {
        let copies: &[&[u8]] = &[b"other", b"keys"];
        let all = RoutingKeys::with_copies(&key, copies);
        assert_eq!(
            host.route_all("x", all, FieldTable::new()),
            [only(&host, "x", &key)]
        );
    }
}

#[test]
fn the_second_weight_of_a_destination_counts_when_the_first_has_gone() {
    let mut host = weighted(&[("a", 1), ("b", 1)]);
    let plain = weighted(&[("a", 1), ("b", 1)]);
    let heavy = weighted(&[("a", 1000), ("b", 1)]);
    host.bind(to_queue("x", "a", "1000")).unwrap();
    for key in keys(100) {
        assert_eq!(only(&host, "x", &key), only(&plain, "x", &key));
    }
    host.unbind(&to_queue("x", "a", "1")).unwrap();
    for key in keys(100) {
        assert_eq!(only(&host, "x", &key), only(&heavy, "x", &key));
    }
    host.unbind(&to_queue("x", "a", "1000")).unwrap();
    host.unbind(&to_queue("x", "b", "1")).unwrap();
    assert!(host.route("x", "key").is_empty());
}

fn hashing(argument: &str, value: &str) -> Host {
    let mut host = weighted(&[]);
    host.delete_exchange("x").unwrap();
    let mut request = exchange("x", "x-consistent-hash");
    request.arguments = table(&[(argument, value.into())]);
    host.declare_exchange(&request).unwrap();
    for name in ["a", "b", "c", "d"] {
        host.queue(name);
        host.bind(to_queue("x", name, "1")).unwrap();
    }
    host
}

#[test]
fn a_consistent_hash_may_go_by_a_header() {
    let host = hashing("hash-header", "h");
    let by = |key: &str, value: Option<FieldValue>| {
        let headers = value.map(|value| ("h", value)).into_iter().collect();
        host.route_all("x", RoutingKeys::one(key), headers)
    };
    let mut met = BTreeMap::new();
    for number in 0..200_i64 {
        let found = by("k", Some(FieldValue::I64(number)));
        assert_eq!(found, by("other", Some(FieldValue::I64(number))));
        assert_eq!(found, by("k", Some(FieldValue::I32(number as i32))));
        *met.entry(found).or_insert(0) += 1;
        let text = FieldValue::str(number.to_string());
        assert_eq!(by("k", Some(text.clone())), by("l", Some(text)));
    }
    assert_eq!(met.len(), 4, "{met:?}");
    let without = by("k", None);
    assert!(keys(50).all(|key| by(&key, None) == without));
    for odd in [
        FieldValue::Void,
        FieldValue::Bool(true),
        FieldValue::F64(1.5),
    ] {
        assert_eq!(by("k", Some(odd.clone())), by("l", Some(odd)));
    }
}

#[test]
fn a_consistent_hash_may_go_by_a_property() {
    for property in ["message_id", "correlation_id", "timestamp"] {
        let host = hashing("hash-property", property);
        let by = |key: &str, number: Option<u64>| {
            let digits = number.map(|number| number.to_string());
            let octets = digits.as_ref().map(String::as_bytes);
            let mut properties = Properties::default();
            match property {
                "message_id" => properties.message_id = octets,
                "correlation_id" => properties.correlation_id = octets,
                _ => properties.timestamp = number,
            }
            let raw = properties.with_headers(&FieldTable::new());
            let mut out = Vec::new();
            host.vhost
                .route(
                    "x",
                    RoutingKeys::one(key),
                    &mut RawTraits::new(&raw),
                    &mut out,
                )
                .unwrap();
            assert_eq!(out.len(), 1);
            out[0].name().to_string()
        };
        let met: std::collections::BTreeSet<_> = (0..200)
            .map(|number| {
                let found = by("k", Some(number));
                assert_eq!(found, by("other", Some(number)), "{property}");
                found
            })
            .collect();
        assert_eq!(met.len(), 4, "{property}");
        let without = by("k", None);
        assert!(keys(50).all(|key| by(&key, None) == without), "{property}");
    }
}

#[test]
fn what_a_consistent_hash_cannot_have_is_refused() {
    let mut host = Host::new();
    let mut declare = |arguments: &[(&str, FieldValue)]| {
        let mut request = exchange("x", "x-consistent-hash");
        request.arguments = table(arguments);
        text(host.declare_exchange(&request))
    };
    assert_eq!(
        declare(&[("hash-header", "a".into()), ("hash-property", "b".into())]),
        "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive"
    );
    assert_eq!(
        declare(&[("hash-property", "type".into())]),
        "PRECONDITION_FAILED - Unsupported property: type"
    );
    assert_eq!(
        declare(&[("hash-header", 5.into())]),
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'hash-header' in exchange 'x' \
         in vhost '/'"
    );
    let mut host = weighted(&[("q", 1)]);
    for (key, shown) in [
        ("abc", "<<\"abc\">>"),
        ("1.5", "<<\"1.5\">>"),
        ("", "<<>>"),
        (" 4", "<<\" 4\">>"),
        ("-", "<<\"-\">>"),
        ("é", "<<\"é\"/utf8>>"),
    ] {
        assert_eq!(
            text(host.bind(to_queue("x", "q", key))),
            format!("PRECONDITION_FAILED - The binding key must be an integer: {shown}")
        );
    }
    for key in ["0", "-0", "-3"] {
        assert_eq!(
            text(host.bind(to_queue("x", "q", key))),
            "PRECONDITION_FAILED - The binding key must be greater than 0"
        );
    }
    for key in ["+4", "99999999999999999999999999", "007"] {
        host.bind(to_queue("x", "q", key)).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn a_destination_that_goes_moves_only_its_own_keys(
        names in prop::collection::btree_map("[a-z]{1,6}", 1_u32..20, 2..12),
        gone in any::<prop::sample::Index>(),
    ) {
        let queues: Vec<_> = names.iter().map(|(name, weight)| (name.as_str(), *weight)).collect();
        let mut host = weighted(&queues);
        let before: Vec<_> = keys(500).map(|key| (only(&host, "x", &key), key)).collect();
        let (gone, weight) = *gone.get(&queues);
        host.delete_queue(gone).unwrap();
        for (was, key) in &before {
            let is = only(&host, "x", key);
            prop_assert!(is == *was || was == gone, "{key} went from {was} to {is}");
        }
        // And back again, to where it was.
        host.queue(gone);
        host.bind(to_queue("x", gone, &weight.to_string())).unwrap();
        for (was, key) in &before {
            prop_assert_eq!(&only(&host, "x", key), was);
        }
    }

    #[test]
    fn the_order_of_bindings_makes_no_difference(
        names in prop::collection::btree_map("[a-z]{1,6}", 1_u32..20, 2..12),
        kind in prop::sample::select(vec!["x-consistent-hash", "x-modulus-hash"]),
    ) {
        let mut queues: Vec<_> = names.iter().map(|(name, w)| (name.as_str(), *w)).collect();
        let bound = |queues: &[(&str, u32)]| {
            let mut host = Host::new();
            host.exchange("x", kind);
            for (name, weight) in queues {
                host.queue(name);
                host.bind(to_queue("x", name, &weight.to_string())).unwrap();
            }
            host
        };
        let one = bound(&queues);
        queues.reverse();
        let other = bound(&queues);
        for key in keys(200) {
            prop_assert_eq!(only(&one, "x", &key), only(&other, "x", &key));
        }
    }
}

/// An exchange `x` with queues `a`, `b`, `c` and `d`.
fn picking(kind: &str) -> Host {
    let mut host = Host::new();
    host.exchange("x", kind);
    for name in ["c", "a", "d", "b"] {
        host.queue(name);
        host.bind(to_queue("x", name, "")).unwrap();
    }
    host
}

#[test]
fn a_modulus_hash_goes_by_all_keys_over_all_bindings() {
    let mut host = picking("x-modulus-hash");
    for key in ["1", "2"] {
        host.bind(to_queue("x", "a", key)).unwrap();
    }
    let mut counted = BTreeMap::new();
    let mut moved = 0;
    for key in keys(20_000) {
        let found = only(&host, "x", &key);
        assert_eq!(found, only(&host, "x", &key));
        let copies: &[&[u8]] = &[b"copy"];
        let all = RoutingKeys::with_copies(&key, copies);
        let with_copy = host.route_all("x", all, FieldTable::new());
        assert_eq!(with_copy.len(), 1);
        moved += u32::from(with_copy[0] != found);
        *counted.entry(found).or_default() += 1;
    }
    let off = chi_square(&counted, &[("a", 3), ("b", 1), ("c", 1), ("d", 1)]);
    assert!(off < RARE_OF_FOUR, "{off}: {counted:?}");
    assert!(moved > 5_000, "{moved}");
    for key in ["", "1", "2"] {
        host.unbind(&to_queue("x", "a", key)).unwrap();
    }
    assert!(keys(200).all(|key| only(&host, "x", &key) != "a"));
}

#[test]
fn chance_goes_by_bindings_and_not_by_keys() {
    for (kind, twice) in [("x-random", true), ("x-local-random", false)] {
        let mut host = picking(kind);
        if twice {
            host.bind(to_queue("x", "a", "again")).unwrap();
        }
        let mut counted = BTreeMap::new();
        for _ in 0..20_000 {
            *counted.entry(only(&host, "x", "key")).or_default() += 1;
        }
        let of_a = if twice { 2 } else { 1 };
        let off = chi_square(&counted, &[("a", of_a), ("b", 1), ("c", 1), ("d", 1)]);
        assert!(off < RARE_OF_FOUR, "{kind}: {off}: {counted:?}");
        for name in ["a", "b", "c", "d"] {
            host.delete_queue(name).unwrap();
        }
        assert!(host.route("x", "key").is_empty());
    }
}

#[test]
fn what_a_local_random_exchange_cannot_have_is_refused() {
    let mut host = picking("x-local-random");
    assert_eq!(
        text(host.bind(to_queue("x", "a", "k"))),
        "PRECONDITION_FAILED - Non empty binding 'k' key not permitted"
    );
    host.declare_queue(&queue_with("r", &[("x-queue-type", "quorum".into())]))
        .unwrap();
    assert_eq!(
        text(host.bind(to_queue("x", "r", ""))),
        "PRECONDITION_FAILED - Queue type rabbit_quorum_queue not valid for this exchange type"
    );
    assert_eq!(
        text(host.bind(to_exchange("x", "amq.fanout", ""))),
        "PRECONDITION_FAILED - Destination not found"
    );
}

#[test]
fn picking_exchanges_lead_on_and_are_led_to() {
    for kind in ["x-consistent-hash", "x-modulus-hash", "x-random"] {
        let mut host = Host::new();
        host.exchange("x", kind);
        host.exchange("shard", "fanout");
        for name in ["a", "b", "c"] {
            host.queue(name);
        }
        host.bind(to_exchange("amq.topic", "x", "#")).unwrap();
        host.bind(to_exchange("x", "shard", "1")).unwrap();
        host.bind(to_queue("shard", "a", "")).unwrap();
        host.bind(to_queue("shard", "b", "")).unwrap();
        host.bind(to_queue("x", "c", "1")).unwrap();
        let mut met = BTreeMap::new();
        for key in keys(100) {
            *met.entry(host.route("amq.topic", &key)).or_insert(0) += 1;
        }
        let routes: Vec<_> = met.into_keys().collect();
        assert_eq!(routes, [vec!["a", "b"], vec!["c"]], "{kind}");
    }
}

#[test]
fn what_is_not_bound_goes_to_the_alternate_of_a_picking_exchange() {
    for kind in [
        "x-consistent-hash",
        "x-modulus-hash",
        "x-random",
        "x-local-random",
    ] {
        let mut host = Host::new();
        let mut request = exchange("x", kind);
        request.arguments = table(&[("alternate-exchange", "amq.fanout".into())]);
        host.declare_exchange(&request).unwrap();
        host.queue("q");
        host.bind(to_queue("amq.fanout", "q", "")).unwrap();
        assert_eq!(host.route("x", "key"), ["q"], "{kind}");
    }
}

#[test]
fn a_route_is_kept_only_where_keys_alone_decide() {
    let is_kept = |kind: &str, argument: Option<(&str, FieldValue)>| {
        let mut host = Host::new();
        let mut request = exchange("x", kind);
        request.arguments = argument.into_iter().collect();
        host.declare_exchange(&request).unwrap();
        let kept = host.vhost.check_publish("x").unwrap().cacheable;
        // Whoever leads there can't be told from its own bindings.
        host.bind(to_exchange("amq.direct", "x", "k")).unwrap();
        assert_eq!(
            host.vhost.check_publish("amq.direct").unwrap().cacheable,
            kept
        );
        let lone = host.vhost.check_publish("amq.fanout").unwrap();
        assert!(lone.cacheable, "{kind} has nothing to do with it");
        host.delete_exchange("x").unwrap();
        assert!(host.vhost.check_publish("amq.direct").unwrap().cacheable);
        kept
    };
    assert!(is_kept("x-consistent-hash", None));
    assert!(is_kept("x-modulus-hash", None));
    assert!(!is_kept(
        "x-consistent-hash",
        Some(("hash-header", "h".into()))
    ));
    assert!(!is_kept(
        "x-consistent-hash",
        Some(("hash-property", "timestamp".into()))
    ));
    assert!(!is_kept("x-random", None));
    assert!(!is_kept("x-local-random", None));
    assert!(!is_kept("x-recent-history", None));
}
