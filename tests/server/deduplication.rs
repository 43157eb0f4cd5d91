//! Duplicates, as clients see them: confirmed, and nowhere to be found.

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Properties};

use crate::broker::Broker;
use crate::client::*;

fn deduplicating(size: i64) -> FieldTable {
    FieldTable::from_iter([
        ("x-message-deduplication", FieldValue::Bool(true)),
        ("x-cache-size", FieldValue::I64(size)),
    ])
}

/// A persistent message of that id.
fn of(id: u32) -> Vec<u8> {
    let id = id.to_string();
    let properties = Properties {
        delivery_mode: Some(2),
        message_id: Some(id.as_bytes()),
        ..Properties::default()
    };
    properties.with_headers(&FieldTable::new()).to_vec()
}

#[test]
fn duplicates_are_confirmed_and_dropped_before_and_after_restarts() {
    const SENT: u32 = 3000;
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.declare_durable("q", deduplicating(2000));
    client.confirm_select(1);
    for id in 0..SENT {
        client.put_publish(1, ("", "q"), &of(id), b"one");
    }
    client.put_publish(1, ("", "q"), &of(SENT - 1), b"two");
    client.flush();
    client.confirmed(u64::from(SENT) + 1);
    assert_eq!(client.counts(1, "q"), (SENT, 0));
    for killed in [true, false] {
        if killed {
            broker.kill();
        } else {
            broker.terminate();
            assert!(broker.exit().success());
        }
        broker = Broker::on(directory.path(), &[]);
        let mut client = broker.client();
        client.confirm_select(1);
        for id in SENT - 2000..SENT {
            client.put_publish(1, ("", "q"), &of(id), b"two");
        }
        client.flush();
        client.confirmed(2000);
        assert_eq!(client.counts(1, "q"), (SENT, 0), "killed: {killed}");
    }
    // What is older than the window is new again.
    let mut client = broker.client();
    client.confirm_select(1);
    client.publish(1, ("", "q"), &of(SENT - 2001), b"two");
    client.confirmed(1);
    assert_eq!(client.counts(1, "q"), (SENT + 1, 0));
}

#[test]
fn a_transaction_drops_duplicates_too() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare_durable("q", deduplicating(10));
    assert_eq!(client.ask(1, TxSelect::default()), Said::Other(1, (90, 11)));
    for _ in 0..2 {
        for id in [1, 2, 1] {
            client.publish(1, ("", "q"), &of(id), b"one");
        }
        let commit = TxCommit::default();
        assert_eq!(client.ask(1, commit), Said::Other(1, (90, 21)));
    }
    assert_eq!(client.counts(1, "q"), (2, 0));
}

/// Declares `once`, bound to the queue `q` and, through `all`, to `each`.
fn declare_once(client: &mut Client, kind: &str) {
    let declare = ExchangeDeclare {
        exchange: "once",
        kind,
        durable: true,
        arguments: deduplicating(5000),
        ..ExchangeDeclare::default()
    };
    assert_eq!(client.ask(1, declare), Said::Other(1, (40, 11)));
    let all = ExchangeDeclare {
        exchange: "all",
        kind: "fanout",
        durable: true,
        ..ExchangeDeclare::default()
    };
    assert_eq!(client.ask(1, all), Said::Other(1, (40, 11)));
    client.declare_durable("q", FieldTable::new());
    client.declare_durable("each", FieldTable::new());
    for (exchange, queue) in [("once", "q"), ("all", "each")] {
        let bind = QueueBind {
            queue,
            exchange,
            routing_key: "k",
            ..QueueBind::default()
        };
        assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    }
    let bind = ExchangeBind {
        destination: "once",
        source: "all",
        ..ExchangeBind::default()
    };
    assert_eq!(client.ask(1, bind), Said::Other(1, (40, 31)));
}

#[test]
fn an_exchange_routes_nothing_twice_before_and_after_restarts() {
    const SENT: u32 = 1000;
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    declare_once(&mut client, "direct");
    client.confirm_select(1);
    for id in 0..SENT {
        client.put_publish(1, ("once", "k"), &of(id), b"one");
    }
    client.put_publish(1, ("once", "k"), &of(0), b"two");
    client.flush();
    client.confirmed(u64::from(SENT) + 1);
    assert_eq!(client.counts(1, "q"), (SENT, 0));
    broker.kill();
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.confirm_select(1);
    for id in 0..SENT {
        client.put_publish(1, ("once", "k"), &of(id), b"two");
    }
    client.flush();
    client.confirmed(SENT.into());
    assert_eq!(client.counts(1, "q"), (SENT, 0));
    // Gone with the exchange, its memory is empty when it is declared anew.
    let delete = ExchangeDelete {
        exchange: "once",
        ..ExchangeDelete::default()
    };
    assert_eq!(client.ask(1, delete), Said::Other(1, (40, 21)));
    declare_once(&mut client, "direct");
    client.publish(1, ("once", "k"), &of(0), b"three");
    client.confirmed(u64::from(SENT) + 1);
    assert_eq!(client.counts(1, "q"), (SENT + 1, 0));
}

#[test]
fn what_another_exchange_sends_elsewhere_goes_there_every_time() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare_once(&mut client, "x-message-deduplication");
    client.confirm_select(1);
    for _ in 0..3 {
        client.put_publish(1, ("all", "k"), &of(1), b"one");
    }
    client.flush();
    client.confirmed(3);
    assert_eq!(client.counts(1, "q"), (1, 0));
    assert_eq!(client.counts(1, "each"), (3, 0));
}

#[test]
fn what_goes_nowhere_comes_back_and_is_not_remembered() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare_once(&mut client, "direct");
    client.confirm_select(1);
    let mandatory = |client: &mut Client, key: &str| {
        let method = BasicPublish {
            mandatory: true,
            ..publish(("once", key))
        };
        client.put_publish_as(1, method, &of(1), b"one");
        client.flush();
    };
    mandatory(&mut client, "nowhere");
    assert!(matches!(client.said(), Said::Returned { code: 312, .. }));
    client.confirmed(1);
    mandatory(&mut client, "k");
    client.confirmed(2);
    // A duplicate isn't unroutable.
    mandatory(&mut client, "k");
    client.confirmed(3);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn the_plugins_exchange_needs_a_size() {
    let broker = Broker::start();
    let mut client = broker.client();
    let declare = ExchangeDeclare {
        exchange: "once",
        kind: "x-message-deduplication",
        ..ExchangeDeclare::default()
    };
    let said = client.ask(1, declare);
    assert!(
        matches!(&said, Said::ChannelClosed(_, 406, text) if text.contains("x-cache-size")),
        "{said:?}"
    );
}

#[test]
fn transactions_route_nothing_twice_either() {
    let broker = Broker::start();
    let mut client = broker.client();
    declare_once(&mut client, "direct");
    assert_eq!(client.ask(1, TxSelect::default()), Said::Other(1, (90, 11)));
    for _ in 0..2 {
        for id in [1, 2, 1] {
            client.publish(1, ("once", "k"), &of(id), b"one");
        }
        assert_eq!(client.ask(1, TxCommit::default()), Said::Other(1, (90, 21)));
    }
    assert_eq!(client.counts(1, "q"), (2, 0));
}
