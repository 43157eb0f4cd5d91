//! Queues that belong to somebody, and queues that go by themselves.

use harrier::wire::method::*;

use crate::broker::{Broker, eventually};
use crate::client::*;

fn exclusive(queue: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        queue,
        exclusive: true,
        ..QueueDeclare::default()
    }
}

fn auto_delete(queue: &str) -> QueueDeclare<'_> {
    QueueDeclare {
        queue,
        auto_delete: true,
        ..QueueDeclare::default()
    }
}

fn is_there(client: &mut Client, queue: &str) -> bool {
    client.open_channel(9);
    let declare = QueueDeclare {
        queue,
        passive: true,
        ..QueueDeclare::default()
    };
    match client.ask(9, declare) {
        Said::Declared { .. } => {
            let close = ChannelClose::default();
            assert_eq!(client.ask(9, close), Said::Other(9, (20, 41)));
            true
        }
        Said::ChannelClosed(9, 404, _) => {
            client.send(9, ChannelCloseOk::default());
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exclusive_queue_is_gone_before_close_ok() {
    let broker = Broker::start();
    let mut other = broker.client();
    for round in 0..20 {
        let queue = format!("mine-{round}");
        let mut owner = broker.client();
        let said = owner.ask(1, exclusive(&queue));
        assert!(matches!(said, Said::Declared { .. }));
        assert_eq!(
            owner.ask(0, ConnectionClose::default()),
            Said::Other(0, (10, 51))
        );
        assert!(!is_there(&mut other, &queue));
    }
}

#[test]
fn an_exclusive_queue_goes_with_a_lost_connection() {
    let broker = Broker::start();
    let mut owner = broker.client();
    owner.ask(1, exclusive("mine"));
    owner.hang_up();
    let mut other = broker.client();
    eventually("the queue goes", || {
        let said = other.ask(
            1,
            QueueDeclare {
                queue: "mine",
                passive: true,
                ..QueueDeclare::default()
            },
        );
        match said {
            Said::ChannelClosed(1, 405, _) => {
                other.send(1, ChannelCloseOk::default());
                other.open_channel(1);
                false
            }
            Said::ChannelClosed(1, 404, _) => true,
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_exclusive_queue_is_locked_for_others_but_not_for_publishers() {
    let broker = Broker::start();
    let mut owner = broker.client();
    owner.ask(1, exclusive("mine"));
    let mut other = broker.client();
    let text = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine' in \
        vhost '/'. It could be originally declared on another connection or the exclusive \
        property value does not match that of the original declaration.";
    let locked = Said::ChannelClosed(1, 405, text.into());
    assert_eq!(other.ask(1, consume("mine", "c")), locked);
    other.send(1, ChannelCloseOk::default());
    other.open_channel(1);
    assert_eq!(other.ask(1, exclusive("mine")), locked);
    other.send(1, ChannelCloseOk::default());
    other.open_channel(1);
    other.publish(1, ("", "mine"), TRANSIENT, b"x");
    other.qos(1, 0);
    assert_eq!(owner.counts(1, "mine"), (1, 0));
    // Every channel of its owner may use it.
    owner.open_channel(2);
    owner.consume(2, "mine", "c");
    assert_eq!(owner.delivery().2, b"x");
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    let broker = Broker::start();
    let mut client = broker.client();
    let mut other = broker.client();
    client.ask(1, auto_delete("q"));
    // Never while nobody has consumed: a get is no consumer.
    client.publish(1, ("", "q"), TRANSIENT, b"x");
    assert!(client.get("q").is_some());
    assert!(is_there(&mut client, "q"));
    client.consume(1, "q", "a");
    other.consume(1, "q", "b");
    let cancel = |consumer_tag| BasicCancel {
        consumer_tag,
        ..BasicCancel::default()
    };
    assert_eq!(client.ask(1, cancel("a")), Said::CancelOk(1, "a".into()));
    assert!(is_there(&mut client, "q"));
    let close = ChannelClose::default();
    assert_eq!(other.ask(1, close), Said::Other(1, (20, 41)));
    assert!(!is_there(&mut client, "q"));
}

#[test]
fn an_auto_delete_queue_goes_with_a_lost_connection() {
    let broker = Broker::start();
    let mut client = broker.client();
    let mut other = broker.client();
    client.ask(1, auto_delete("q"));
    client.consume(1, "q", "a");
    client.hang_up();
    eventually("the queue goes", || !is_there(&mut other, "q"));
}

#[test]
fn a_queue_without_a_name_gets_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    match client.ask(1, exclusive("")) {
        Said::Declared { queue, .. } => {
            assert!(queue.starts_with("amq.gen-"), "{queue}");
            assert_eq!(queue.len(), "amq.gen-".len() + 22);
        }
        other => panic!("{other:?}"),
    }
    // No name stands for the queue declared last.
    client.send(1, consume("", "c"));
    assert_eq!(client.said(), Said::ConsumeOk(1, "c".into()));
}

#[test]
fn deleting_and_purging_say_how_many_messages_went() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    for _ in 0..5 {
        client.publish(1, ("", "q"), TRANSIENT, b"x");
    }
    assert!(client.get("q").is_some());
    let purge = QueuePurge {
        queue: "q",
        ..QueuePurge::default()
    };
    // Ready ones only.
    assert_eq!(client.ask(1, purge), Said::Purged(1, 4));
    client.publish(1, ("", "q"), TRANSIENT, b"x");
    let delete = QueueDelete {
        queue: "q",
        ..QueueDelete::default()
    };
    let if_empty = QueueDelete {
        if_empty: true,
        ..delete.clone()
    };
    let text = "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty";
    assert_eq!(
        client.ask(1, if_empty),
        Said::ChannelClosed(1, 406, text.into())
    );
    client.send(1, ChannelCloseOk::default());
    client.open_channel(1);
    // The one that was held is back.
    assert_eq!(client.ask(1, delete.clone()), Said::Deleted(1, 2));
    // What isn't there is deleted all the same.
    assert_eq!(client.ask(1, delete), Said::Deleted(1, 0));
}
