//! Names in methods: the queue declared last, and line breaks.

use harrier::wire::Method;
use harrier::wire::method::{
    BasicConsume, BasicGet, ExchangeBind, ExchangeDeclare, ExchangeDelete, ExchangeUnbind,
    QueueBind, QueueDeclare, QueueDelete, QueuePurge, QueueUnbind,
};

use super::support::{Event, PACES, Peer, method};

/// Methods with an empty queue name, beside what they stand for.
fn with_empty_queue() -> Vec<(Method<'static>, Method<'static>)> {
    fn pair<M: Default + Into<Method<'static>>>(
        fill: impl FnOnce(&mut M),
    ) -> (Method<'static>, Method<'static>) {
        let mut filled = M::default();
        fill(&mut filled);
        (M::default().into(), filled.into())
    }
    vec![
        pair(|m: &mut BasicConsume<'_>| m.queue = "last"),
        pair(|m: &mut BasicGet<'_>| m.queue = "last"),
        pair(|m: &mut QueuePurge<'_>| m.queue = "last"),
        pair(|m: &mut QueueDelete<'_>| m.queue = "last"),
        pair(|m: &mut QueueBind<'_>| (m.queue, m.routing_key) = ("last", "last")),
        pair(|m: &mut QueueUnbind<'_>| (m.queue, m.routing_key) = ("last", "last")),
    ]
}

#[test]
fn an_empty_queue_name_stands_for_the_last_one_declared() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.open_channel(2);
        peer.connection.set_last_queue(1, "first");
        peer.connection.set_last_queue(1, "last");
        peer.connection.set_last_queue(2, "other");
        for (sent, understood) in with_empty_queue() {
            let events = peer.feed(&method(1, sent));
            assert_eq!(events, [Event::method(1, understood)]);
        }
    }
}

#[test]
fn without_a_last_queue_there_is_none() {
    for pace in PACES {
        for (sent, _) in with_empty_queue() {
            let mut peer = Peer::with_channel(pace);
            let ids = sent.ids();
            let text = "NOT_FOUND - no previously declared queue";
            peer.channel_fails_with(&method(1, sent), 404, text, ids);
        }
    }
}

#[test]
fn a_routing_key_is_kept_when_there_is_one() {
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        peer.connection.set_last_queue(1, "last");
        let bind = QueueBind {
            exchange: "x",
            routing_key: "key",
            ..QueueBind::default()
        };
        let understood = QueueBind {
            queue: "last",
            ..bind.clone()
        };
        assert_eq!(peer.feed(&method(1, bind)), [Event::method(1, understood)]);
        let named = QueueBind {
            queue: "named",
            ..QueueBind::default()
        };
        let events = peer.feed(&method(1, named.clone()));
        assert_eq!(
            events,
            [Event::method(1, named)],
            "only with the queue's name empty"
        );
    }
}

#[test]
fn declaring_an_empty_name_is_for_the_server() {
    let mut peer = Peer::with_channel(PACES[0]);
    peer.connection.set_last_queue(1, "last");
    let declare = QueueDeclare::default();
    let events = peer.feed(&method(1, declare.clone()));
    assert_eq!(events, [Event::method(1, declare)]);
}

#[test]
fn line_breaks_are_taken_out_of_names() {
    fn pair<'a, M: Default + Into<Method<'a>>>(
        fill: impl Fn(&mut M, &'a str, &'a str),
    ) -> (Method<'a>, Method<'a>) {
        let (mut sent, mut understood) = (M::default(), M::default());
        fill(&mut sent, "na\r\nme\n", "\rother\n");
        fill(&mut understood, "name", "other");
        (sent.into(), understood.into())
    }
    let rows = [
        pair(|m: &mut ExchangeDeclare<'_>, a, _| m.exchange = a),
        pair(|m: &mut ExchangeDelete<'_>, a, _| m.exchange = a),
        pair(|m: &mut ExchangeBind<'_>, a, b| (m.destination, m.source) = (a, b)),
        pair(|m: &mut ExchangeUnbind<'_>, a, b| (m.destination, m.source) = (a, b)),
        pair(|m: &mut QueueDeclare<'_>, a, _| m.queue = a),
        pair(|m: &mut QueueBind<'_>, a, b| (m.queue, m.exchange) = (a, b)),
        pair(|m: &mut QueueUnbind<'_>, a, b| (m.queue, m.exchange) = (a, b)),
        pair(|m: &mut QueueBind<'_>, _, b| (m.queue, m.exchange) = ("plain", b)),
        pair(|m: &mut QueuePurge<'_>, a, _| m.queue = a),
        pair(|m: &mut QueueDelete<'_>, a, _| m.queue = a),
        pair(|m: &mut BasicConsume<'_>, a, _| m.queue = a),
        pair(|m: &mut BasicGet<'_>, a, _| m.queue = a),
    ];
    for pace in PACES {
        let mut peer = Peer::with_channel(pace);
        for (sent, understood) in rows.clone() {
            let events = peer.feed(&method(1, sent));
            assert_eq!(events, [Event::method(1, understood)]);
        }
    }
}
