//! One run from start to end: declare, load, measure, check, clean up.

use std::io::IsTerminal;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::clock::Stopwatch;
use super::consumer::{self, Consumer, ConsumersReport};
use super::error::PerfError;
use super::options::PerfCommand;
use super::os::{ProcessUsage, own_cpu};
use super::producer::{self, Producer, ProducersReport};
use super::progress::{Phase, Progress};
use super::report::{Measured, Outcome};
use super::session::Session;
use super::topology::Topology;
use super::verify::Account;

/// How often a person at a terminal hears how far the run is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a thread of the run says when it ends.
enum Ended {
    Producers(Result<ProducersReport, PerfError>),
    Consumers(Result<ConsumersReport, PerfError>),
}

/// One reading of everything that is measured.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    published: u64,
    confirmed: u64,
    delivered: u64,
    own_cpu: Duration,
    server: ProcessUsage,
}

/// Carries out `plan`, which is settled.
///
/// # Errors
/// [`PerfError`] when the broker can't be reached, refuses or fails; the
/// queues and the exchange are deleted all the same if that is possible.
pub fn run(plan: &PerfCommand) -> Result<Outcome, PerfError> {
    let mut setup = Session::open(&plan.uri, "harrier perf")?;
    let topology = Topology::new(plan);
    let waiting = if plan.drain {
        topology.depths(&mut setup)?.iter().sum()
    } else {
        topology.declare(&mut setup)?;
        0
    };
    let outcome = load(plan, &topology, &mut setup, waiting);
    if !(plan.keep || plan.no_consume) {
        // After a failure the channel may be gone, and that isn't the news.
        let deleted = topology.delete(&mut setup);
        if outcome.is_ok() {
            deleted?;
        }
    }
    // All is said and done; a server that hangs up here changes nothing.
    setup.close().ok();
    outcome
}

/// Loads the broker and waits until everything has arrived.
fn load(
    plan: &PerfCommand,
    topology: &Topology,
    setup: &mut Session,
    waiting: u64,
) -> Result<Outcome, PerfError> {
    let progress = Progress::default();
    let clock = Stopwatch::start();
    let mut consumers = (0..plan.consumers)
        .map(|index| Consumer::open(&plan.uri, plan, index))
        .collect::<Result<Vec<_>, _>>()?;
    let producers = if plan.drain { 0 } else { plan.producers };
    let producers = (0..producers)
        .map(|index| Producer::open(&plan.uri, plan, topology, index))
        .collect::<Result<Vec<_>, _>>()?;
    if plan.drain {
        progress.expected.store(waiting, Relaxed);
    } else if let Some(count) = plan.count {
        progress.expected.store(count * copies(plan), Relaxed);
    }
    let mut conductor = Conductor::new(plan, &progress)?;
    for consumer in &mut consumers {
        consumer.start(topology)?;
    }
    let (ended, endings) = sync_channel(2);
    thread::scope(|scope| {
        spawn_all(scope, plan, &progress, &clock, producers, consumers, ended);
        conductor.conduct(&endings);
    });
    let measured = conductor.measured();
    let (sent, received) = conductor.into_reports()?;
    let depths = if plan.no_consume {
        let sent = sent.as_ref().map_or(0, |report| report.sent.iter().sum());
        filled(plan, topology, setup, sent * copies(plan))?
    } else {
        topology.depths(setup)?.iter().sum()
    };
    Ok(outcome(
        plan,
        setup,
        measured,
        (sent, received),
        waiting,
        depths,
    ))
}

/// How many messages the queues hold once they hold `sent`, or when patience
/// has run out: a broker may count a message some time after it took it.
fn filled(
    plan: &PerfCommand,
    topology: &Topology,
    setup: &mut Session,
    sent: u64,
) -> Result<u64, PerfError> {
    let give_up = Instant::now() + Duration::from_secs_f64(plan.patience);
    loop {
        let held = topology.depths(setup)?.iter().sum();
        if held >= sent || Instant::now() > give_up {
            return Ok(held);
        }
        thread::park_timeout(Duration::from_millis(50));
    }
}

/// Starts the thread of the producers and the one of the consumers.
fn spawn_all<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    plan: &'scope PerfCommand,
    progress: &'scope Progress,
    clock: &'scope Stopwatch,
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    ended: SyncSender<Ended>,
) {
    // The receiver outlives both threads, and the channel has a place for each.
    if !consumers.is_empty() {
        let ended = ended.clone();
        scope.spawn(move || {
            let report = consumer::run(consumers, plan, progress, clock);
            ended.send(Ended::Consumers(report)).ok();
        });
    }
    if !producers.is_empty() {
        scope.spawn(move || {
            let report = producer::run(producers, plan, progress, clock);
            ended.send(Ended::Producers(report)).ok();
        });
    }
}

/// How many queues get each message.
fn copies(plan: &PerfCommand) -> u64 {
    if plan.fanout {
        u64::from(plan.queues)
    } else {
        1
    }
}

/// Moves a run through its phases and takes the readings between them.
struct Conductor<'a> {
    plan: &'a PerfCommand,
    progress: &'a Progress,
    begin: Reading,
    end: Option<Reading>,
    sent: Option<ProducersReport>,
    received: Option<ConsumersReport>,
    failure: Option<PerfError>,
}

impl<'a> Conductor<'a> {
    fn new(plan: &'a PerfCommand, progress: &'a Progress) -> Result<Self, PerfError> {
        Ok(Self {
            plan,
            progress,
            begin: read(plan, progress)?,
            end: None,
            sent: None,
            received: None,
            failure: None,
        })
    }

    /// Runs until both threads have ended.
    fn conduct(&mut self, endings: &Receiver<Ended>) {
        let warm_at = Instant::now() + self.plan.warmup();
        let finish_at = self.plan.measured().map(|measured| warm_at + measured);
        let mut teller = Teller::new();
        loop {
            let now = Instant::now();
            if self.progress.phase() == Phase::Warmup && now >= warm_at {
                self.begin_measuring();
            }
            if self.end.is_none() && finish_at.is_some_and(|at| now >= at) {
                self.end_measuring();
                self.progress.enter(Phase::Finish);
            }
            let next = match self.progress.phase() {
                Phase::Warmup => Some(warm_at),
                Phase::Measure => finish_at,
                Phase::Finish | Phase::Abort => None,
            };
            let next = next.unwrap_or(now + TELL_EVERY).min(teller.next_at());
            match endings.recv_timeout(next.saturating_duration_since(now)) {
                Ok(ended) => self.on_ended(ended),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            teller.tell(self.progress);
        }
        if self.end.is_none() {
            self.end_measuring();
        }
    }

    fn begin_measuring(&mut self) {
        // Without a warm-up the reading from before the consumers' start stands.
        if !self.plan.warmup().is_zero() {
            match read(self.plan, self.progress) {
                Ok(reading) => self.begin = reading,
                Err(error) => self.fail(error),
            }
        }
        self.progress.enter(Phase::Measure);
    }

    fn end_measuring(&mut self) {
        match read(self.plan, self.progress) {
            Ok(reading) => self.end = Some(reading),
            Err(error) => self.fail(error),
        }
    }

    fn on_ended(&mut self, ended: Ended) {
        match ended {
            Ended::Producers(Ok(report)) => {
                let expected = report.sent.iter().sum::<u64>() - report.nacked;
                let expected = expected * copies(self.plan);
                self.progress.expected.store(expected, Relaxed);
                self.sent = Some(report);
                if self.plan.consumers == 0 && self.end.is_none() {
                    self.end_measuring();
                }
            }
            Ended::Consumers(Ok(report)) => {
                self.received = Some(report);
                if self.end.is_none() {
                    self.end_measuring();
                }
                // Consumers that gave up leave the producers nothing to wait for.
                self.progress.enter(Phase::Finish);
            }
            Ended::Producers(Err(error)) | Ended::Consumers(Err(error)) => self.fail(error),
        }
    }

    fn fail(&mut self, error: PerfError) {
        self.failure.get_or_insert(error);
        self.progress.enter(Phase::Abort);
    }

    fn measured(&self) -> Measured {
        let (begin, end) = (self.begin, self.end.unwrap_or(self.begin));
        let published = end.published - begin.published;
        let delivered = end.delivered - begin.delivered;
        Measured {
            elapsed: end.at - begin.at,
            published,
            confirmed: end.confirmed - begin.confirmed,
            delivered,
            messages: match self.plan.no_consume {
                true => published,
                false => delivered / copies(self.plan),
            },
            own_cpu: end.own_cpu.saturating_sub(begin.own_cpu),
            server_cpu: end.server.cpu.saturating_sub(begin.server.cpu),
            server_begin: begin.server,
            server_end: end.server,
            blocked: Duration::from_nanos(self.progress.blocked_ns.load(Relaxed)),
        }
    }

    fn into_reports(self) -> Result<(Option<ProducersReport>, Option<ConsumersReport>), PerfError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok((self.sent, self.received)),
        }
    }
}

fn read(plan: &PerfCommand, progress: &Progress) -> Result<Reading, PerfError> {
    Ok(Reading {
        at: Instant::now(),
        published: progress.published.load(Relaxed),
        confirmed: progress.confirmed.load(Relaxed),
        delivered: progress.delivered.load(Relaxed),
        own_cpu: own_cpu(),
        server: plan
            .server_pid
            .map_or(Ok(ProcessUsage::default()), ProcessUsage::read)?,
    })
}

fn outcome(
    plan: &PerfCommand,
    setup: &Session,
    measured: Measured,
    (sent, received): (Option<ProducersReport>, Option<ConsumersReport>),
    waiting: u64,
    held: u64,
) -> Outcome {
    let (nacked, unconfirmed) = sent.as_ref().map_or((0, 0), |s| (s.nacked, s.unconfirmed));
    let deliver_latency = received.as_ref().and_then(|report| report.latency);
    let mut account = match (received, &sent) {
        (Some(received), Some(sent)) => received.verifier.close(&sent.sent),
        (Some(received), None) => received.verifier.close_drained(waiting),
        (None, sent) => Account {
            lost: (sent.iter().flat_map(|s| &s.sent).sum::<u64>() * copies(plan))
                .saturating_sub(held),
            ..Account::default()
        },
    };
    // A refused message that is missing was announced as such.
    account.lost = account.lost.saturating_sub(nacked * copies(plan));
    Outcome {
        server: setup.server.clone(),
        measured,
        account,
        nacked,
        unconfirmed,
        left: if plan.no_consume { 0 } else { held },
        deliver_latency,
        confirm_latency: sent.and_then(|report| report.confirm_latency),
    }
}

/// Tells a person at a terminal, on stderr, how far the run is.
struct Teller {
    wanted: bool,
    told_at: Instant,
    told: (u64, u64),
}

impl Teller {
    fn new() -> Self {
        Self {
            wanted: std::io::stderr().is_terminal(),
            told_at: Instant::now(),
            told: (0, 0),
        }
    }

    fn next_at(&self) -> Instant {
        self.told_at + TELL_EVERY
    }

    fn tell(&mut self, progress: &Progress) {
        let elapsed = self.told_at.elapsed();
        if elapsed < TELL_EVERY {
            return;
        }
        let published = progress.published.load(Relaxed);
        let delivered = progress.delivered.load(Relaxed);
        if self.wanted {
            let rate = |count: u64| count as f64 / elapsed.as_secs_f64();
            eprintln!(
                "{:?}: published {:.0}/s, delivered {:.0}/s, on the way {}",
                progress.phase(),
                rate(published - self.told.0),
                rate(delivered - self.told.1),
                published.saturating_sub(delivered),
            );
        }
        self.told = (published, delivered);
        self.told_at = Instant::now();
    }
}
