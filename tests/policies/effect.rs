//! What policies do to what is declared already.

use harrier::broker::dead_lettering::see_to_effects;
use harrier::broker::queue::Pushed;
use harrier::broker::spec::{BindingSpec, Destination};
use harrier::wire::FieldTable;
use harrier::wire::method::QueueDeclare;

use crate::support::{Host, ME, number, policy};

#[test]
fn a_limit_holds_at_once_and_until_it_is_cleared() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        for body in ["1", "2", "3", "4", "5"] {
            host.push(&queue, body);
        }
        host.set(policy("p", "q", &[("max-length", number(2))]));
        assert_eq!(queue.counts().ready, 2, "{kind}");
        host.push(&queue, "6");
        assert_eq!(queue.counts().ready, 2, "{kind}");
        host.clear("p");
        host.push(&queue, "7");
        assert_eq!(host.drain(&queue), ["5", "6", "7"], "{kind}");
    }
}

#[test]
fn a_limit_in_octets_counts_what_was_there_before() {
    let mut host = Host::new();
    let queue = host.queue("q", "classic", &[]);
    for body in ["11", "222", "4444", "5"] {
        host.push(&queue, body);
    }
    host.set(policy("p", "q", &[("max-length-bytes", number(5))]));
    assert_eq!(host.drain(&queue), ["4444", "5"]);
}

#[test]
fn what_a_limit_takes_away_is_dead_lettered() {
    let mut host = Host::new();
    let queue = host.queue("q", "classic", &[]);
    let dead = host.queue("dead", "classic", &[]);
    for body in ["1", "2", "3"] {
        host.push(&queue, body);
    }
    host.set(policy(
        "p",
        "^q$",
        &[
            ("max-length", number(1)),
            ("dead-letter-exchange", "".into()),
            ("dead-letter-routing-key", "dead".into()),
        ],
    ));
    assert_eq!(host.drain(&dead), ["1", "2"]);
    host.clear("p");
    assert_eq!(queue.settings().dead_letter, None);
}

#[test]
fn publishers_are_refused_until_the_policy_is_cleared() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        host.set(policy(
            "p",
            "q",
            &[
                ("max-length", number(2)),
                ("overflow", "reject-publish".into()),
            ],
        ));
        let mut last = Pushed::Taken;
        for body in ["1", "2", "3", "4"] {
            last = host.push(&queue, body);
        }
        assert_eq!(last, Pushed::Refused, "{kind}");
        host.clear("p");
        assert_eq!(host.push(&queue, "5"), Pushed::Taken, "{kind}");
    }
}

#[test]
fn a_time_to_live_is_for_messages_that_come_later() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        host.push(&queue, "before");
        host.set(policy("p", "q", &[("message-ttl", number(10))]));
        host.set_time(11);
        assert_eq!(host.drain(&queue), ["before"], "{kind}");
        host.push(&queue, "under");
        host.clear("p");
        host.push(&queue, "after");
        host.set_time(22);
        assert_eq!(host.drain(&queue), ["after"], "{kind}");
    }
}

#[test]
fn a_queue_goes_when_nobody_has_used_it_since_the_policy_came() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        host.set_time(5_000);
        host.set(policy("p", "q", &[("expires", number(1_000))]));
        host.set_time(5_999);
        queue.on_time(&mut host.effects);
        see_to_effects(&host.vhost, &mut host.effects);
        assert!(host.vhost.has_queue("q"), "{kind}");
        host.set_time(6_000);
        queue.on_time(&mut host.effects);
        see_to_effects(&host.vhost, &mut host.effects);
        assert!(!host.vhost.has_queue("q"), "{kind}");
        let declared_later = host.queue("q", kind, &[]);
        assert!(!declared_later.is_unused(host.effects.now()));
    }
}

#[test]
fn whoever_declares_a_queue_asks_for_it_or_takes_from_it_uses_it() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        host.set(policy("p", "q", &[("expires", number(1_000))]));
        let passive = QueueDeclare {
            queue: "q",
            passive: true,
            ..QueueDeclare::default()
        };
        host.set_time(900);
        assert!(!queue.is_unused(host.effects.now()));
        host.vhost
            .declare_queue(&passive, ME, String::new, &mut host.effects)
            .unwrap();
        host.set_time(1_800);
        assert!(!queue.is_unused(host.effects.now()), "{kind}");
        host.queue("q", kind, &[]);
        host.set_time(2_700);
        assert!(!queue.is_unused(host.effects.now()), "{kind}");
        assert!(host.drain(&queue).is_empty());
        host.set_time(3_699);
        assert!(!queue.is_unused(host.effects.now()), "{kind}");
        // Publishing is no use.
        host.push(&queue, "x");
        host.set_time(3_700);
        assert!(queue.is_unused(host.effects.now()), "{kind}");
    }
}

#[test]
fn a_delivery_limit_is_for_queues_of_every_type() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        let dead = host.queue("dead", "classic", &[]);
        host.push(&queue, "poison");
        assert!(host.reject(&queue));
        host.set(policy(
            "p",
            "^q$",
            &[
                ("delivery-limit", number(1)),
                ("dead-letter-exchange", "".into()),
                ("dead-letter-routing-key", "dead".into()),
            ],
        ));
        assert!(host.reject(&queue), "{kind}");
        assert!(!host.reject(&queue), "{kind}");
        assert_eq!(host.drain(&dead), ["poison"], "{kind}");
    }
}

#[test]
fn messages_that_come_back_wait_as_a_policy_says() {
    for kind in ["classic", "quorum"] {
        let mut host = Host::new();
        let queue = host.queue("q", kind, &[]);
        host.set(policy(
            "p",
            "q",
            &[
                ("delayed-retry-type", "failed".into()),
                ("delayed-retry-min", number(1_000)),
            ],
        ));
        host.push(&queue, "again");
        assert!(host.reject(&queue));
        assert_eq!(queue.counts().delayed, 1, "{kind}");
        host.set_time(1_000);
        queue.on_time(&mut host.effects);
        assert_eq!(host.drain(&queue), ["again"], "{kind}");
    }
}

fn bound(host: &mut Host, exchange: &str, queue: &str) {
    host.queue(queue, "classic", &[]);
    let spec = BindingSpec {
        source: exchange.into(),
        destination: Destination::Queue(queue.into()),
        routing_key: "".into(),
        arguments: FieldTable::new(),
    };
    host.vhost.bind(spec, ME, &mut host.effects).unwrap();
}

#[test]
fn an_alternate_exchange_comes_and_goes_and_an_argument_comes_before_it() {
    let mut host = Host::new();
    for (exchange, queue) in [("by-policy", "policy"), ("by-argument", "argument")] {
        host.exchange(exchange, &[]);
        bound(&mut host, exchange, queue);
    }
    host.exchange("x", &[]);
    host.exchange("y", &[("alternate-exchange", "by-argument".into())]);
    assert!(host.route("x", "k").is_empty());
    let before = host.vhost.generation();
    host.set(policy(
        "p",
        "^[xyz]$",
        &[("alternate-exchange", "by-policy".into())],
    ));
    assert!(
        host.vhost.generation() > before,
        "routes found before don't hold"
    );
    assert_eq!(host.route("x", "k"), ["policy"]);
    assert_eq!(host.route("y", "k"), ["argument"]);
    host.exchange("z", &[]);
    assert_eq!(host.route("z", "k"), ["policy"]);
    let before = host.vhost.generation();
    host.clear("p");
    assert!(
        host.vhost.generation() > before,
        "routes found before don't hold"
    );
    assert!(host.route("x", "k").is_empty());
    assert_eq!(host.route("y", "k"), ["argument"]);
    host.set(policy(
        "p",
        "^amq.fanout$",
        &[("alternate-exchange", "by-policy".into())],
    ));
    assert_eq!(host.route("amq.fanout", "k"), ["policy"]);
}

#[test]
fn a_policy_for_others_leaves_a_queue_alone() {
    let mut host = Host::new();
    let queue = host.queue("q", "classic", &[("x-max-length", 5.into())]);
    let before = queue.settings();
    host.set(policy("p", "other", &[("max-length", number(2))]));
    host.clear("p");
    assert!(std::sync::Arc::ptr_eq(&before, &queue.settings()));
    host.set(policy("p", "q", &[("max-length", number(2))]));
    assert_eq!(queue.settings().max_length, Some(2));
    host.clear("p");
    assert_eq!(queue.settings(), before);
}
