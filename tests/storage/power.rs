//! Power cuts at any operation: what was synced is there, nothing is invented.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harrier::base::ids::{Batch, Position, QueueId};
use harrier::broker::change::Change;
use harrier::broker::store::{Record, Store};
use harrier::broker::weight::Weight;
use harrier::storage::{LogStore, StoreError, StoreOptions};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;

use crate::disk::{Disk, Plan};
use crate::support::*;

/// Seeds tried, unless `HARRIER_POWER_SEEDS` says otherwise (`FROM..TO`).
const SEEDS: std::ops::Range<u64> = 0..60;
/// Cuts in the life of one data directory.
const CUTS: u64 = 5;

/// What should be there: the messages of each declared queue, by position.
type Model = BTreeMap<u64, BTreeMap<u64, u64>>;

#[derive(Debug, Clone)]
enum Step {
    Declare(u64),
    Delete(u64),
    Publish {
        queue: u64,
        position: u64,
        number: u64,
    },
    Settle {
        queue: u64,
        position: u64,
    },
    /// A message leaves one queue for another, in one append.
    DeadLetter {
        queue: u64,
        position: u64,
        to: u64,
        number: u64,
    },
}

fn carry_out(model: &mut Model, step: &Step) {
    match *step {
        Step::Declare(queue) => {
            model.insert(queue, BTreeMap::new());
        }
        Step::Delete(queue) => {
            model.remove(&queue);
        }
        Step::Publish {
            queue,
            position,
            number,
        } => {
            if let Some(messages) = model.get_mut(&queue) {
                messages.insert(position, number);
            }
        }
        Step::Settle { queue, position } => {
            if let Some(messages) = model.get_mut(&queue) {
                messages.remove(&position);
            }
        }
        Step::DeadLetter {
            queue,
            position,
            to,
            number,
        } => {
            if let Some(messages) = model.get_mut(&queue) {
                messages.remove(&position);
            }
            if let Some(messages) = model.get_mut(&to) {
                messages.insert(number, number);
            }
        }
    }
}

fn size(number: u64) -> usize {
    [8, 100, 700, 3000, 9000][number as usize % 5]
}

/// One data directory through its cuts.
struct Life {
    rng: SmallRng,
    /// Leaves some messages for long.
    hoards: bool,
    /// What is surely there.
    model: Model,
    /// What happened since, with the batch it went into.
    steps: Vec<(Batch, Step)>,
    /// What the broker believes while it runs.
    current: Model,
    last_queue: u64,
    last_number: u64,
    fatal: Arc<AtomicBool>,
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(seed),
            hoards: seed % 2 == 1,
            model: Model::new(),
            steps: Vec::new(),
            current: Model::new(),
            last_queue: 0,
            last_number: 0,
            fatal: Arc::default(),
        }
    }

    fn next_step(&mut self) -> Step {
        let queues: Vec<_> = self.current.keys().copied().collect();
        let some_queue = |rng: &mut SmallRng| queues[rng.random_range(0..queues.len())];
        match self.rng.random_range(0..100) {
            _ if queues.is_empty() => self.declare(),
            0..3 => self.declare(),
            3..5 => Step::Delete(some_queue(&mut self.rng)),
            5..50 => {
                let queue = some_queue(&mut self.rng);
                self.last_number += 1;
                Step::Publish {
                    queue,
                    position: self.last_number,
                    number: self.last_number,
                }
            }
            _ => {
                let queue = some_queue(&mut self.rng);
                let messages = &self.current[&queue];
                if messages.is_empty() {
                    return self.next_step();
                }
                // Mostly the oldest, as consumers do; some stay for long, so that
                // they have to be written again.
                let stays = |position: &&u64| self.hoards && position.is_multiple_of(10);
                let at = match self.rng.random_range(0..4) {
                    0 => self.rng.random_range(0..messages.len()),
                    _ => messages.keys().take_while(stays).count() % messages.len(),
                };
                let position = *messages.keys().nth(at).expect("there are that many");
                if self.rng.random_bool(0.2) {
                    self.last_number += 1;
                    return Step::DeadLetter {
                        queue,
                        position,
                        to: some_queue(&mut self.rng),
                        number: self.last_number,
                    };
                }
                Step::Settle { queue, position }
            }
        }
    }

    fn declare(&mut self) -> Step {
        self.last_queue += 1;
        Step::Declare(self.last_queue)
    }

    fn append(store: &LogStore, step: &Step) -> Batch {
        match *step {
            Step::Declare(queue) => change(store, &queue_declared(queue)),
            Step::Delete(queue) => change(store, &queue_deleted(queue)),
            Step::Publish {
                queue,
                position,
                number,
            } => publish(store, queue, position, &message(number, size(number))),
            Step::Settle { queue, position } => {
                let settled = message(position, size(position));
                settle_message(store, queue, position, &settled)
            }
            Step::DeadLetter {
                queue,
                position,
                to,
                number,
            } => store.append(&[
                Record::Publish {
                    queue: QueueId(to),
                    position: Position(number),
                    message: &message(number, size(number)),
                    deadline: None,
                    delivered: false,
                },
                Record::settled(
                    QueueId(queue),
                    Position(position),
                    &message(position, size(position)),
                ),
            ]),
        }
    }

    /// Works until the power goes, or for a while.
    fn work(&mut self, store: &LogStore, disk: &Disk) {
        self.current = self.model.clone();
        let most = most_operations(self.hoards);
        for _ in 0..self.rng.random_range(50..most) {
            let step = self.next_step();
            let batch = Self::append(store, &step);
            carry_out(&mut self.current, &step);
            self.steps.push((batch, step));
            if self.rng.random_bool(0.2) {
                self.wait(store, batch);
            }
            if disk.is_cut() {
                break;
            }
        }
        if self.rng.random_bool(0.3) {
            // A clean end, as far as the disk goes along.
            store.close().ok();
        } else {
            disk.cut();
            // So that the committer notices.
            let batch = publish(store, 0, 1, &message(0, 8));
            self.wait(store, batch);
        }
    }

    fn wait(&self, store: &LogStore, batch: Batch) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while store.synced() < batch && !self.fatal.load(Ordering::Acquire) {
            assert!(Instant::now() < deadline, "neither synced nor failed");
            std::thread::yield_now();
        }
    }

    /// What came back is what was synced, and of the one batch that was being
    /// written as much as was written: whole appends, none before another.
    fn check(&mut self, synced: Batch, recovered: &Found) -> Result<(), String> {
        let mut after = self.model.clone();
        let sure = self.steps.partition_point(|(batch, _)| *batch <= synced);
        let (sure, rest) = self.steps.split_at(sure);
        sure.iter()
            .for_each(|(_, step)| carry_out(&mut after, step));
        let found = found(recovered)?;
        let mut maybe = rest.iter().take_while(|(batch, _)| batch.0 <= synced.0 + 1);
        let only_sure = after.clone();
        while found != after {
            let Some((_, step)) = maybe.next() else {
                return Err(format!("found {found:?}\nsure {only_sure:?}\nor {after:?}"));
            };
            carry_out(&mut after, step);
        }
        let highest = found.keys().max().copied().unwrap_or_default();
        if recovered.last_queue_id.0 < highest {
            return Err("a queue number would be given out twice".into());
        }
        self.model = after;
        self.steps.clear();
        Ok(())
    }
}

fn found(recovered: &Found) -> Result<Model, String> {
    let mut found = Model::new();
    for change in &recovered.changes {
        match change {
            Change::QueueDeclared { id, .. } if *change == queue_declared(id.0) => {
                found.insert(id.0, BTreeMap::new());
            }
            other => return Err(format!("{other:?} was never declared")),
        }
    }
    for (queue, messages) in &recovered.messages {
        let of_queue = found.get_mut(&queue.0).ok_or("messages of no queue")?;
        for (position, found) in messages {
            // A message's number is its position.
            if *found != message(position.0, size(position.0)) {
                return Err(format!("message {position} is damaged"));
            }
            if of_queue.insert(position.0, position.0).is_some() {
                return Err(format!("message {position} came back twice"));
            }
        }
    }
    weigh(recovered)?;
    Ok(found)
}

/// What the store says its messages weigh is what they do.
fn weigh(recovered: &Found) -> Result<(), String> {
    for (queue, remainder, stored) in &recovered.stored {
        let mut weight = Weight::default();
        stored
            .iter()
            .for_each(|stored| weight += Weight::of(&stored.message));
        if weight != remainder.weight {
            let said = remainder.weight;
            return Err(format!("queue {queue} weighs {weight:?}, not {said:?}"));
        }
    }
    Ok(())
}

fn open(
    dir: &std::path::Path,
    disk: &Disk,
    fatal: &Arc<AtomicBool>,
) -> Result<(Arc<LogStore>, Found), StoreError> {
    let fatal = Arc::clone(fatal);
    let options = StoreOptions {
        segment_size: SMALL_SEGMENT,
        files: Arc::new(disk.clone()),
        on_fatal: Arc::new(move |_| fatal.store(true, Ordering::Release)),
    };
    let (store, recovered) = LogStore::open(dir, options)?;
    let found = read_all(&*store, recovered);
    Ok((store, found))
}

fn most_operations(hoards: bool) -> u64 {
    if hoards { 1500 } else { 600 }
}

fn live_through_cuts(seed: u64) -> Result<(), String> {
    let dir = tempdir().expect("a directory");
    let disk = Disk::new(dir.path(), seed);
    let mut life = Life::new(seed);
    let mut synced = Batch(0);
    for cut in 0..=CUTS {
        // The last time nothing goes wrong any more.
        let after = life.rng.random_range(1..most_operations(life.hoards));
        disk.plan(Plan {
            cut_after: (cut < CUTS).then_some(after),
            ..Plan::default()
        });
        life.fatal = Arc::default();
        match open(dir.path(), &disk, &life.fatal) {
            // Cut while it was read.
            Ok((store, _)) if disk.is_cut() => drop(store),
            Ok((store, recovered)) => {
                life.check(synced, &recovered)?;
                life.work(&store, &disk);
                synced = store.synced();
            }
            // Cut while it recovered: the same is expected next time.
            Err(_) if disk.is_cut() => {}
            Err(error) => return Err(format!("cut {cut}: {error}")),
        }
        disk.power_on();
    }
    Ok(())
}

#[test]
fn what_was_synced_outlives_power_cuts() {
    let seeds = std::env::var("HARRIER_POWER_SEEDS").ok().and_then(|range| {
        let (from, to) = range.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    for seed in seeds.unwrap_or(SEEDS) {
        if let Err(error) = live_through_cuts(seed) {
            panic!("seed {seed}: {error}");
        }
    }
}
