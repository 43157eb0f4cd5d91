//! The thread that consumes: every consumer's socket, none of them blocking.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::clock::Stopwatch;
use super::delivery::{DeliveryScan, Scanned};
use super::error::PerfError;
use super::latency::{Latency, LatencySummary};
use super::link::{Link, closed_by};
use super::options::{AckMode, PerfCommand};
use super::os::{PollSet, wake_on_time};
use super::producer::NAP;
use super::progress::{Phase, Progress};
use super::session::{CHANNEL, Session, parse};
use super::topology::Topology;
use super::uri::AmqpUri;
use super::verify::Verifier;
use crate::wire::encode;
use crate::wire::method::{BasicAck, BasicConsume, BasicQos, ChannelFlowOk};
use crate::wire::{FrameKind, Method};

/// Octets of acks that may wait for the socket before reading pauses.
const ACKS_MAX: usize = 1024 * 1024;

/// One connection that consumes.
pub struct Consumer {
    session: Session,
    index: u16,
    scan: DeliveryScan,
    acks: Acks,
}

/// What the consumers have to say at the end.
pub struct ConsumersReport {
    /// What arrived.
    pub verifier: Verifier,
    /// From the intended sending to the arrival.
    pub latency: Option<LatencySummary>,
}

/// When and how deliveries are acknowledged.
#[derive(Debug)]
struct Acks {
    mode: AckMode,
    /// Deliveries for one `multiple` ack; `None`: those of one read.
    batch: Option<u64>,
    last_tag: u64,
    unacked: u64,
}

impl Acks {
    fn new(plan: &PerfCommand) -> Self {
        Self {
            mode: plan.ack,
            batch: plan.ack_batch.map(u64::from),
            last_tag: 0,
            unacked: 0,
        }
    }

    /// Takes one delivery; appends an ack if one is due.
    fn on_delivery(&mut self, tag: u64, out: &mut BytesMut) {
        match self.mode {
            AckMode::Auto => {}
            AckMode::Each => out.extend_from_slice(&ack_frame(tag, false)),
            AckMode::Multiple => {
                self.last_tag = tag;
                self.unacked += 1;
                if self.batch.is_some_and(|batch| self.unacked >= batch) {
                    self.settle(out);
                }
            }
        }
    }

    /// What one read brought is handled. `last` if no more will come.
    fn on_read_end(&mut self, last: bool, out: &mut BytesMut) {
        if last || self.batch.is_none() {
            self.settle(out);
        }
    }

    fn settle(&mut self, out: &mut BytesMut) {
        if self.unacked > 0 {
            out.extend_from_slice(&ack_frame(self.last_tag, true));
            self.unacked = 0;
        }
    }
}

/// Octets of a `basic.ack` frame.
const ACK_LEN: usize = 21;

/// A `basic.ack`, as [`encode::method`] writes it but without building it up.
fn ack_frame(tag: u64, multiple: bool) -> [u8; ACK_LEN] {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = tag.to_be_bytes();
    let [c0, c1] = CHANNEL.to_be_bytes();
    let bits = u8::from(multiple);
    let (class, method, end) = (
        BasicAck::CLASS as u8,
        BasicAck::ID as u8,
        crate::wire::frame::FRAME_END,
    );
    [
        1, c0, c1, 0, 0, 0, 13, 0, class, 0, method, t0, t1, t2, t3, t4, t5, t6, t7, bits, end,
    ]
}

/// What a turn of a consumer needs from around it.
struct Turn<'a> {
    progress: &'a Progress,
    clock: &'a Stopwatch,
    phase: Phase,
    latency: &'a mut Latency,
    verifier: &'a mut Verifier,
}

impl Consumer {
    /// Connects consumer `index`. Nothing is delivered before [`Consumer::start`].
    ///
    /// # Errors
    /// [`PerfError`] when the server refuses.
    pub fn open(uri: &AmqpUri, plan: &PerfCommand, index: u16) -> Result<Self, PerfError> {
        let mut session = Session::open(uri, &format!("harrier perf consumer {index}"))?;
        if plan.prefetch > 0 {
            let qos = BasicQos {
                prefetch_count: plan.prefetch,
                ..BasicQos::default()
            };
            session.ask(CHANNEL, qos, "basic.qos-ok", |method| {
                matches!(method, Method::BasicQosOk(_))
            })?;
        }
        Ok(Self {
            session,
            index,
            scan: DeliveryScan::default(),
            acks: Acks::new(plan),
        })
    }

    /// Consumes from its queues. The answers aren't waited for: deliveries may
    /// come before them.
    ///
    /// # Errors
    /// [`PerfError`] when the socket fails.
    pub fn start(&mut self, topology: &Topology) -> Result<(), PerfError> {
        for queue in topology.queues_of_consumer(self.index) {
            let consume = BasicConsume {
                queue: &topology.queue_name(queue),
                // The index tells the queue when the message comes back.
                consumer_tag: &queue.to_string(),
                no_ack: self.acks.mode == AckMode::Auto,
                nowait: true,
                ..BasicConsume::default()
            };
            encode::method(&mut self.session.link.outbound, CHANNEL, consume);
        }
        self.session.link.flush()?;
        self.session.link.set_blocking(false)
    }

    /// Reads once and handles what came; returns how many messages.
    fn turn(&mut self, turn: &mut Turn<'_>) -> Result<u64, PerfError> {
        if self.session.link.outbound.len() < ACKS_MAX {
            self.session.link.read()?;
        }
        self.handle(turn)
    }

    fn handle(&mut self, turn: &mut Turn<'_>) -> Result<u64, PerfError> {
        let now_ns = turn.clock.now_ns();
        let measured = turn.phase == Phase::Measure;
        let Link {
            inbound, outbound, ..
        } = &mut self.session.link;
        let mut delivered = 0;
        while let Some(frame) = inbound.next_frame()? {
            match self.scan.on_frame(&frame)? {
                Scanned::Partial => {}
                Scanned::Message(delivery) => {
                    delivered += 1;
                    self.acks.on_delivery(delivery.tag, outbound);
                    turn.verifier.receive(self.index, &delivery);
                    if let Some(stamp) = delivery.stamp.filter(|_| measured) {
                        turn.latency.record(stamp.sent_ns, now_ns);
                    }
                }
                Scanned::Other if frame.kind == FrameKind::Method => {
                    on_method(&parse(frame.payload)?, outbound)?;
                }
                Scanned::Other => {}
            }
        }
        self.acks.on_read_end(false, outbound);
        self.session.link.flush()?;
        turn.progress.delivered.fetch_add(delivered, Relaxed);
        Ok(delivered)
    }

    fn close(mut self) -> Result<(), PerfError> {
        self.acks.on_read_end(true, &mut self.session.link.outbound);
        self.session.close()
    }
}

fn on_method(method: &Method<'_>, out: &mut BytesMut) -> Result<(), PerfError> {
    if let Method::ChannelFlow(flow) = method {
        let active = flow.active;
        encode::method(out, CHANNEL, ChannelFlowOk { active });
    }
    closed_by(method).map_or(Ok(()), Err)
}

/// Consumes with all `consumers` until everything expected has arrived, or
/// nothing more does.
///
/// # Errors
/// [`PerfError`] when a connection fails.
pub fn run(
    mut consumers: Vec<Consumer>,
    plan: &PerfCommand,
    progress: &Progress,
    clock: &Stopwatch,
) -> Result<ConsumersReport, PerfError> {
    let mut latency = Latency::default();
    let mut verifier = Verifier::new(plan);
    let mut poll = PollSet::default();
    if plan.rate.is_some() {
        wake_on_time();
    }
    for consumer in &consumers {
        poll.add(consumer.session.link.socket());
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
            verifier: &mut verifier,
        };
        let mut delivered = 0;
        for (at, consumer) in consumers.iter_mut().enumerate() {
            if poll.is_readable(at) {
                delivered += consumer.turn(&mut turn)?;
            } else {
                consumer.session.link.flush()?;
            }
            poll.set_writable(at, !consumer.session.link.outbound.is_empty());
        }
        if delivered > 0 || progress.expected.load(Relaxed) == u64::MAX {
            active = Instant::now();
        }
        let complete = verifier.received() >= progress.expected.load(Relaxed);
        if complete || active.elapsed() > patience || phase == Phase::Abort {
            break;
        }
        poll.wait(NAP)?;
    }
    if progress.phase() != Phase::Abort {
        consumers.into_iter().try_for_each(Consumer::close)?;
    }
    Ok(ConsumersReport {
        verifier,
        latency: latency.summary(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(tag: u64, multiple: bool) -> BytesMut {
        let mut out = BytesMut::new();
        let ack = BasicAck {
            delivery_tag: tag,
            multiple,
        };
        encode::method(&mut out, CHANNEL, ack);
        out
    }

    fn acks(mode: AckMode, batch: Option<u64>) -> Acks {
        Acks {
            mode,
            batch,
            last_tag: 0,
            unacked: 0,
        }
    }

    #[test]
    fn the_short_cut_writes_what_the_codec_writes() {
        for (tag, multiple) in [(1, false), (0x0102_0304_0506_0708, true)] {
            assert_eq!(ack_frame(tag, multiple)[..], encoded(tag, multiple)[..]);
        }
    }

    #[test]
    fn each_delivery_its_ack() {
        let mut out = BytesMut::new();
        let mut acks = acks(AckMode::Each, None);
        acks.on_delivery(1, &mut out);
        acks.on_delivery(2, &mut out);
        acks.on_read_end(true, &mut out);
        assert_eq!(out, [encoded(1, false), encoded(2, false)].concat());
    }

    #[test]
    fn one_ack_for_a_read() {
        let mut out = BytesMut::new();
        let mut acks = acks(AckMode::Multiple, None);
        acks.on_delivery(1, &mut out);
        acks.on_delivery(2, &mut out);
        acks.on_read_end(false, &mut out);
        acks.on_read_end(false, &mut out);
        assert_eq!(out, encoded(2, true));
    }

    #[test]
    fn one_ack_for_a_batch_and_the_rest_at_the_end() {
        let mut out = BytesMut::new();
        let mut acks = acks(AckMode::Multiple, Some(3));
        for tag in 1..=4 {
            acks.on_delivery(tag, &mut out);
            acks.on_read_end(false, &mut out);
        }
        assert_eq!(out, encoded(3, true));
        acks.on_read_end(true, &mut out);
        assert_eq!(out, [encoded(3, true), encoded(4, true)].concat());
    }
}
