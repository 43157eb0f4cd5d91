//! Which policies apply to what.

use std::collections::BTreeMap;

use harrier::broker::policy::{ApplyTo, Policy, PolicyKind};
use harrier::wire::FieldValue;
use harrier::wire::method::QueueDeclare;
use proptest::prelude::*;

use crate::support::{Host, ME, number, operator, policy, ranked, table};

fn for_(apply_to: ApplyTo) -> Policy {
    let definition = table(&[("max-length", number(1))]);
    Policy::new(PolicyKind::User, "p", ".*", apply_to, 0, definition).unwrap()
}

#[test]
fn the_pattern_may_be_anywhere_in_the_name() {
    let mut host = Host::new();
    for name in ["orders", "new-orders", "orders-new", "amq.orders", "Orders"] {
        host.exchange(&name.replace("amq.", ""), &[]);
        if !name.starts_with("amq.") {
            host.queue(name, "classic", &[]);
        }
    }
    host.set(policy("p", "orders", &[("max-length", number(1))]));
    assert!(host.policy_of("orders").is_some());
    assert!(host.policy_of("new-orders").is_some());
    assert!(host.policy_of("orders-new").is_some());
    assert!(host.policy_of("Orders").is_none());
    host.set(policy("p", "^orders$", &[("max-length", number(1))]));
    assert!(host.policy_of("orders").is_some());
    assert!(host.policy_of("new-orders").is_none());
    host.set(policy("p", "", &[("max-length", number(1))]));
    assert!(host.policy_of("Orders").is_some());
    host.set(policy("p", r"^(?!amq\.|new)", &[("max-length", number(1))]));
    assert!(host.policy_of("new-orders").is_none());
    assert!(host.policy_of("orders").is_some());
}

#[test]
fn the_highest_priority_wins_and_then_the_first_name() {
    let mut host = Host::new();
    host.queue("q", "classic", &[]);
    for (name, priority) in [("c", 1), ("b", 1), ("d", 1), ("low", -3), ("lower", -4)] {
        host.set(ranked(name, "q", priority, &[("max-length", number(1))]));
    }
    assert_eq!(host.policy_of("q").as_deref(), Some("b"));
    host.set(ranked("d", "q", 2, &[("max-length", number(1))]));
    assert_eq!(host.policy_of("q").as_deref(), Some("d"));
    for expected in ["d", "b", "c", "low", "lower"] {
        assert_eq!(host.policy_of("q").as_deref(), Some(expected));
        host.clear(expected);
    }
    assert_eq!(host.policy_of("q"), None);
    // Set in another order, it is the same.
    for name in ["d", "b", "c"] {
        host.set(ranked(name, "q", 1, &[("max-length", number(1))]));
    }
    assert_eq!(host.policy_of("q").as_deref(), Some("b"));
}

#[test]
fn a_policy_is_for_what_it_says() {
    let mut host = Host::new();
    host.queue("c", "classic", &[]);
    host.queue("q", "quorum", &[]);
    host.exchange("x", &[]);
    for (apply_to, expected) in [
        (ApplyTo::All, [true, true, true]),
        (ApplyTo::Queues, [true, true, false]),
        (ApplyTo::ClassicQueues, [true, false, false]),
        (ApplyTo::QuorumQueues, [false, true, false]),
        (ApplyTo::Streams, [false, false, false]),
        (ApplyTo::Exchanges, [false, false, true]),
    ] {
        host.set(for_(apply_to));
        let exchange = host.vhost.policies_of_exchange("x").unwrap();
        let found = [
            host.policy_of("c").is_some(),
            host.policy_of("q").is_some(),
            exchange.policy.is_some(),
        ];
        assert_eq!(found, expected, "{apply_to:?}");
    }
}

/// As RabbitMQ 4.3.6 does it, but for `delivery-limit`, which classic queues
/// have here.
#[test]
fn a_policy_that_a_type_of_queue_has_not_all_of_is_not_for_it() {
    let mut host = Host::new();
    host.queue("c", "classic", &[]);
    host.queue("q", "quorum", &[]);
    for (key, value, on_classic, on_quorum) in [
        ("alternate-exchange", "a".into(), true, true),
        ("consumer-timeout", number(1), true, true),
        ("dead-letter-exchange", "a".into(), true, true),
        ("dead-letter-routing-key", "a".into(), true, true),
        ("dead-letter-strategy", "at-least-once".into(), false, true),
        ("message-ttl", number(1), true, true),
        ("max-in-memory-length", number(1), false, true),
        ("queue-mode", "lazy".into(), true, false),
        ("queue-version", number(2), true, true),
        ("overflow", "reject-publish-dlx".into(), true, true),
        ("delivery-limit", number(1), true, true),
        ("max-age", "1D".into(), false, false),
        ("stream-max-segment-size-bytes", number(1), false, false),
        ("stream-filter-size-bytes", number(16), true, true),
        ("queue-leader-locator", "balanced".into(), true, true),
        ("initial-cluster-size", number(1), false, false),
        ("target-group-size", number(1), false, true),
        ("delayed-retry-min", number(1), true, true),
    ] {
        host.set(policy(
            "p",
            ".*",
            &[("max-length", number(9)), (key, value)],
        ));
        let found = (host.policy_of("c").is_some(), host.policy_of("q").is_some());
        assert_eq!(found, (on_classic, on_quorum), "{key}");
        let exchange = host.vhost.policies_of_exchange("amq.direct").unwrap();
        assert!(exchange.policy.is_some(), "{key}");
    }
}

#[test]
fn what_is_passed_over_leaves_it_to_the_next() {
    let mut host = Host::new();
    host.queue("c", "classic", &[]);
    let mode = ("max-in-memory-length", number(5));
    host.set(ranked(
        "high",
        ".*",
        9,
        &[("max-length", number(5)), mode.clone()],
    ));
    host.set(ranked("low", ".*", 1, &[("max-length", number(6))]));
    host.set(operator("bound", ".*", &[mode]));
    assert_eq!(host.of_queue("c"), (Some("low".into()), None));
    let effective = host.vhost.policies_of_queue("c").unwrap();
    assert_eq!(*effective.definition(), table(&[("max-length", number(6))]));
}

#[test]
fn one_of_each_kind_applies() {
    let mut host = Host::new();
    let queue = host.queue("q", "classic", &[]);
    host.set(policy(
        "p",
        ".*",
        &[("max-length", number(5)), ("expires", number(50))],
    ));
    host.set(operator("p", ".*", &[("max-length", number(3))]));
    assert_eq!(host.of_queue("q"), (Some("p".into()), Some("p".into())));
    assert_eq!(queue.settings().max_length, Some(3));
    assert_eq!(queue.settings().expires, Some(50));
    host.clear("p");
    assert_eq!(host.of_queue("q"), (None, Some("p".into())));
    assert_eq!(queue.settings().expires, None);
    let names = |kind| {
        let all = host.vhost.policies(kind);
        all.iter()
            .map(|policy| policy.name().to_string())
            .collect::<Vec<_>>()
    };
    assert!(names(PolicyKind::User).is_empty());
    assert_eq!(names(PolicyKind::Operator), ["p"]);
}

#[test]
fn what_is_declared_later_is_under_them_too() {
    let mut host = Host::new();
    host.set(policy("p", ".*", &[("max-length", number(5))]));
    for kind in ["classic", "quorum"] {
        let queue = host.queue(kind, kind, &[]);
        assert_eq!(queue.settings().max_length, Some(5));
        assert!(host.policy_of(kind).is_some());
    }
    host.exchange("x", &[]);
    assert!(
        host.vhost
            .policies_of_exchange("x")
            .unwrap()
            .policy
            .is_some()
    );
    let exclusive = QueueDeclare {
        queue: "mine",
        exclusive: true,
        ..QueueDeclare::default()
    };
    let named = || panic!("it has a name");
    let queue = host
        .vhost
        .declare_queue(&exclusive, ME, named, &mut host.effects)
        .unwrap();
    assert_eq!(queue.settings().max_length, Some(5));
    assert!(host.vhost.policies_of_queue("absent").is_none());
    assert!(host.vhost.policies_of_exchange("absent").is_none());
}

#[test]
fn what_changes_nothing_is_written_nowhere() {
    let mut host = Host::new();
    let set = |host: &mut Host, limit| {
        let policy = policy("p", ".*", &[("max-length", number(limit))]);
        let applied = host.vhost.set_policy(policy, &mut host.effects).unwrap();
        (applied.created, applied.batch.is_some())
    };
    assert_eq!(set(&mut host, 5), (true, true));
    assert_eq!(set(&mut host, 5), (false, false));
    assert_eq!(set(&mut host, 6), (false, true));
    let clear = |host: &mut Host, kind| {
        let cleared = host.vhost.clear_policy(kind, "p", &mut host.effects);
        cleared.unwrap().is_some()
    };
    assert!(!clear(&mut host, PolicyKind::Operator));
    assert!(clear(&mut host, PolicyKind::User));
    assert!(!clear(&mut host, PolicyKind::User));
}

/// A step: a policy is set, by name, pattern, priority and whether operators'
/// are meant, or cleared.
fn step() -> impl Strategy<Value = (bool, usize, Option<(usize, i64)>)> {
    let rule = proptest::option::weighted(0.7, (0..PATTERNS.len(), 0..3_i64));
    (any::<bool>(), 0..NAMES.len(), rule)
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const PATTERNS: [&str; 5] = ["", "x", "y", "xy", "z"];
const QUEUES: [&str; 4] = ["x", "y", "xy", "yx"];

proptest! {
    /// After every change, what applies is what one finds who looks at all
    /// policies anew.
    #[test]
    fn each_change_leads_to_what_looking_at_all_of_them_does(
        steps in proptest::collection::vec(step(), 1..30),
    ) {
        let mut host = Host::new();
        for name in QUEUES {
            host.queue(name, "classic", &[]);
        }
        let mut known = BTreeMap::new();
        for (is_operator, name, rule) in steps {
            let kind = if is_operator { PolicyKind::Operator } else { PolicyKind::User };
            let name = NAMES[name];
            if let Some((pattern, priority)) = rule {
                let pattern = PATTERNS[pattern];
                let definition = table(&[("max-length", number(1 + priority))]);
                let policy = Policy::new(kind, name, pattern, ApplyTo::All, priority, definition);
                host.set(policy.unwrap());
                known.insert((is_operator, name), (pattern, priority));
            } else {
                host.vhost.clear_policy(kind, name, &mut host.effects).unwrap();
                known.remove(&(is_operator, name));
            }
            for queue in QUEUES {
                let first = |wanted: bool| {
                    let matching = known
                        .iter()
                        .filter(|((of, _), (pattern, _))| *of == wanted && queue.contains(pattern));
                    let first = matching.min_by_key(|((_, name), (_, rank))| (-rank, *name));
                    first.map(|((_, name), _)| (*name).to_owned())
                };
                prop_assert_eq!(host.of_queue(queue), (first(false), first(true)));
                let found = host.vhost.policies_of_queue(queue).unwrap();
                let limit = found.definition().get("max-length").and_then(FieldValue::as_i64);
                let queue = host.vhost.queue(queue, ME).unwrap();
                prop_assert_eq!(queue.settings().max_length, limit.map(i64::cast_unsigned));
            }
        }
    }
}
