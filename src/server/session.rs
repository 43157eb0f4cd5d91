//! One connection's dealings with the broker: what the protocol asks for is
//! carried out here.
//!
//! A session belongs to its connection's task. It shares with others only what
//! has a lock of its own: queues, topology, outboxes.

use std::collections::HashMap;
use std::sync::Arc;

use super::auth::Entry;
use super::channel::{Channel, ChannelConsumer, HeldPublish, Transaction};
use super::outbox::Outbox;
use super::publish::add_up;
use super::roster::{ChannelView, ConnectionView, Roster};
use super::routes::RouteCache;
use super::seats::Seat;
use super::traffic::Tally;
use super::unacked::Share;
use crate::base::clock::Now;
use crate::base::config::{GlobalQos, TimeoutResponse};
use crate::base::ids::{Batch, ConnectionId, QueueId};
use crate::broker::access::Grants;
use crate::broker::attempts::ReturnCause;
use crate::broker::dead_lettering::{carry_dead_letters, see_to_effects};
use crate::broker::effects::Effects;
use crate::broker::once::Once;
use crate::broker::queue::{Incoming, Pushed, Queue, Settlement, has_single_active};
use crate::broker::subscriber::Wake;
use crate::broker::unit::Unit;
use crate::broker::vhost::Vhost;
use crate::protocol::Settle;
use crate::wire::{Refusal, ReplyCode};

/// The settings a session keeps to.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// Consumers of one channel.
    pub consumers_per_channel: usize,
    /// Prefetch of consumers on channels that haven't set one.
    pub default_prefetch: u16,
    /// Milliseconds that a consumer of a quorum queue may hold a message.
    pub consumer_timeout: u64,
    /// What becomes of one that holds it longer.
    pub timeout_response: TimeoutResponse,
    /// What a prefetch for a whole channel means.
    pub global_qos: GlobalQos,
}

/// A connection that has opened a virtual host.
#[derive(Debug)]
pub struct Session {
    pub(super) id: ConnectionId,
    pub(super) vhost: Arc<Vhost>,
    pub(super) grants: Grants,
    pub(super) seat: Arc<Seat>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) view: Arc<ConnectionView>,
    pub(super) roster: Arc<Roster>,
    pub(super) cancel_notify: bool,
    pub(super) limits: SessionLimits,
    pub(super) channels: HashMap<u16, Channel, ahash::RandomState>,
    pub(super) routes: RouteCache,
    pub(super) effects: Effects,
    /// A `basic.get` that waits for its message to be read back from the store.
    pub(super) waiting_get: Option<WaitingGet>,
    /// What is published in this batch.
    pub(super) tally: Tally,
    acks: AckRun,
    shares: Vec<Share>,
}

/// Acknowledgements of one channel that follow each other, gathered so that
/// the outbox and each queue are locked once for all of them.
#[derive(Debug, Default)]
struct AckRun {
    channel: u16,
    tags: Vec<(u64, bool)>,
}

/// A `basic.get` to be carried out again.
#[derive(Debug)]
pub struct WaitingGet {
    /// The channel it came on.
    pub channel: u16,
    /// The queue it names.
    pub queue: String,
    /// Whether what it gets counts as settled.
    pub no_ack: bool,
}

/// A channel that has to be closed for an acknowledgement that made no sense.
#[derive(Debug)]
pub struct BadAck {
    /// The channel.
    pub channel: u16,
    /// Class and method id of the acknowledgement.
    pub ids: (u16, u16),
    /// Why.
    pub refusal: Refusal,
}

impl Session {
    /// A session without channels.
    pub fn new(
        id: ConnectionId,
        entry: Entry,
        (view, roster): (Arc<ConnectionView>, Arc<Roster>),
        cancel_notify: bool,
        limits: SessionLimits,
    ) -> Self {
        let outbox = Arc::clone(&view.outbox);
        let mut effects = Effects::default();
        if let Some(peer) = outbox.peer() {
            effects.set_actor(Arc::clone(&peer.user));
        }
        Self {
            id,
            vhost: entry.vhost,
            grants: entry.grants,
            seat: entry.seat,
            outbox,
            view,
            roster,
            cancel_notify,
            limits,
            channels: HashMap::default(),
            routes: RouteCache::default(),
            effects,
            waiting_get: None,
            tally: Tally::default(),
            acks: AckRun::default(),
            shares: Vec::new(),
        }
    }

    /// Begins a batch of work: sets the time, forgets cancelled consumers.
    /// Returns the channels that are to be closed, and why.
    pub fn begin_batch(&mut self, now: Now) -> Vec<(u16, Refusal)> {
        self.effects.set_now(now);
        let Some(lost) = self.outbox.take_lost() else {
            return Vec::new();
        };
        for (number, tag) in lost.consumers {
            let Some(channel) = self.channels.get_mut(&number) else {
                continue;
            };
            // The tag may have been given to a new consumer since.
            if channel
                .consumers
                .get(&tag)
                .is_some_and(|consumer| consumer.subscriber.is_off())
                && let Some(gone) = channel.remove_consumer(&tag)
            {
                gone.subscriber.leave();
                self.tell_consumer_deleted(number, &tag, gone.queue.name());
            }
            if self.outbox.has_windows() {
                self.serve_passed_over(number);
            }
        }
        let late = lost.channels.into_iter().filter_map(|(slot, timeout)| {
            let mut channels = self.channels.iter();
            let (number, _) = channels.find(|(_, channel)| channel.slot == slot)?;
            Some((*number, timed_out(*number, timeout)))
        });
        late.collect()
    }

    /// Ends a batch of work whose answers are out: consumers that lost their
    /// queue are told, everybody who was delivered to is woken.
    pub fn end_batch(&mut self) {
        self.add_up();
        if !self.effects.is_settled() {
            self.see_to_effects();
        }
        self.effects.tell_cancelled();
        if self.outbox.has_lost() {
            // Its own are forgotten with the next batch, so one has to come.
            Wake::wake(Arc::clone(&self.outbox));
        }
        self.wake_others();
    }

    /// Puts where others see it what was counted.
    pub fn add_up(&mut self) {
        if self.tally.channel().is_some() {
            add_up(&self.channels, &mut self.tally, self.effects.now());
        }
    }

    /// Wakes everybody who was delivered to; the connection's own task writes
    /// next anyway.
    pub fn wake_others(&mut self) {
        self.effects.wake_others(&self.outbox);
    }

    /// Opens a channel, of which the user may have `limit`.
    ///
    /// # Errors
    /// 530 when the user has that many.
    pub fn open_channel(&mut self, number: u16, limit: Option<u64>) -> Result<(), Refusal> {
        self.seat.open_channel(limit)?;
        let slot = self.outbox.open_channel();
        let view = ChannelView::new(number, slot, Arc::clone(&self.outbox));
        let view = Arc::new(view);
        self.view.add_channel(Arc::clone(&view));
        self.roster.past.channel_opened();
        let channel = Channel::new(slot, view, self.limits.default_prefetch);
        self.channels.insert(number, channel);
        self.tell_channel_created(number);
        Ok(())
    }

    /// Closes a channel: consumers go, what it held goes back.
    pub fn close_channel(&mut self, number: u16) {
        if self.acks.channel == number {
            self.acks.tags.clear();
        }
        self.waiting_get.take_if(|get| get.channel == number);
        self.add_up();
        let Some(channel) = self.channels.remove(&number) else {
            return;
        };
        if let Some(requester) = &channel.replies {
            self.vhost.replies().close(&requester.address);
        }
        self.seat.close_channel();
        self.tell_channel_closed(number, &channel);
        for consumer in channel.consumers.values() {
            self.detach_from(&channel, consumer);
        }
        let mut shares = std::mem::take(&mut self.shares);
        self.outbox
            .with_channel(channel.slot, |c| c.take_all(&mut shares));
        self.settle_shares(&mut shares, Settlement::Requeue(ReturnCause::Closed));
        self.shares = shares;
        self.view.remove_channel(number);
        self.roster.past.channel_closed(channel.view.traffic());
        self.outbox.close_channel(channel.slot);
        self.see_to_effects();
    }

    /// Takes a consumer of a channel that closes off its queue. What it holds
    /// goes back afterwards, together with the rest; but where order counts, at
    /// once, so that its successor gets that first.
    fn detach_from(&mut self, channel: &Channel, consumer: &ChannelConsumer) {
        let queue = &consumer.queue;
        if !has_single_active(&queue.spec().arguments) {
            return queue.detach(consumer.slot, &mut self.effects);
        }
        let held = || {
            self.outbox
                .with_channel(channel.slot, |c| c.take_from(consumer.source))
                .unwrap_or_default()
        };
        let requeue = Settlement::Requeue(ReturnCause::Closed);
        queue.detach_returning(consumer.slot, held, requeue, &mut self.effects);
    }

    /// Closes everything, exclusive queues included.
    pub fn close(&mut self) {
        let numbers: Vec<_> = self.channels.keys().copied().collect();
        for number in numbers {
            self.close_channel(number);
        }
        for queue in self.vhost.queues_owned_by(self.id) {
            self.vhost.remove_queue(&queue, &mut self.effects);
        }
        self.see_to_effects();
        self.end_batch();
    }

    /// Serves the consumers that were passed over while the outbox was full.
    pub fn resume_consumers(&mut self) {
        for channel in self.channels.values() {
            for consumer in channel.consumers.values() {
                consumer.queue.resume(consumer.slot, &mut self.effects);
            }
        }
        self.see_to_effects();
    }

    /// Serves a channel's consumers that were passed over because of what they
    /// hold together, as far as they hold less now.
    pub(super) fn serve_passed_over(&mut self, number: u16) {
        let Some(channel) = self.channels.get(&number) else {
            return;
        };
        let next = || {
            self.outbox
                .with_channel(channel.slot, |c| c.window().next())?
        };
        while let Some(tag) = next() {
            if let Some(consumer) = channel.consumers.get(&tag) {
                consumer.subscriber.place.come_forward();
                consumer.queue.resume(consumer.slot, &mut self.effects);
            }
        }
    }

    /// Settles deliveries, now or with the channel's transaction.
    ///
    /// # Errors
    /// 406 when a delivery tag isn't outstanding (`semantics` 9.5).
    pub fn settle(
        &mut self,
        number: u16,
        settle: Settle,
        transactional: bool,
    ) -> Result<(), BadAck> {
        if transactional {
            return self.settle_later(number, settle);
        }
        if let Settle::Ack { tag, multiple } = settle {
            self.acks.channel = number;
            self.acks.tags.push((tag, multiple));
            return Ok(());
        }
        self.settle_now(number, settle)
    }

    /// The channel whose acknowledgements are being gathered.
    pub fn gathering_acks(&self) -> Option<u16> {
        (!self.acks.tags.is_empty()).then_some(self.acks.channel)
    }

    /// Carries out the acknowledgements gathered. To be called before anything
    /// that may depend on them, and when the batch ends.
    ///
    /// # Errors
    /// 406 when a delivery tag isn't outstanding.
    pub fn finish_acks(&mut self) -> Result<(), BadAck> {
        if self.acks.tags.is_empty() {
            return Ok(());
        }
        let number = self.acks.channel;
        let mut tags = std::mem::take(&mut self.acks.tags);
        let mut shares = std::mem::take(&mut self.shares);
        let unknown = self.channels.get(&number).and_then(|channel| {
            self.outbox.with_channel(channel.slot, |deliveries| {
                tags.iter()
                    .find(|(tag, multiple)| deliveries.take(*tag, *multiple, &mut shares).is_none())
                    .map(|&(tag, multiple)| Settle::Ack { tag, multiple })
            })?
        });
        tags.clear();
        self.acks.tags = tags;
        self.settle_shares(&mut shares, Settlement::Acknowledge);
        self.shares = shares;
        if self.outbox.has_windows() {
            self.serve_passed_over(number);
        }
        self.see_to_effects();
        unknown.map_or(Ok(()), |ack| Err(unknown_tag(number, ack)))
    }

    /// Carries out what a transaction has gathered: all of it reaches the store,
    /// or nothing.
    ///
    /// # Errors
    /// 406 when a queue refused one of the messages: nothing has reached anybody
    /// then (`semantics` 8.4).
    pub(super) fn commit(&mut self, number: u16, transaction: &Transaction) -> Result<(), Refusal> {
        let mut unit = Unit::default();
        let mut refused = false;
        for held in &transaction.publishes {
            let incoming = Incoming::kept(held.message.clone()).expiring(held.expiration);
            refused |= self.publish_held(held, &incoming, &mut unit) == Pushed::Refused;
        }
        if refused {
            unit.abandon();
            self.see_to_effects();
            let text = "partial tx completion";
            return Err(Refusal::new(ReplyCode::PreconditionFailed, text));
        }
        for held in &transaction.publishes {
            let reply = held.message.view();
            for address in &held.replies {
                self.vhost
                    .replies()
                    .deliver(address, &reply, &mut self.effects);
            }
        }
        let mut shares = std::mem::take(&mut self.shares);
        for settle in &transaction.settles {
            // Checked when they came; what is gone since needs no settling.
            let (_gone, settlement) = self.take(number, *settle, &mut shares);
            for share in shares.drain(..) {
                unit.settle(&share.queue, &share.held, settlement, &mut self.effects);
            }
        }
        self.shares = shares;
        carry_dead_letters(&self.vhost, &mut unit, &mut self.effects);
        unit.commit(self.vhost.store(), &mut self.effects);
        if self.outbox.has_windows() {
            self.serve_passed_over(number);
        }
        self.see_to_effects();
        Ok(())
    }

    /// Publishes what a transaction held where it was routed to then. What an
    /// exchange on its way has had goes nowhere at all.
    fn publish_held(
        &mut self,
        held: &HeldPublish,
        incoming: &Incoming<'_>,
        unit: &mut Unit,
    ) -> Pushed {
        let mut route = |known: &[QueueId]| match known {
            [] => held.targets.clone(),
            _ => Vec::new(),
        };
        let start = unit.len();
        let once = match Once::route(unit, incoming, &mut self.effects, &mut route) {
            Ok(once) => once,
            Err(refused) => return refused,
        };
        if once.queues.is_empty() {
            unit.take_back(start);
        }
        let mut pushed = Pushed::Taken;
        for queue in &once.queues {
            if unit.publish(queue, incoming, &mut self.effects) == Pushed::Refused {
                pushed = Pushed::Refused;
            }
        }
        pushed
    }

    /// Requeues everything a channel holds.
    pub(super) fn recover(&mut self, number: u16) {
        let _all = self.settle_now(
            number,
            Settle::Nack {
                tag: 0,
                multiple: true,
                requeue: true,
            },
        );
    }

    /// Carries on dead letters and deletes unused queues until there are no more.
    pub(super) fn see_to_effects(&mut self) {
        see_to_effects(&self.vhost, &mut self.effects);
    }

    fn settle_later(&mut self, number: u16, settle: Settle) -> Result<(), BadAck> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        let transaction = &mut channel.transaction;
        let everything = settle.is_multiple() && settle.tag() == 0;
        let tag = self.outbox.with_channel(channel.slot, |deliveries| {
            if everything {
                return deliveries.latest(|tag| !transaction.has_settled(tag));
            }
            let free = !transaction.has_settled(settle.tag());
            (free && deliveries.is_outstanding(settle.tag())).then_some(settle.tag())
        });
        match tag.flatten() {
            Some(tag) => {
                transaction.settle(settle.with_tag(tag));
                channel.view.unsettled.add(1);
            }
            None if everything => {}
            None => return Err(unknown_tag(number, settle)),
        }
        Ok(())
    }

    fn settle_now(&mut self, number: u16, settle: Settle) -> Result<(), BadAck> {
        let mut shares = std::mem::take(&mut self.shares);
        let (taken, settlement) = self.take(number, settle, &mut shares);
        self.settle_shares(&mut shares, settlement);
        self.shares = shares;
        if self.outbox.has_windows() {
            self.serve_passed_over(number);
        }
        self.see_to_effects();
        match taken {
            Some(()) => Ok(()),
            None => Err(unknown_tag(number, settle)),
        }
    }

    /// Takes the deliveries that are settled from a channel, and says how they
    /// are. `None` when they aren't outstanding.
    fn take(
        &self,
        number: u16,
        settle: Settle,
        shares: &mut Vec<Share>,
    ) -> (Option<()>, Settlement) {
        let (tag, multiple, settlement) = match settle {
            Settle::Ack { tag, multiple } => (tag, multiple, Settlement::Acknowledge),
            Settle::Nack {
                tag,
                multiple,
                requeue,
            } => (tag, multiple, refused(requeue, ReturnCause::Returned)),
            Settle::Reject { tag, requeue } => {
                (tag, false, refused(requeue, ReturnCause::Rejected))
            }
        };
        let Some(channel) = self.channels.get(&number) else {
            // Closed in between, which settled everything.
            return (Some(()), settlement);
        };
        let taken = self
            .outbox
            .with_channel(channel.slot, |c| c.take(tag, multiple, shares));
        (taken.flatten(), settlement)
    }

    fn settle_shares(&mut self, shares: &mut Vec<Share>, settlement: Settlement) {
        for share in shares.drain(..) {
            share
                .queue
                .settle(&share.held, settlement, &mut self.effects);
        }
    }

    /// The queue that a method names.
    pub(super) fn queue(&self, name: &str) -> Result<Arc<Queue>, Refusal> {
        self.vhost.queue(name, self.id)
    }

    /// The channel that a method came on.
    pub(super) fn channel_mut(&mut self, number: u16) -> Result<&mut Channel, Refusal> {
        self.channels.get_mut(&number).ok_or_else(|| {
            Refusal::new(
                ReplyCode::InternalError,
                format!("channel {number} has no session"),
            )
        })
    }

    /// The queue declared on a channel since this was last asked.
    pub fn take_declared(&mut self, number: u16) -> Option<Arc<str>> {
        self.channels.get_mut(&number)?.declared.take()
    }

    /// The last batch that something was stored in since this was last asked.
    pub fn take_batch(&mut self) -> Option<Batch> {
        self.effects.take_batch()
    }
}

fn refused(requeue: bool, cause: ReturnCause) -> Settlement {
    if requeue {
        Settlement::Requeue(cause)
    } else {
        Settlement::Discard(cause)
    }
}

/// What a channel is closed with that held a message for longer than `timeout`
/// milliseconds (`semantics` 9.6).
fn timed_out(channel: u16, timeout: u64) -> Refusal {
    let text = format!(
        "delivery acknowledgement on channel {channel} timed out. Timeout value used: {timeout} \
         ms. This timeout value can be configured, see consumers doc guide to learn more"
    );
    Refusal::new(ReplyCode::PreconditionFailed, text)
}

fn unknown_tag(channel: u16, settle: Settle) -> BadAck {
    let text = format!("unknown delivery tag {}", settle.tag());
    BadAck {
        channel,
        ids: settle.ids(),
        refusal: Refusal::new(ReplyCode::PreconditionFailed, text),
    }
}
