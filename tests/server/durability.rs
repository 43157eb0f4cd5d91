//! A broker that is killed at random moments under load, and started again on
//! what it left: everything confirmed and not acknowledged is there in order,
//! and nothing is there that shouldn't be.

use std::collections::BTreeSet;
use std::path::Path;

use harrier::wire::FieldTable;
use harrier::wire::method::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::broker::Broker;
use crate::client::*;

const ROUNDS: u32 = 6;
/// Publishes not confirmed yet, at most.
const WINDOW: u64 = 60;

/// What a client knows that publishes to both queues and works on one of them.
#[derive(Default)]
struct Known {
    /// The number of the message published last; they count from 1.
    published: u64,
    /// Those confirmed.
    confirmed: BTreeSet<u64>,
    /// Those that were in `kept`, and in `worked`, after a restart. One that
    /// wasn't confirmed may have come to one queue and not to the other.
    was_kept: BTreeSet<u64>,
    was_worked: BTreeSet<u64>,
    /// Those from the queue `worked` for which an ack was sent.
    acked: BTreeSet<u64>,
    /// Those seen to be gone.
    gone: BTreeSet<u64>,
}

/// The body of a message: its number, and as much more as the number says.
fn body_of(number: u64) -> Vec<u8> {
    let len = match number % 50 {
        0 => 100_000,
        1..5 => 9000,
        _ => 100,
    };
    let mut body = vec![number as u8; len];
    body[..8].copy_from_slice(&number.to_be_bytes());
    body
}

fn number_of(body: &[u8]) -> u64 {
    let number = u64::from_be_bytes(body[..8].try_into().unwrap());
    assert!(body == body_of(number), "message {number} has changed");
    number
}

fn declare(client: &mut Client) {
    let exchange = ExchangeDeclare {
        exchange: "events",
        kind: "fanout",
        durable: true,
        ..ExchangeDeclare::default()
    };
    assert_eq!(client.ask(1, exchange), Said::Other(1, (40, 11)));
    for queue in ["kept", "worked"] {
        client.declare_durable(queue, FieldTable::new());
        let bind = QueueBind {
            queue,
            exchange: "events",
            ..QueueBind::default()
        };
        assert_eq!(client.ask(1, bind), Said::Other(1, (50, 21)));
    }
}

/// Publishes and works until the moment the broker is killed at.
fn work(broker: Broker, known: &mut Known, rng: &mut SmallRng) {
    let mut client = broker.client();
    declare(&mut client);
    client.confirm_select(1);
    client.open_channel(2);
    client.qos(2, 30);
    client.consume(2, "worked", "c");
    let first = known.published;
    let mut confirmed = first;
    for _ in 0..rng.random_range(200..1500) {
        while known.published < confirmed + WINDOW {
            known.published += 1;
            let body = body_of(known.published);
            client.put_publish(1, ("events", ""), PERSISTENT, &body);
        }
        client.flush();
        match client.said() {
            Said::Ack { tag, multiple, .. } => {
                let upto = first + tag;
                let from = if multiple { confirmed + 1 } else { upto };
                known.confirmed.extend(from..=upto);
                confirmed = confirmed.max(upto);
            }
            Said::Deliver { tag, message, .. } => {
                // One in thirty is held until the end.
                if rng.random_range(0..30) > 0 {
                    known.acked.insert(number_of(&message.body));
                    client.put(2, ack(tag, false));
                } else if rng.random() {
                    client.put(2, nack(tag, false, true));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    // What wouldn't survive a restart, so that it is seen not to.
    client.put_publish(1, ("events", ""), TRANSIENT, &body_of(u64::MAX));
    client.flush();
    broker.kill();
}

/// The numbers of everything in a queue, which stays there.
fn contents(broker: &Broker, queue: &str) -> Vec<u64> {
    let mut client = broker.client();
    let (ready, _) = client.counts(1, queue);
    client.consume(1, queue, "look");
    let found = (0..ready)
        .map(|_| number_of(&client.delivery().2))
        .collect();
    client.is_silent();
    client.close();
    found
}

fn check(found: &[u64], known: &mut Known, acked: &BTreeSet<u64>, what: &str) {
    assert!(found.is_sorted_by(|a, b| a < b), "{what}: out of order");
    let there: BTreeSet<u64> = found.iter().copied().collect();
    assert!(
        there.last() <= Some(&known.published),
        "{what}: something transient or invented"
    );
    let lost: Vec<_> = known
        .confirmed
        .difference(&there)
        .filter(|number| !acked.contains(number))
        .collect();
    assert!(lost.is_empty(), "{what}: lost {lost:?}");
    if !acked.is_empty() {
        let risen: Vec<_> = known.gone.intersection(&there).collect();
        assert!(risen.is_empty(), "{what}: back from the dead: {risen:?}");
        known.gone.extend(acked.difference(&there));
    }
}

fn start(directory: &Path) -> Broker {
    Broker::on(directory, &[])
}

#[test]
fn what_was_confirmed_survives_kill_9_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(41);
    let mut known = Known::default();
    for round in 0..ROUNDS {
        work(start(directory.path()), &mut known, &mut rng);
        let broker = start(directory.path());
        let kept = contents(&broker, "kept");
        check(
            &kept,
            &mut known,
            &BTreeSet::new(),
            &format!("kept, round {round}"),
        );
        let missing = known.was_kept.iter().find(|was| !kept.contains(was));
        assert_eq!(missing, None, "kept, round {round}");
        let worked = contents(&broker, "worked");
        let acked = known.acked.clone();
        check(
            &worked,
            &mut known,
            &acked,
            &format!("worked, round {round}"),
        );
        // What was there is there still, but for what was acknowledged since.
        let is_missing = |was: &&u64| !worked.contains(was) && !acked.contains(was);
        let missing = known.was_worked.iter().find(is_missing);
        assert_eq!(missing, None, "worked, round {round}");
        let last = kept.last().copied().unwrap_or_default();
        known.was_kept.extend(kept);
        known.was_worked = worked.into_iter().collect();
        assert!(last <= known.published);
        broker.kill();
    }
    assert!(!known.gone.is_empty(), "some acks were kept, too");
}

#[test]
fn what_is_declared_durable_survives_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path());
    let mut client = broker.client();
    declare(&mut client);
    client.declare("transient");
    let delete = QueueDelete {
        queue: "kept",
        ..QueueDelete::default()
    };
    assert_eq!(client.ask(1, delete), Said::Deleted(1, 0));
    broker.kill();
    let broker = start(directory.path());
    let mut client = broker.client();
    client.confirm_select(1);
    client.publish(1, ("events", ""), PERSISTENT, b"x");
    client.confirmed(1);
    assert_eq!(client.counts(1, "worked"), (1, 0));
    for gone in ["kept", "transient"] {
        let declare = QueueDeclare {
            queue: gone,
            passive: true,
            ..QueueDeclare::default()
        };
        assert!(matches!(
            client.ask(1, declare),
            Said::ChannelClosed(1, 404, _)
        ));
        client.send(1, ChannelCloseOk::default());
        client.open_channel(1);
    }
}

#[test]
fn a_dead_letter_survives_where_it_went() {
    let directory = tempfile::tempdir().unwrap();
    let broker = start(directory.path());
    let mut client = broker.client();
    let arguments = FieldTable::from_iter([
        ("x-dead-letter-exchange", "".into()),
        ("x-dead-letter-routing-key", "dead".into()),
    ]);
    client.declare_durable("q", arguments);
    client.declare_durable("dead", FieldTable::new());
    client.confirm_select(1);
    for number in 1..=20 {
        client.publish(1, ("", "q"), PERSISTENT, &body_of(number));
    }
    client.confirmed(20);
    for _ in 0..20 {
        assert!(client.get("q").is_some());
    }
    client.send(1, nack(0, true, false));
    // A confirm behind it shows that the disk has it.
    client.publish(1, ("", "q"), PERSISTENT, &body_of(21));
    client.confirmed(21);
    broker.kill();
    let broker = start(directory.path());
    assert_eq!(contents(&broker, "q"), [21]);
    let numbers: Vec<u64> = (1..=20).collect();
    assert_eq!(contents(&broker, "dead"), numbers);
}
