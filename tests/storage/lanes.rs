//! The messages of one priority are stored as if they were a queue of their own.

use std::path::Path;

use harrier::base::ids::{Position, QueueId};
use harrier::broker::attempts::{Attempts, ReturnCause};
use harrier::broker::store::{Record, Store};
use harrier::storage::Inspection;
use tempfile::tempdir;

use crate::support::*;

const QUEUE: QueueId = QueueId(1);

/// The lanes of the queue, and the positions of what each has.
fn lanes(found: &Found) -> Vec<(u8, Vec<u64>)> {
    let own = found.messages.iter().filter(|(id, _)| id.queue() == QUEUE);
    let positions = |messages: &[(Position, _)]| messages.iter().map(|m| m.0.0).collect();
    own.map(|(id, messages)| (id.lane(), positions(messages)))
        .collect()
}

/// Ten messages in each of three lanes, some settled.
fn fill(store: &dyn Store) {
    change(store, &queue_declared(1));
    change(store, &queue_declared(2));
    for lane in [0, 3, 31] {
        let id = QUEUE.with_lane(lane).0;
        for position in 1..=10 {
            publish(store, id, position, &message(position, 100));
        }
        settle(store, id, u64::from(lane) % 7 + 1);
    }
    let attempts = Attempts {
        returns: 3,
        failures: 2,
        cause: Some(ReturnCause::Rejected),
    };
    let position = Position(9);
    let queue = QUEUE.with_lane(31);
    wait(
        store,
        store.append(&[Record::Return {
            queue,
            position,
            attempts,
        }]),
    );
}

fn filled() -> Vec<(u8, Vec<u64>)> {
    let without = |gone| (1..=10).filter(|position| *position != gone).collect();
    vec![(0, without(1)), (3, without(4)), (31, without(4))]
}

fn check(found: &Found) {
    assert_eq!(lanes(found), filled());
    let (_, _, stored) = found
        .stored
        .iter()
        .find(|(id, ..)| id.lane() == 31)
        .expect("the lane");
    let returned = stored.iter().find(|m| m.position == Position(9));
    let attempts = returned.expect("the message").attempts;
    assert_eq!((attempts.returns, attempts.failures), (3, 2));
    assert_eq!(attempts.cause, Some(ReturnCause::Rejected));
    assert_eq!(found.last_queue_id, QueueId(2), "lanes don't count");
}

fn reopen_without_database(dir: &Path) -> Found {
    std::fs::remove_dir_all(dir.join("sled")).expect("the database");
    open(dir).1
}

#[test]
fn lanes_come_back_each_with_its_own() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    fill(&*store);
    store.close().expect("closes");
    drop(store);
    check(&open(dir.path()).1);
    check(&reopen_without_database(dir.path()));
}

#[test]
fn lanes_are_found_after_their_segments_are_summarized_and_emptied() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    fill(&*store);
    // What comes and goes makes the log long enough to be compacted.
    let mut last = None;
    for position in 1..=3000 {
        let octets = message(position, 400);
        publish(&*store, 2, position, &octets);
        let settled = settle_range(&*store, 2, position, position, octets.stored_len() as u64);
        last = Some(settled);
        if position % 20 == 0 {
            wait(&*store, settled);
        }
    }
    wait(&*store, last.expect("a batch"));
    store.close().expect("closes");
    drop(store);
    assert!(!dir.path().join("log/0000000001.seg").exists());
    check(&open(dir.path()).1);
}

#[test]
fn all_lanes_go_with_their_queue() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    fill(&*store);
    wait(&*store, change(&*store, &queue_deleted(1)));
    store.close().expect("closes");
    drop(store);
    assert_eq!(lanes(&open(dir.path()).1), []);
    assert_eq!(lanes(&reopen_without_database(dir.path())), []);
}

#[test]
fn an_inspection_counts_all_lanes() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    fill(&*store);
    store.close().expect("closes");
    drop(store);
    let inspection = Inspection::of(dir.path()).expect("it can be read");
    let queue = inspection.queue("/", "queue-1").expect("the queue");
    assert_eq!(queue.messages(), 27);
    let mut seen = 0;
    inspection.messages(queue, |_, _| {
        seen += 1;
        true
    });
    assert_eq!(seen, 27);
}
