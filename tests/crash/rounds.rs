//! Round after round: start, look, load, kill.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::broker::{Broker, PATIENCE};
use crate::check::check;
use crate::inspection::inspect;
use crate::ledger::{LINKS_OF_A_ROUND, Ledger, Link};
use crate::link::Linked;
use crate::load::{LOAD, Part};
use crate::topology;

/// Rounds unless `HARRIER_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 8;
/// How long the load lasts.
const LOAD_MS: std::ops::Range<u64> = 100..800;
/// How far a recovery gets that is cut short.
const RECOVERY_MS: std::ops::Range<u64> = 0..200;
/// Octets of a segment unless `HARRIER_CRASH_SEGMENT` says otherwise: few, so
/// that segments are emptied and go in every round.
const SEGMENT: u64 = 1 << 20;
/// The size of now and then: it may change from start to start.
const SEGMENT_SMALL: u64 = 64 * 1024;
/// Segments that the log may have besides twice what lives: what the manual
/// says of the data directory.
const SEGMENTS_MORE: u64 = 10;
/// The link that looks and puts away.
const INSPECTOR: u32 = LINKS_OF_A_ROUND - 1;
/// What the load has to have done by the end, or it proves nothing.
const DONE: [&str; 8] = [
    "acked",
    "committed",
    "confirmed",
    "emptied",
    "killed while recovering",
    "rejected",
    "returned",
    "rolled back",
];

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap())
}

/// Waits; how long is part of the test, not a way to wait for something.
fn pause(duration: Duration) {
    let deadline = Instant::now() + duration;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

#[test]
fn what_was_confirmed_survives_kill_9_under_any_load() {
    let rounds = number("HARRIER_CRASH_ROUNDS").unwrap_or(ROUNDS) as u32;
    let seed = number("HARRIER_CRASH_SEED").unwrap_or_else(rand::random);
    let segment = number("HARRIER_CRASH_SEGMENT");
    let directory = tempfile::tempdir().unwrap();
    let mut rng = SmallRng::seed_from_u64(seed);
    let ledger = Arc::new(Mutex::new(Ledger::new()));
    for round in 1..=rounds + 1 {
        if round > 1 {
            take_stock(directory.path(), &ledger);
        }
        let drawn = match rng.random_range(0..4) {
            0 => SEGMENT_SMALL,
            _ => SEGMENT,
        };
        let size = segment.unwrap_or(drawn);
        let mut broker = recover(directory.path(), size, &ledger, &mut rng);
        if round == 1 {
            topology::declare(&mut broker.client());
        }
        look(&broker, &ledger, round);
        note_errors(&mut broker, &ledger);
        measure(directory.path(), segment.unwrap_or(SEGMENT), &ledger);
        if !ledger.lock().faults.is_empty() {
            let kept = directory.keep();
            report(&ledger.lock(), round, seed, &kept);
        }
        if round <= rounds {
            load_and_kill(broker, &ledger, round, &mut rng);
        }
    }
    let ledger = ledger.lock();
    println!("seed {seed}: {:?}", ledger.done);
    for done in DONE {
        assert!(
            ledger.done.contains_key(done),
            "nothing was {done}: {:?}",
            ledger.done
        );
    }
}

/// What a killed broker leaves isn't damage. Notes how much of it there is.
fn take_stock(directory: &Path, ledger: &Mutex<Ledger>) {
    let checked = check(directory);
    let mut ledger = ledger.lock();
    if checked.damaged {
        ledger.fault("damage found by store check", checked.complaint);
    }
    let queues = checked.report["queues"].as_array().unwrap().iter();
    let counts = queues.map(|queue| {
        let name = queue["name"].as_str().unwrap();
        (name.to_owned(), queue["messages"].as_u64().unwrap())
    });
    ledger.on_disk = counts.collect();
}

/// Starts the broker, which may be killed before it is ready.
fn recover(directory: &Path, segment: u64, ledger: &Mutex<Ledger>, rng: &mut SmallRng) -> Broker {
    let segment = segment.to_string();
    let mut command = Broker::command(directory, &["--log-segment-size", &segment]);
    while rng.random_range(0..3) == 0 {
        let mut broker: Child = Broker::spawn(&mut command);
        pause(Duration::from_millis(rng.random_range(RECOVERY_MS)));
        broker.kill().unwrap();
        broker.wait().unwrap();
        ledger.lock().count("killed while recovering");
    }
    Broker::of(&mut command)
}

/// Holds what is there against what should be.
fn look(broker: &Broker, ledger: &Mutex<Ledger>, round: u32) {
    let mut ledger = ledger.lock();
    ledger.begin_round(round);
    let link = Link(round * LINKS_OF_A_ROUND + INSPECTOR);
    if let Err(error) = inspect(broker.address, &mut ledger, link) {
        ledger.fault("the inspection failed", error.to_string());
    }
}

/// Neither what a killed process leaves behind nor what clients do is an error.
fn note_errors(broker: &mut Broker, ledger: &Mutex<Ledger>) {
    let errors = broker.log().iter();
    for line in errors.filter(|line| line.contains("ERROR") || line.contains("panicked")) {
        ledger.lock().fault("an error logged", line.clone());
    }
}

/// What is dead doesn't stay on disk for the sake of a few that live beside it.
fn measure(directory: &Path, segment: u64, ledger: &Mutex<Ledger>) {
    let bound = 2 * ledger.lock().live_octets() + SEGMENTS_MORE * segment;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let taken = octets_on_disk(&directory.join("log"));
        if taken <= bound {
            return;
        }
        if Instant::now() > deadline {
            let text = format!("{taken} octets, over {bound}");
            return ledger.lock().fault("a log that grows", text);
        }
        thread::park_timeout(Duration::from_millis(10));
    }
}

fn octets_on_disk(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap();
    // A segment may be taken away meanwhile.
    let sizes = files.filter_map(|file| file.ok()?.metadata().ok());
    sizes.map(|file| file.blocks() * 512).sum()
}

/// Has everything work at once, until the broker is killed.
fn load_and_kill(mut broker: Broker, ledger: &Arc<Mutex<Ledger>>, round: u32, rng: &mut SmallRng) {
    let (ready, set_up) = channel();
    let threads: Vec<JoinHandle<()>> = (0..)
        .zip(&LOAD)
        .map(|(number, part)| {
            let (address, seed) = (broker.address, rng.random());
            let (ledger, ready) = (Arc::clone(ledger), ready.clone());
            let link = Link(round * LINKS_OF_A_ROUND + number);
            thread::spawn(move || work(part, Linked::connect(address, &ledger, link, seed), &ready))
        })
        .collect();
    for _ in &threads {
        set_up.recv_timeout(PATIENCE).unwrap();
    }
    pause(Duration::from_millis(rng.random_range(LOAD_MS)));
    note_errors(&mut broker, ledger);
    ledger.lock().killed = true;
    broker.kill();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Does one part of the load until the connection breaks.
fn work(part: &Part, mut link: Linked, ready: &Sender<()>) {
    (part.prepare)(&mut link);
    ready.send(()).unwrap();
    let Err(error) = (part.run)(&mut link) else {
        return;
    };
    let mut ledger = link.ledger();
    if !ledger.killed {
        ledger.fault("a connection broke", format!("{:?}: {error}", link.link));
    }
}

fn report(ledger: &Ledger, round: u32, seed: u64, kept: &Path) -> ! {
    let mut kinds: std::collections::BTreeMap<&str, u32> = std::collections::BTreeMap::new();
    for fault in &ledger.faults {
        *kinds.entry(fault.kind).or_default() += 1;
    }
    for fault in ledger.faults.iter().take(20) {
        eprintln!("{}: {}", fault.kind, fault.text);
    }
    panic!(
        "{kinds:?} before round {round}; HARRIER_CRASH_SEED={seed}; the data is in {}",
        kept.display()
    );
}
