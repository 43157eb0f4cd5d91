use std::sync::Arc;

use harrier::wire::FieldValue;
use harrier::wire::method::QueueDeclare;

use crate::support::{Host, ME, OTHER, queue, queue_with, text};

const LOCKED: &str = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in \
                      vhost '/'. It could be originally declared on another connection or the \
                      exclusive property value does not match that of the original declaration.";

fn exclusive(name: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        exclusive: true,
        ..queue(name)
    }
}

#[test]
fn a_queue_without_a_name_gets_one() {
    let mut host = Host::new();
    let made = host.declare_queue(&queue("")).unwrap();
    assert_eq!(&**made.name(), "amq.gen-made-up");
    assert!(host.vhost.queue("amq.gen-made-up", ME).is_ok());
}

#[test]
fn a_quorum_queue_needs_a_name() {
    let mut host = Host::new();
    assert_eq!(
        text(host.declare_queue(&queue_with("", &[("x-queue-type", "quorum".into())]))),
        "PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue"
    );
    assert_eq!(
        text(host.declare_queue(&queue_with("", &[("x-queue-type", "zork".into())]))),
        "PRECONDITION_FAILED - unknown queue type 'zork'"
    );
}

#[test]
fn reserved_names_are_refused() {
    let mut host = Host::new();
    assert_eq!(
        text(host.declare_queue(&queue("amq.x"))),
        "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'"
    );
    // Not even one that the server made up may be asked for by its name.
    host.declare_queue(&queue("")).unwrap();
    assert_eq!(
        text(host.declare_queue(&queue("amq.gen-made-up"))),
        "ACCESS_REFUSED - queue name 'amq.gen-made-up' contains reserved prefix 'amq.*'"
    );
}

#[test]
fn the_type_is_kept_resolved() {
    let mut host = Host::new();
    let made = host.queue("q");
    let kind = made.spec().arguments.get("x-queue-type").cloned();
    assert_eq!(kind, Some("classic".into()));
    let again = queue_with("q", &[("x-queue-type", "classic".into())]);
    assert!(Arc::ptr_eq(&host.declare_queue(&again).unwrap(), &made));
    assert_eq!(
        text(host.declare_queue(&queue_with("q", &[("x-queue-type", "quorum".into())]))),
        "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': \
         received 'quorum' but current is 'classic'"
    );
}

#[test]
fn asking_for_a_queue_compares_nothing() {
    let mut host = Host::new();
    let ask = QueueDeclare {
        passive: true,
        ..queue_with("q", &[("x-max-priority", "nonsense".into())])
    };
    assert_eq!(
        text(host.declare_queue(&ask)),
        "NOT_FOUND - no queue 'q' in vhost '/'"
    );
    let made = host.queue("q");
    assert!(Arc::ptr_eq(&host.declare_queue(&ask).unwrap(), &made));
}

#[test]
fn an_exclusive_queue_belongs_to_its_connection() {
    let mut host = Host::new();
    let mine = host.declare_queue(&exclusive("q")).unwrap();
    assert_eq!(mine.owner(), Some(ME));
    assert!(!mine.spec().durable, "whatever was asked");
    let ask = QueueDeclare {
        passive: true,
        ..queue("q")
    };
    assert_eq!(text(host.declare_queue_as(OTHER, &exclusive("q"))), LOCKED);
    assert_eq!(text(host.declare_queue_as(OTHER, &ask)), LOCKED);
    assert_eq!(text(host.vhost.queue("q", OTHER)), LOCKED);
    let deleted = host
        .vhost
        .delete_queue("q", false, false, OTHER, &mut host.effects);
    assert_eq!(text(deleted), LOCKED);
    // The owner may leave `durable` out or not, but not `exclusive`.
    let transient = QueueDeclare {
        durable: false,
        ..exclusive("q")
    };
    host.declare_queue(&transient).unwrap();
    host.declare_queue(&ask).unwrap();
    assert_eq!(text(host.declare_queue(&queue("q"))), LOCKED);
    // Anybody may publish to it.
    assert_eq!(host.route("", "q"), ["q"]);
}

#[test]
fn a_shared_queue_is_not_made_exclusive() {
    let mut host = Host::new();
    host.queue("q");
    assert_eq!(text(host.declare_queue(&exclusive("q"))), LOCKED);
}

#[test]
fn exclusive_queues_are_found_by_owner_and_removed_once() {
    let mut host = Host::new();
    host.declare_queue(&exclusive("b")).unwrap();
    host.declare_queue_as(OTHER, &exclusive("x")).unwrap();
    host.declare_queue(&exclusive("a")).unwrap();
    let owned = host.vhost.queues_owned_by(ME);
    let names: Vec<_> = owned.iter().map(|queue| &**queue.name()).collect();
    assert_eq!(names, ["b", "a"]);
    host.vhost.remove_queue(&owned[0], &mut host.effects);
    assert!(owned[0].is_deleted());
    // Another queue of the same name isn't taken for it.
    let later = host.queue("b");
    host.vhost.remove_queue(&owned[0], &mut host.effects);
    assert!(!later.is_deleted());
    assert_eq!(host.vhost.queues_owned_by(ME).len(), 1);
    assert_eq!(host.route("", "b"), ["b"]);
}

#[test]
fn flags_that_differ_are_named_in_order() {
    let mut host = Host::new();
    host.queue("q");
    let mut request = QueueDeclare {
        durable: false,
        auto_delete: true,
        ..queue_with("q", &[("x-expires", 1000.into())])
    };
    let start = "PRECONDITION_FAILED - inequivalent arg";
    assert_eq!(
        text(host.declare_queue(&request)),
        format!(
            "{start} 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'"
        )
    );
    request.durable = true;
    assert_eq!(
        text(host.declare_queue(&request)),
        format!(
            "{start} 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is \
             'false'"
        )
    );
    request.auto_delete = false;
    assert_eq!(
        text(host.declare_queue(&request)),
        format!(
            "{start} 'x-expires' for queue 'q' in vhost '/': received the value '1000' of type \
             'signedint' but current is none"
        )
    );
}

#[test]
fn arguments_compare_by_value() {
    let mut host = Host::new();
    let first = queue_with("q", &[("x-message-ttl", 1000.into())]);
    host.declare_queue(&first).unwrap();
    let wider = queue_with("q", &[("x-message-ttl", 1000_i64.into())]);
    host.declare_queue(&wider).unwrap();
    let start = "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/'";
    let other = queue_with("q", &[("x-message-ttl", 2000.into())]);
    assert_eq!(
        text(host.declare_queue(&other)),
        format!("{start}: received '2000' but current is '1000'")
    );
    assert_eq!(
        text(host.declare_queue(&queue("q"))),
        format!("{start}: received none but current is the value '1000' of type 'signedint'")
    );
}

#[test]
fn a_default_written_out_is_not_the_same_as_left_out() {
    let mut host = Host::new();
    host.queue("q");
    for (name, value) in [
        ("x-overflow", "drop-head"),
        ("x-queue-leader-locator", "client-local"),
        ("x-queue-mode", "default"),
    ] {
        assert_eq!(
            text(host.declare_queue(&queue_with("q", &[(name, value.into())]))),
            format!(
                "PRECONDITION_FAILED - inequivalent arg '{name}' for queue 'q' in vhost '/': \
                 received the value '{value}' of type 'longstr' but current is none"
            )
        );
    }
}

#[test]
fn unknown_arguments_are_kept_and_not_compared() {
    let mut host = Host::new();
    let made = host
        .declare_queue(&queue_with("q", &[("x-mine", 1.into())]))
        .unwrap();
    assert_eq!(made.spec().arguments.get("x-mine"), Some(&1.into()));
    host.declare_queue(&queue_with("q", &[("x-mine", 2.into())]))
        .unwrap();
    host.declare_queue(&queue("q")).unwrap();
}

#[test]
fn bad_arguments_are_refused() {
    let cases: &[(&str, FieldValue, &str)] = &[
        ("x-expires", 0.into(), "{value_zero,0}"),
        ("x-expires", (-1).into(), "{value_negative,-1}"),
        ("x-expires", "1".into(), "\"expected integer, got longstr\""),
        (
            "x-expires",
            315_360_000_001_i64.into(),
            "{value_too_large,315360000001}",
        ),
        ("x-message-ttl", (-1).into(), "{value_negative,-1}"),
        (
            "x-message-ttl",
            315_360_000_001_i64.into(),
            "{value_too_large,315360000001}",
        ),
        (
            "x-message-ttl",
            FieldValue::F64(1.0),
            "\"expected integer, got double\"",
        ),
        ("x-max-length", (-1).into(), "{value_negative,-1}"),
        (
            "x-max-length-bytes",
            true.into(),
            "\"expected integer, got bool\"",
        ),
        ("x-max-priority", 256.into(), "{max_value_exceeded,256}"),
        ("x-max-priority", (-1).into(), "{value_negative,-1}"),
        (
            "x-single-active-consumer",
            "true".into(),
            "{unacceptable_type,longstr}",
        ),
        ("x-overflow", "spill".into(), "invalid_overflow"),
        ("x-overflow", 1.into(), "{unacceptable_type,signedint}"),
        (
            "x-dead-letter-routing-key",
            "k".into(),
            "routing_key_but_no_dlx_defined",
        ),
        (
            "x-queue-leader-locator",
            "here".into(),
            "invalid_queue_locator_arg",
        ),
        (
            "x-queue-type",
            "foo".into(),
            "\"unsupported queue type 'foo'\"",
        ),
        ("x-queue-type", 1.into(), "{unacceptable_type,signedint}"),
        (
            "x-queue-version",
            1.into(),
            "\"unsupported queue version '1'\"",
        ),
    ];
    let mut host = Host::new();
    for (name, value, term) in cases {
        assert_eq!(
            text(host.declare_queue(&queue_with("q", &[(name, value.clone())]))),
            format!(
                "PRECONDITION_FAILED - invalid arg '{name}' for queue 'q' in vhost '/': {term}"
            )
        );
    }
    assert!(host.vhost.queues().is_empty());
}

#[test]
fn good_arguments_are_taken() {
    let mut host = Host::new();
    let classic = queue_with(
        "classic",
        &[
            ("x-expires", 1.into()),
            ("x-message-ttl", 0.into()),
            ("x-dead-letter-exchange", "".into()),
            ("x-dead-letter-routing-key", "k".into()),
            ("x-max-length", 0.into()),
            ("x-max-length-bytes", FieldValue::U32(7)),
            ("x-max-priority", 255.into()),
            ("x-overflow", "reject-publish-dlx".into()),
            ("x-queue-mode", "lazy".into()),
            ("x-queue-version", 2.into()),
            ("x-single-active-consumer", true.into()),
            ("x-queue-leader-locator", "balanced".into()),
        ],
    );
    host.declare_queue(&classic).unwrap();
    let quorum = queue_with(
        "quorum",
        &[
            ("x-queue-type", "quorum".into()),
            ("x-delivery-limit", (-1).into()),
            ("x-dead-letter-exchange", "dlx".into()),
            ("x-dead-letter-strategy", "at-least-once".into()),
            ("x-overflow", "reject-publish".into()),
            ("x-quorum-initial-group-size", 3.into()),
            ("x-delayed-retry-type", "failed".into()),
            ("x-delayed-retry-min", 10.into()),
            ("x-consumer-timeout", 60_000.into()),
        ],
    );
    host.declare_queue(&quorum).unwrap();
}

#[test]
fn a_dead_letter_exchange_must_be_text() {
    let mut host = Host::new();
    assert_eq!(
        text(host.declare_queue(&queue_with("q", &[("x-dead-letter-exchange", 1.into())]))),
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue \
         'q' in vhost '/'"
    );
}

#[test]
fn arguments_of_other_types_are_refused() {
    let mut host = Host::new();
    let quorum = queue_with(
        "q",
        &[
            ("x-queue-type", "quorum".into()),
            ("x-max-priority", 1.into()),
        ],
    );
    let start = "PRECONDITION_FAILED - invalid arg";
    assert_eq!(
        text(host.declare_queue(&quorum)),
        format!(
            "{start} 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue"
        )
    );
    for name in [
        "x-quorum-initial-group-size",
        "x-max-age",
        "x-dead-letter-strategy",
    ] {
        assert_eq!(
            text(host.declare_queue(&queue_with("q", &[(name, 1.into())]))),
            format!(
                "{start} '{name}' for queue 'q' in vhost '/' of queue type rabbit_classic_queue"
            )
        );
    }
}

#[test]
fn a_quorum_queue_stays_and_is_shared() {
    let mut host = Host::new();
    let quorum = queue_with("q", &[("x-queue-type", "quorum".into())]);
    let cases = [
        (
            "non-durable",
            QueueDeclare {
                durable: false,
                ..quorum.clone()
            },
        ),
        (
            "exclusive-owner",
            QueueDeclare {
                exclusive: true,
                ..quorum.clone()
            },
        ),
        (
            "auto-delete",
            QueueDeclare {
                auto_delete: true,
                ..quorum.clone()
            },
        ),
    ];
    for (property, request) in cases {
        assert_eq!(
            text(host.declare_queue(&request)),
            format!(
                "PRECONDITION_FAILED - invalid property '{property}' for queue 'q' in vhost '/'"
            )
        );
    }
    host.declare_queue(&quorum).unwrap();
}

#[test]
fn streams_are_not_there_yet() {
    let mut host = Host::new();
    let refusal = host
        .declare_queue(&queue_with("q", &[("x-queue-type", "stream".into())]))
        .unwrap_err();
    assert!(refusal.code.is_hard());
    assert_eq!(
        refusal.text(),
        "NOT_IMPLEMENTED - queue 'q' in vhost '/' can't be a stream: queue type 'stream' is not \
         supported yet"
    );
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    let mut host = Host::new();
    assert_eq!(host.delete_queue("q"), Ok(0));
}

#[test]
fn a_deleted_queue_is_gone_from_every_route() {
    let mut host = Host::new();
    let made = host.queue("q");
    host.bind(crate::support::to_queue("amq.fanout", "q", ""))
        .unwrap();
    host.delete_queue("q").unwrap();
    assert!(made.is_deleted());
    assert!(host.route("amq.fanout", "").is_empty());
    assert!(host.route("", "q").is_empty());
    assert_eq!(
        text(host.vhost.queue("q", ME)),
        "NOT_FOUND - no queue 'q' in vhost '/'"
    );
}

#[test]
fn a_quorum_queue_is_deleted_without_conditions_only() {
    let mut host = Host::new();
    host.declare_queue(&queue_with("q", &[("x-queue-type", "quorum".into())]))
        .unwrap();
    for (if_unused, if_empty, flag) in [
        (true, false, "if-unused"),
        (false, true, "if-empty"),
        (true, true, "if-unused"),
    ] {
        let deleted = host
            .vhost
            .delete_queue("q", if_unused, if_empty, ME, &mut host.effects);
        let refused = format!(
            "NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with \
             {flag} flag set are not supported by quorum queues"
        );
        assert_eq!(text(deleted), refused);
    }
    host.delete_queue("q").unwrap();
}

#[test]
fn the_generation_moves_with_every_change() {
    let mut host = Host::new();
    let mut last = host.vhost.generation();
    let mut moved = |host: &Host| {
        let before = std::mem::replace(&mut last, host.vhost.generation());
        before != last
    };
    host.queue("q");
    assert!(moved(&host));
    host.queue("q");
    assert!(!moved(&host), "nothing new");
    host.bind(crate::support::to_queue("amq.fanout", "q", ""))
        .unwrap();
    assert!(moved(&host));
    host.delete_queue("q").unwrap();
    assert!(moved(&host));
    host.exchange("x", "direct");
    assert!(moved(&host));
    host.delete_exchange("x").unwrap();
    assert!(moved(&host));
}
