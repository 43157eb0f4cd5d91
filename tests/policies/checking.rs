//! What a policy may say. The texts are RabbitMQ 4.3.6's.

use harrier::broker::policy::{ApplyTo, Policy, PolicyError, PolicyKind};
use harrier::wire::{FieldTable, FieldValue};

use crate::support::{number, table};

fn new(kind: PolicyKind, definition: FieldTable) -> Result<Policy, PolicyError> {
    Policy::new(kind, "p", ".*", ApplyTo::All, 0, definition)
}

#[track_caller]
fn refused(kind: PolicyKind, definition: &[(&str, FieldValue)]) -> String {
    let refused = new(kind, table(definition));
    refused.unwrap_err().to_string()
}

#[track_caller]
fn refused_value(key: &str, value: impl Into<FieldValue>, text: &str) {
    assert_eq!(refused(PolicyKind::User, &[(key, value.into())]), text);
}

/// Numbers that a key can't have.
const NUMBERS: &[(&str, i64, &str)] = &[
    ("max-length", -1, "-1 is not a valid maximum length"),
    (
        "max-length-bytes",
        -1,
        "-1 is not a valid maximum length in bytes",
    ),
    (
        "max-in-memory-length",
        -1,
        "-1 is not a valid maximum memory in bytes",
    ),
    ("message-ttl", -1, "-1 is not a valid message TTL"),
    ("expires", 0, "0 is not a valid queue expiry"),
    ("overflow", 5, "5 is not a valid overflow value"),
    (
        "dead-letter-exchange",
        5,
        "5 is not a valid dead letter exchange name",
    ),
    (
        "dead-letter-routing-key",
        5,
        "5 is not a valid dead letter routing key",
    ),
    (
        "alternate-exchange",
        5,
        "5 is not a valid alternate exchange name",
    ),
    ("consumer-timeout", -1, "-1 is not a valid consumer timeout"),
    ("initial-cluster-size", -1, "-1 is not a valid cluster size"),
    (
        "target-group-size",
        0,
        "0 is not a valid qq target count value",
    ),
    ("queue-version", 3, "3 is not a valid queue-version value"),
    (
        "stream-max-segment-size-bytes",
        3_000_000_001,
        "3000000001 is not a valid segment size",
    ),
    (
        "stream-filter-size-bytes",
        1,
        "1 is not a valid filter size. Valid range is 16-255",
    ),
    (
        "delayed-retry-min",
        0,
        "0 is not a valid delayed retry minimum delay. Must be a positive integer",
    ),
];

/// Texts that a key can't have.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "max-length",
        "a",
        r#"<<"a">> is not a valid maximum length"#,
    ),
    (
        "message-ttl",
        "1000",
        r#"<<"1000">> is not a valid message TTL"#,
    ),
    (
        "overflow",
        "zork",
        r#"<<"zork">> is not a valid overflow value"#,
    ),
    (
        "dead-letter-strategy",
        "z",
        r#"<<"z">> is not a valid dead letter strategy"#,
    ),
    (
        "delivery-limit",
        "x",
        r#"<<"x">> is not a valid delivery limit"#,
    ),
    (
        "queue-mode",
        "x",
        r#"<<"x">> is not a valid queue-mode value"#,
    ),
    ("max-age", "5", r#"<<"5">> is not a valid max age"#),
    ("max-age", "0h", r#"<<"0h">> is not a valid max age"#),
    ("max-age", "", "<<>> is not a valid max age"),
    ("max-age", "5é", r#"<<"5é"/utf8>> is not a valid max age"#),
    (
        "queue-leader-locator",
        "min-masters",
        r#"<<"min-masters">> is not a valid queue leader locator value"#,
    ),
    (
        "delayed-retry-type",
        "z",
        r#"<<"z">> is not a valid delayed retry type. Must be one of: all, failed, returned, disabled"#,
    ),
];

#[test]
fn a_value_that_a_key_cannot_have_is_named() {
    for (key, value, text) in NUMBERS {
        refused_value(key, number(*value), text);
    }
    for (key, value, text) in TEXTS {
        refused_value(key, *value, text);
    }
    refused_value(
        "max-length",
        FieldValue::F64(1.5),
        "1.5 is not a valid maximum length",
    );
    refused_value("message-ttl", true, "true is not a valid message TTL");
    refused_value(
        "dead-letter-exchange",
        FieldValue::Void,
        "null is not a valid dead letter exchange name",
    );
    refused_value(
        "message-ttl",
        FieldValue::Array(vec![number(1)]),
        "[1] is not a valid message TTL",
    );
    refused_value(
        "message-ttl",
        table(&[("a", number(1))]),
        r#"#{<<"a">> => 1} is not a valid message TTL"#,
    );
}

#[test]
fn values_at_the_edge_are_taken() {
    for (key, value) in [
        ("max-length", number(0)),
        ("message-ttl", number(0)),
        ("message-ttl", number(99_999_999_999_999)),
        ("expires", number(1)),
        ("delivery-limit", number(-1)),
        ("consumer-timeout", number(0)),
        ("dead-letter-routing-key", "a".into()),
        ("alternate-exchange", "".into()),
        ("max-age", "7D".into()),
        ("queue-version", number(1)),
        ("stream-max-segment-size-bytes", number(0)),
        ("stream-filter-size-bytes", number(16)),
        ("overflow", "reject-publish-dlx".into()),
        ("delayed-retry-type", "disabled".into()),
        ("delayed-retry-multiplier", FieldValue::F64(1.5)),
        ("delayed-retry-jitter", number(1)),
    ] {
        let taken = new(PolicyKind::User, table(&[(key, value)]));
        assert!(taken.is_ok(), "{key}: {taken:?}");
    }
}

#[test]
fn keys_that_no_policy_has_are_named_once_all_values_are_good() {
    assert_eq!(refused(PolicyKind::User, &[]), "no policy provided");
    let unknown = [
        ("zork", FieldValue::str("a")),
        ("max-length", number(5)),
        ("aark", FieldValue::Array(vec![number(1)])),
    ];
    assert_eq!(
        refused(PolicyKind::User, &unknown),
        r#"[{<<"aark">>,[1]},{<<"zork">>,<<"a">>}] are not recognised policy settings"#
    );
    for key in ["ha-mode", "x-max-length", "x-queue-type", "max-priority"] {
        let text = format!("[{{<<\"{key}\">>,1}}] are not recognised policy settings");
        refused_value(key, number(1), &text);
    }
    let both = [("aark", number(10)), ("max-length", "a".into())];
    assert_eq!(
        refused(PolicyKind::User, &both),
        r#"<<"a">> is not a valid maximum length"#
    );
}

#[test]
fn operators_have_fewer_keys() {
    for (key, value) in [
        ("dead-letter-exchange", "x"),
        ("alternate-exchange", "x"),
        ("max-age", "1D"),
        ("queue-mode", "lazy"),
        ("dead-letter-strategy", "at-least-once"),
    ] {
        let value = FieldValue::str(value);
        let text = refused(PolicyKind::Operator, &[(key, value.clone())]);
        assert!(text.contains(key) && text.ends_with("are not recognised policy settings"));
        assert!(new(PolicyKind::User, table(&[(key, value)])).is_ok());
    }
    for key in [
        "expires",
        "message-ttl",
        "max-length",
        "max-length-bytes",
        "max-in-memory-length",
        "max-in-memory-bytes",
        "delivery-limit",
        "queue-version",
        "target-group-size",
        "delayed-retry-min",
        "delayed-retry-max",
    ] {
        let taken = new(PolicyKind::Operator, table(&[(key, number(1))]));
        assert!(taken.is_ok(), "{key}: {taken:?}");
    }
}

#[test]
fn times_of_retries_go_together() {
    let kind = |kind: &str| ("delayed-retry-type", FieldValue::str(kind));
    for (definition, text) in [
        (
            vec![kind("all")],
            "delayed-retry-min is required when delayed-retry-type is all",
        ),
        (
            vec![kind("failed"), ("delayed-retry-max", number(4))],
            "delayed-retry-min is required when delayed-retry-type is failed",
        ),
        (
            vec![
                ("delayed-retry-max", number(5)),
                ("delayed-retry-min", number(10)),
            ],
            "delayed-retry-max (5) must not be smaller than delayed-retry-min (10)",
        ),
    ] {
        assert_eq!(refused(PolicyKind::User, &definition), text);
        assert_eq!(refused(PolicyKind::Operator, &definition), text);
    }
}

#[test]
fn what_is_wrong_with_the_rest_is_named() {
    let definition = || table(&[("max-length", number(1))]);
    let new = |name: &str, pattern: &str| {
        let policy = Policy::new(
            PolicyKind::User,
            name,
            pattern,
            ApplyTo::All,
            0,
            definition(),
        );
        policy.map(|_| ()).map_err(|error| error.to_string())
    };
    let bad = new("p", "(").unwrap_err();
    assert!(
        bad.starts_with("pattern should be regular expression but is invalid: "),
        "{bad}"
    );
    assert!(new("", ".*").is_err());
    assert!(new(&"n".repeat(256), ".*").is_err());
    assert_eq!(new(&"n".repeat(255), ""), Ok(()));
    assert_eq!(
        ApplyTo::named("zork").unwrap_err().to_string(),
        "apply-to 'zork' unrecognised; should be one of: 'queues', 'classic_queues',  \
         'quorum_queues', 'streams', 'exchanges', or 'all'"
    );
    for one in ApplyTo::ALL {
        assert_eq!(ApplyTo::named(one.name()), Ok(one));
    }
}

/// The keys are looked up by halves.
#[test]
fn every_key_is_found() {
    for key in [
        "alternate-exchange",
        "dead-letter-strategy",
        "delayed-retry-type",
        "member-placement-tag",
        "queue-leader-locator",
        "queue-mode",
        "max-age",
    ] {
        // What no key can have is refused as a value only where the key is known.
        let text = refused(PolicyKind::User, &[(key, FieldValue::Void)]);
        assert!(text.starts_with("null is not a valid "), "{key}: {text}");
    }
}
