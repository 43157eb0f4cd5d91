use harrier::wire::FieldValue;
use harrier::wire::method::ExchangeDeclare;

use crate::support::{Host, OTHER, exchange, queue, table, text, to_exchange, to_queue};

#[test]
fn the_default_virtual_host_has_its_exchanges() {
    let host = Host::new();
    let all: Vec<_> = host.vhost.exchanges();
    let shown: Vec<_> = all
        .iter()
        .map(|e| (&*e.name, &*e.kind, e.durable, e.internal))
        .collect();
    assert_eq!(
        shown,
        [
            ("", "direct", true, false),
            ("amq.direct", "direct", true, false),
            ("amq.fanout", "fanout", true, false),
            ("amq.headers", "headers", true, false),
            ("amq.match", "headers", true, false),
            ("amq.rabbitmq.event", "topic", true, true),
            ("amq.rabbitmq.trace", "topic", true, true),
            ("amq.topic", "topic", true, false),
        ]
    );
}

#[test]
fn an_unknown_type_is_refused() {
    let mut host = Host::new();
    assert_eq!(
        text(host.declare_exchange(&exchange("x", "zork"))),
        "PRECONDITION_FAILED - unknown exchange type 'zork'"
    );
    assert_eq!(
        text(host.declare_exchange(&exchange("x", "Direct"))),
        "PRECONDITION_FAILED - unknown exchange type 'Direct'"
    );
}

#[test]
fn reserved_names_may_be_declared_again_but_not_made() {
    let mut host = Host::new();
    assert_eq!(
        text(host.declare_exchange(&exchange("amq.x", "direct"))),
        "ACCESS_REFUSED - exchange name 'amq.x' contains reserved prefix 'amq.*'"
    );
    host.declare_exchange(&exchange("amq.direct", "direct"))
        .unwrap();
}

#[test]
fn the_default_exchange_is_left_alone() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    host.queue("q");
    let refused = "ACCESS_REFUSED - operation not permitted on the default exchange";
    let passive = ExchangeDeclare {
        passive: true,
        ..exchange("", "")
    };
    assert_eq!(
        text(host.declare_exchange(&exchange("", "direct"))),
        refused
    );
    assert_eq!(text(host.declare_exchange(&passive)), refused);
    assert_eq!(text(host.delete_exchange("")), refused);
    assert_eq!(text(host.bind(to_queue("", "q", "k"))), refused);
    assert_eq!(text(host.unbind(&to_queue("", "q", "q"))), refused);
    assert_eq!(text(host.bind(to_exchange("", "x", "k"))), refused);
    assert_eq!(text(host.bind(to_exchange("x", "", "k"))), refused);
    assert_eq!(text(host.unbind(&to_exchange("x", "", "k"))), refused);
}

#[test]
fn asking_for_an_exchange_compares_nothing() {
    let mut host = Host::new();
    let ask = |name| ExchangeDeclare {
        exchange: name,
        passive: true,
        kind: "no such type",
        ..ExchangeDeclare::default()
    };
    assert_eq!(
        text(host.declare_exchange(&ask("x"))),
        "NOT_FOUND - no exchange 'x' in vhost '/'"
    );
    host.exchange("x", "topic");
    host.declare_exchange(&ask("x")).unwrap();
}

#[test]
fn an_alternate_exchange_must_be_text() {
    let mut host = Host::new();
    let request = ExchangeDeclare {
        arguments: table(&[("alternate-exchange", 1.into())]),
        ..exchange("x", "direct")
    };
    assert_eq!(
        text(host.declare_exchange(&request)),
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange \
         'x' in vhost '/'"
    );
}

#[test]
fn differences_are_named_in_order() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    let mut request = ExchangeDeclare {
        durable: false,
        auto_delete: true,
        internal: true,
        arguments: table(&[("alternate-exchange", "ae".into())]),
        ..exchange("x", "fanout")
    };
    let start = "PRECONDITION_FAILED - inequivalent arg";
    let mut expect = |request: &ExchangeDeclare<'_>, rest: &str| {
        assert_eq!(
            text(host.declare_exchange(request)),
            format!("{start} {rest}")
        );
    };
    expect(
        &request,
        "'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'",
    );
    request.kind = "direct";
    expect(
        &request,
        "'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'",
    );
    request.durable = true;
    expect(
        &request,
        "'auto_delete' for exchange 'x' in vhost '/': received 'true' but current is 'false'",
    );
    request.auto_delete = false;
    expect(
        &request,
        "'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'",
    );
    request.internal = false;
    expect(
        &request,
        "'alternate-exchange' for exchange 'x' in vhost '/': received the value 'ae' of type \
         'longstr' but current is none",
    );
    request.arguments = table(&[("anything else", 1.into())]);
    host.declare_exchange(&request).unwrap();
}

#[test]
fn line_ends_are_taken_out_of_names() {
    let mut host = Host::new();
    host.exchange("one\r\nline", "direct");
    host.queue("q\n");
    host.bind(to_queue("oneline", "q\r", "k")).unwrap();
    assert_eq!(host.route("oneline", "k"), ["q"]);
}

#[test]
fn system_exchanges_stay() {
    let mut host = Host::new();
    assert_eq!(
        text(host.delete_exchange("amq.direct")),
        "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed"
    );
    assert_eq!(
        text(host.delete_exchange("amq.none")),
        "ACCESS_REFUSED - deletion of system exchange 'amq.none' in vhost '/' not allowed"
    );
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    let mut host = Host::new();
    host.delete_exchange("x").unwrap();
}

#[test]
fn an_exchange_is_in_use_while_it_is_a_source() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    host.exchange("y", "direct");
    host.bind(to_exchange("x", "y", "")).unwrap();
    let refusal = host.vhost.delete_exchange("x", true, &mut host.effects);
    assert_eq!(
        text(refusal),
        "PRECONDITION_FAILED - exchange 'x' in vhost '/' in use"
    );
    host.vhost
        .delete_exchange("y", true, &mut host.effects)
        .unwrap();
    host.vhost
        .delete_exchange("x", true, &mut host.effects)
        .unwrap();
}

#[test]
fn a_deleted_exchange_takes_its_bindings_along() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    host.queue("q");
    host.bind(to_queue("x", "q", "k")).unwrap();
    host.delete_exchange("x").unwrap();
    host.exchange("x", "direct");
    assert!(host.route("x", "k").is_empty());
    assert_eq!(host.vhost.bindings().len(), 1, "the default binding alone");
}

fn auto_delete<'a>(name: &'a str, kind: &'a str) -> ExchangeDeclare<'a> {
    ExchangeDeclare {
        auto_delete: true,
        ..exchange(name, kind)
    }
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding_as_a_source() {
    let mut host = Host::new();
    host.declare_exchange(&auto_delete("a", "direct")).unwrap();
    host.declare_exchange(&auto_delete("b", "direct")).unwrap();
    host.exchange("x", "direct");
    host.queue("q");
    // Being a destination doesn't count.
    host.bind(to_exchange("x", "a", "k")).unwrap();
    host.unbind(&to_exchange("x", "a", "k")).unwrap();
    assert!(host.vhost.exchange("a").is_some());
    // a -> b -> q: without q nothing is left of either.
    host.bind(to_exchange("a", "b", "k")).unwrap();
    host.bind(to_queue("b", "q", "k")).unwrap();
    host.bind(to_queue("b", "q", "l")).unwrap();
    host.unbind(&to_queue("b", "q", "l")).unwrap();
    assert!(host.vhost.exchange("b").is_some());
    host.delete_queue("q").unwrap();
    assert!(host.vhost.exchange("b").is_none());
    assert!(host.vhost.exchange("a").is_none());
}

#[test]
fn a_circle_of_auto_delete_exchanges_goes_at_once() {
    let mut host = Host::new();
    for name in ["a", "b", "c"] {
        host.declare_exchange(&auto_delete(name, "fanout")).unwrap();
    }
    host.bind(to_exchange("a", "a", "")).unwrap();
    host.bind(to_exchange("a", "b", "")).unwrap();
    host.bind(to_exchange("b", "c", "")).unwrap();
    host.bind(to_exchange("c", "a", "")).unwrap();
    host.delete_exchange("b").unwrap();
    // c led to a only, a to itself and b: a is still its own source.
    assert!(host.vhost.exchange("b").is_none());
    assert!(host.vhost.exchange("a").is_some());
    assert!(host.vhost.exchange("c").is_some());
    host.unbind(&to_exchange("a", "a", "")).unwrap();
    assert!(host.vhost.exchange("a").is_none());
    assert!(host.vhost.exchange("c").is_none());
    assert!(host.vhost.bindings().is_empty());
}

#[test]
fn missing_ends_are_named_the_source_first() {
    let mut host = Host::new();
    assert_eq!(
        text(host.bind(to_queue("x", "q", "k"))),
        "NOT_FOUND - no exchange 'x' in vhost '/'"
    );
    host.exchange("x", "direct");
    assert_eq!(
        text(host.bind(to_queue("x", "q", "k"))),
        "NOT_FOUND - no queue 'q' in vhost '/'"
    );
    assert_eq!(
        text(host.bind(to_exchange("x", "y", "k"))),
        "NOT_FOUND - no exchange 'y' in vhost '/'"
    );
}

#[test]
fn unbinding_what_is_not_bound_is_no_error() {
    let mut host = Host::new();
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    host.exchange("x", "direct");
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    host.queue("q");
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    host.unbind(&to_exchange("x", "y", "k")).unwrap();
}

#[test]
fn direct_reply_names_are_not_bound() {
    let mut host = Host::new();
    let refused = "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue";
    let spec = to_queue("amq.direct", "amq.rabbitmq.reply-to.g2dk.a2V5", "k");
    assert_eq!(text(host.bind(spec.clone())), refused);
    assert_eq!(text(host.unbind(&spec)), refused);
}

#[test]
fn a_queue_of_another_connection_is_not_bound() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    let mut mine = queue("q");
    mine.exclusive = true;
    host.declare_queue_as(OTHER, &mine).unwrap();
    let locked = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost \
                  '/'. It could be originally declared on another connection or the exclusive \
                  property value does not match that of the original declaration.";
    assert_eq!(text(host.bind(to_queue("x", "q", "k"))), locked);
    let spec = to_queue("x", "q", "k");
    host.vhost.bind(spec, OTHER, &mut host.effects).unwrap();
    assert_eq!(text(host.unbind(&to_queue("x", "q", "k"))), locked);
}

#[test]
fn unbinding_another_connections_queue_from_where_it_is_not_bound_is_no_error() {
    let mut host = Host::new();
    host.exchange("x", "direct");
    let mut mine = queue("q");
    mine.exclusive = true;
    host.declare_queue_as(OTHER, &mine).unwrap();
    host.unbind(&to_queue("x", "q", "k")).unwrap();
}

#[test]
fn bindings_are_told_apart_by_all_four_parts() {
    let mut host = Host::new();
    host.exchange("x", "fanout");
    host.queue("q");
    let mut with_arguments = to_queue("x", "q", "k");
    with_arguments.arguments = table(&[("b", 1.into()), ("a", FieldValue::F64(f64::NAN))]);
    let mut other_order = to_queue("x", "q", "k");
    other_order.arguments = table(&[("a", FieldValue::F64(f64::NAN)), ("b", 1.into())]);
    for spec in [
        to_queue("x", "q", "k"),
        to_queue("x", "q", "k"),
        to_queue("x", "q", "l"),
        with_arguments,
        other_order.clone(),
    ] {
        host.bind(spec).unwrap();
    }
    assert_eq!(host.vhost.bindings_from("x").len(), 3);
    host.unbind(&to_queue("x", "q", "k")).unwrap();
    host.unbind(&other_order).unwrap();
    assert_eq!(host.route("x", ""), ["q"], "one binding is left");
    host.unbind(&to_queue("x", "q", "l")).unwrap();
    assert!(host.route("x", "").is_empty());
}

#[test]
fn publishing_checks_the_exchange() {
    let mut host = Host::new();
    let internal = ExchangeDeclare {
        internal: true,
        ..exchange("x", "direct")
    };
    host.declare_exchange(&internal).unwrap();
    assert_eq!(
        text(host.vhost.check_publish("x")),
        "ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '/'"
    );
    assert_eq!(
        text(host.vhost.check_publish("y")),
        "NOT_FOUND - no exchange 'y' in vhost '/'"
    );
    assert!(host.vhost.check_publish("").unwrap().cacheable);
    assert!(host.vhost.check_publish("amq.topic").unwrap().cacheable);
}

#[test]
fn routes_that_hang_on_headers_are_not_to_be_kept() {
    let mut host = Host::new();
    host.exchange("h", "headers");
    host.exchange("x", "direct");
    host.queue("q");
    let cacheable = |host: &Host, name| host.vhost.check_publish(name).unwrap().cacheable;
    host.bind(to_exchange("x", "h", "k")).unwrap();
    assert!(cacheable(&host, "h") && cacheable(&host, "x"));
    host.bind(to_queue("h", "q", "")).unwrap();
    assert!(!cacheable(&host, "h") && !cacheable(&host, "x"));
    assert!(cacheable(&host, "amq.direct"));
    host.unbind(&to_queue("h", "q", "")).unwrap();
    assert!(cacheable(&host, "h") && cacheable(&host, "x"));
}
