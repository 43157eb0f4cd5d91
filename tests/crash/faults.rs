//! Disks that fail, and files that aren't what they were: the broker starts,
//! says what is lost, and serves the rest.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use crate::broker::{Broker, PATIENCE};
use crate::check::check;
use crate::client::{Client, PERSISTENT, Said, ack};
use crate::message::Id;

/// The exit code of a process whose disk failed, `EX_IOERR`.
const EXIT_DISK_FAILED: i32 = 74;
/// `connection.unblocked`.
const UNBLOCKED: (u16, u16) = (10, 61);
/// Octets of a body, so that a few make several segments of the log.
const LARGE: usize = 1 << 20;
/// The same for segments that are as small as they may be.
const MEDIUM: usize = 5000;
/// Octets of a body of which many go to a segment.
const SMALL: usize = 500;
/// Has the broker make segments as small as they may be.
const SEGMENTS: [&str; 2] = ["--log-segment-size", "65536"];

fn id(seq: u32) -> Id {
    Id { publisher: 1, seq }
}

/// Publishes messages one by one, each in a frame of its own, by their turn to
/// one of two queues.
fn fill(broker: &Broker, numbers: std::ops::RangeInclusive<u32>, len: usize) {
    let mut client = broker.client();
    for queue in ["even", "odd"] {
        client.declare_durable(queue, Default::default());
    }
    client.confirm_select(1);
    for number in numbers {
        let queue = if number % 2 == 0 { "even" } else { "odd" };
        client.publish(1, ("", queue), PERSISTENT, &id(number).body(len));
        client.confirmed(number.into());
    }
    client.close();
}

/// The numbers of everything in a queue.
fn contents(broker: &Broker, queue: &str) -> Vec<u32> {
    let mut client = broker.client();
    let mut found = Vec::new();
    while let Some((_, _, message)) = client.get(queue) {
        let id = Id::of(&message.body);
        found.push(id.expect("a body that has changed").seq);
    }
    client.close();
    found
}

/// Everything up to `last` is there, in order, but what is `lost`.
#[track_caller]
fn holds_all_but(broker: &Broker, lost: &[u32], last: u32, what: &str) {
    for (queue, first) in [("odd", 1), ("even", 2)] {
        let expected: Vec<u32> = (first..=last)
            .step_by(2)
            .filter(|number| !lost.contains(number))
            .collect();
        assert_eq!(contents(broker, queue), expected, "{what}");
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(directory.join("log")).unwrap();
    let paths = names.map(|name| name.unwrap().path());
    let mut segments: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    segments.sort();
    segments
}

/// The segment that has a message, and where in it its body starts.
fn find(directory: &Path, number: u32, len: usize) -> (PathBuf, usize) {
    let body = id(number).body(len);
    let found = segments(directory).into_iter().find_map(|path| {
        let octets = fs::read(&path).unwrap();
        let at = offset_of(&octets, &body)?;
        Some((path, at))
    });
    found.expect("the message is in the log")
}

fn offset_of(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    (0..octets.len().saturating_sub(wanted.len())).find(|at| octets[*at..].starts_with(wanted))
}

/// How the broker that had the directory ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Stopped,
}

fn end(mut broker: Broker, end: End) {
    match end {
        End::Killed => broker.kill(),
        End::Stopped => {
            broker.terminate();
            assert!(broker.exit().success());
        }
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_flipped_bit_costs_a_frame_and_is_reported() {
    for how in [End::Killed, End::Stopped] {
        let directory = tempfile::tempdir().unwrap();
        let broker = Broker::on(directory.path(), &[]);
        fill(&broker, 1..=40, SMALL);
        end(broker, how);
        let (segment, at) = find(directory.path(), 20, SMALL);
        let mut octets = fs::read(&segment).unwrap();
        octets[at + 100] ^= 0x10;
        fs::write(&segment, octets).unwrap();
        let mut broker = Broker::on(directory.path(), &[]);
        holds_all_but(&broker, &[20], 40, &format!("{how:?}"));
        broker.logs(&["ERROR", "the log is damaged", name(&segment)]);
    }
}

/// The numbers that aren't there any more, which are those of a part of the log;
/// the log says how many of which queue.
#[track_caller]
fn lost_and_reported(broker: &mut Broker, last: u32, segment: &Path) -> Vec<u32> {
    let mut left = contents(broker, "even");
    left.extend(contents(broker, "odd"));
    let lost: Vec<u32> = (1..=last).filter(|n| !left.contains(n)).collect();
    assert_eq!(
        lost,
        (lost[0]..lost[0] + lost.len() as u32).collect::<Vec<_>>()
    );
    for (queue, remainder) in [("even", 0), ("odd", 1)] {
        let of_queue = lost.iter().filter(|n| *n % 2 == remainder).count();
        let (queue, count) = (
            format!("queue=\"{queue}\""),
            format!("messages={of_queue} "),
        );
        broker.logs(&["ERROR", "are lost", &queue, &count, name(segment)]);
    }
    lost
}

#[test]
fn a_truncated_segment_costs_what_was_behind_and_is_reported() {
    for how in [End::Killed, End::Stopped] {
        let directory = tempfile::tempdir().unwrap();
        let broker = Broker::on(directory.path(), &SEGMENTS);
        fill(&broker, 1..=80, MEDIUM);
        end(broker, how);
        let (segment, at) = find(directory.path(), 30, MEDIUM);
        let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
        file.set_len(at as u64).unwrap();
        let mut broker = Broker::on(directory.path(), &SEGMENTS);
        broker.logs(&["ERROR", "the end of a segment is missing", name(&segment)]);
        let lost = lost_and_reported(&mut broker, 80, &segment);
        assert!(lost[0] == 30 && lost.len() < 20, "{how:?}: {lost:?}");
    }
}

/// Nothing tells this from a crash while it was written.
#[test]
fn a_truncated_last_segment_is_cut_where_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    fill(&broker, 1..=40, SMALL);
    end(broker, End::Killed);
    let (segment, at) = find(directory.path(), 30, SMALL);
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(at as u64).unwrap();
    let mut broker = Broker::on(directory.path(), &[]);
    holds_all_but(&broker, &[], 29, "killed");
    broker.logs(&["WARN", "a frame that was cut off", name(&segment)]);
}

/// The next segment is made before this one is full.
#[test]
fn a_frame_cut_off_ahead_of_a_segment_made_ready_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &SEGMENTS);
    fill(&broker, 1..=8, MEDIUM);
    let deadline = Instant::now() + PATIENCE;
    while segments(directory.path()).len() < 2 {
        assert!(Instant::now() < deadline, "no second segment");
        std::thread::yield_now();
    }
    end(broker, End::Killed);
    let (segment, at) = find(directory.path(), 8, MEDIUM);
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(at as u64).unwrap();
    let checked = check(directory.path());
    assert!(!checked.damaged, "{}", checked.complaint);
    assert!(checked.report["segments"][0]["torn_at"].is_u64());
    let mut broker = Broker::on(directory.path(), &SEGMENTS);
    holds_all_but(&broker, &[], 7, "killed");
    broker.logs(&["WARN", "a frame that was cut off", name(&segment)]);
}

#[test]
fn a_missing_segment_costs_what_it_held_and_is_reported() {
    for how in [End::Killed, End::Stopped] {
        let directory = tempfile::tempdir().unwrap();
        let broker = Broker::on(directory.path(), &SEGMENTS);
        fill(&broker, 1..=80, MEDIUM);
        end(broker, how);
        let segment = segments(directory.path())[1].clone();
        fs::remove_file(&segment).unwrap();
        let mut broker = Broker::on(directory.path(), &SEGMENTS);
        broker.logs(&["ERROR", "segments of the log are missing", "missing=1"]);
        let lost = lost_and_reported(&mut broker, 80, &segment);
        assert!(
            lost[0] > 5 && (5..20).contains(&lost.len()),
            "{how:?}: {lost:?}"
        );
    }
}

#[test]
fn a_database_that_is_damaged_or_gone_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::on(directory.path(), &[]);
    fill(&broker, 1..=40, SMALL);
    end(broker, End::Stopped);
    let sled = directory.path().join("sled");
    let harms: [&dyn Fn(); 3] = [
        &|| fs::write(sled.join("db"), vec![7; 100_000]).unwrap(),
        &|| fs::write(sled.join("conf"), b"nonsense").unwrap(),
        &|| fs::remove_dir_all(&sled).unwrap(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        harm();
        let broker = Broker::on(directory.path(), &[]);
        holds_all_but(&broker, &[], 40, &format!("{number}"));
        end(broker, End::Killed);
    }
}

/// A file system of its own that is as large as it says; unmounted at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, and a word about it, where nothing may be mounted.
    fn mount(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        // Past the capture of a test's output: nobody reads that of one that passes.
        let word = b"skipped: no file system may be mounted here\n";
        std::io::stderr().write_all(word).unwrap();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Busy until the broker is gone, which a panic may leave behind.
        let _left = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A publisher with some messages on the way, until it is told to stop and all
/// of them are confirmed; returns how many it sent.
fn publish_until(mut client: Client, stop: &AtomicBool) -> u32 {
    let (mut sent, mut confirmed) = (0, 0);
    loop {
        while sent < confirmed + 20 && !stop.load(Ordering::Relaxed) {
            sent += 1;
            let body = id(sent as u32).body(LARGE / 8);
            client.put_publish(1, ("", "even"), PERSISTENT, &body);
        }
        client.flush();
        if confirmed == sent {
            return sent as u32;
        }
        match client.said() {
            Said::Ack { tag, .. } => confirmed = tag,
            Said::Blocked(_) | Said::Other(0, UNBLOCKED) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A broker on a disk that gets full: one publisher goes on until it is, and a
/// second hears that it is blocked. Then `make_room`; in the end everything was
/// confirmed, and how much it was is returned.
fn fill_the_disk(broker: &mut Broker, make_room: impl FnOnce(&Broker)) -> u32 {
    let mut client = broker.client();
    client.declare_durable("even", Default::default());
    client.declare_durable("other", Default::default());
    client.confirm_select(1);
    let mut other = broker.client();
    other.confirm_select(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let publisher = std::thread::spawn(move || publish_until(client, &stopped));
    broker.logs(&["WARN", "publishers are blocked", "low on disk"]);
    stop.store(true, Ordering::Relaxed);
    other.publish(1, ("", "other"), PERSISTENT, b"one more");
    assert_eq!(other.said(), Said::Blocked("low on disk".into()));
    make_room(broker);
    // The confirm may come before it is told, if only the free space was short.
    let said = [other.said(), other.said()];
    assert!(said.contains(&Said::Other(0, UNBLOCKED)), "{said:?}");
    assert!(
        said.iter()
            .any(|said| matches!(said, Said::Ack { tag: 1, .. })),
        "{said:?}"
    );
    publisher.join().unwrap()
}

#[test]
fn a_full_disk_blocks_publishers_until_there_is_room() {
    let Some(disk) = SmallDisk::mount("200m") else {
        return;
    };
    let flags = ["--disk-free-limit", "0"];
    let mut broker = Broker::on(disk.path(), &flags);
    // Somebody else takes most of it.
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 100 << 20]).unwrap();
    let sent = fill_the_disk(&mut broker, |_| fs::remove_file(&ballast).unwrap());
    assert!(sent > 20, "{sent}");
    broker.kill();
    let broker = Broker::on(disk.path(), &flags);
    assert_eq!(contents(&broker, "even"), (1..=sent).collect::<Vec<_>>());
}

#[test]
fn consumers_drain_a_disk_that_runs_short() {
    let Some(disk) = SmallDisk::mount("300m") else {
        return;
    };
    let mut broker = Broker::on(disk.path(), &["--disk-free-limit", "100000000"]);
    let mut drained = 0;
    let sent = fill_the_disk(&mut broker, |broker| {
        let mut consumer = broker.client();
        while let Some((tag, _, message)) = consumer.get("even") {
            drained += 1;
            assert_eq!(Id::of(&message.body), Some(id(drained)));
            consumer.send(1, ack(tag, false));
        }
        consumer.close();
    });
    assert!(drained > 100, "{drained}");
    assert_eq!(
        contents(&broker, "even"),
        (drained + 1..=sent).collect::<Vec<_>>()
    );
}

/// A limit on the size of files is a disk that fails: it doesn't pass.
#[test]
fn a_disk_that_fails_ends_the_process_with_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let limited = format!(
        "trap '' XFSZ; ulimit -f 20000; exec {} serve --amqp 127.0.0.1:0 --http off --prometheus off --data-dir {}",
        env!("CARGO_BIN_EXE_harrier"),
        directory.path().display(),
    );
    let mut broker = Broker::of(Command::new("sh").args(["-c", &limited]));
    let mut client = broker.client();
    client.declare_durable("even", Default::default());
    client.confirm_select(1);
    let mut sent = 0;
    let mut confirmed = 0;
    let mut hung_up = false;
    while !hung_up {
        sent += 1;
        client.put_publish(1, ("", "even"), PERSISTENT, &id(sent).body(LARGE));
        let put = client.take_put();
        hung_up = client.try_write(&put).is_err();
        match client.try_said() {
            Ok(Said::Ack { tag, .. }) => confirmed = tag,
            Ok(Said::HungUp) | Err(_) => hung_up = true,
            other => panic!("{other:?}"),
        }
    }
    broker.logs(&["ERROR", "File too large", ".seg"]);
    assert_eq!(broker.exit().code(), Some(EXIT_DISK_FAILED));
    let broker = Broker::on(directory.path(), &[]);
    let found = contents(&broker, "even");
    assert!(found.len() as u64 >= confirmed && confirmed > 0);
    assert_eq!(found, (1..=found.len() as u32).collect::<Vec<_>>());
}
