//! What a clean restart brings back.

use harrier::base::ids::{Position, QueueId};
use harrier::broker::change::Change;
use harrier::broker::store::{Record, Store};
use harrier::storage::{Inspection, LogStore, StoreError, StoreOptions};
use tempfile::tempdir;

use crate::support::*;

#[test]
fn an_empty_directory_holds_nothing() {
    let dir = tempdir().expect("a directory");
    for _ in 0..3 {
        let (store, recovered) = open(dir.path());
        assert!(recovered.changes.is_empty());
        assert!(recovered.messages.is_empty());
        assert_eq!(recovered.last_queue_id, QueueId(0));
        store.close().expect("closes");
    }
}

#[test]
fn messages_come_back_in_order_and_settled_ones_do_not() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    change(&*store, &queue_declared(2));
    for position in 1..=100 {
        publish(&*store, 1, position, &message(position, 100));
        publish(&*store, 2, position, &message(position + 1000, 20_000));
    }
    for position in (1..=100).filter(|position| position % 3 != 0) {
        settle(&*store, 1, position);
    }
    store.close().expect("closes");
    drop(store);

    let (_store, recovered) = open(dir.path());
    let thirds: Vec<_> = (1..=33).map(|third| third * 3).collect();
    assert_eq!(positions(&recovered, 1), thirds);
    assert_eq!(positions(&recovered, 2), (1..=100).collect::<Vec<_>>());
    for (queue, messages) in &recovered.messages {
        for (position, found) in messages {
            let expected = match queue.0 {
                1 => message(position.0, 100),
                _ => message(position.0 + 1000, 20_000),
            };
            assert_eq!(*found, expected);
        }
    }
}

#[test]
fn every_restart_keeps_what_the_ones_before_left() {
    let dir = tempdir().expect("a directory");
    for round in 0..8 {
        let (store, recovered) = open(dir.path());
        let expected: Vec<_> = (1..=round * 50).filter(|p| p % 50 == 0).collect();
        assert_eq!(positions(&recovered, 1), expected, "round {round}");
        if round == 0 {
            change(&*store, &queue_declared(1));
        }
        for position in round * 50 + 1..=round * 50 + 50 {
            publish(&*store, 1, position, &message(position, 1000));
            if position % 50 != 0 {
                settle(&*store, 1, position);
            }
        }
        store.close().expect("closes");
    }
}

/// A queue that was empty at the restart may number its messages from 1 again.
#[test]
fn a_position_that_was_settled_can_be_used_again() {
    let dir = tempdir().expect("a directory");
    for round in 1..=3 {
        let (store, recovered) = open(dir.path());
        assert!(recovered.messages.is_empty(), "round {round}");
        change(&*store, &queue_declared(1));
        publish(&*store, 1, 1, &message(round, 10));
        store.close().expect("closes");
        drop(store);
        let (store, recovered) = open(dir.path());
        assert_eq!(positions(&recovered, 1), [1]);
        assert_eq!(recovered.messages[0].1[0].1, message(round, 10));
        settle(&*store, 1, 1);
        store.close().expect("closes");
    }
}

#[test]
fn what_is_declared_comes_back() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let vhost = Change::VhostCreated { vhost: "/".into() };
    let kept = [
        vhost,
        exchange_declared("orders"),
        queue_declared(1),
        queue_declared(3),
        bound(binding("orders", 1, "order.#")),
        bound(binding("orders", 3, "order.*")),
    ];
    let gone = [
        exchange_declared("old"),
        queue_declared(2),
        bound(binding("orders", 2, "order.#")),
        bound(binding("old", 1, "order.#")),
        bound(binding("orders", 1, "payment")),
    ];
    let removals = [
        queue_deleted(2),
        Change::ExchangeDeleted {
            vhost: "/".into(),
            name: "old".into(),
        },
        Change::Unbound {
            vhost: "/".into(),
            spec: binding("orders", 1, "payment"),
        },
    ];
    for made in kept.iter().chain(&gone).chain(&removals) {
        change(&*store, made);
    }
    store.close().expect("closes");
    drop(store);
    for _ in 0..2 {
        let (_store, recovered) = open(dir.path());
        assert_eq!(recovered.last_queue_id, QueueId(3));
        assert_eq!(recovered.changes, kept);
    }
}

#[test]
fn the_messages_of_a_deleted_queue_are_gone() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    change(&*store, &queue_declared(2));
    publish(&*store, 1, 1, &message(1, 10));
    publish(&*store, 2, 1, &message(2, 10));
    change(&*store, &queue_deleted(1));
    store.close().expect("closes");
    drop(store);
    let (_store, recovered) = open(dir.path());
    assert_eq!(positions(&recovered, 1), Vec::<u64>::new());
    assert_eq!(positions(&recovered, 2), [1]);
}

#[test]
fn a_deleted_virtual_host_takes_everything_along() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &Change::VhostCreated { vhost: "/".into() });
    change(&*store, &exchange_declared("orders"));
    change(&*store, &queue_declared(1));
    change(&*store, &bound(binding("orders", 1, "a")));
    publish(&*store, 1, 1, &message(1, 10));
    change(&*store, &Change::VhostDeleted { vhost: "/".into() });
    store.close().expect("closes");
    drop(store);
    let (_store, recovered) = open(dir.path());
    assert!(recovered.changes.is_empty() && recovered.messages.is_empty());
}

#[test]
fn long_arguments_come_back() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let mut declared = queue_declared(1);
    if let Change::QueueDeclared { spec, .. } = &mut declared {
        spec.arguments.push("x-note", "n".repeat(120_000).as_str());
    }
    let mut long = binding("orders", 1, "a");
    long.arguments.push("x-note", "m".repeat(50_000).as_str());
    let expected = [declared, bound(long)];
    for made in &expected {
        change(&*store, made);
    }
    store.close().expect("closes");
    drop(store);
    let (store, recovered) = open(dir.path());
    assert_eq!(recovered.changes, expected);
    let Change::Bound { vhost, spec } = expected[1].clone() else {
        unreachable!()
    };
    change(&*store, &Change::Unbound { vhost, spec });
    change(&*store, &queue_declared(1));
    store.close().expect("closes");
    drop(store);
    let (_store, recovered) = open(dir.path());
    assert_eq!(recovered.changes, [queue_declared(1)]);
}

#[test]
fn records_of_one_append_are_one_batch() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let declared = queue_declared(1);
    let first = message(1, 10);
    let batch = store.append(&[
        Record::Topology(&declared),
        Record::Publish {
            queue: QueueId(1),
            position: Position(1),
            message: &first,
            deadline: None,
            delivered: false,
        },
        Record::settled(QueueId(1), Position(1), &first),
    ]);
    wait(&*store, batch);
    assert_eq!(store.pending_bytes(), 0);
    assert_eq!(store.append(&[]), batch);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let refused = LogStore::open(dir.path(), StoreOptions::default()).map(|_| ());
    let text = refused.expect_err("it is locked").to_string();
    assert!(text.contains("in use by another process"), "{text}");
    store.close().expect("closes");
    drop(store);
    open(dir.path());
}

#[test]
fn a_later_version_is_refused_with_the_remedy() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    let batch = change(&*store, &queue_declared(1));
    wait(&*store, batch);
    store.close().expect("closes");
    drop(store);
    let segment = dir.path().join("log/0000000001.seg");
    let mut octets = std::fs::read(&segment).expect("the segment");
    octets[11] = 9;
    std::fs::write(&segment, octets).expect("written");
    let refused = LogStore::open(dir.path(), small_segments()).map(|_| ());
    match refused {
        Err(error @ StoreError::UnknownVersion { found: 9, .. }) => {
            assert!(error.to_string().contains("run the version of harrier"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_larger_than_a_segment_is_kept() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    for position in 1..=3 {
        let batch = publish(&*store, 1, position, &message(position, 100_000));
        wait(&*store, batch);
    }
    drop(store);
    let (_store, recovered) = open(dir.path());
    assert_eq!(positions(&recovered, 1), [1, 2, 3]);
}

#[test]
fn a_directory_can_be_looked_into_without_a_broker() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    change(&*store, &queue_declared(2));
    for position in 1..=100 {
        let batch = publish(&*store, 1, position, &message(position, 1000));
        wait(&*store, batch);
    }
    // The first stays, and its segment with it.
    for position in 2..=50 {
        settle(&*store, 1, position);
    }
    let busy = Inspection::of(dir.path()).map(|_| ());
    assert!(matches!(busy, Err(StoreError::Locked { .. })), "{busy:?}");
    store.close().expect("closes");
    drop(store);

    let before = listing(dir.path());
    let inspection = Inspection::of(dir.path()).expect("it can be read");
    assert!(!inspection.is_damaged(), "{inspection:?}");
    assert!(inspection.segments.len() > 2);
    let names: Vec<_> = inspection.queues.iter().map(|q| q.name.as_str()).collect();
    assert_eq!(names, ["queue-1", "queue-2"]);
    let queue = inspection.queue("/", "queue-1").expect("it is there");
    assert_eq!(queue.messages(), 51);
    let mut found = Vec::new();
    inspection.messages(queue, |_, stored| {
        found.push(stored.position.0);
        assert_eq!(stored.message, message(stored.position.0, 1000));
        found.len() < 40
    });
    assert_eq!(found, [1].into_iter().chain(51..=89).collect::<Vec<_>>());
    drop(inspection);
    assert_eq!(listing(dir.path()), before);

    let segment = dir.path().join("log/0000000003.seg");
    let mut octets = std::fs::read(&segment).expect("the segment");
    octets[300] ^= 4;
    std::fs::write(&segment, octets).expect("written");
    std::fs::remove_file(dir.path().join("log/0000000002.seg")).expect("removed");
    std::fs::write(dir.path().join("sled/db"), vec![7; 100_000]).expect("written");
    let before = listing(dir.path());
    let inspection = Inspection::of(dir.path()).expect("it can be read");
    assert!(inspection.is_damaged());
    assert_eq!(inspection.missing, [2]);
    assert!(inspection.database.is_some());
    let harmed = inspection.segments.iter().find(|s| s.path == segment);
    assert_eq!(harmed.expect("it is there").damaged.len(), 1);
    drop(inspection);
    assert_eq!(listing(dir.path()), before);
}

/// All files below a directory, with their contents.
fn listing(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        if entry.path().is_dir() {
            found.append(&mut listing(&entry.path()));
        } else {
            let octets = std::fs::read(entry.path()).expect("a file");
            found.push((entry.path(), octets));
        }
    }
    found.sort();
    found
}
