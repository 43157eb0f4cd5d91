//! Broken, full and damaged disks; logs that were cut off.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harrier::base::ids::Batch;
use harrier::broker::store::Store;
use harrier::storage::{LogStore, StoreOptions};
use tempfile::{TempDir, tempdir};

use crate::disk::{Disk, Plan};
use crate::support::*;

const SOON: Duration = Duration::from_millis(200);

/// A store on a simulated disk that counts its fatal errors.
struct Bench {
    dir: TempDir,
    disk: Disk,
    fatal: Arc<AtomicUsize>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempdir().expect("a directory");
        let disk = Disk::new(dir.path(), 1);
        Self {
            dir,
            disk,
            fatal: Arc::default(),
        }
    }

    fn open(&self) -> (Arc<LogStore>, Found) {
        let fatal = Arc::clone(&self.fatal);
        let options = StoreOptions {
            segment_size: SMALL_SEGMENT,
            files: Arc::new(self.disk.clone()),
            on_fatal: Arc::new(move |_| {
                fatal.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let opened = LogStore::open(self.dir.path(), options);
        let (store, recovered) = opened.expect("the store opens");
        let found = read_all(&*store, recovered);
        (store, found)
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.dir.path().join(format!("log/{number:010}.seg"))
    }

    fn set_aside(&self) -> Vec<PathBuf> {
        let mut names = self.disk.names();
        names.retain(|path| path.extension().is_some_and(|e| e == "damaged"));
        names
    }
}

/// A queue with messages at positions 1 to `count`, each in its own frame.
fn fill(store: &LogStore, count: u64) {
    wait(store, change(store, &queue_declared(1)));
    for position in 1..=count {
        wait(store, publish(store, 1, position, &message(position, 100)));
    }
}

fn is_never_synced(bench: &Bench, store: &LogStore, batch: Batch) {
    assert!(!synced_within(store, batch, SOON), "reported as synced");
    assert_eq!(bench.fatal.load(Ordering::SeqCst), 1);
    // Nor is anything that comes later.
    let later = publish(store, 1, 1000, &message(1000, 10));
    assert!(!synced_within(store, later, SOON), "reported as synced");
    assert_eq!(bench.fatal.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failed_write_is_fatal_and_confirms_nothing() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 3);
    bench.disk.plan(Plan {
        fail_write: true,
        ..Plan::default()
    });
    let batch = publish(&*store, 1, 4, &message(4, 100));
    is_never_synced(&bench, &store, batch);
    drop(store);
    let (_store, recovered) = bench.open();
    assert_eq!(positions(&recovered, 1), [1, 2, 3]);
}

#[test]
fn a_failed_sync_is_fatal_and_confirms_nothing() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 3);
    bench.disk.plan(Plan {
        fail_sync: true,
        ..Plan::default()
    });
    let batch = publish(&*store, 1, 4, &message(4, 100));
    is_never_synced(&bench, &store, batch);
}

#[test]
fn a_full_disk_is_waited_for() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 3);
    bench.disk.plan(Plan {
        capacity: Some(SMALL_SEGMENT * 3),
        ..Plan::default()
    });
    let mut batch = Batch(0);
    for position in 4..=200 {
        batch = publish(&*store, 1, position, &message(position, 1000));
    }
    assert!(!synced_within(&*store, batch, SOON), "reported as synced");
    assert!(store.is_disk_full());
    bench.disk.plan(Plan::default());
    wait(&*store, batch);
    assert!(!store.is_disk_full());
    assert_eq!(bench.fatal.load(Ordering::SeqCst), 0);
    drop(store);
    let (_store, recovered) = bench.open();
    assert_eq!(positions(&recovered, 1), (1..=200).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_does_not_keep_a_store_from_closing() {
    for capacity in [SMALL_SEGMENT, SMALL_SEGMENT * 3] {
        let bench = Bench::new();
        let (store, _) = bench.open();
        fill(&store, 3);
        bench.disk.plan(Plan {
            capacity: Some(capacity),
            ..Plan::default()
        });
        let mut batch = Batch(0);
        for position in 4..=200 {
            batch = publish(&*store, 1, position, &message(position, 1000));
        }
        assert!(!synced_within(&*store, batch, SOON), "reported as synced");
        store.close().expect("closes");
        let synced = store.synced();
        assert!(synced < batch);
        drop(store);
        bench.disk.plan(Plan::default());
        let (_store, recovered) = bench.open();
        let found = positions(&recovered, 1);
        assert!(found.starts_with(&[1, 2, 3]), "{found:?}");
    }
}

/// The last frame is cut off after each of its octets, and once not at all.
#[test]
fn a_frame_that_was_cut_off_is_dropped_whole() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 3);
    let segment = bench.segment(1);
    let before = end_of_frames(&bench.disk.content(&segment));
    wait(&*store, publish(&*store, 1, 4, &message(4, 30)));
    let whole = bench.disk.content(&segment);
    drop(store);
    let end = end_of_frames(&whole);
    for cut in before..=end {
        let dir = tempdir().expect("a directory");
        let log = dir.path().join("log");
        std::fs::create_dir(&log).expect("a directory");
        let mut torn = whole[..cut].to_vec();
        torn.resize(whole.len(), 0);
        std::fs::write(log.join("0000000001.seg"), torn).expect("written");
        for _ in 0..2 {
            let (_store, recovered) = open(dir.path());
            let expected = if cut < end {
                &[1, 2, 3][..]
            } else {
                &[1, 2, 3, 4]
            };
            assert_eq!(positions(&recovered, 1), expected, "cut at {cut} of {end}");
        }
        let names = std::fs::read_dir(&log).expect("a directory").flatten();
        let damaged = names.filter(|name| name.path().extension().is_some_and(|e| e == "damaged"));
        assert_eq!(damaged.count(), 0);
    }
}

/// The place behind the last octet that isn't zero.
fn end_of_frames(octets: &[u8]) -> usize {
    octets
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |at| at + 1)
}

/// With and without the summaries that the database has.
#[test]
fn a_damaged_frame_in_the_middle_is_set_aside_and_the_rest_is_read() {
    for summaries in [true, false] {
        let bench = Bench::new();
        let (store, _) = bench.open();
        fill(&store, 20);
        drop(store);
        if !summaries {
            std::fs::remove_dir_all(bench.dir.path().join("sled")).expect("removed");
        }
        bench
            .disk
            .tamper(&bench.segment(1), |octets| octets[1000] ^= 4);
        for _ in 0..2 {
            let (_store, recovered) = bench.open();
            let found = positions(&recovered, 1);
            assert_eq!(found.len(), 19, "one frame, one message: {found:?}");
            assert_eq!(bench.set_aside().len(), 1);
        }
    }
}

#[test]
fn a_damaged_header_costs_nothing_behind_it() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 5);
    drop(store);
    bench
        .disk
        .tamper(&bench.segment(1), |octets| octets[18] ^= 4);
    let (_store, recovered) = bench.open();
    assert_eq!(positions(&recovered, 1), [1, 2, 3, 4, 5]);
    assert_eq!(bench.set_aside().len(), 1);
}

fn segments(bench: &Bench) -> usize {
    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|e| e == "seg");
    bench.disk.names().iter().filter(is_segment).count()
}

#[test]
fn a_log_that_is_settled_does_not_grow() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 0);
    for position in 1..=2000 {
        publish(&*store, 1, position, &message(position, 1000));
        let batch = settle(&*store, 1, position);
        if position % 10 == 0 {
            wait(&*store, batch);
        }
        let names = bench.disk.names().len();
        assert!(names <= 12, "{names} files at {position}");
    }
}

#[test]
fn a_missing_segment_costs_only_what_it_held() {
    let bench = Bench::new();
    let (store, _) = bench.open();
    fill(&store, 300);
    drop(store);
    let all = segments(&bench);
    assert!(all >= 3);
    harrier::storage::Files::remove(&bench.disk, &bench.segment(2)).expect("removed");
    let (_store, recovered) = bench.open();
    let found = positions(&recovered, 1).len();
    assert!(found > 100 && found < 300, "{found}");
}

#[test]
fn a_lost_or_damaged_database_is_made_again_from_the_log() {
    let dir = tempdir().expect("a directory");
    let database = dir.path().join("sled/db");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    change(&*store, &queue_declared(2));
    change(&*store, &bound(binding("orders", 1, "a")));
    change(&*store, &queue_deleted(2));
    publish(&*store, 1, 1, &message(1, 10));
    // The segments that have the declarations go.
    settle(&*store, 1, 1);
    for position in 2..=100 {
        publish(&*store, 1, position, &message(position, 1000));
        wait(&*store, settle(&*store, 1, position - 1));
    }
    store.close().expect("closes");
    drop(store);
    assert!(!dir.path().join("log/0000000001.seg").exists());
    let harms: [&dyn Fn(); 3] = [
        &|| std::fs::remove_dir_all(dir.path().join("sled")).expect("removed"),
        &|| std::fs::write(&database, vec![7; 100_000]).expect("written"),
        &|| std::fs::write(dir.path().join("sled/conf"), b"nonsense").expect("written"),
    ];
    for harm in harms {
        harm();
        let (_store, recovered) = open(dir.path());
        let expected = [queue_declared(1), bound(binding("orders", 1, "a"))];
        assert_eq!(recovered.changes, expected);
        assert_eq!(positions(&recovered, 1), [100]);
    }
}

#[test]
fn ten_thousand_queues_come_back() {
    let dir = tempdir().expect("a directory");
    let (store, _) = LogStore::open(dir.path(), StoreOptions::default()).expect("opens");
    let mut batch = Batch(0);
    for id in 1..=10_000 {
        batch = change(&*store, &queue_declared(id));
    }
    wait(&*store, batch);
    store.close().expect("closes");
    drop(store);
    let (_store, recovered) = open(dir.path());
    assert_eq!(recovered.changes.len(), 10_000);
    assert_eq!(recovered.last_queue_id.0, 10_000);
}

#[test]
fn a_torn_snapshot_of_the_database_is_no_obstacle() {
    let dir = tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    change(&*store, &queue_declared(1));
    store.close().expect("closes");
    drop(store);
    let torn: &Path = &dir.path().join("sled/snap.0000000000001234.generating");
    std::fs::write(torn, b"torn").expect("written");
    let (_store, recovered) = open(dir.path());
    assert_eq!(recovered.changes, [queue_declared(1)]);
}
