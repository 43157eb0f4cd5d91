//! What comes of arguments, policies and operators' policies together: as
//! RabbitMQ 4.3.6 answers.

use harrier::broker::policy::{ApplyTo, Matched, Policy, PolicyKind};
use harrier::broker::queue::{Delayed, Overflow, Settings};
use harrier::wire::{FieldTable, FieldValue};
use proptest::prelude::*;

use crate::support::{number, operator, policy, table};

type Entries<'a> = &'a [(&'a str, FieldValue)];

#[track_caller]
fn merged(of_users: Entries<'_>, of_operators: Entries<'_>, expected: Entries<'_>) {
    let matched = Matched {
        policy: Some(policy("u", "", of_users).into()),
        operator: Some(operator("o", "", of_operators).into()),
    };
    assert_eq!(*matched.definition(), table(expected));
}

#[test]
fn operators_bound_numbers() {
    for key in [
        "max-length",
        "max-length-bytes",
        "message-ttl",
        "expires",
        "max-in-memory-length",
    ] {
        let of = |value| [(key, number(value))];
        merged(&of(5), &of(3), &of(3));
        merged(&of(2), &of(3), &of(2));
    }
    for (user, operator, effective) in [(3, 5, 5), (7, 5, 7)] {
        let of = |value| [("target-group-size", number(value))];
        merged(&of(user), &of(operator), &of(effective));
    }
}

#[test]
fn a_negative_delivery_limit_of_either_is_none() {
    for (user, operator, effective) in [
        (5, 3, 3),
        (-1, 3, 3),
        (5, -1, 5),
        (-1, -5, -1),
        (-7, -5, -5),
        (0, -5, 0),
    ] {
        let of = |value| [("delivery-limit", number(value))];
        merged(&of(user), &of(operator), &of(effective));
    }
}

#[test]
fn operators_override_what_is_no_number() {
    let overflow = |value: &str| [("overflow", value.into())];
    merged(
        &overflow("drop-head"),
        &overflow("reject-publish"),
        &overflow("reject-publish"),
    );
    for (user, operator) in [(1, 2), (2, 1)] {
        let of = |value| [("queue-version", number(value))];
        merged(&of(user), &of(operator), &of(operator));
    }
    merged(
        &[
            ("max-length", number(5)),
            ("dead-letter-exchange", "x".into()),
        ],
        &[("max-length-bytes", number(9))],
        &[
            ("dead-letter-exchange", "x".into()),
            ("max-length", number(5)),
            ("max-length-bytes", number(9)),
        ],
    );
}

#[test]
fn operators_slow_retries_down_and_bound_them() {
    let all = |kind: &str, min, max| {
        [
            ("delayed-retry-max", number(max)),
            ("delayed-retry-min", number(min)),
            ("delayed-retry-type", kind.into()),
        ]
    };
    merged(
        &all("all", 5, 10),
        &all("failed", 7, 8),
        &all("failed", 7, 8),
    );
    merged(
        &all("all", 5, 10),
        &[("delayed-retry-min", number(12))],
        &all("all", 12, 10),
    );
    merged(
        &all("all", 5, 6),
        &[
            ("delayed-retry-min", number(2)),
            ("delayed-retry-max", number(10)),
        ],
        &all("all", 5, 6),
    );
    merged(
        &all("all", 5, 6),
        &[("delayed-retry-type", "disabled".into())],
        &all("disabled", 5, 6),
    );
}

fn settings(kind: &str, arguments: Entries<'_>, definition: Entries<'_>) -> Settings {
    let mut arguments = table(arguments);
    arguments.push("x-queue-type", kind);
    Settings::under(&table(definition), &arguments)
}

#[test]
fn the_smaller_of_argument_and_policy_holds() {
    for kind in ["classic", "quorum"] {
        for (argument, policy) in [(5, 3), (3, 5)] {
            let under = settings(
                kind,
                &[
                    ("x-max-length", argument.into()),
                    ("x-max-length-bytes", argument.into()),
                    ("x-message-ttl", argument.into()),
                    ("x-expires", argument.into()),
                ],
                &[
                    ("max-length", number(policy)),
                    ("max-length-bytes", number(policy)),
                    ("message-ttl", number(policy)),
                    ("expires", number(policy)),
                ],
            );
            let all = [
                under.max_length,
                under.max_length_bytes,
                under.message_ttl,
                under.expires,
            ];
            assert_eq!(all, [Some(3); 4]);
        }
    }
    assert_eq!(
        settings("classic", &[("x-max-length", 5.into())], &[]).max_length,
        Some(5)
    );
    let under = settings("classic", &[], &[("max-length", number(5))]);
    assert_eq!(under.max_length, Some(5));
}

#[test]
fn the_overflow_of_classic_queues_is_the_arguments_and_of_quorum_queues_the_policys() {
    let argument = [("x-overflow", "drop-head".into())];
    let policy = [("overflow", "reject-publish".into())];
    assert_eq!(
        settings("classic", &argument, &policy).overflow,
        Overflow::DropHead
    );
    assert_eq!(
        settings("quorum", &argument, &policy).overflow,
        Overflow::RejectPublish
    );
    for kind in ["classic", "quorum"] {
        assert_eq!(
            settings(kind, &[], &policy).overflow,
            Overflow::RejectPublish
        );
    }
    let dead_letters = [("overflow", "reject-publish-dlx".into())];
    assert_eq!(
        settings("quorum", &[], &dead_letters).overflow,
        Overflow::DropHead
    );
}

#[test]
fn dead_letters_go_where_the_argument_says_each_part_by_itself() {
    let exchange = [("x-dead-letter-exchange", "a".into())];
    let policy = [
        ("dead-letter-exchange", "b".into()),
        ("dead-letter-routing-key", "k".into()),
    ];
    let target = settings("quorum", &exchange, &policy).dead_letter.unwrap();
    assert_eq!(
        (&*target.exchange, target.routing_key.as_deref()),
        ("a", Some("k"))
    );
    let target = settings("classic", &[], &policy).dead_letter.unwrap();
    assert_eq!(
        (&*target.exchange, target.routing_key.as_deref()),
        ("b", Some("k"))
    );
}

#[test]
fn a_negative_delivery_limit_leaves_it_to_the_other() {
    for (argument, policy, limit) in [
        (Some(2), Some(-1), Some(2)),
        (Some(-1), Some(2), Some(2)),
        (Some(-1), Some(-5), None),
        (None, Some(-3), None),
        (Some(3), None, Some(3)),
        (Some(0), Some(-1), Some(0)),
        (Some(5), Some(3), Some(3)),
        (Some(3), Some(5), Some(3)),
        (None, None, Some(20)),
    ] {
        let arguments: Vec<_> = argument
            .map(|limit| ("x-delivery-limit", number(limit)))
            .into_iter()
            .collect();
        let definition: Vec<_> = policy
            .map(|limit| ("delivery-limit", number(limit)))
            .into_iter()
            .collect();
        let under = settings("quorum", &arguments, &definition);
        assert_eq!(under.delivery_limit, limit, "{argument:?} {policy:?}");
        if argument.or(policy).is_some() {
            let under = settings("classic", &arguments, &definition);
            assert_eq!(under.delivery_limit, limit, "{argument:?} {policy:?}");
        }
    }
}

#[test]
fn the_policy_says_what_is_retried_and_the_smaller_times_hold() {
    let argument = |kind: &str, min: i64, max: i64| {
        [
            ("x-delayed-retry-type", kind.into()),
            ("x-delayed-retry-min", number(min)),
            ("x-delayed-retry-max", number(max)),
        ]
    };
    let policy = |kind: &str, min: i64, max: i64| {
        [
            ("delayed-retry-type", kind.into()),
            ("delayed-retry-min", number(min)),
            ("delayed-retry-max", number(max)),
        ]
    };
    for kind in ["classic", "quorum"] {
        let under = settings(kind, &argument("all", 10, 100), &policy("failed", 20, 50));
        let retry = under.delayed_retry.unwrap();
        assert_eq!(
            (retry.which, retry.min, retry.max),
            (Delayed::Failed, 10, 50)
        );
        let disabled = [("delayed-retry-type", "disabled".into())];
        assert_eq!(
            settings(kind, &argument("all", 10, 100), &disabled).delayed_retry,
            None
        );
        let least = [("x-delayed-retry-min", number(10))];
        let retry = settings(kind, &least, &policy("all", 5, 5))
            .delayed_retry
            .unwrap();
        assert_eq!((retry.min, retry.max), (5, 5));
        // The most that a policy allows is less than the least an argument asks for.
        let most = [("delayed-retry-max", number(50))];
        let retry = settings(kind, &argument("all", 100, 500), &most)
            .delayed_retry
            .unwrap();
        assert_eq!((retry.min, retry.max), (50, 50));
        let grows = [
            ("delayed-retry-multiplier", FieldValue::F64(3.0)),
            ("delayed-retry-jitter", FieldValue::F64(0.5)),
        ];
        let retry = settings(kind, &argument("all", 1, 9), &grows)
            .delayed_retry
            .unwrap();
        assert_eq!((retry.multiplier, retry.jitter), (Some(3.0), 0.5));
    }
}

/// Some of what a policy may say, in some order.
fn definition() -> impl Strategy<Value = Vec<(&'static str, FieldValue)>> {
    let numbers = [
        "max-length",
        "message-ttl",
        "delivery-limit",
        "delayed-retry-min",
        "target-group-size",
        "expires",
    ];
    let some = proptest::collection::btree_map(0..numbers.len(), 1..9_i64, 1..6);
    let overflow = prop_oneof![Just("drop-head"), Just("reject-publish")];
    (some, proptest::option::of(overflow))
        .prop_map(move |(some, overflow)| {
            let numbers = some
                .into_iter()
                .map(|(at, value)| (numbers[at], number(value)));
            let overflow = overflow.map(|value| ("overflow", FieldValue::str(value)));
            numbers.chain(overflow).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn ordered(mut entries: Vec<(&'static str, FieldValue)>) -> Vec<(&'static str, FieldValue)> {
    entries.sort_by_key(|(name, _)| *name);
    entries
}

proptest! {
    /// The order in which something was written doesn't matter, nobody's number
    /// is exceeded, and an operator's word twice is as good as once.
    #[test]
    fn merging_depends_on_what_is_said_alone(user in definition(), bound in definition()) {
        let new = |kind, entries: &[(&str, FieldValue)]| {
            let definition = table(entries);
            Policy::new(kind, "p", ".*", ApplyTo::All, 0, definition).unwrap()
        };
        let together = |user: &[(&str, FieldValue)], bound: &[(&str, FieldValue)]| {
            let matched = Matched {
                policy: Some(new(PolicyKind::User, user).into()),
                operator: Some(new(PolicyKind::Operator, bound).into()),
            };
            matched.definition().into_owned()
        };
        let merged = together(&user, &bound);
        prop_assert_eq!(&merged, &together(&ordered(user.clone()), &ordered(bound.clone())));
        let names: Vec<_> = merged.iter().map(|(name, _)| name.clone()).collect();
        prop_assert!(names.is_sorted());
        let again: Vec<(String, FieldValue)> = merged
            .iter()
            .map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.clone()))
            .collect();
        let again: Vec<_> = again.iter().map(|(name, value)| (&**name, value.clone())).collect();
        prop_assert_eq!(&merged, &together(&again, &bound));
        let get = |table: &FieldTable, key| table.get(key).and_then(FieldValue::as_i64);
        for key in ["max-length", "message-ttl", "expires", "delivery-limit"] {
            let least = get(&table(&user), key).into_iter().chain(get(&table(&bound), key)).min();
            prop_assert_eq!(get(&merged, key), least);
        }
    }
}
