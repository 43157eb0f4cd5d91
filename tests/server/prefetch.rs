//! Prefetch of whole channels, its defaults, and the arguments of consumers
//! (`semantics` 9.1, 9.2).

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue};

use crate::broker::Broker;
use crate::client::*;

/// Sets the prefetch that the consumers of a channel share.
fn share(client: &mut Client, prefetch_count: u16) {
    let qos = BasicQos {
        prefetch_count,
        global: true,
        ..BasicQos::default()
    };
    assert_eq!(client.ask(1, qos), Said::Other(1, (60, 11)));
}

fn fill(client: &mut Client, queue: &str, count: u8) {
    for body in 0..count {
        client.put_publish(1, ("", queue), TRANSIENT, &[body]);
    }
    client.flush();
}

/// Who gets the delivery that comes next.
fn served(client: &mut Client) -> String {
    match client.said() {
        Said::Deliver { consumer, .. } => consumer,
        other => panic!("{other:?}"),
    }
}

fn ackless<'a>(queue: &'a str, consumer_tag: &'a str) -> BasicConsume<'a> {
    BasicConsume {
        no_ack: true,
        ..consume(queue, consumer_tag)
    }
}

#[test]
fn consumers_of_a_channel_share_its_prefetch() {
    let broker = Broker::start();
    let mut client = broker.client();
    for queue in ["a", "b"] {
        client.declare(queue);
        fill(&mut client, queue, 3);
    }
    share(&mut client, 2);
    client.consume(1, "a", "first");
    assert_eq!(served(&mut client), "first");
    assert_eq!(served(&mut client), "first");
    client.consume(1, "b", "second");
    client.is_silent();
    // The first that was passed over comes first, then the other.
    client.send(1, ack(1, false));
    assert_eq!(served(&mut client), "first");
    client.send(1, ack(2, false));
    assert_eq!(served(&mut client), "second");
    client.is_silent();
    client.send(1, ack(4, true));
    assert_eq!(served(&mut client), "second");
    assert_eq!(served(&mut client), "second");
    assert_eq!(client.counts(1, "a"), (0, 1));
    assert_eq!(client.counts(1, "b"), (0, 1));
}

#[test]
fn a_shared_prefetch_holds_for_consumers_there_are_already() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.consume(1, "q", "c");
    fill(&mut client, "q", 2);
    assert_eq!(served(&mut client), "c");
    assert_eq!(served(&mut client), "c");
    share(&mut client, 1);
    fill(&mut client, "q", 1);
    client.send(1, ack(1, false));
    client.is_silent();
    client.send(1, ack(2, false));
    assert_eq!(served(&mut client), "c");
}

#[test]
fn lifting_a_shared_prefetch_serves_who_was_passed_over() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 3);
    share(&mut client, 1);
    client.consume(1, "q", "c");
    assert_eq!(client.delivery().0, 1);
    client.is_silent();
    client.send(
        1,
        BasicQos {
            global: true,
            ..BasicQos::default()
        },
    );
    // The answer may come before or after what it lets through.
    let answers = [(); 3].map(|()| client.said());
    let answered = |said: &Said| *said == Said::Other(1, (60, 11));
    assert_eq!(answers.iter().filter(|said| answered(said)).count(), 1);
    client.is_silent();
}

#[test]
fn a_consumers_own_prefetch_holds_besides_the_shared_one() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 5);
    client.qos(1, 1);
    share(&mut client, 3);
    for tag in ["a", "b", "c", "d"] {
        client.consume(1, "q", tag);
        if tag != "d" {
            assert_eq!(served(&mut client), tag);
        }
    }
    client.is_silent();
    assert_eq!(client.counts(1, "q"), (2, 4));
}

#[test]
fn neither_gets_nor_consumers_without_acknowledgements_count() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 3);
    share(&mut client, 1);
    client.get("q").unwrap();
    client.consume(1, "q", "c");
    assert_eq!(client.delivery().0, 2);
    client.is_silent();
    // The message that was got is settled, which makes no room.
    client.send(1, ack(1, false));
    client.is_silent();
    let said = client.ask(1, ackless("q", "n"));
    assert_eq!(said, Said::ConsumeOk(1, "n".into()));
    assert_eq!(served(&mut client), "n");
}

#[test]
fn what_comes_back_makes_room_too() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 1);
    share(&mut client, 1);
    client.consume(1, "q", "c");
    assert_eq!(client.delivery(), (1, false, vec![0]));
    client.send(1, nack(1, false, true));
    assert_eq!(client.delivery(), (2, true, vec![0]));
    // And what a transaction settles.
    assert_eq!(client.ask(1, TxSelect::default()), Said::Other(1, (90, 11)));
    client.put_publish(1, ("", "q"), TRANSIENT, &[1]);
    client.put(1, ack(2, false));
    client.flush();
    client.is_silent();
    client.send(1, TxCommit::default());
    let answers = [(); 2].map(|()| client.said());
    assert!(answers.contains(&Said::Other(1, (90, 21))));
}

#[test]
fn a_shared_prefetch_goes_with_its_channel() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 3);
    share(&mut client, 1);
    client.consume(1, "q", "c");
    assert_eq!(client.delivery().0, 1);
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(1, close), Said::Other(1, (20, 41)));
    client.open_channel(1);
    client.consume(1, "q", "c");
    for tag in 1..=3 {
        assert_eq!(client.delivery().0, tag);
    }
}

#[test]
fn quorum_queues_know_no_shared_prefetch() {
    let broker = Broker::start();
    let mut client = broker.client();
    let arguments = FieldTable::from_iter([("x-queue-type", FieldValue::str("quorum"))]);
    client.declare_durable("q", arguments);
    share(&mut client, 1);
    let said = client.ask(1, consume("q", "c"));
    let text = "NOT_IMPLEMENTED - queue 'q' in vhost '/' does not support global qos";
    assert_eq!(said, Said::Closed(540, text.into()));
}

#[test]
fn a_prefetch_for_a_channel_may_be_taken_for_one_of_each_consumer() {
    let broker = Broker::with(&["--global-qos", "ignore"]);
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 3);
    share(&mut client, 1);
    client.consume(1, "q", "a");
    assert_eq!(served(&mut client), "a");
    client.consume(1, "q", "b");
    assert_eq!(served(&mut client), "b");
    client.is_silent();
}

#[test]
fn consumers_have_the_default_prefetch_until_their_channel_sets_one() {
    let broker = Broker::with(&["--default-consumer-prefetch", "1"]);
    let mut client = broker.client();
    client.declare("q");
    fill(&mut client, "q", 4);
    client.consume(1, "q", "a");
    assert_eq!(served(&mut client), "a");
    // Anything said is taken, 0 for no limit included.
    client.is_silent();
    client.consume(1, "q", "b");
    for _ in 0..3 {
        assert_eq!(served(&mut client), "b");
    }
}

#[test]
fn consumers_arguments_are_checked() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("c");
    let arguments = FieldTable::from_iter([("x-queue-type", FieldValue::str("quorum"))]);
    client.declare_durable("q", arguments);
    let stream = "of queue type rabbit_classic_queue";
    for (queue, argument, value, term) in [
        (
            "c",
            "x-priority",
            FieldValue::str("high"),
            ": \"expected integer, got longstr\"",
        ),
        (
            "c",
            "x-stream-offset",
            FieldValue::str("first"),
            &format!(" {stream}"),
        ),
        (
            "c",
            "x-consumer-timeout",
            1000.into(),
            &format!(" {stream}"),
        ),
        (
            "q",
            "x-consumer-timeout",
            (-1).into(),
            ": {value_negative,-1}",
        ),
    ] {
        let said = client.ask(
            1,
            BasicConsume {
                arguments: FieldTable::from_iter([(argument, value)]),
                ..consume(queue, "c")
            },
        );
        let text = format!(
            "PRECONDITION_FAILED - invalid arg '{argument}' for queue '{queue}' in vhost '/'{term}"
        );
        assert_eq!(said, Said::ChannelClosed(1, 406, text));
        client.send(1, ChannelCloseOk::default());
        client.open_channel(1);
    }
}

#[test]
fn a_priority_may_be_any_integer() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    for (tag, priority) in [("low", i64::MIN), ("high", i64::MAX)] {
        let said = client.ask(
            1,
            BasicConsume {
                arguments: FieldTable::from_iter([("x-priority", priority.into())]),
                ..consume("q", tag)
            },
        );
        assert_eq!(said, Said::ConsumeOk(1, tag.into()));
    }
    fill(&mut client, "q", 1);
    assert_eq!(served(&mut client), "high");
}

#[test]
fn queues_served_at_the_same_time_do_not_overrun_a_shared_prefetch() {
    const EACH: u8 = 100;
    let broker = Broker::start();
    let mut client = broker.client();
    share(&mut client, 1);
    let queues = ["a", "b", "c", "d"];
    for queue in queues {
        client.declare(queue);
        client.consume(1, queue, queue);
    }
    std::thread::scope(|scope| {
        for queue in queues {
            let mut publisher = broker.client();
            scope.spawn(move || {
                for body in 0..EACH {
                    publisher.publish(1, ("", queue), TRANSIENT, &[body]);
                }
                publisher.is_silent();
            });
        }
        for tag in 1..=queues.len() as u64 * u64::from(EACH) {
            assert_eq!(client.delivery().0, tag);
            client.is_silent();
            client.send(1, ack(tag, false));
        }
    });
}
