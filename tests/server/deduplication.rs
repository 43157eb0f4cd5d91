//! Duplicates, as clients see them: confirmed, and nowhere to be found.

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
    assert_eq!(
        client.ask(1, harrier::wire::method::TxSelect::default()),
        Said::Other(1, (90, 11))
    );
    for _ in 0..2 {
        for id in [1, 2, 1] {
            client.publish(1, ("", "q"), &of(id), b"one");
        }
        let commit = harrier::wire::method::TxCommit::default();
        assert_eq!(client.ask(1, commit), Said::Other(1, (90, 21)));
    }
    assert_eq!(client.counts(1, "q"), (2, 0));
}
