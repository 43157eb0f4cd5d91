//! Connections, channels and consumers as people see them.

use std::sync::Arc;

use harrier::base::clock::Now;
use harrier::base::ids::Batch;
use harrier::broker::store::{Load, NullStore, Record, Store};
use harrier::server::roster::{ChannelMode, ChannelView, ConnectionView};
use harrier::server::traffic::{ChannelTraffic, Handed};
use harrier::wire::FieldTable;
use harrier::wire::method::*;

use crate::client::*;
use crate::hosted::Hosted;

fn only_connection(hosted: &Hosted) -> Arc<ConnectionView> {
    let all = hosted.shared.roster.connections();
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

fn only_channel(hosted: &Hosted) -> Arc<ChannelView> {
    let all = only_connection(hosted).channels();
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

#[test]
fn a_connection_is_shown_with_its_channels() {
    let hosted = Hosted::start();
    let mut client = hosted.client("guest");
    client.declare("q");
    let connection = only_connection(&hosted);
    let opened = connection.opened().unwrap();
    assert_eq!((&*opened.user, &*opened.vhost), ("guest", "/"));
    assert_eq!(opened.mechanism, "PLAIN");
    assert_eq!(connection.local, hosted.address);
    assert_eq!(
        *connection.name,
        *format!("{} -> {}", connection.peer, hosted.address)
    );
    let (octets_in, octets_out) = connection.octets();
    assert!(octets_in > 0 && octets_out > 0);
    assert_eq!(only_channel(&hosted).number, 1);
    assert_eq!(hosted.shared.roster.past().connections(), (1, 0));
    assert_eq!(hosted.shared.roster.past().channel_churn(), (1, 0));
}

#[test]
fn a_channel_counts_what_passes_it() {
    let hosted = Hosted::start();
    let mut client = hosted.client("guest");
    client.declare("q");
    client.confirm_select(1);
    assert_eq!(only_channel(&hosted).mode(), ChannelMode::Confirm);
    for _ in 0..3 {
        client.put_publish(1, ("", "q"), TRANSIENT, b"x");
    }
    client.put_publish(1, ("", "nowhere"), TRANSIENT, b"x");
    client.flush();
    client.confirmed(4);
    client.consume(1, "q", "c");
    for _ in 0..3 {
        client.delivery();
    }
    client.send(1, ack(2, true));
    client.declare("other");
    let channel = only_channel(&hosted);
    let handed = Handed {
        delivered: 3,
        settled: 2,
        ..Handed::default()
    };
    let expected = ChannelTraffic {
        published: 4,
        confirmed: 4,
        dropped: 1,
        handed,
        ..ChannelTraffic::default()
    };
    assert_eq!(channel.traffic(), expected);
    assert_eq!(channel.unacked(), 1);
    assert_eq!(channel.unconfirmed(), 0);
    let consumers = channel.consumers();
    let named: Vec<_> = consumers
        .iter()
        .map(|c| (&*c.tag, &**c.queue.name()))
        .collect();
    assert_eq!(named, [("c", "q")]);
    let vhost = hosted.shared.vhosts.get("/").unwrap();
    let exchange = vhost.exchange_traffic("").unwrap();
    assert_eq!((exchange.published(), exchange.routed()), (4, 3));
}

#[test]
fn what_passed_is_kept_when_a_channel_goes() {
    let hosted = Hosted::start();
    let mut client = hosted.client("guest");
    client.declare("q");
    client.publish(1, ("", "q"), TRANSIENT, b"x");
    client.ask(1, ChannelClose::default());
    assert_eq!(only_connection(&hosted).channel_count(), 0);
    assert_eq!(hosted.shared.roster.traffic().published, 1);
    assert_eq!(hosted.shared.roster.past().channel_churn(), (1, 1));
}

#[test]
fn a_cancelled_consumer_is_not_shown() {
    let hosted = Hosted::start();
    let mut client = hosted.client("guest");
    client.declare("q");
    client.consume(1, "q", "c");
    assert_eq!(only_channel(&hosted).consumer_count(), 1);
    let cancel = BasicCancel {
        consumer_tag: "c",
        nowait: false,
    };
    client.ask(1, cancel);
    assert_eq!(only_channel(&hosted).consumer_count(), 0);
}

#[test]
fn what_a_confirm_waited_for_is_counted() {
    let hosted = Hosted::start();
    let mut client = hosted.client("guest");
    client.declare_durable("q", FieldTable::new());
    let commits = hosted.shared.store.commits().unwrap();
    let before = (commits.waits.counted(), commits.octets());
    client.confirm_select(1);
    client.put_publish(1, ("", "q"), PERSISTENT, b"x");
    client.flush();
    client.confirmed(1);
    // The batch is counted once it is on disk, by the thread that put it there.
    while commits.waits.counted() == before.0 {
        std::thread::yield_now();
    }
    assert_eq!(commits.waits.counted().count, before.0.count + 1);
    assert!(commits.octets() > before.1);
    assert!(commits.syncs.counted().count > 0 && commits.batches.counted().sum > 0);
}

/// A store on a disk that is far behind.
#[derive(Debug, Default)]
struct Behind(NullStore);

impl Store for Behind {
    fn append(&self, records: &[Record<'_>]) -> Batch {
        self.0.append(records)
    }

    fn synced(&self) -> Batch {
        self.0.synced()
    }

    fn wake_when_synced(&self, batch: Batch, waker: &std::task::Waker) {
        self.0.wake_when_synced(batch, waker);
    }

    fn load(&self, load: Load) {
        self.0.load(load);
    }

    fn pending_bytes(&self) -> usize {
        usize::MAX
    }
}

#[test]
fn a_publisher_that_is_ahead_of_the_disk_is_in_flow_for_a_while() {
    let hosted = Hosted::with_store(Arc::new(Behind::default()));
    let mut client = hosted.client("guest");
    client.declare_durable("q", FieldTable::new());
    let connection = only_connection(&hosted);
    let now = hosted.shared.now();
    assert!(!connection.is_in_flow(now));
    client.publish(1, ("", "q"), PERSISTENT, b"x");
    client.declare("other");
    assert!(connection.is_in_flow(now));
    let later = Now {
        unix_ms: now.unix_ms + 3_600_000,
        ..now
    };
    assert!(!connection.is_in_flow(later));
}
