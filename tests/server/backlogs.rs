//! Backlogs that are longer than what a queue keeps in memory.

use std::collections::BTreeSet;

use harrier::base::limits::QUEUE_RESIDENT_HIGH;
use harrier::wire::FieldTable;
use harrier::wire::method::*;

use crate::broker::Broker;
use crate::client::*;

const BODY_LEN: usize = 8000;
/// Messages gotten at a time.
const ROW: u64 = 256;
/// Messages of that many octets that are several times what is kept.
const MESSAGES: u64 = 3 * QUEUE_RESIDENT_HIGH / BODY_LEN as u64 / ROW * ROW;

fn body(number: u64) -> Vec<u8> {
    let mut body = vec![number as u8; BODY_LEN];
    body[..8].copy_from_slice(&number.to_be_bytes());
    body
}

fn number(body: &[u8]) -> u64 {
    let number = u64::from_be_bytes(body[..8].try_into().unwrap());
    assert!(body == self::body(number), "message {number} has changed");
    number
}

/// A durable queue with messages 1 to [`MESSAGES`], confirmed.
fn fill(broker: &Broker, queue: &str) -> Client {
    let mut client = broker.client();
    client.declare_durable(queue, FieldTable::new());
    client.confirm_select(1);
    for number in 1..=MESSAGES {
        client.put_publish(1, ("", queue), PERSISTENT, &body(number));
        if number % ROW == 0 {
            client.flush();
            client.confirmed(number);
        }
    }
    client
}

fn put_get(client: &mut Client, queue: &str) {
    let get = BasicGet {
        queue,
        no_ack: true,
        ..BasicGet::default()
    };
    client.put(1, get);
}

#[track_caller]
fn got(client: &mut Client) -> (u64, bool, u32) {
    match client.said() {
        Said::Got {
            redelivered,
            remaining,
            message,
            ..
        } => (number(&message.body), redelivered, remaining),
        other => panic!("expected a message: {other:?}"),
    }
}

#[test]
fn gets_in_a_row_find_every_message() {
    let broker = Broker::start();
    let mut client = fill(&broker, "q");
    for start in (0..MESSAGES).step_by(ROW as usize) {
        for _ in 0..ROW {
            put_get(&mut client, "q");
        }
        client.flush();
        for number in start + 1..=start + ROW {
            let left = (MESSAGES - number) as u32;
            assert_eq!(got(&mut client), (number, false, left));
        }
    }
    assert_eq!(client.get("q"), None);
}

#[test]
fn a_get_that_has_to_wait_holds_back_what_follows_it() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    fill(&broker, "q");
    broker.kill();
    // Nothing is in memory now. The answers come in the order of what was asked.
    let broker = Broker::on(directory.path(), &[]);
    let mut client = broker.client();
    client.open_channel(2);
    put_get(&mut client, "q");
    client.put(2, BasicQos::default());
    put_get(&mut client, "q");
    let purge = QueuePurge {
        queue: "q",
        ..QueuePurge::default()
    };
    client.put(2, purge);
    put_get(&mut client, "q");
    client.put(1, ChannelClose::default());
    client.flush();
    assert_eq!(got(&mut client), (1, false, MESSAGES as u32 - 1));
    assert_eq!(client.said(), Said::Other(2, (60, 11)));
    assert_eq!(got(&mut client), (2, false, MESSAGES as u32 - 2));
    assert_eq!(client.said(), Said::Purged(2, MESSAGES as u32 - 2));
    assert_eq!(client.said(), Said::Other(1, (60, 72)));
    assert_eq!(client.said(), Said::Other(1, (20, 41)));
    assert_eq!(client.counts(2, "q"), (0, 0));
}

#[test]
fn a_client_that_leaves_while_it_waits_takes_nothing_along() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    fill(&broker, "q");
    broker.kill();
    let broker = Broker::on(directory.path(), &[]);
    for _ in 0..5 {
        let mut client = broker.client();
        let get = BasicGet {
            queue: "q",
            ..BasicGet::default()
        };
        client.put(1, get);
        client.flush();
        client.hang_up();
    }
    let mut client = broker.client();
    client.consume(1, "q", "c");
    let (mut seen, mut last) = (BTreeSet::new(), 0);
    for _ in 1..=MESSAGES {
        let (_, redelivered, body) = client.delivery();
        let number = number(&body);
        assert!(seen.insert(number), "{number} came twice");
        // What a client was handed whose leaving wasn't noticed yet comes later.
        if !redelivered {
            assert!(number > last, "{number} after {last}");
            last = number;
        }
    }
}

#[test]
fn what_was_requeued_comes_before_what_was_never_handed_out() {
    let broker = Broker::start();
    let mut client = fill(&broker, "q");
    client.open_channel(2);
    client.qos(2, 500);
    client.consume(2, "q", "c");
    for number in 1..=500 {
        let (tag, redelivered, body) = client.delivery();
        assert_eq!((tag, redelivered), (number, false));
        assert_eq!(self::number(&body), number);
    }
    let close = ChannelClose::default();
    assert_eq!(client.ask(2, close), Said::Other(2, (20, 41)));
    assert_eq!(client.counts(1, "q"), (MESSAGES as u32, 0));
    client.open_channel(2);
    client.qos(2, 0);
    client.consume(2, "q", "c");
    for number in 1..=MESSAGES {
        let (_, redelivered, body) = client.delivery();
        assert_eq!((self::number(&body), redelivered), (number, number <= 500));
    }
}

#[test]
fn a_long_backlog_is_dead_lettered_whole() {
    let broker = Broker::start();
    let mut client = broker.client();
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ]);
    client.declare_durable("q", arguments);
    client.declare_durable("dead", FieldTable::new());
    client.confirm_select(1);
    for number in 1..=MESSAGES {
        client.put_publish(1, ("", "q"), PERSISTENT, &body(number));
    }
    client.flush();
    client.confirmed(MESSAGES);
    client.open_channel(2);
    client.consume(2, "q", "c");
    for _ in 0..MESSAGES {
        client.delivery();
    }
    client.put(2, nack(0, true, false));
    client.flush();
    client.qos(2, 0);
    assert_eq!(client.counts(1, "dead"), (MESSAGES as u32, 0));
    client.consume(2, "dead", "d");
    for number in 1..=MESSAGES {
        let (_, redelivered, body) = client.delivery();
        assert_eq!((self::number(&body), redelivered), (number, false));
    }
}
