//! A process that is killed while it works.
//!
//! The test starts itself again as a child that appends to a store and says on
//! its standard output what is synced; kills it; and reads back what it left.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

use harrier::broker::store::Store;
use harrier::storage::StoreOptions;

use crate::support::*;

const CHILD_DIR: &str = "HARRIER_TEST_KILLED_CHILD_DIR";
const ROUNDS: u64 = 12;
/// How far behind the newest message the child settles.
const KEPT: u64 = 50;

/// Does nothing, unless the test below started it.
#[test]
fn the_child_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else {
        return;
    };
    let options = StoreOptions {
        segment_size: 256 * 1024,
        ..StoreOptions::default()
    };
    let (store, recovered) =
        harrier::storage::LogStore::open(dir.as_ref(), options).expect("the store opens");
    change(&*store, &queue_declared(1));
    let found = positions(&read_all(&*store, recovered), 1);
    let mut position = found.last().copied().unwrap_or_default();
    // What the one before had no time to settle.
    for old in found.into_iter().filter(|old| old + KEPT <= position) {
        settle(&*store, 1, old);
    }
    let mut said = std::io::stdout().lock();
    loop {
        let mut last = store.synced();
        for _ in 0..37 {
            position += 1;
            last = publish(&*store, 1, position, &message(position, 500));
            if position > KEPT {
                settle(&*store, 1, position - KEPT);
            }
        }
        wait(&*store, last);
        writeln!(said, "synced {position}").expect("the parent listens");
    }
}

#[test]
fn what_a_killed_process_synced_is_there() {
    let dir = tempdir().expect("a directory");
    let mut rng = SmallRng::seed_from_u64(7);
    for round in 0..ROUNDS {
        let synced = run_and_kill(dir.path(), Duration::from_millis(rng.random_range(20..250)));
        let (store, recovered) = open(dir.path());
        let found = positions(&recovered, 1);
        store.close().expect("closes");
        let (Some(&first), Some(&last)) = (found.first(), found.last()) else {
            assert_eq!(synced, None, "round {round}");
            continue;
        };
        assert!(last >= synced.unwrap_or_default(), "round {round}: {last}");
        assert_eq!(found, (first..=last).collect::<Vec<_>>(), "round {round}");
        if let Some(synced) = synced.filter(|synced| *synced > KEPT) {
            // The last settle of what was synced may be in the batch after it.
            assert!(first >= synced - KEPT, "round {round}: {first}, {synced}");
        }
        for (_, messages) in &recovered.messages {
            for (position, found) in messages {
                assert_eq!(*found, message(position.0, 500));
            }
        }
    }
}

/// The last position that the child said is synced.
fn run_and_kill(dir: &std::path::Path, after: Duration) -> Option<u64> {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this)
        .args(["kill::the_child_that_is_killed", "--exact", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = child.stdout.take().expect("it is piped");
    let (sender, said) = std::sync::mpsc::channel();
    let listener = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let synced = line
                .rsplit_once("synced ")
                .map(|(_, number)| number.to_owned());
            if let Some(number) = synced.and_then(|number| number.parse().ok()) {
                sender.send(number).ok();
            }
        }
    });
    // At a random moment, counted from its first word.
    let first = said.recv_timeout(Duration::from_secs(30)).ok();
    let deadline = std::time::Instant::now() + after;
    let mut last = first;
    while let Some(left) = deadline.checked_duration_since(std::time::Instant::now()) {
        last = said.recv_timeout(left).ok().or(last);
    }
    child.kill().expect("it is killed");
    child.wait().expect("it is gone");
    listener.join().expect("the listener ends");
    said.try_iter().last().or(last)
}
