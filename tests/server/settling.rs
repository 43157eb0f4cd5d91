//! Acknowledging, refusing, giving back: one at a time and many at once.

use harrier::wire::method::*;
use harrier::wire::{FieldTable, FieldValue, Method, Properties};

use crate::broker::{Broker, eventually};
use crate::client::*;

/// A client that was delivered `count` messages, bodies `0..count`, unsettled.
fn holding(broker: &Broker, count: u8) -> Client {
    let mut client = broker.client();
    client.declare("q");
    for body in 0..count {
        client.put_publish(1, ("", "q"), TRANSIENT, &[body]);
    }
    client.flush();
    client.open_channel(2);
    for tag in 1..=u64::from(count) {
        assert_eq!(got(&mut client).unwrap().0, tag);
    }
    client
}

/// Gets a message on channel 2.
fn got(client: &mut Client) -> Option<(u64, bool, u8)> {
    let get = BasicGet {
        queue: "q",
        ..BasicGet::default()
    };
    match client.ask(2, get) {
        Said::Got {
            tag,
            redelivered,
            message,
            ..
        } => Some((tag, redelivered, message.body[0])),
        _ => None,
    }
}

/// Everything that is ready, without acknowledgement.
fn left(client: &mut Client) -> Vec<(bool, u8)> {
    let mut left = Vec::new();
    loop {
        let get = BasicGet {
            queue: "q",
            no_ack: true,
            ..BasicGet::default()
        };
        match client.ask(1, get) {
            Said::Got {
                redelivered,
                message,
                ..
            } => left.push((redelivered, message.body[0])),
            _ => return left,
        }
    }
}

#[test]
fn an_ack_settles_one_or_all_up_to_it() {
    let broker = Broker::start();
    let mut client = holding(&broker, 6);
    client.put(2, ack(2, false));
    client.put(2, ack(4, true));
    client.put(2, nack(0, true, true));
    client.flush();
    client.qos(2, 0);
    assert_eq!(left(&mut client), [(true, 4), (true, 5)]);
}

#[test]
fn ack_of_everything_needs_nothing_to_be_there() {
    let broker = Broker::start();
    let mut client = holding(&broker, 2);
    client.put(2, ack(0, true));
    client.put(2, ack(0, true));
    client.flush();
    client.qos(2, 0);
    assert_eq!(left(&mut client), []);
}

#[test]
fn what_is_requeued_goes_back_to_its_place() {
    let broker = Broker::start();
    let mut client = holding(&broker, 4);
    client.put_publish(1, ("", "q"), TRANSIENT, &[9]);
    client.put(2, nack(3, false, true));
    client.put(
        2,
        BasicReject {
            delivery_tag: 1,
            requeue: true,
        },
    );
    client.put(2, nack(4, true, true));
    client.flush();
    client.qos(2, 0);
    let expected = [(true, 0), (true, 1), (true, 2), (true, 3), (false, 9)];
    assert_eq!(left(&mut client), expected);
}

#[test]
fn what_is_refused_for_good_is_gone_without_a_dead_letter_exchange() {
    let broker = Broker::start();
    let mut client = holding(&broker, 3);
    client.put(2, nack(2, true, false));
    client.put(
        2,
        BasicReject {
            delivery_tag: 3,
            requeue: false,
        },
    );
    client.flush();
    client.qos(2, 0);
    assert_eq!(left(&mut client), []);
}

#[test]
fn what_is_refused_for_good_is_dead_lettered() {
    let broker = Broker::start();
    let mut client = broker.client();
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", FieldValue::str("")),
        ("x-dead-letter-routing-key", FieldValue::str("dead")),
    ]);
    client.declare_durable("q", arguments);
    client.declare("dead");
    client.publish(1, ("amq.fanout", "nowhere"), TRANSIENT, b"");
    client.publish(1, ("", "q"), PERSISTENT, b"poison");
    client.consume(1, "q", "c");
    let (tag, ..) = client.delivery();
    client.send(1, nack(tag, false, false));
    let (_, redelivered, message) = client.get("dead").unwrap();
    assert!(!redelivered);
    assert_eq!(
        (message.routing_key.as_str(), &message.body[..]),
        ("dead", &b"poison"[..])
    );
    let properties = Properties::parse(&message.properties).unwrap();
    assert_eq!(properties.delivery_mode, Some(2));
    let headers = properties.headers_table().unwrap();
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else {
        panic!("{headers:?}");
    };
    let [FieldValue::Table(death)] = &deaths[..] else {
        panic!("{deaths:?}");
    };
    assert_eq!(death.get("count"), Some(&FieldValue::I64(1)));
    assert_eq!(death.get("reason"), Some(&FieldValue::str("rejected")));
    assert_eq!(death.get("queue"), Some(&FieldValue::str("q")));
    assert_eq!(death.get("exchange"), Some(&FieldValue::str("")));
    assert_eq!(
        death.get("routing-keys"),
        Some(&FieldValue::Array(vec![FieldValue::str("q")]))
    );
    assert_eq!(
        headers.get("x-first-death-queue"),
        Some(&FieldValue::str("q"))
    );
}

#[test]
fn an_unknown_tag_closes_the_channel_whatever_it_is_for() {
    let broker = Broker::start();
    let reject = BasicReject {
        delivery_tag: 77,
        requeue: true,
    };
    let settles: [(&str, Method<'_>); 6] = [
        ("77", ack(77, false).into()),
        ("77", ack(77, true).into()),
        ("0", ack(0, false).into()),
        ("77", nack(77, false, true).into()),
        ("77", nack(77, true, false).into()),
        ("77", reject.into()),
    ];
    for (tag, settle) in settles {
        let mut client = holding(&broker, 2);
        let text = format!("PRECONDITION_FAILED - unknown delivery tag {tag}");
        assert_eq!(client.ask(2, settle), Said::ChannelClosed(2, 406, text));
        client.send(2, ChannelCloseOk::default());
        // What the channel held is back.
        assert_eq!(left(&mut client), [(true, 0), (true, 1)]);
        // Its number can be used again, and tags begin anew.
        client.open_channel(2);
        client.publish(1, ("", "q"), TRANSIENT, &[5]);
        assert_eq!(got(&mut client), Some((1, false, 5)));
        client.send(2, ack(1, false));
        client.close();
    }
}

#[test]
fn a_tag_is_settled_once() {
    let broker = Broker::start();
    let mut client = holding(&broker, 1);
    client.put(2, ack(1, false));
    client.put(2, ack(1, false));
    client.flush();
    let text = "PRECONDITION_FAILED - unknown delivery tag 1";
    assert_eq!(client.said(), Said::ChannelClosed(2, 406, text.into()));
    assert_eq!(left(&mut client), []);
}

/// Acknowledgements are gathered and settled together; the bad one among them
/// must not take down what follows on another channel.
#[test]
fn a_bad_ack_on_one_channel_leaves_the_next_channels_method_alone() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.open_channel(2);
    for round in 0..20 {
        let queue = format!("q{round}");
        client.put(2, ack(99, false));
        let declare = QueueDeclare {
            queue: &queue,
            durable: round % 2 == 0,
            ..QueueDeclare::default()
        };
        client.put(1, declare);
        client.put_publish(1, ("", &queue), TRANSIENT, b"x");
        client.flush();
        let mut said = [client.said(), client.said()];
        said.sort_by_key(|said| matches!(said, Said::ChannelClosed(..)));
        let [declared, closed] = said;
        assert!(
            matches!(declared, Said::Declared { channel: 1, .. }),
            "{declared:?}"
        );
        assert!(
            matches!(closed, Said::ChannelClosed(2, 406, _)),
            "{closed:?}"
        );
        client.send(2, ChannelCloseOk::default());
        client.open_channel(2);
        assert_eq!(client.counts(1, &queue), (1, 0));
    }
}

#[test]
fn recover_gives_everything_back() {
    let broker = Broker::start();
    let mut client = holding(&broker, 3);
    client.send(2, ack(2, false));
    let recover = BasicRecover { requeue: true };
    assert_eq!(client.ask(2, recover), Said::Other(2, (60, 111)));
    assert_eq!(left(&mut client), [(true, 0), (true, 2)]);
}

#[test]
fn recover_redelivers_to_the_consumer_itself() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.publish(1, ("", "q"), TRANSIENT, b"a");
    client.consume(1, "q", "c");
    assert_eq!(client.delivery(), (1, false, b"a".into()));
    client.send(1, BasicRecoverAsync { requeue: true });
    assert_eq!(client.delivery(), (2, true, b"a".into()));
    client.send(1, ack(2, false));
    client.is_silent();
}

#[test]
fn recover_is_answered_before_what_it_redelivers() {
    let broker = Broker::start();
    let mut client = broker.client();
    client.declare("q");
    client.publish(1, ("", "q"), TRANSIENT, b"a");
    client.consume(1, "q", "c");
    assert_eq!(client.delivery(), (1, false, b"a".into()));
    let recover = BasicRecover { requeue: true };
    assert_eq!(client.ask(1, recover), Said::Other(1, (60, 111)));
    assert_eq!(client.delivery(), (2, true, b"a".into()));
}

#[test]
fn what_a_closed_channel_held_goes_to_others() {
    let broker = Broker::start();
    let mut client = holding(&broker, 3);
    let mut other = broker.client();
    other.consume(1, "q", "other");
    let close = ChannelClose {
        reply_code: 200,
        ..ChannelClose::default()
    };
    assert_eq!(client.ask(2, close), Said::Other(2, (20, 41)));
    for body in 0..3 {
        assert_eq!(other.delivery(), (u64::from(body) + 1, true, vec![body]));
    }
}

#[test]
fn what_a_lost_connection_held_goes_to_others() {
    let broker = Broker::start();
    let client = holding(&broker, 3);
    let mut other = broker.client();
    client.hang_up();
    eventually("the messages are back", || other.counts(1, "q") == (3, 0));
    assert_eq!(left(&mut other), [(true, 0), (true, 1), (true, 2)]);
}
