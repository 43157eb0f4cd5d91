//! The thread that publishes: every producer's socket, none of them blocking.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::clock::Stopwatch;
use super::confirm::{ConfirmWindow, Settlement};
use super::error::PerfError;
use super::latency::{Latency, LatencySummary};
use super::link::{Link, closed_by};
use super::options::PerfCommand;
use super::os::{PollSet, wake_on_time};
use super::pace::Schedule;
use super::progress::{Phase, Progress};
use super::session::{CHANNEL, Session, parse};
use super::template::PublishRing;
use super::topology::Topology;
use super::uri::AmqpUri;
use crate::wire::encode;
use crate::wire::method::{ChannelFlowOk, ConfirmSelect};
use crate::wire::{FrameKind, Method};

/// The longest a thread sleeps before it looks at the run's phase again.
pub const NAP: Duration = Duration::from_millis(20);

/// One connection that publishes.
pub struct Producer {
    session: Session,
    index: u16,
    ring: PublishRing,
    /// What of the ring is still to be written.
    pending: Range<usize>,
    sent: u64,
    quota: u64,
    confirms: Option<ConfirmWindow>,
    schedule: Option<Schedule>,
    blocked_since: Option<Instant>,
}

/// What the producers have to say at the end.
pub struct ProducersReport {
    /// How many messages each sent.
    pub sent: Vec<u64>,
    /// Messages that the broker refused.
    pub nacked: u64,
    /// Messages still without a confirm when patience ran out.
    pub unconfirmed: u64,
    /// From the intended sending to the confirm.
    pub confirm_latency: Option<LatencySummary>,
}

/// What a turn of a producer needs from around it.
struct Turn<'a> {
    progress: &'a Progress,
    clock: &'a Stopwatch,
    phase: Phase,
    latency: &'a mut Latency,
}

impl Producer {
    /// Connects producer `index` and gets its publishes ready.
    ///
    /// # Errors
    /// [`PerfError`] when the server refuses.
    pub fn open(
        uri: &AmqpUri,
        plan: &PerfCommand,
        topology: &Topology,
        index: u16,
    ) -> Result<Self, PerfError> {
        let mut session = Session::open(uri, &format!("harrier perf producer {index}"))?;
        if plan.confirm.is_some() {
            let select = ConfirmSelect::default();
            session.ask(CHANNEL, select, "confirm.select-ok", |method| {
                matches!(method, Method::ConfirmSelectOk(_))
            })?;
        }
        session.link.set_blocking(false)?;
        let ring = PublishRing::new(&topology.targets(index), plan.size, session.frame_max)?;
        Ok(Self {
            session,
            index,
            ring,
            pending: 0..0,
            sent: 0,
            quota: plan.quota(index).unwrap_or(u64::MAX),
            confirms: plan
                .confirm
                .map(|window| ConfirmWindow::new(window as usize)),
            schedule: None,
            blocked_since: None,
        })
    }

    /// Does what can be done now: reads if `readable`, then publishes a batch.
    /// Returns how many messages it published or had settled.
    fn turn(&mut self, turn: &mut Turn<'_>, readable: bool) -> Result<u64, PerfError> {
        let settled = if readable { self.read(turn)? } else { 0 };
        self.session.link.flush()?;
        if !self.pending.is_empty() {
            self.write()?;
        }
        if !self.pending.is_empty() || self.is_finished(turn.phase) {
            return Ok(settled);
        }
        let published = self.publish(turn);
        self.write()?;
        Ok(settled + published)
    }

    fn is_finished(&self, phase: Phase) -> bool {
        phase >= Phase::Finish || self.sent >= self.quota
    }

    /// Whether nothing is left to send or to wait for.
    fn is_done(&self, phase: Phase) -> bool {
        let settled = self.confirms.as_ref().is_none_or(|w| w.unsettled() == 0);
        self.is_finished(phase) && self.pending.is_empty() && settled
    }

    /// How many messages may go out now, and none if the broker said stop.
    fn allowed(&self, now_ns: u64) -> usize {
        if self.blocked_since.is_some() {
            return 0;
        }
        let window = self
            .confirms
            .as_ref()
            .map_or(usize::MAX, ConfirmWindow::room);
        let due = self.schedule.map_or(u64::MAX, |s| s.due_count(now_ns));
        let open = due.min(self.quota).saturating_sub(self.sent);
        window.min(usize::try_from(open).unwrap_or(usize::MAX))
    }

    fn publish(&mut self, turn: &Turn<'_>) -> u64 {
        let now_ns = turn.clock.now_ns();
        let allowed = self.allowed(now_ns);
        if allowed == 0 {
            return 0;
        }
        let (schedule, confirms) = (self.schedule, &mut self.confirms);
        let (count, range) = self.ring.stamp(self.index, self.sent, allowed, |number| {
            let sent_ns = schedule.map_or(now_ns, |schedule| schedule.due_ns(number));
            if let Some(window) = confirms {
                window.sent(sent_ns);
            }
            sent_ns
        });
        self.pending = range;
        self.sent += count as u64;
        turn.progress.published.fetch_add(count as u64, Relaxed);
        count as u64
    }

    fn write(&mut self) -> Result<(), PerfError> {
        let octets = self.ring.octets(self.pending.clone());
        let written = self.session.link.write(octets)?;
        self.pending.start += written;
        Ok(())
    }

    fn read(&mut self, turn: &mut Turn<'_>) -> Result<u64, PerfError> {
        if !self.session.link.read()? {
            return Ok(0);
        }
        let now_ns = turn.clock.now_ns();
        let Link {
            inbound, outbound, ..
        } = &mut self.session.link;
        let mut confirmed = 0;
        while let Some(frame) = inbound.next_frame()? {
            if frame.kind != FrameKind::Method {
                continue;
            }
            let method = parse(frame.payload)?;
            if let Some((settlement, window)) = settlement(&method).zip(self.confirms.as_mut()) {
                let measured = turn.phase == Phase::Measure;
                confirmed += window.settle(settlement, |sent_ns| {
                    if measured {
                        turn.latency.record(sent_ns, now_ns);
                    }
                })?;
                continue;
            }
            match method {
                Method::ConnectionBlocked(_) => block(&mut self.blocked_since),
                Method::ConnectionUnblocked(_) => unblock(&mut self.blocked_since, turn.progress),
                Method::ChannelFlow(flow) => {
                    let active = flow.active;
                    encode::method(outbound, CHANNEL, ChannelFlowOk { active });
                    match active {
                        true => unblock(&mut self.blocked_since, turn.progress),
                        false => block(&mut self.blocked_since),
                    }
                }
                other => closed_by(&other).map_or(Ok(()), Err)?,
            }
        }
        turn.progress.confirmed.fetch_add(confirmed, Relaxed);
        Ok(confirmed)
    }

    /// How long this producer may sleep if nothing comes in.
    fn pause(&self, phase: Phase, now_ns: u64) -> Duration {
        let idle =
            !self.pending.is_empty() || self.is_finished(phase) || self.blocked_since.is_some();
        if idle || self.confirms.as_ref().is_some_and(|w| w.room() == 0) {
            return NAP;
        }
        let Some(schedule) = self.schedule else {
            return Duration::ZERO;
        };
        Duration::from_nanos(schedule.due_ns(self.sent).saturating_sub(now_ns)).min(NAP)
    }
}

fn block(since: &mut Option<Instant>) {
    since.get_or_insert_with(Instant::now);
}

fn unblock(since: &mut Option<Instant>, progress: &Progress) {
    if let Some(since) = since.take() {
        let blocked = since.elapsed().as_nanos() as u64;
        progress.blocked_ns.fetch_add(blocked, Relaxed);
    }
}

fn settlement(method: &Method<'_>) -> Option<Settlement> {
    let (tag, multiple, nack) = match method {
        Method::BasicAck(ack) => (ack.delivery_tag, ack.multiple, false),
        Method::BasicNack(nack) => (nack.delivery_tag, nack.multiple, true),
        _ => return None,
    };
    Some(Settlement {
        tag,
        multiple,
        nack,
    })
}

/// Publishes with all `producers` until the run ends, and closes their
/// connections: by then the broker has handled every publish.
///
/// # Errors
/// [`PerfError`] when a connection fails.
pub fn run(
    mut producers: Vec<Producer>,
    plan: &PerfCommand,
    progress: &Progress,
    clock: &Stopwatch,
) -> Result<ProducersReport, PerfError> {
    let mut latency = Latency::default();
    let mut poll = PollSet::default();
    if let Some(rate) = plan.rate {
        wake_on_time();
        let start_ns = clock.now_ns();
        for producer in &mut producers {
            let schedule = Schedule::new(start_ns, rate, plan.producers, producer.index);
            producer.schedule = Some(schedule);
        }
    }
    for producer in &producers {
        poll.add(producer.session.link.socket());
    }
    let patience = Duration::from_secs_f64(plan.patience);
    let mut active = Instant::now();
    loop {
        let phase = progress.phase();
        let mut turn = Turn {
            progress,
            clock,
            phase,
            latency: &mut latency,
        };
        let mut done = true;
        let mut moved = 0;
        let mut pause = NAP;
        for (at, producer) in producers.iter_mut().enumerate() {
            moved += producer.turn(&mut turn, poll.is_readable(at))?;
            done &= producer.is_done(phase);
            let unwritten =
                !producer.pending.is_empty() || !producer.session.link.outbound.is_empty();
            poll.set_writable(at, unwritten);
            pause = pause.min(producer.pause(phase, clock.now_ns()));
        }
        if moved > 0 {
            active = Instant::now();
        }
        let stuck = phase == Phase::Finish && active.elapsed() > patience;
        if done || stuck || phase == Phase::Abort {
            break;
        }
        poll.wait(pause)?;
    }
    finish(producers, progress, latency)
}

fn finish(
    producers: Vec<Producer>,
    progress: &Progress,
    latency: Latency,
) -> Result<ProducersReport, PerfError> {
    let windows = || producers.iter().filter_map(|p| p.confirms.as_ref());
    let report = ProducersReport {
        sent: producers.iter().map(|producer| producer.sent).collect(),
        nacked: windows().map(ConfirmWindow::nacked).sum(),
        unconfirmed: windows().map(|window| window.unsettled() as u64).sum(),
        confirm_latency: latency.summary(),
    };
    for mut producer in producers {
        unblock(&mut producer.blocked_since, progress);
        if progress.phase() != Phase::Abort && producer.pending.is_empty() {
            // A slow broker may have much in its sockets: it is waited for as
            // long as that comes out at the other end.
            let mut delivered = 0;
            producer.session.close_while(|| {
                let before = delivered;
                delivered = progress.delivered.load(Relaxed);
                delivered > before
            })?;
        }
    }
    Ok(report)
}
