//! Back-pressure: who doesn't keep up waits, alone, and costs a bounded amount.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use harrier::base::limits::CONNECTIONS_TURNED_AWAY_MAX;
use harrier::wire::method::*;

use crate::broker::{Broker, eventually};
use crate::client::*;

const MIB: u64 = 1024 * 1024;

fn without_ack<'a>(queue: &'a str, tag: &'a str) -> BasicConsume<'a> {
    BasicConsume {
        no_ack: true,
        ..consume(queue, tag)
    }
}

/// Reads numbered deliveries from `q` until one comes from another queue.
fn numbers(client: &mut Client) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    let mut last = None;
    loop {
        let Said::Deliver { message, .. } = client.said() else {
            panic!("expected deliveries only");
        };
        if message.routing_key != "q" {
            return numbers;
        }
        let number = u32::from_be_bytes(message.body[..4].try_into().unwrap());
        assert!(last < Some(number), "{number} after {last:?}");
        last = Some(number);
        assert!(numbers.insert(number), "{number} came twice");
    }
}

#[test]
fn a_consumer_that_does_not_read_is_passed_over_until_it_does() {
    const MESSAGES: u32 = 1500;
    const STEP: u32 = 50;
    let broker = Broker::start();
    let mut publisher = broker.client();
    let mut consumers = ["slow", "fast"].map(|end| {
        let mut client = broker.client();
        publisher.declare(end);
        client.declare("q");
        client.ask(1, without_ack("q", "c"));
        client.ask(1, without_ack(end, "end"));
        client
    });
    let before = broker.resident();
    let [slow, fast] = &mut consumers;
    let (by_fast, grown) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| numbers(fast));
        let mut body = vec![0; 65_536];
        for number in 0..MESSAGES {
            body[..4].copy_from_slice(&number.to_be_bytes());
            publisher.publish(1, ("", "q"), TRANSIENT, &body);
            // What waits while a busy machine lets nobody read isn't what is measured.
            if (number + 1) % STEP == 0 {
                eventually("all is delivered", || publisher.counts(1, "q").0 == 0);
            }
        }
        let grown = broker.resident().saturating_sub(before);
        publisher.publish(1, ("", "fast"), TRANSIENT, b"end");
        publisher.publish(1, ("", "slow"), TRANSIENT, b"end");
        publisher.qos(1, 0);
        (reading.join().unwrap(), grown)
    });
    assert!(grown < 48 * MIB, "{grown} bytes more than before");
    let by_slow = numbers(slow);
    assert_eq!(by_fast.intersection(&by_slow).count(), 0);
    assert_eq!(by_fast.len() + by_slow.len(), MESSAGES as usize);
    assert!(by_fast.len() > by_slow.len());
    // What was read is written, but the broker may have yet to notice that there is
    // room again: whoever is answered isn't passed over any more.
    for consumer in &mut consumers {
        consumer.qos(1, 0);
    }
    // It takes its turn again.
    for number in 0..2_u32 {
        publisher.publish(1, ("", "q"), TRANSIENT, &number.to_be_bytes());
    }
    let [slow, fast] = &mut consumers;
    slow.delivery();
    fast.delivery();
}

#[test]
fn a_publisher_that_never_reads_its_returns_is_not_read_either() {
    const MOST: u64 = 256 * MIB;
    let broker = Broker::start();
    let mut bystander = broker.client();
    bystander.declare("q");
    let mut client = broker.client();
    let mandatory = BasicPublish {
        mandatory: true,
        ..publish(("", "nowhere"))
    };
    client.put_publish_as(1, mandatory, TRANSIENT, &[7; 65_536]);
    let publish = client.take_put().freeze();
    let before = broker.resident();
    let mut socket = client.stream().try_clone().unwrap();
    socket
        .set_write_timeout(Some(Duration::from_secs(3)))
        .unwrap();
    let mut written = 0;
    let mut publishes: u64 = 0;
    let mut rest = publish.clone();
    while written < MOST {
        match socket.write(&rest) {
            Ok(count) => {
                written += count as u64;
                bytes::Buf::advance(&mut rest, count);
                if rest.is_empty() {
                    publishes += 1;
                    rest = publish.clone();
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(written < MOST, "the broker reads on and on");
    let grown = broker.resident().saturating_sub(before);
    assert!(grown < 32 * MIB, "{grown} bytes more than before");
    bystander.publish(1, ("", "q"), TRANSIENT, b"x");
    assert_eq!(bystander.counts(1, "q"), (1, 0));
    // Once it reads, everything goes on where it stopped.
    let finishing = std::thread::spawn(move || socket.write_all(&rest).unwrap());
    for _ in 0..=publishes {
        assert!(matches!(client.said(), Said::Returned { .. }));
    }
    finishing.join().unwrap();
    client.is_silent();
}

/// The share of memory that `bytes` are, as the broker counts it.
fn share(bytes: u64) -> String {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let total = line.unwrap().trim().trim_end_matches(" kB");
    let machine = total.parse::<u64>().unwrap() * 1024;
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let total = group.map_or(machine, |group: u64| group.min(machine));
    format!("{:.9}", bytes as f64 / total as f64)
}

#[test]
fn memory_running_out_blocks_publishers_and_lets_consumers_drain() {
    let directory = tempfile::tempdir().unwrap();
    let idle = Broker::on(directory.path(), &[]).resident();
    let limit = share(idle + 64 * MIB);
    let mut broker = Broker::with(&["--vm-memory-high-watermark", &limit]);
    let mut consumer = broker.client();
    let mut publisher = broker.client();
    publisher.declare("q");
    let mut socket = publisher.stream().try_clone().unwrap();
    publisher.put_publish(1, ("", "q"), TRANSIENT, &[7; 65_536]);
    let publish = publisher.take_put();
    // It publishes all it can: more than fits.
    let publishing = std::thread::spawn(move || {
        for _ in 0..3000 {
            socket.write_all(&publish).unwrap();
        }
    });
    assert_eq!(publisher.said(), Said::Blocked("low on memory".into()));
    broker.logs(&["publishers are blocked", "low on memory"]);
    assert!(!publishing.is_finished());
    // Who doesn't publish never notices.
    consumer.ask(1, without_ack("q", "c"));
    for _ in 0..3000 {
        consumer.delivery();
    }
    publishing.join().unwrap();
    loop {
        match publisher.said() {
            Said::Blocked(_) => {}
            Said::Other(0, (10, 61)) => break,
            other => panic!("{other:?}"),
        }
    }
    broker.logs(&["publishers are unblocked"]);
}

#[test]
fn a_blocked_publisher_is_told_of_the_stop() {
    let mut broker = Broker::with(&["--vm-memory-high-watermark", "0.000001"]);
    broker.logs(&["publishers are blocked"]);
    let mut client = broker.client();
    client.declare("q");
    client.publish(1, ("", "q"), TRANSIENT, b"x");
    assert_eq!(client.said(), Said::Blocked("low on memory".into()));
    broker.terminate();
    let closed = client.said();
    assert!(matches!(closed, Said::Closed(320, _)), "{closed:?}");
    client.send(0, ConnectionCloseOk::default());
    assert_eq!(client.said(), Said::HungUp);
    assert_eq!(broker.exit().code(), Some(0));
    // It was answered: nobody had to be cut off.
    broker.logs(&["closed"]);
}

#[test]
fn a_disk_running_short_blocks_publishers_and_lets_consumers_be() {
    // More than any disk has.
    let limit = u64::MAX.to_string();
    let mut broker = Broker::with(&["--disk-free-limit", &limit]);
    broker.logs(&["publishers are blocked", "low on disk"]);
    let mut consumer = broker.client();
    consumer.declare("q");
    consumer.ask(1, consume("q", "c"));
    let mut publisher = broker.client();
    publisher.publish(1, ("", "q"), PERSISTENT, b"x");
    assert_eq!(publisher.said(), Said::Blocked("low on disk".into()));
    // What was read before is delivered; a consumer declares, acks and closes.
    consumer.delivery();
    consumer.send(1, ack(1, false));
    assert_eq!(consumer.counts(1, "q"), (0, 1));
    consumer.close();
}

#[test]
fn memory_and_disk_may_both_run_out() {
    let limit = u64::MAX.to_string();
    let mut broker = Broker::with(&[
        "--vm-memory-high-watermark",
        "0.000001",
        "--disk-free-limit",
        &limit,
    ]);
    broker.logs(&["publishers are blocked", "low on memory & disk"]);
    let mut client = broker.client();
    client.publish(1, ("", "nowhere"), TRANSIENT, b"x");
    assert_eq!(client.said(), Said::Blocked("low on memory & disk".into()));
}

#[test]
fn a_blocked_publisher_need_not_show_that_it_lives() {
    let mut broker = Broker::with(&["--vm-memory-high-watermark", "0.000001"]);
    broker.logs(&["publishers are blocked"]);
    let options = Options {
        heartbeat: 1,
        ..Options::default()
    };
    let mut client = Client::with(broker.address, options);
    client.open_channel(1);
    client.publish(1, ("", "nowhere"), TRANSIENT, b"x");
    assert_eq!(client.said(), Said::Blocked("low on memory".into()));
    // Two a second: more than in the three intervals that a silent client has.
    for _ in 0..8 {
        assert_eq!(client.said_or_beat(), Said::Heartbeat);
    }
}

#[test]
fn an_idle_broker_has_no_huge_pages() {
    // Its 6 MiB were 45 in them.
    assert_eq!(Broker::start().in_huge_pages(), 0);
}

#[test]
fn connections_over_the_limit_are_refused() {
    let mut broker = Broker::with(&["--connection-max", "2"]);
    let first = broker.client();
    let mut second = broker.client();
    let (_, said) = Client::enter(broker.address, "guest", "no such vhost");
    let text = "NOT_ALLOWED - connection refused: node connection limit (2) is reached";
    assert_eq!(said, Said::Closed(530, text.into()));
    second.declare("q");
    first.close();
    let first = broker.client();
    // Those who are told are limited as well.
    let mut told = Vec::new();
    eventually("somebody isn't even told", || {
        let mut client = Client::raw(broker.address);
        let greeted = client.try_write(&harrier::wire::encode::PROTOCOL_HEADER);
        let hung_up =
            greeted.is_err() || client.try_said().map_or(true, |said| said == Said::HungUp);
        told.push(client);
        hung_up
    });
    assert!(told.len() > CONNECTIONS_TURNED_AWAY_MAX);
    broker.logs(&["connection refused", "limit=2"]);
    second.declare("q");
    drop((told, first));
    eventually("there is room again", || {
        let mut client = Client::raw(broker.address);
        let greeted = client.try_write(&harrier::wire::encode::PROTOCOL_HEADER);
        greeted.is_ok() && client.try_said().is_ok_and(|said| said != Said::HungUp)
    });
}
