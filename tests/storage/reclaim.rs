//! A log that takes no more room than what is live in it, twice, and a few
//! segments: whatever stays behind in them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harrier::base::ids::{Batch, Position, QueueId};
use harrier::broker::attempts::Attempts;
use harrier::broker::store::{Record, Store};
use harrier::storage::{LogStore, StoreOptions};
use tempfile::tempdir;

use crate::disk::Disk;
use crate::support::*;

/// Segments there may be beyond twice what is live: those that may wait to be
/// emptied, the one written, the one ready, two to be used again; and, with
/// segments as small as these, some more written while one is emptied.
const SPARE: u64 = 14;

fn log_size(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join("log")).expect("a directory");
    let sizes = files.flatten().filter_map(|file| file.metadata().ok());
    sizes.map(|file| file.len()).sum()
}

/// Of each 50 messages one is never acknowledged.
#[test]
fn what_is_never_settled_does_not_keep_its_segments() {
    const SIZE: usize = 1000;
    let dir = tempdir().expect("a directory");
    let mut kept = Vec::new();
    for round in 0..4 {
        let (store, recovered) = open(dir.path());
        assert_eq!(positions(&recovered, 1), kept, "round {round}");
        if round == 0 {
            change(&*store, &queue_declared(1));
        }
        for position in round * 1000 + 1..=round * 1000 + 1000 {
            let made = message(position, SIZE);
            let mut batch = publish(&*store, 1, position, &made);
            if position % 50 == 0 {
                kept.push(position);
            } else {
                let bytes = made.stored_len() as u64;
                batch = settle_range(&*store, 1, position, position, bytes);
            }
            if position % 5 == 0 {
                wait(&*store, batch);
            }
            let allowed = 2 * kept.len() as u64 * (SIZE as u64 + 40) + SPARE * SMALL_SEGMENT;
            let size = log_size(dir.path());
            assert!(size <= allowed, "{size} of {allowed} at {position}");
        }
        if round % 2 == 0 {
            store.close().expect("closes");
        }
    }
    let (_store, recovered) = open(dir.path());
    for (position, found) in &recovered.messages[0].1 {
        assert_eq!(*found, message(position.0, SIZE));
    }
    assert_eq!(positions(&recovered, 1), kept);
}

/// Keeps everything of queue 1 in the oldest segments while much passes by.
fn push_aside(store: &LogStore, from: u64) {
    for position in from..from + 300 {
        let batch = publish(store, 2, position, &message(position, 1000));
        settle(store, 2, position);
        wait(store, batch);
    }
}

#[test]
fn what_happened_to_a_message_goes_with_it() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    change(&*store, &queue_declared(2));
    for position in 1..=6 {
        store.append(&[Record::Publish {
            queue: QueueId(1),
            position: Position(position),
            message: &message(position, 100),
            deadline: (position % 2 == 0).then_some(1_000_000 + position),
            delivered: position == 1,
        }]);
    }
    let queue = QueueId(1);
    store.append(&[Record::Deliver {
        queue,
        up_to: Position(4),
    }]);
    for returns in 1..=3 {
        let position = Position(2);
        store.append(&[Record::Return {
            queue,
            position,
            attempts: Attempts {
                returns,
                ..Attempts::default()
            },
        }]);
    }
    settle(&*store, 1, 3);
    push_aside(&store, 1);
    assert!(!dir.path().join("log/0000000001.seg").exists());
    store.close().expect("closes");
    drop(store);
    for round in 0..3 {
        let (store, recovered) = open(dir.path());
        let (_, remainder, stored) = &recovered.stored[0];
        assert_eq!(remainder.delivered, Position(4), "round {round}");
        assert_eq!(remainder.last, Position(6));
        assert_eq!((remainder.messages, remainder.first), (5, Position(1)));
        let bytes: usize = stored.iter().map(|m| m.message.stored_len()).sum();
        assert_eq!(remainder.bytes, bytes as u64);
        let told: Vec<_> = stored
            .iter()
            .map(|m| (m.position.0, m.deadline, m.attempts.returns))
            .collect();
        let expected = [
            (1, None, 0),
            (2, Some(1_000_002), 3),
            (4, Some(1_000_004), 0),
            (5, None, 0),
            (6, Some(1_000_006), 0),
        ];
        assert_eq!(told, expected, "round {round}");
        push_aside(&store, 1000 * (round + 1));
        store.close().expect("closes");
    }
}

/// A position that was settled is never given to another message.
#[test]
fn positions_go_on_where_they_were() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    publish(&*store, 1, 1, &message(1, 10));
    publish(&*store, 1, 2, &message(2, 10));
    settle_range(&*store, 1, 1, 7, 40);
    store.close().expect("closes");
    drop(store);
    let (_store, recovered) = open(dir.path());
    let (_, remainder, stored) = &recovered.stored[0];
    assert_eq!((remainder.last, remainder.messages), (Position(7), 0));
    assert!(stored.is_empty());
}

#[test]
fn a_damaged_message_does_not_keep_the_log_for_good() {
    let dir = tempdir().expect("a directory");
    let disk = Disk::new(dir.path(), 1);
    let fatal = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&fatal);
    let options = StoreOptions {
        segment_size: SMALL_SEGMENT,
        files: Arc::new(disk.clone()),
        on_fatal: Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        }),
    };
    let (store, _) = LogStore::open(dir.path(), options).expect("opens");
    change(&*store, &queue_declared(1));
    wait(&*store, change(&*store, &queue_declared(2)));
    for position in 1..=5 {
        wait(
            &*store,
            publish(&*store, 1, position, &message(position, 300)),
        );
    }
    let segment = dir.path().join("log/0000000001.seg");
    disk.tamper(&segment, |octets| octets[900] ^= 4);
    push_aside(&store, 1);
    push_aside(&store, 1000);
    assert!(!disk.names().contains(&segment), "{:?}", disk.names());
    let set_aside = disk
        .names()
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "damaged"))
        .count();
    assert_eq!(set_aside, 1);
    let left = read_back(&*store, QueueId(1), Position(1), Position(5), 1);
    assert_eq!(left.len(), 4, "{left:?}");
    assert_eq!(fatal.load(Ordering::SeqCst), 0);
}

/// Reading in pages of any size finds the same, in order.
#[test]
fn pages_leave_nothing_out() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    change(&*store, &queue_declared(2));
    let mut batch = Batch(0);
    // The places of some come only after higher ones, as reserved ones do.
    for block in 0..300_u64 {
        for step in [2, 1, 4, 3, 5] {
            let position = block * 5 + step;
            publish(&*store, 2, position, &message(position, 50));
            batch = publish(
                &*store,
                1,
                position,
                &message(position, (position % 900) as usize),
            );
        }
        if block % 7 == 0 {
            wait(&*store, batch);
        }
    }
    wait(&*store, batch);
    for position in (1..=1500).filter(|position| position % 3 == 0) {
        batch = settle(&*store, 1, position);
    }
    wait(&*store, batch);
    let expected: Vec<_> = (1..=1500).filter(|position| position % 3 != 0).collect();
    for bytes in [1, 700, 20_000, usize::MAX] {
        let found = read_back(&*store, QueueId(1), Position(1), Position(1500), bytes);
        let positions: Vec<_> = found.iter().map(|m| m.position.0).collect();
        assert_eq!(positions, expected, "{bytes} at a time");
        for m in found {
            let size = (m.position.0 % 900) as usize;
            assert_eq!(m.message, message(m.position.0, size));
        }
    }
}
