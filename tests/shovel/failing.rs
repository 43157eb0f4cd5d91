//! What a shovel does when something fails: everything arrives all the same.

use harrier::wire::FieldTable;
use harrier::wire::method::QueueDelete;
use serde_json::{Value, json};

use crate::broker::{Broker, eventually};
use crate::client::Said;
use crate::site::*;
use crate::wire::Wire;

const COUNT: u64 = 20_000;

fn between(source: &str, destination: &str) -> Value {
    json!({
        "src-uri": source, "src-queue": "a", "dest-uri": destination, "dest-queue": "b",
        "src-prefetch-count": 100, "reconnect-delay": 0.01
    })
}

#[test]
fn nothing_is_lost_when_the_destination_is_killed() {
    let site = Site::start();
    let mut client = site.client();
    declare(&mut client, "a");
    publish_numbers(&mut client, "a", 0..COUNT);
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let wire = Wire::to(broker.address);
    site.set("s", &between("amqp://", &wire.uri()));
    for _ in 0..3 {
        let before = ready(&mut client, "a");
        eventually("messages move", || {
            let now = ready(&mut client, "a");
            now == 0 || now + 500 < before
        });
        broker.kill();
        wire.cut();
        broker = Broker::on(directory.path(), &[]);
        wire.lay(broker.address);
    }
    eventually("all are moved", || client.counts(1, "a") == (0, 1));
    assert_eq!(take_numbers(&mut broker.client(), "b", COUNT).len(), 20_000);
}

#[test]
fn nothing_is_lost_when_the_source_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    let mut publisher = broker.client();
    declare(&mut publisher, "a");
    publish_numbers(&mut publisher, "a", 0..COUNT);
    let site = Site::start();
    let mut taker = site.client();
    declare(&mut taker, "b");
    let wire = Wire::to(broker.address);
    site.set("s", &between(&wire.uri(), "amqp://"));
    for round in 1..=3 {
        eventually("messages move", || ready(&mut taker, "b") > round * 1000);
        broker.kill();
        wire.cut();
        broker = Broker::on(directory.path(), &[]);
        wire.lay(broker.address);
    }
    assert_eq!(take_numbers(&mut taker, "b", COUNT).len(), 20_000);
    let mut source = broker.client();
    eventually("the source forgets", || ready(&mut source, "a") == 0);
}

#[test]
fn nothing_is_lost_when_the_wire_is_cut_again_and_again() {
    let (from, to) = (Site::start(), Site::start());
    let mut client = from.client();
    let quorum = FieldTable::from_iter([("x-queue-type", "quorum".into())]);
    client.declare_durable("a", quorum);
    publish_numbers(&mut client, "a", 0..COUNT);
    let wire = Wire::to(from.hosted.address);
    let mut taker = to.client();
    declare(&mut taker, "b");
    to.set("s", &between(&wire.uri(), "amqp://"));
    for round in 1..=10 {
        eventually("messages move", || ready(&mut taker, "b") > round * 500);
        wire.cut();
        wire.lay(from.hosted.address);
    }
    assert_eq!(take_numbers(&mut taker, "b", COUNT).len(), 20_000);
}

#[test]
fn what_a_full_destination_refuses_stays_at_the_source() {
    let site = Site::start();
    let mut client = site.client();
    // A failed delivery would count here, and the second be the last.
    let strict = [
        ("x-queue-type", "quorum".into()),
        ("x-delivery-limit", 1.into()),
    ];
    client.declare_durable("a", FieldTable::from_iter(strict));
    let full = [
        ("x-max-length", 10.into()),
        ("x-overflow", "reject-publish".into()),
    ];
    client.declare_durable("b", FieldTable::from_iter(full));
    publish_numbers(&mut client, "a", 0..200);
    site.set("s", &between("amqp://", "amqp://"));
    site.comes_to("s", "terminated");
    let reason = site.status("s").and_then(|status| status.reason);
    // It may be trying again already.
    assert!(reason.is_none_or(|reason| reason.contains("refused")));
    assert_eq!(take_numbers(&mut site.client(), "b", 200).len(), 200);
}

#[test]
fn a_destination_queue_that_is_deleted_is_made_again() {
    let site = Site::start();
    let mut client = site.client();
    declare(&mut client, "a");
    site.set("s", &between("amqp://", "amqp://"));
    publish_numbers(&mut client, "a", 0..10);
    let mut taker = site.client();
    site.comes_to("s", "running");
    eventually("they arrive", || ready(&mut taker, "b") == 10);
    let delete = QueueDelete {
        queue: "b",
        ..QueueDelete::default()
    };
    assert_eq!(taker.ask(1, delete), Said::Deleted(1, 10));
    let mut other = site.client();
    publish_numbers(&mut other, "a", 0..10);
    let mut client = site.client();
    eventually("the source forgets", || client.counts(1, "a") == (0, 1));
    assert_eq!(take_numbers(&mut client, "b", 10).len(), 10);
}

#[test]
fn a_shovel_that_is_not_to_try_again_stays_terminated() {
    let site = Site::start();
    let nowhere = "amqp://guest:secret@127.0.0.1:1/x";
    let mut value = between(nowhere, "amqp://");
    value["reconnect-delay"] = json!(0);
    site.set("s", &value);
    site.comes_to("s", "terminated");
    let reason = site.status("s").and_then(|status| status.reason).unwrap();
    assert!(
        reason.contains("failed to connect to source amqp://127.0.0.1:1/x"),
        "{reason}"
    );
    assert!(!reason.contains("secret"), "{reason}");
    assert!(site.shovels.restart("/", "s"));
    assert!(!site.shovels.restart("/", "other"));
    site.comes_to("s", "terminated");
}

#[test]
fn a_source_queue_that_has_to_be_there_is_not_made() {
    let site = Site::start();
    let mut value = between("amqp://", "amqp://");
    value["src-predeclared"] = json!(true);
    site.set("s", &value);
    site.comes_to("s", "terminated");
    let reason = site.status("s").and_then(|status| status.reason).unwrap();
    assert!(reason.contains("no queue 'a' in vhost '/'"), "{reason}");
    declare(&mut site.client(), "a");
    site.comes_to("s", "running");
}
