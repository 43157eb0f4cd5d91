use harrier::broker::routing::{RawTraits, RoutingKeys};
use harrier::broker::spec::BindingSpec;
use harrier::wire::method::ExchangeDeclare;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::support::{Host, exchange, table, text, to_exchange, to_queue};

#[test]
fn the_default_exchange_knows_queues_by_name() {
    let mut host = Host::new();
    host.queue("q");
    assert_eq!(host.route("", "q"), ["q"]);
    assert!(host.route("", "p").is_empty());
    let shown = host.vhost.bindings();
    assert_eq!(shown, [to_queue("", "q", "q")]);
    assert_eq!(host.vhost.bindings_from(""), shown);
    let destination = shown[0].destination.clone();
    assert_eq!(host.vhost.bindings_of(&destination), shown);
}

#[test]
fn a_route_needs_an_exchange() {
    let host = Host::new();
    let mut out = Vec::new();
    let routed = host
        .vhost
        .route("x", RoutingKeys::one("k"), &mut FieldTable::new(), &mut out);
    assert_eq!(text(routed), "NOT_FOUND - no exchange 'x' in vhost '/'");
}

#[test]
fn direct_goes_by_the_very_key() {
    let mut host = Host::new();
    host.queue("a");
    host.queue("b");
    for (queue, key) in [("a", "k"), ("b", "k"), ("b", "l"), ("b", "")] {
        host.bind(to_queue("amq.direct", queue, key)).unwrap();
    }
    assert_eq!(host.route("amq.direct", "k"), ["a", "b"]);
    assert_eq!(host.route("amq.direct", "l"), ["b"]);
    assert_eq!(host.route("amq.direct", ""), ["b"]);
    assert!(host.route("amq.direct", "K").is_empty());
}

#[test]
fn copies_go_by_their_keys_too_and_each_queue_gets_one() {
    let mut host = Host::new();
    for name in ["a", "b", "c"] {
        host.queue(name);
        host.bind(to_queue("amq.direct", name, name)).unwrap();
        host.bind(to_queue("amq.topic", name, &format!("{name}.*")))
            .unwrap();
    }
    let copies: &[&[u8]] = &[b"b", b"a", b"\xff", b"b"];
    let keys = RoutingKeys::with_copies("a", copies);
    assert_eq!(
        host.route_all("amq.direct", keys, FieldTable::new()),
        ["a", "b"]
    );
    assert_eq!(host.route_all("", keys, FieldTable::new()), ["a", "b"]);
    let copies: &[&[u8]] = &[b"b.2", b"a.3"];
    let keys = RoutingKeys::with_copies("a.1", copies);
    assert_eq!(
        host.route_all("amq.topic", keys, FieldTable::new()),
        ["a", "b"]
    );
}

#[test]
fn topic_patterns_fit_word_by_word() {
    let fits = [
        ("", "", true),
        ("#", "", true),
        ("#.#", "", true),
        ("*", "", false),
        ("#", "a.b.c", true),
        ("a.b", "a.b", true),
        ("a.b", "a.b.c", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.#", "a", true),
        ("a.#", "a.b.c", true),
        ("a.#", "b", false),
        ("#.c", "c", true),
        ("#.c", "a.b.c", true),
        ("#.c", "a.c.b", false),
        ("#.c.#", "a.c.b", true),
        ("a.#.b", "a.b", true),
        ("a.#.b", "a.x.b.y.b", true),
        ("a.#.b", "a.x.b.y", false),
        ("*.#", "a", true),
        ("*.#", "", false),
        ("#.*", "a.b", true),
        ("#.*.#", "", false),
        ("#.*.#", "a.b.c", true),
        ("a.*.b", "a..b", true),
        ("a.#", "a.", true),
        ("*.", "a.", true),
        ("*", "a.", false),
        ("*.*", ".", true),
        ("*", ".", false),
        ("a*", "a*", true),
        ("a*", "ab", false),
        ("a.b", "a.*", false),
        ("*", "*", true),
        ("*", "#", true),
        ("#", "#.*", true),
        ("A", "a", false),
    ];
    for (pattern, key, expected) in fits {
        let mut host = Host::new();
        host.queue("q");
        host.bind(to_queue("amq.topic", "q", pattern)).unwrap();
        let found = !host.route("amq.topic", key).is_empty();
        assert_eq!(found, expected, "{pattern:?} and {key:?}");
        host.unbind(&to_queue("amq.topic", "q", pattern)).unwrap();
        assert!(host.route("amq.topic", key).is_empty());
    }
}

#[test]
fn a_pattern_has_at_most_two_hashes() {
    let mut host = Host::new();
    host.queue("q");
    host.bind(to_queue("amq.topic", "q", "#.a.#.b#")).unwrap();
    assert_eq!(
        text(host.bind(to_queue("amq.topic", "q", "#.a.#.b.#"))),
        "PRECONDITION_FAILED - Topic binding key '#.a.#.b.#' uses 3 '#' wildcards, at most 2 are \
         allowed"
    );
    host.bind(to_queue("amq.direct", "q", "#.a.#.b.#")).unwrap();
}

fn criteria(queue: &str, arguments: &[(&str, FieldValue)]) -> BindingSpec {
    BindingSpec {
        arguments: table(arguments),
        ..to_queue("amq.headers", queue, "")
    }
}

/// Whether headers meet criteria.
fn meets(arguments: &[(&str, FieldValue)], headers: &[(&str, FieldValue)]) -> bool {
    let mut host = Host::new();
    host.queue("q");
    let spec = criteria("q", arguments);
    host.bind(spec.clone()).unwrap();
    let routed = host.route_all("amq.headers", RoutingKeys::one(""), table(headers));
    host.unbind(&spec).unwrap();
    let after = host.route_all("amq.headers", RoutingKeys::one(""), table(headers));
    assert!(after.is_empty());
    !routed.is_empty()
}

#[test]
fn headers_meet_all_criteria_or_any() {
    let one = ("a", FieldValue::from(1));
    let two = ("b", FieldValue::from("2"));
    let all = ("x-match", FieldValue::from("all"));
    let any = ("x-match", FieldValue::from("any"));
    let both = [one.clone(), two.clone()];
    assert!(meets(&both, &both));
    assert!(!meets(&both, std::slice::from_ref(&one)));
    assert!(meets(&[all.clone(), one.clone()], &both));
    assert!(meets(&[any.clone(), one.clone(), two.clone()], &[two]));
    assert!(!meets(&[any.clone(), one.clone()], &[("a", 2.into())]));
    // No criteria at all.
    assert!(meets(&[], &[]) && meets(&[all], &both));
    assert!(!meets(&[any], &both));
}

#[test]
fn criteria_named_x_count_when_asked_for() {
    let x = ("x-a", FieldValue::from(1));
    let with = |how: &str| [("x-match", FieldValue::from(how)), x.clone()];
    assert!(meets(&with("all"), &[]));
    assert!(!meets(&with("any"), std::slice::from_ref(&x)));
    assert!(!meets(&with("all-with-x"), &[]));
    assert!(meets(&with("all-with-x"), std::slice::from_ref(&x)));
    assert!(meets(&with("any-with-x"), std::slice::from_ref(&x)));
    assert!(!meets(&with("any-with-x"), &[]));
}

#[test]
fn values_compare_within_their_class() {
    let meets = |wanted: FieldValue, value: FieldValue| meets(&[("a", wanted)], &[("a", value)]);
    assert!(meets(FieldValue::Void, "anything".into()));
    assert!(meets(1.into(), 1_i64.into()) && meets(FieldValue::U8(1), 1.into()));
    assert!(meets(FieldValue::F32(0.5), FieldValue::F64(0.5)));
    assert!(!meets(1.into(), "1".into()));
    assert!(!meets(true.into(), 1.into()) && !meets(true.into(), "true".into()));
    assert!(meets(true.into(), true.into()) && !meets(true.into(), false.into()));
    assert!(!meets("a".into(), "A".into()));
    assert!(meets(FieldValue::Timestamp(7), FieldValue::Timestamp(7)));
    assert!(!meets(1.into(), FieldValue::F64(1.0)));
}

#[test]
fn x_match_is_checked() {
    let mut host = Host::new();
    host.queue("q");
    let start = "PRECONDITION_FAILED - Invalid x-match field";
    assert_eq!(
        text(host.bind(criteria("q", &[("x-match", "foo".into())]))),
        format!("{start} value <<\"foo\">>; expected all, any, all-with-x, or any-with-x")
    );
    assert_eq!(
        text(host.bind(criteria("q", &[("x-match", 1.into())]))),
        format!("{start} type signedint (value 1); expected longstr")
    );
}

#[test]
fn headers_are_decoded_from_properties() {
    let mut host = Host::new();
    host.queue("q");
    host.bind(criteria("q", &[("a", 1.into())])).unwrap();
    let raw = Properties::default().with_headers(&table(&[("a", 1.into())]));
    let mut out = Vec::new();
    let mut route = |properties: &[u8]| {
        out.clear();
        let headers = &mut RawTraits::new(properties);
        host.vhost
            .route("amq.headers", RoutingKeys::one(""), headers, &mut out)
            .unwrap();
        out.len()
    };
    assert_eq!(route(&raw), 1);
    assert_eq!(route(&[0, 0]), 0);
    assert_eq!(route(b"malformed"), 0);
}

#[test]
fn exchanges_lead_to_exchanges_and_each_queue_gets_one() {
    let mut host = Host::new();
    for name in ["x", "y", "z"] {
        host.exchange(name, "topic");
    }
    host.queue("q");
    host.bind(to_exchange("x", "y", "#")).unwrap();
    host.bind(to_exchange("x", "z", "a.#")).unwrap();
    host.bind(to_exchange("y", "x", "#")).unwrap();
    host.bind(to_exchange("z", "z", "#")).unwrap();
    for (source, pattern) in [("x", "*.b"), ("y", "#"), ("z", "#"), ("z", "a.b")] {
        host.bind(to_queue(source, "q", pattern)).unwrap();
    }
    assert_eq!(host.route("x", "a.b"), ["q"]);
    assert_eq!(host.route("x", "c"), ["q"]);
    assert_eq!(host.route("z", "c"), ["q"]);
}

fn with_alternate<'a>(name: &'a str, alternate: &str) -> ExchangeDeclare<'a> {
    ExchangeDeclare {
        arguments: table(&[("alternate-exchange", alternate.into())]),
        ..exchange(name, "direct")
    }
}

#[test]
fn what_matches_nothing_goes_to_the_alternate_exchange() {
    let mut host = Host::new();
    host.declare_exchange(&with_alternate("x", "y")).unwrap();
    host.queue("q");
    host.queue("r");
    host.bind(to_queue("x", "q", "k")).unwrap();
    assert!(host.route("x", "other").is_empty(), "it need not exist");
    host.declare_exchange(&with_alternate("y", "x")).unwrap();
    assert!(host.route("x", "other").is_empty(), "round and round");
    host.bind(to_queue("y", "r", "other")).unwrap();
    assert_eq!(host.route("x", "other"), ["r"]);
    assert_eq!(host.route("x", "k"), ["q"]);
    // An exchange that was matched is a destination, whatever becomes of it.
    host.exchange("dead end", "fanout");
    host.bind(to_exchange("x", "dead end", "other")).unwrap();
    assert!(host.route("x", "other").is_empty());
}

#[test]
fn the_default_exchange_may_be_the_alternate() {
    let mut host = Host::new();
    host.declare_exchange(&with_alternate("x", "")).unwrap();
    host.queue("q");
    assert_eq!(host.route("x", "q"), ["q"]);
}

#[test]
fn long_lists_stay_right_through_many_removals() {
    let mut host = Host::new();
    let count = 500;
    let name = |at: usize| format!("q{at:03}");
    for at in 0..count {
        host.queue(&name(at));
        for source in ["amq.fanout", "amq.direct", "amq.topic", "amq.headers"] {
            host.bind(to_queue(source, &name(at), "k")).unwrap();
        }
    }
    // In no order that any list has them in.
    let order: Vec<_> = (0..count).map(|at| at * 7 % count).collect();
    for (removed, at) in order.iter().enumerate() {
        if removed % 50 == 0 {
            let mut left: Vec<_> = order[removed..].iter().map(|at| name(*at)).collect();
            left.sort();
            for source in ["amq.fanout", "amq.direct", "amq.topic", "amq.headers"] {
                assert_eq!(host.route(source, "k"), left, "{source}");
            }
        }
        host.delete_queue(&name(*at)).unwrap();
    }
    assert!(host.vhost.bindings().is_empty());
}
