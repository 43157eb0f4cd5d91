//! What the durable store costs, beside a bare program that appends and syncs
//! the same octets in the same batches on the same disk.
//!
//! `cargo bench --bench store -- [DIR]`: CPU is that of all threads of the
//! process, the message's own making left out.
#![expect(clippy::expect_used, reason = "a measurement ends where it fails")]

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use harrier::base::clock::Now;
use harrier::base::ids::{Batch, Position, QueueId};
use harrier::base::limits::SEGMENT_SIZE;
use harrier::broker::change::Change;
use harrier::broker::message::{Content, Message};
use harrier::broker::spec::QueueSpec;
use harrier::broker::store::{Load, Page, Receiver, Record, Store};
use harrier::storage::{LogStore, StoreOptions};
use harrier::wire::{Body, FieldTable};

/// Messages appended before the ones before them have to be on disk.
const BATCH: u64 = 2000;
const ROUNDS: usize = 3;
const QUEUE: QueueId = QueueId(1);

fn main() {
    let mut arguments = std::env::args().skip(1);
    // Without it this is a test run, which has nothing to find out here.
    if !arguments.any(|argument| argument == "--bench") {
        return;
    }
    let dir = tempfile::tempdir_in(arguments.next().unwrap_or_else(|| ".".into()));
    let dir = dir.expect("a directory");
    for (size, messages) in [(100, 1_000_000), (1024, 300_000)] {
        for round in 0..ROUNDS {
            let bare = bare(&dir.path().join("bare"), size, messages);
            report(&format!("bare {size} B, round {round}"), messages, &bare);
            for acked in [false, true] {
                let at = dir.path().join("store");
                let used = store(&at, size, messages, acked);
                let what = if acked { "publish+settle" } else { "publish" };
                report(&format!("{what} {size} B, round {round}"), messages, &used);
                fs::remove_dir_all(&at).expect("removed");
            }
        }
    }
    synchronous(&dir.path().join("one"));
    sparse(&dir.path().join("sparse"));
    recovery(&dir.path().join("recovery"));
    topology(&dir.path().join("topology"));
}

struct Used {
    cpu: Duration,
    wall: Duration,
    octets: u64,
}

fn measure(work: impl FnOnce() -> u64) -> Used {
    let (cpu, started) = (cpu(), Instant::now());
    let octets = work();
    Used {
        cpu: self::cpu() - cpu,
        wall: started.elapsed(),
        octets,
    }
}

fn report(what: &str, messages: u64, used: &Used) {
    let each = used.cpu.as_secs_f64() * 1e6 / messages as f64;
    let rate = used.octets as f64 / 1e6 / used.wall.as_secs_f64();
    let per_second = messages as f64 / used.wall.as_secs_f64();
    println!("{what:32} {each:7.3} us CPU/message {rate:8.1} MB/s {per_second:10.0} messages/s");
}

/// CPU time of all threads of this process.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("the threads");
    let of = |path: &Path| {
        let stat = fs::read_to_string(path).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    let paths = tasks.flatten().map(|task| task.path().join("schedstat"));
    Duration::from_nanos(paths.filter_map(|path| of(&path)).sum())
}

/// Appends and syncs, over and over the same zero-filled file.
fn bare(path: &Path, size: usize, messages: u64) -> Used {
    let file = fs::File::create(path).expect("a file");
    file.write_all_at(&vec![0; SEGMENT_SIZE as usize], 0)
        .expect("filled");
    file.sync_all().expect("synced");
    let made = message(1, size);
    let mut buffer = Vec::new();
    let used = measure(|| {
        let mut offset = 0;
        for _ in 0..messages / BATCH {
            buffer.clear();
            for _ in 0..BATCH {
                buffer.extend_from_slice(black_box(made.record()));
            }
            if offset + buffer.len() as u64 > SEGMENT_SIZE {
                offset = 0;
            }
            file.write_all_at(&buffer, offset).expect("written");
            file.sync_data().expect("synced");
            offset += buffer.len() as u64;
        }
        messages * made.record().len() as u64
    });
    fs::remove_file(path).expect("removed");
    used
}

fn store(dir: &Path, size: usize, messages: u64, acked: bool) -> Used {
    let (store, _) = LogStore::open(dir, StoreOptions::default()).expect("opens");
    let made = message(1, size);
    declare(&store);
    let used = measure(|| {
        let mut before = Batch(0);
        for batch in 0..messages / BATCH {
            let mut last = Batch(0);
            for position in batch * BATCH + 1..=(batch + 1) * BATCH {
                last = publish(&*store, position, &made);
                if acked && position > BATCH {
                    settle(&*store, position - BATCH, &made);
                }
            }
            wait(&*store, before);
            before = last;
        }
        wait(&*store, before);
        messages * made.record().len() as u64
    });
    store.close().expect("closes");
    used
}

/// One message, its confirm, the next message.
fn synchronous(dir: &Path) {
    let (store, _) = LogStore::open(dir, StoreOptions::default()).expect("opens");
    let made = message(1, 1024);
    declare(&store);
    let used = measure(|| {
        for position in 1..=1000 {
            let batch = publish(&*store, position, &made);
            wait(&*store, batch);
        }
        1000 * made.record().len() as u64
    });
    report("one at a time, 1024 B", 1000, &used);
    store.close().expect("closes");
}

/// One message in 1000 is never settled: what the log takes, at most, besides
/// twice what is live.
fn sparse(dir: &Path) {
    for (size, messages) in [(100, 10_000_000), (1024, 2_000_000)] {
        let (store, _) = LogStore::open(dir, StoreOptions::default()).expect("opens");
        declare(&store);
        let made = message(1, size);
        let bytes = made.stored_len() as u64;
        let (mut batch, mut beyond, mut largest) = (Batch(0), 0, 0);
        let used = measure(|| {
            for position in 1..=messages {
                batch = publish(&*store, position, &made);
                if position % 1000 > 0 {
                    settle(&*store, position, &made);
                }
                if position % BATCH == 0 {
                    wait(&*store, batch);
                }
                if position % 100_000 == 0 {
                    let log = log_size(dir);
                    largest = largest.max(log);
                    beyond = beyond.max(log.saturating_sub(2 * bytes * (position / 1000)));
                }
            }
            messages * bytes
        });
        report(&format!("1 of 1000 stays, {size} B"), messages, &used);
        println!(
            "  the log took {} MiB at most, {} MiB beyond twice the {} MiB that stayed",
            largest >> 20,
            beyond >> 20,
            (bytes * messages / 1000) >> 20,
        );
        store.close().expect("closes");
        drop(store);
        fs::remove_dir_all(dir).expect("removed");
    }
}

fn log_size(dir: &Path) -> u64 {
    let files = fs::read_dir(dir.join("log")).expect("a directory");
    let sizes = files.flatten().filter_map(|file| file.metadata().ok());
    sizes.map(|file| file.len()).sum()
}

/// How long it takes until a backlog's first message is read, with what the
/// database has noted and without; and how fast all of it is.
fn recovery(dir: &Path) {
    for (messages, size) in [
        (100_000, 100),
        (1_000_000, 100),
        (10_000_000, 100),
        (100_000, 1024),
    ] {
        let (store, _) = LogStore::open(dir, StoreOptions::default()).expect("opens");
        declare(&store);
        let made = message(1, size);
        let mut batch = Batch(0);
        for position in 1..=messages {
            batch = publish(&*store, position, &made);
            if position % 100_000 == 0 {
                wait(&*store, batch);
            }
        }
        wait(&*store, batch);
        store.close().expect("closes");
        drop(store);
        for noted in [true, false] {
            if !noted {
                fs::remove_dir_all(dir.join("sled")).expect("removed");
            }
            restart(dir, messages, size, noted);
        }
        fs::remove_dir_all(dir).expect("removed");
    }
}

fn restart(dir: &Path, messages: u64, size: usize, noted: bool) {
    let started = Instant::now();
    let (store, recovered) = LogStore::open(dir, StoreOptions::default()).expect("opens");
    let found: u64 = recovered.queues.iter().map(|queue| queue.1.messages).sum();
    let opened = started.elapsed();
    read_back(&*store, 1, 1, 1);
    let first = started.elapsed();
    let memory = resident();
    let used = measure(|| {
        let mut from = 1;
        while from <= messages {
            from = read_back(&*store, from, messages, 512 * 1024) + 1;
        }
        messages * size as u64
    });
    let how = if noted { "" } else { ", without the database" };
    println!(
        "{found} x {size} B{how}: opened in {:.0} ms, first message after {:.0} ms, resident {memory}",
        opened.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e3,
    );
    report("reading all back", messages, &used);
}

/// Reads messages back; returns the last place that is dealt with.
fn read_back(store: &dyn Store, from: u64, to: u64, bytes: usize) -> u64 {
    let (sender, pages) = sync_channel(1);
    store.load(Load {
        queue: QUEUE,
        from: Position(from),
        to: Position(to),
        bytes,
        batch: Batch(0),
        receiver: Arc::new(Pages(sender)),
    });
    let page = pages.recv().expect("a page");
    assert!(!page.messages.is_empty(), "nothing is left from {from} on");
    page.through.0
}

#[derive(Debug)]
struct Pages(SyncSender<Page>);

impl Receiver for Pages {
    fn receive(self: Arc<Self>, page: Page, _: Now) {
        self.0.send(page).expect("somebody waits");
    }
}

/// Queues declared one after the other, each waited for.
fn topology(dir: &Path) {
    const QUEUES: u64 = 10_000;
    let (store, _) = LogStore::open(dir, StoreOptions::default()).expect("opens");
    println!("resident after opening: {}", resident());
    let used = measure(|| {
        for id in 1..=QUEUES {
            wait(&*store, append_queue(&store, id));
        }
        QUEUES * 32
    });
    report("a durable queue, one at a time", QUEUES, &used);
    println!("resident after {QUEUES} queues: {}", resident());
    store.close().expect("closes");
    drop(store);
    let started = Instant::now();
    let opened = LogStore::open(dir, StoreOptions::default()).expect("opens");
    println!(
        "recovery of {} changes: {:.0} ms",
        opened.1.changes.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.unwrap_or_default().replace("VmRSS:", "").trim().into()
}

fn declare(store: &LogStore) {
    wait(store, append_queue(store, QUEUE.0));
}

fn append_queue(store: &LogStore, id: u64) -> Batch {
    let change = Change::QueueDeclared {
        vhost: "/".into(),
        id: QueueId(id),
        spec: QueueSpec {
            name: format!("bench-{id}").into(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: FieldTable::new(),
        },
    };
    store.append(&[Record::Topology(&change)])
}

fn message(fill: u8, size: usize) -> Message {
    Message::new(&Content {
        exchange: b"",
        routing_key: b"bench",
        properties: &[0x10, 0, 2],
        persistent: true,
        dead_lettered: false,
        failed: false,
        blind_copies: &[],
        body: Body::Borrowed(&vec![fill; size]),
    })
}

fn publish(store: &dyn Store, position: u64, message: &Message) -> Batch {
    store.append(&[Record::Publish {
        queue: QUEUE,
        position: Position(position),
        message,
        deadline: None,
        delivered: false,
    }])
}

fn settle(store: &dyn Store, position: u64, message: &Message) -> Batch {
    store.append(&[Record::settled(QUEUE, Position(position), message)])
}

struct Bell(SyncSender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A bell that rang already need not ring again.
        self.0.try_send(()).ok();
    }
}

fn wait(store: &dyn Store, batch: Batch) {
    if store.synced() >= batch {
        return;
    }
    let (sender, rung) = sync_channel(1);
    store.wake_when_synced(batch, &Waker::from(Arc::new(Bell(sender))));
    rung.recv().expect("woken");
}
