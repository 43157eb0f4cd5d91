//! What waits to be written to one connection.
//!
//! Everybody who delivers to the connection encodes straight into its outbox,
//! under a lock that is a leaf: nothing else is locked while it is held. The
//! connection's own task swaps the octets out and writes them, woken once for
//! all that one batch of work has put in.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;

use super::tap::{Handed, Tap};
use super::unacked::{ChannelDeliveries, SourceSlot};
use super::window::Place;
use crate::base::clock::Now;
use crate::base::limits::{OUTBOX_COPY_MAX, OUTBOX_HIGH, OUTBOX_REPLIES_HIGH};
use crate::broker::announcements::Peer;
use crate::broker::effects::Effects;
use crate::broker::message::MessageView;
use crate::broker::subscriber::{Delivery, HeldSlot, Subscriber, Wake};
use crate::wire::encode::{self, DeliverArguments};
use crate::wire::frame::FRAME_END;
use crate::wire::method::{BasicCancel, BasicGetOk, BasicReturn};

/// A tail's memory is kept for the next batch up to this many octets.
const TAIL_KEEP: usize = 256 * 1024;

/// Too much waits to be written.
const FULL: u8 = 1;
/// Some channel has a limit on what its consumers hold together.
const WINDOWS: u8 = 2;

/// Names a channel within its connection's outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSlot(usize);

/// Octets on their way to the socket: full segments, then a tail still growing.
#[derive(Debug, Default)]
pub struct Outgoing {
    segments: VecDeque<Bytes>,
    tail: BytesMut,
    /// Octets of the tail that are written. The tail isn't advanced, so that its
    /// memory can be used again from the start.
    tail_written: usize,
}

impl Outgoing {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.tail_written == self.tail.len()
    }

    /// What is to be written, as far as it fits `slices`; how many it took.
    pub fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let rest = self.tail.get(self.tail_written..).unwrap_or_default();
        let pieces = self.segments.iter().map(|s| &s[..]).chain([rest]);
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.filter(|p| !p.is_empty())) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Notes that the first `written` octets are gone.
    pub fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.segments.front_mut() {
            if written < first.len() {
                bytes::Buf::advance(first, written);
                return;
            }
            written -= first.len();
            self.segments.pop_front();
        }
        self.tail_written += written;
        if self.is_empty() {
            self.tail_written = 0;
            self.tail.clear();
            if self.tail.capacity() > TAIL_KEEP {
                self.tail = BytesMut::new();
            }
        }
    }

    /// Chains `octets` in without copying them.
    fn chain(&mut self, octets: Bytes) {
        if !self.tail.is_empty() {
            self.segments.push_back(self.tail.split().freeze());
        }
        self.segments.push_back(octets);
    }
}

#[derive(Debug, Default)]
struct OutboxState {
    outgoing: Outgoing,
    /// Octets in the segments; the tail knows its own length.
    chained: usize,
    frame_max: u32,
    channels: Slab<ChannelDeliveries>,
    /// What is lost, for the connection's task to see to.
    lost: Lost,
}

impl OutboxState {
    fn waiting(&self) -> usize {
        self.chained + self.outgoing.tail.len()
    }

    fn put_content(&mut self, channel: u16, message: &MessageView<'_>) {
        let out = &mut self.outgoing;
        let body = message.body;
        encode::content_header(
            &mut out.tail,
            channel,
            body.len() as u64,
            message.properties,
        );
        match message.shared_body {
            Some(shared) if body.len() > OUTBOX_COPY_MAX => {
                let payload_max = encode::body_payload_max(self.frame_max);
                for start in (0..body.len()).step_by(payload_max) {
                    let piece = shared.slice(start..body.len().min(start + payload_max));
                    encode::body_head(&mut out.tail, channel, piece.len());
                    self.chained += out.tail.len() + piece.len();
                    out.chain(piece);
                    out.tail.put_u8(FRAME_END);
                }
            }
            _ => encode::body(&mut out.tail, channel, body, self.frame_max),
        }
    }
}

/// What queues have taken from a connection.
#[derive(Debug, Default)]
pub struct Lost {
    /// Consumers, by channel and tag.
    pub consumers: Vec<(u16, Arc<str>)>,
    /// Channels that have to go because they kept a message for longer than so
    /// many milliseconds.
    pub channels: Vec<(ChannelSlot, u64)>,
}

/// The outbox of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<OutboxState>,
    /// Why a consumer may have to be passed over: [`FULL`], [`WINDOWS`].
    hold_ups: AtomicU8,
    /// Whether somebody has undertaken to wake the connection's task.
    wake_pending: AtomicBool,
    any_lost: AtomicBool,
    notify: Notify,
    /// Set once the connection is in a virtual host.
    tap: OnceLock<Tap>,
}

impl Outbox {
    /// Sets the largest frame that the peer takes, octets of a whole frame.
    pub fn set_frame_max(&self, frame_max: u32) {
        self.state.lock().frame_max = frame_max;
    }

    /// Sets where copies of what is delivered go. The first one stays.
    pub fn set_tap(&self, tap: Tap) {
        let _first = self.tap.set(tap);
    }

    /// Whose connection it is, once that is known.
    pub fn peer(&self) -> Option<&Peer> {
        self.tap.get().map(|tap| &tap.peer)
    }

    /// Where copies of what is delivered go, if they are wanted now.
    #[inline]
    pub fn open_tap(&self) -> Option<&Tap> {
        self.tap.get().filter(|tap| tap.is_open())
    }

    /// Waits until somebody wakes the connection's task.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }

    /// Appends the connection's own replies, in order with the deliveries.
    pub fn append(&self, replies: &mut BytesMut) {
        if !replies.is_empty() {
            let mut state = self.state.lock();
            state.outgoing.tail.extend_from_slice(replies);
            drop(state);
            replies.clear();
        }
    }

    /// Moves everything that waits into `into`, which must be empty.
    pub fn take(&self, into: &mut Outgoing) {
        self.wake_pending.store(false, Ordering::Release);
        let mut state = self.state.lock();
        std::mem::swap(&mut state.outgoing, into);
        state.chained = 0;
    }

    /// Opens the outbox again after it was full. Returns whether it was, and
    /// consumers that were passed over have to be resumed.
    pub fn reopen(&self) -> bool {
        let is_full = |hold_ups| hold_ups & FULL != 0;
        is_full(self.hold_ups.load(Ordering::Relaxed))
            && is_full(self.hold_ups.fetch_and(!FULL, Ordering::AcqRel))
    }

    /// Octets that wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting()
    }

    /// Opens a channel.
    pub fn open_channel(&self) -> ChannelSlot {
        let mut state = self.state.lock();
        ChannelSlot(state.channels.insert(ChannelDeliveries::default()))
    }

    /// Closes a channel. Its consumers are detached and its unacknowledged
    /// messages settled before.
    pub fn close_channel(&self, slot: ChannelSlot) {
        let mut state = self.state.lock();
        let gone = state.channels.try_remove(slot.0);
        state.lost.channels.retain(|(late, _)| *late != slot);
        if gone.is_some_and(|mut channel| channel.window().is_limited()) {
            self.note_windows(&mut state);
        }
    }

    /// Sets how many messages the consumers of a channel may hold together; 0 is
    /// no limit.
    pub fn set_window(&self, slot: ChannelSlot, limit: u16) {
        let mut state = self.state.lock();
        if let Some(channel) = state.channels.get_mut(slot.0) {
            channel.window().set_limit(limit);
        }
        self.note_windows(&mut state);
    }

    /// Whether a channel has such a limit.
    pub fn has_window(&self, slot: ChannelSlot) -> bool {
        self.has_windows() && self.with_channel(slot, |c| c.window().is_limited()) == Some(true)
    }

    /// Whether any channel has such a limit.
    pub fn has_windows(&self) -> bool {
        self.hold_ups.load(Ordering::Relaxed) & WINDOWS != 0
    }

    fn note_windows(&self, state: &mut OutboxState) {
        let mut channels = state.channels.iter_mut();
        if channels.any(|(_, channel)| channel.window().is_limited()) {
            self.hold_ups.fetch_or(WINDOWS, Ordering::Release);
        } else {
            self.hold_ups.fetch_and(!WINDOWS, Ordering::Release);
        }
    }

    /// Looks at what a channel was handed out; `None` once it is closed.
    pub fn with_channel<R>(
        &self,
        slot: ChannelSlot,
        look: impl FnOnce(&mut ChannelDeliveries) -> R,
    ) -> Option<R> {
        self.state.lock().channels.get_mut(slot.0).map(look)
    }

    /// Appends the answer to a `basic.get`, given `now`: `remaining` messages stay
    /// ready.
    pub fn put_get_ok(
        &self,
        channel: u16,
        slot: ChannelSlot,
        source: SourceSlot,
        delivery: &Delivery<'_>,
        (remaining, now): (u64, Now),
    ) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(deliveries) = state.channels.get_mut(slot.0) else {
            return;
        };
        let annotated = delivery.annotated();
        let message = &delivery.message_with(annotated.as_deref());
        if let Some(tap) = self.open_tap() {
            let handed = Handed {
                message,
                queue: deliveries.queue_name(source),
                consumer: None,
                redelivered: delivery.redelivered,
                to_settle: delivery.held.is_some(),
            };
            tap.delivered(channel, &handed, now);
        }
        let get_ok = BasicGetOk {
            delivery_tag: deliveries.hand_out_got(source, delivery.held, delivery.redelivered),
            redelivered: delivery.redelivered,
            // Both came in as short strings of a method, which are UTF-8.
            exchange: str::from_utf8(message.exchange).unwrap_or_default(),
            routing_key: str::from_utf8(message.routing_key).unwrap_or_default(),
            message_count: u32::try_from(remaining).unwrap_or(u32::MAX),
        };
        encode::method(&mut state.outgoing.tail, channel, get_ok);
        state.put_content(channel, message);
    }

    /// Appends a message that comes back to its publisher.
    pub fn put_return(&self, channel: u16, method: BasicReturn<'_>, message: &MessageView<'_>) {
        let mut state = self.state.lock();
        encode::method(&mut state.outgoing.tail, channel, method);
        state.put_content(channel, message);
    }

    /// Appends a direct reply, unless too much waits already; whether it did.
    pub fn put_reply(
        self: &Arc<Self>,
        channel: u16,
        slot: ChannelSlot,
        consumer_tag: &str,
        message: &MessageView<'_>,
        effects: &mut Effects,
    ) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.waiting() >= OUTBOX_REPLIES_HIGH {
            return false;
        }
        let Some(deliveries) = state.channels.get_mut(slot.0) else {
            return false;
        };
        if let Some(tap) = self.open_tap() {
            let handed = Handed {
                message,
                queue: str::from_utf8(message.routing_key).unwrap_or_default(),
                consumer: Some(consumer_tag),
                redelivered: false,
                to_settle: false,
            };
            tap.delivered(channel, &handed, effects.now());
        }
        let arguments = DeliverArguments {
            channel,
            consumer_tag,
            delivery_tag: deliveries.next_tag(),
            redelivered: false,
            exchange: message.exchange,
            routing_key: message.routing_key,
        };
        self.put_deliver(state, &arguments, message);
        drop(guard);
        self.wake_later(effects);
        true
    }

    #[inline(always)]
    fn put_deliver(
        &self,
        state: &mut OutboxState,
        arguments: &DeliverArguments<'_>,
        message: &MessageView<'_>,
    ) {
        encode::deliver(&mut state.outgoing.tail, arguments);
        state.put_content(arguments.channel, message);
        if state.waiting() >= OUTBOX_HIGH {
            self.hold_ups.fetch_or(FULL, Ordering::Release);
        }
    }

    fn wake_later(self: &Arc<Self>, effects: &mut Effects) {
        if !self.wake_pending.load(Ordering::Relaxed)
            && !self.wake_pending.swap(true, Ordering::AcqRel)
        {
            effects.wake_later(Arc::clone(self) as Arc<dyn Wake>);
        }
    }

    /// Whether anything was lost since that was last asked.
    pub fn has_lost(&self) -> bool {
        self.any_lost.load(Ordering::Acquire)
    }

    fn lose_channel(&self, state: &mut OutboxState, slot: ChannelSlot, timeout: u64) {
        state.lost.channels.push((slot, timeout));
        self.any_lost.store(true, Ordering::Release);
    }

    /// What was lost since this was last asked, if anything.
    pub fn take_lost(&self) -> Option<Lost> {
        if !self.any_lost.load(Ordering::Acquire) {
            return None;
        }
        self.any_lost.store(false, Ordering::Release);
        Some(std::mem::take(&mut self.state.lock().lost))
    }
}

impl Wake for Outbox {
    fn wake(self: Arc<Self>) {
        self.notify.notify_one();
    }
}

impl std::task::Wake for Outbox {
    fn wake(self: Arc<Self>) {
        self.notify.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify.notify_one();
    }
}

/// A consumer as its queue sees it: a way into the connection's outbox.
#[derive(Debug)]
pub struct OutboxConsumer {
    /// The connection's outbox.
    pub outbox: Arc<Outbox>,
    /// The channel's number.
    pub channel: u16,
    /// The channel's place in the outbox.
    pub slot: ChannelSlot,
    /// The consumer's tag.
    pub tag: Arc<str>,
    /// Where its channel notes what it took from this queue.
    pub source: SourceSlot,
    /// Whether what it is delivered counts as settled.
    pub no_ack: bool,
    /// Whether the client wants to hear that its queue is gone.
    pub cancel_notify: bool,
    /// Whether its channel goes when it holds a message for too long.
    pub timeout_closes: bool,
    /// How it stands with what its channel's consumers may hold together.
    pub place: Place,
    /// Whether its queue has let it go.
    pub is_off: AtomicBool,
}

impl OutboxConsumer {
    /// Takes it off its channel, once its queue hands it nothing more.
    pub fn leave(&self) {
        self.outbox.with_channel(self.slot, |channel| {
            channel.window().leave(&self.tag, &self.place);
            channel.leave(self.source);
        });
    }

    /// Whether its queue has let it go.
    pub fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Acquire)
    }

    /// Has the client told, and the connection's task forget it.
    fn let_go(&self, state: &mut OutboxState) {
        if self.cancel_notify {
            let cancel = BasicCancel {
                consumer_tag: &self.tag,
                nowait: true,
            };
            encode::method(&mut state.outgoing.tail, self.channel, cancel);
        }
        self.is_off.store(true, Ordering::Release);
        let tag = Arc::clone(&self.tag);
        state.lost.consumers.push((self.channel, tag));
        self.outbox.any_lost.store(true, Ordering::Release);
    }

    /// Whether its channel's consumers hold less together than they may.
    #[cold]
    fn fits_window(&self) -> bool {
        let mut state = self.outbox.state.lock();
        let channel = state.channels.get_mut(self.slot.0);
        self.no_ack || channel.is_none_or(|c| c.window().promise(&self.tag, &self.place))
    }
}

impl Subscriber for OutboxConsumer {
    fn accepts(&self) -> bool {
        match self.outbox.hold_ups.load(Ordering::Acquire) {
            0 => true,
            hold_ups => hold_ups & FULL == 0 && self.fits_window(),
        }
    }

    fn deliver(&self, delivery: &Delivery<'_>, effects: &mut Effects) {
        let mut guard = self.outbox.state.lock();
        let state = &mut *guard;
        let Some(channel) = state.channels.get_mut(self.slot.0) else {
            return;
        };
        if self.place.is_promised() {
            channel.window().redeem(&self.place);
        }
        let (annotated, rewritten);
        let message = if delivery.attempts.is_none() {
            &delivery.message
        } else {
            annotated = delivery.annotated();
            rewritten = delivery.message_with(annotated.as_deref());
            &rewritten
        };
        if let Some(tap) = self.outbox.open_tap() {
            let handed = Handed {
                message,
                queue: channel.queue_name(self.source),
                consumer: Some(&self.tag),
                redelivered: delivery.redelivered,
                to_settle: delivery.held.is_some(),
            };
            tap.delivered(self.channel, &handed, effects.now());
        }
        let arguments = DeliverArguments {
            channel: self.channel,
            consumer_tag: &self.tag,
            delivery_tag: channel.hand_out(self.source, delivery.held, delivery.redelivered),
            redelivered: delivery.redelivered,
            exchange: delivery.message.exchange,
            routing_key: delivery.message.routing_key,
        };
        self.outbox.put_deliver(state, &arguments, message);
        drop(guard);
        self.outbox.wake_later(effects);
    }

    fn give_back(&self, held: Vec<HeldSlot>, timeout: u64, effects: &mut Effects) -> Vec<HeldSlot> {
        let mut guard = self.outbox.state.lock();
        let state = &mut *guard;
        let Some(channel) = state.channels.get_mut(self.slot.0) else {
            return Vec::new();
        };
        let given = channel.take_back(self.source, held);
        if given.is_empty() {
            return given;
        }
        if self.timeout_closes {
            self.outbox.lose_channel(state, self.slot, timeout);
        } else {
            self.let_go(state);
        }
        drop(guard);
        self.outbox.wake_later(effects);
        given
    }

    fn cancelled(&self, effects: &mut Effects) {
        self.let_go(&mut self.outbox.state.lock());
        self.outbox.wake_later(effects);
    }
}

/// Who got a message, as its queue sees it when that isn't settled in time.
#[derive(Debug)]
pub struct OutboxGetter {
    outbox: Arc<Outbox>,
    slot: ChannelSlot,
    source: SourceSlot,
}

impl OutboxGetter {
    /// Who got a message on the channel at `slot`, from the queue at `source`.
    pub fn shared(
        outbox: &Arc<Outbox>,
        slot: ChannelSlot,
        source: SourceSlot,
    ) -> Arc<dyn Subscriber> {
        let outbox = Arc::clone(outbox);
        Arc::new(Self {
            outbox,
            slot,
            source,
        })
    }
}

impl Subscriber for OutboxGetter {
    fn accepts(&self) -> bool {
        false
    }

    fn deliver(&self, _: &Delivery<'_>, _: &mut Effects) {}

    fn give_back(&self, held: Vec<HeldSlot>, timeout: u64, effects: &mut Effects) -> Vec<HeldSlot> {
        let mut guard = self.outbox.state.lock();
        let state = &mut *guard;
        let Some(channel) = state.channels.get_mut(self.slot.0) else {
            return Vec::new();
        };
        let given = channel.take_back(self.source, held);
        if !given.is_empty() {
            self.outbox.lose_channel(state, self.slot, timeout);
            drop(guard);
            self.outbox.wake_later(effects);
        }
        given
    }

    fn cancelled(&self, _: &mut Effects) {}
}
