//! The connections there are, their channels and consumers, for people to look at.
//!
//! What a connection's task counts it adds up in memory of its own while it
//! works on a batch, and puts where others can read it when the batch ends.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::outbox::{ChannelSlot, Outbox};
use super::stream::Encryption;
use super::traffic::{ChannelTraffic, NodeTraffic};
use crate::base::clock::Now;
use crate::base::ids::ConnectionId;
use crate::broker::queue::{ConsumerSlot, Queue};
use crate::wire::FieldTable;

/// For how long a connection is shown as held back, milliseconds: as RabbitMQ does.
const FLOW_SHOWN_MS: u64 = 5000;

/// A count that one task writes and others read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// What it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds to it. For the one task that does.
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.get() + more, Ordering::Relaxed);
    }

    /// Sets it.
    pub(super) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }
}

/// How a channel's publishes are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelMode {
    /// They aren't.
    Plain,
    /// Each is confirmed.
    Confirm,
    /// They take effect together.
    Transactional,
}

/// A consumer.
#[derive(Debug)]
pub struct ConsumerView {
    /// Its tag.
    pub tag: Arc<str>,
    /// What it consumes from.
    pub queue: Arc<Queue>,
    /// Its name there.
    pub slot: ConsumerSlot,
    /// Whether it acknowledges.
    pub ack_required: bool,
    /// Whether it is the only one.
    pub exclusive: bool,
    /// Most messages it holds; 0 is no limit.
    pub prefetch: u16,
    /// Milliseconds it may hold a message, if there is a limit.
    pub timeout: Option<u64>,
    /// What it was declared with.
    pub arguments: FieldTable,
}

/// A channel.
#[derive(Debug)]
pub struct ChannelView {
    /// Its number within the connection.
    pub number: u16,
    /// Its place in the connection's outbox.
    slot: ChannelSlot,
    outbox: Arc<Outbox>,
    mode: AtomicU8,
    prefetch: AtomicU32,
    window: AtomicU32,
    /// Messages published, and what became of them.
    pub(super) published: Count,
    pub(super) confirmed: Count,
    pub(super) returned: Count,
    pub(super) dropped: Count,
    pub(super) get_empty: Count,
    pub(super) uncommitted: Count,
    pub(super) unsettled: Count,
    /// When it was used last, milliseconds since 1970.
    pub(super) last_use: Count,
    consumers: Mutex<Vec<Arc<ConsumerView>>>,
}

impl ChannelView {
    /// A channel just opened.
    pub(super) fn new(number: u16, slot: ChannelSlot, outbox: Arc<Outbox>) -> Self {
        Self {
            number,
            slot,
            outbox,
            mode: AtomicU8::new(0),
            prefetch: AtomicU32::new(0),
            window: AtomicU32::new(0),
            published: Count::default(),
            confirmed: Count::default(),
            returned: Count::default(),
            dropped: Count::default(),
            get_empty: Count::default(),
            uncommitted: Count::default(),
            unsettled: Count::default(),
            last_use: Count::default(),
            consumers: Mutex::default(),
        }
    }

    /// How its publishes are answered.
    pub fn mode(&self) -> ChannelMode {
        match self.mode.load(Ordering::Relaxed) {
            0 => ChannelMode::Plain,
            1 => ChannelMode::Confirm,
            _ => ChannelMode::Transactional,
        }
    }

    pub(super) fn set_mode(&self, mode: ChannelMode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// The prefetch that consumers made from now on get.
    pub fn prefetch(&self) -> u32 {
        self.prefetch.load(Ordering::Relaxed)
    }

    pub(super) fn set_prefetch(&self, prefetch: u16) {
        self.prefetch.store(prefetch.into(), Ordering::Relaxed);
    }

    /// Most messages its consumers hold together; 0 is no limit.
    pub fn global_prefetch(&self) -> u32 {
        self.window.load(Ordering::Relaxed)
    }

    pub(super) fn set_global_prefetch(&self, prefetch: u16) {
        self.window.store(prefetch.into(), Ordering::Relaxed);
    }

    /// What has passed it.
    pub fn traffic(&self) -> ChannelTraffic {
        let handed = self.outbox.with_channel(self.slot, |c| c.handed());
        ChannelTraffic {
            published: self.published.get(),
            confirmed: self.confirmed.get(),
            returned: self.returned.get(),
            dropped: self.dropped.get(),
            get_empty: self.get_empty.get(),
            handed: handed.unwrap_or_default(),
        }
    }

    /// Messages handed out on it and not settled.
    pub fn unacked(&self) -> u64 {
        let unacked = self.outbox.with_channel(self.slot, |c| c.outstanding());
        unacked.unwrap_or_default() as u64
    }

    /// Publishes on it that are not confirmed yet.
    pub fn unconfirmed(&self) -> u64 {
        match self.mode() {
            ChannelMode::Confirm => self.published.get().saturating_sub(self.confirmed.get()),
            _ => 0,
        }
    }

    /// Publishes that wait for its transaction to be committed.
    pub fn uncommitted(&self) -> u64 {
        self.uncommitted.get()
    }

    /// Acknowledgements that do.
    pub fn acks_uncommitted(&self) -> u64 {
        self.unsettled.get()
    }

    /// When something was published on it last, milliseconds since 1970; 0 for
    /// never.
    pub fn last_use(&self) -> u64 {
        self.last_use.get()
    }

    /// Its consumers.
    pub fn consumers(&self) -> Vec<Arc<ConsumerView>> {
        self.consumers.lock().clone()
    }

    /// How many those are.
    pub fn consumer_count(&self) -> usize {
        self.consumers.lock().len()
    }

    pub(super) fn add_consumer(&self, consumer: ConsumerView) {
        self.consumers.lock().push(Arc::new(consumer));
    }

    pub(super) fn remove_consumer(&self, tag: &str) {
        self.consumers
            .lock()
            .retain(|consumer| *consumer.tag != *tag);
    }
}

/// What is known of a connection once it is in a virtual host.
#[derive(Debug)]
pub struct Opened {
    /// Who logged in.
    pub user: Arc<str>,
    /// The virtual host.
    pub vhost: Arc<str>,
    /// How the user logged in.
    pub mechanism: &'static str,
    /// How the connection is encrypted, if it is.
    pub encryption: Option<Encryption>,
    /// What the client says of itself.
    pub client: FieldTable,
    /// The name it gave itself.
    pub client_name: Option<String>,
    /// Channels it may open.
    pub channel_max: u16,
    /// Octets of a frame.
    pub frame_max: u32,
    /// Seconds between heartbeats; 0 for none.
    pub heartbeat: u16,
}

/// A connection.
#[derive(Debug)]
pub struct ConnectionView {
    /// Its number.
    pub id: ConnectionId,
    /// What it is called: `127.0.0.1:50834 -> 127.0.0.1:5672`.
    pub name: Arc<str>,
    /// The client's end.
    pub peer: SocketAddr,
    /// The broker's end.
    pub local: SocketAddr,
    /// When it was accepted, milliseconds since 1970.
    pub since: u64,
    pub(super) outbox: Arc<Outbox>,
    opened: OnceLock<Opened>,
    pub(super) blocked: AtomicBool,
    /// When it was held back last because the disk was behind, milliseconds since
    /// 1970.
    pub(super) held_back: Count,
    pub(super) octets_in: Count,
    pub(super) octets_out: Count,
    pub(super) reads: Count,
    pub(super) writes: Count,
    channels: Mutex<BTreeMap<u16, Arc<ChannelView>>>,
}

impl ConnectionView {
    /// What is known once it is in a virtual host; `None` before.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }

    pub(super) fn open(&self, opened: Opened) {
        let _first = self.opened.set(opened);
    }

    /// Whether it is not read, because it publishes while an alarm is on.
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Whether it was held back lately because it publishes faster than the disk
    /// takes it: what RabbitMQ calls `flow`.
    pub fn is_in_flow(&self, now: Now) -> bool {
        let last = self.held_back.get();
        last > 0 && now.unix_ms.saturating_sub(last) < FLOW_SHOWN_MS
    }

    /// Octets read from it and written to it.
    pub fn octets(&self) -> (u64, u64) {
        (self.octets_in.get(), self.octets_out.get())
    }

    /// How often it was read from and written to.
    pub fn packets(&self) -> (u64, u64) {
        (self.reads.get(), self.writes.get())
    }

    /// Octets that wait to be written to it.
    pub fn pending(&self) -> usize {
        self.outbox.waiting()
    }

    /// Its channels by number.
    pub fn channels(&self) -> Vec<Arc<ChannelView>> {
        self.channels.lock().values().cloned().collect()
    }

    /// How many those are.
    pub fn channel_count(&self) -> usize {
        self.channels.lock().len()
    }

    pub(super) fn add_channel(&self, channel: Arc<ChannelView>) {
        self.channels.lock().insert(channel.number, channel);
    }

    pub(super) fn remove_channel(&self, number: u16) {
        self.channels.lock().remove(&number);
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Roster {
    connections: Mutex<HashMap<ConnectionId, Arc<ConnectionView>>>,
    /// What has passed the channels that are closed, and what has come and gone.
    pub(super) past: NodeTraffic,
}

impl Roster {
    /// All connections, in no order.
    pub fn connections(&self) -> Vec<Arc<ConnectionView>> {
        self.connections.lock().values().cloned().collect()
    }

    /// The connection of that name.
    pub fn named(&self, name: &str) -> Option<Arc<ConnectionView>> {
        let connections = self.connections.lock();
        connections.values().find(|c| *c.name == *name).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.connections.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has come and gone since the broker was started.
    pub fn past(&self) -> &NodeTraffic {
        &self.past
    }

    /// What has passed all channels since the broker was started.
    pub fn traffic(&self) -> ChannelTraffic {
        // A channel that closes in between is counted once too often rather than
        // not at all; the next look has it right.
        let connections = self.connections();
        let mut all = self.past.channels();
        for connection in connections {
            for channel in connection.channels() {
                all += channel.traffic();
            }
        }
        all
    }

    pub(super) fn outbox(&self, id: ConnectionId) -> Option<Arc<Outbox>> {
        let connections = self.connections.lock();
        connections.get(&id).map(|view| Arc::clone(&view.outbox))
    }

    pub(super) fn enter(
        &self,
        id: ConnectionId,
        (peer, local): (SocketAddr, SocketAddr),
        since: u64,
    ) -> Arc<ConnectionView> {
        let view = Arc::new(ConnectionView {
            id,
            name: format!("{peer} -> {local}").into(),
            peer,
            local,
            since,
            outbox: Arc::default(),
            opened: OnceLock::new(),
            blocked: AtomicBool::new(false),
            held_back: Count::default(),
            octets_in: Count::default(),
            octets_out: Count::default(),
            reads: Count::default(),
            writes: Count::default(),
            channels: Mutex::default(),
        });
        self.connections.lock().insert(id, Arc::clone(&view));
        view
    }

    pub(super) fn leave(&self, id: ConnectionId) {
        let gone = self.connections.lock().remove(&id);
        if gone.is_some_and(|connection| connection.opened().is_some()) {
            self.past.connection_closed();
        }
    }
}
