//! Queues: a state machine each, behind a lock each.
//!
#![doc = include_str!("../../manual/queues.md")]

mod arrivals;
mod backlog;
mod browse;
mod consumers;
mod core;
mod dead_letter;
mod deadlines;
mod deduplication;
mod departures;
mod groups;
mod incoming;
mod lane;
mod notices;
mod ready;
mod reserving;
mod residency;
mod retries;
mod schedule;
mod selection;
mod settings;
mod settling;
mod state;
mod taking;
mod telling;
mod timeouts;
mod undelivered;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

pub use self::backlog::Entry;
pub use self::browse::{BadPlace, Cursor, Frontier, Glance, Look, Place, Seen};
pub use self::consumers::{ConsumerSlot, ConsumerSpec, has_single_active};
pub use self::core::{Pause, QueueCore, Settlement};
pub use self::dead_letter::{DeadLetter, DeadLetterTarget, DeathReason, is_cycle};
pub use self::deduplication::{Mark, MessageKey, WINDOW_LANE, deduplicates};
pub use self::incoming::Incoming;
pub use self::reserving::Reserved;
pub use self::residency::{Marks, Residency};
pub use self::retries::{Delayed, DelayedRetry, RetryKey};
pub use self::settings::{Overflow, Priorities, Settings};
pub use self::taking::Taken;

use self::consumers::Detached;
use self::deduplication::read_all;
use self::timeouts::Late;
use super::attempts::ReturnCause;
use super::delay::holds_for;
use super::effects::Effects;
use super::once::remembers_for;
use super::spec::QueueSpec;
use super::store::{Load, Page, Receiver, Record, Remainder, Store};
use super::subscriber::{Delivery, HeldSlot, Subscriber, Wake};
use super::timers::Timers;
use super::trace::{Removal, Tracer};
use super::traffic::{QueueTotals, QueueTraffic};
use crate::base::clock::Now;
use crate::base::ids::{Batch, ConnectionId, QueueId};
use crate::wire::{Refusal, ReplyCode};

/// How many messages are delivered before the lock is given to somebody else.
const DISPATCH_BUDGET: usize = 512;
/// How many messages are taken away at a time because their time is over.
const EXPIRY_BUDGET: usize = 1024;

/// How full a queue is and who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueCounts {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages handed out and not settled yet.
    pub unacked: u64,
    /// Messages that came back and wait to be tried again.
    pub delayed: u64,
    /// Consumers attached.
    pub consumers: u64,
    /// Dead letters that nothing took and that wait to be tried again.
    pub undelivered: u64,
    /// Octets of their bodies.
    pub undelivered_bytes: u64,
    /// Messages dropped because they had come before, since it was started.
    pub duplicates: u64,
}

/// How many octets the bodies of a queue's messages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueOctets {
    /// Of those that wait for a consumer. Of what an earlier run left to the store
    /// all octets count until it is read back, properties too.
    pub ready: u64,
    /// Of those handed out and not settled yet.
    pub unacked: u64,
}

/// What is there of a queue, and what has passed it, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueStatus {
    /// How full it is and who uses it.
    pub counts: QueueCounts,
    /// Octets of its messages.
    pub octets: QueueOctets,
    /// What has passed it.
    pub traffic: QueueTraffic,
    /// When it was used last, milliseconds since 1970, as far as that is known.
    pub last_use: u64,
    /// When the oldest message that waits came, milliseconds since 1970.
    pub oldest: Option<u64>,
}

/// The answer to who asks for one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got<R> {
    /// What became of the message.
    Message(R),
    /// None is ready.
    Nothing,
    /// One is ready, but has to be read back from the store first. Whoever asked
    /// is woken when it is worth asking again.
    NotYet,
}

/// What became of a message that was offered to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The queue has it, or had it already.
    Taken,
    /// There is no room: its publisher is to hear so.
    Refused,
}

/// What a queue shares with others.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where stored messages are kept.
    pub store: Arc<dyn Store>,
    /// What it goes by with a long backlog.
    pub residency: Arc<Residency>,
    /// Where it asks to be called at a time.
    pub timers: Arc<Timers<Queue>>,
    /// Where what has passed it is added to once it is deleted.
    pub totals: Arc<QueueTotals>,
    /// What takes down where messages go.
    pub tracer: Arc<Tracer>,
}

impl Surroundings {
    /// With no time asked for yet.
    pub fn new(store: Arc<dyn Store>, residency: Arc<Residency>) -> Self {
        Self {
            store,
            residency,
            timers: Arc::default(),
            totals: Arc::default(),
            tracer: Arc::default(),
        }
    }
}

/// A queue: what it was declared as, and its state behind its lock.
#[derive(Debug)]
pub struct Queue {
    id: QueueId,
    vhost: Arc<str>,
    spec: QueueSpec,
    owner: Option<ConnectionId>,
    store: Arc<dyn Store>,
    timers: Arc<Timers<Queue>>,
    totals: Arc<QueueTotals>,
    tracer: Arc<Tracer>,
    deleted: AtomicBool,
    core: Mutex<QueueCore>,
}

impl Queue {
    /// An empty queue. `owner` is the connection an exclusive queue belongs to.
    pub fn new(
        id: QueueId,
        vhost: Arc<str>,
        spec: QueueSpec,
        owner: Option<ConnectionId>,
        around: &Surroundings,
    ) -> Self {
        let settings = Settings::of(&spec.arguments).shared();
        let core = QueueCore::new(id, &spec, settings, Arc::clone(&around.residency));
        Self {
            id,
            vhost,
            spec,
            owner,
            store: Arc::clone(&around.store),
            timers: Arc::clone(&around.timers),
            totals: Arc::clone(&around.totals),
            tracer: Arc::clone(&around.tracer),
            deleted: AtomicBool::new(false),
            core: Mutex::new(core),
        }
    }

    /// The number its messages are stored under.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.spec.name
    }

    /// The virtual host it lives in.
    pub fn vhost(&self) -> &Arc<str> {
        &self.vhost
    }

    /// What it was declared as.
    pub fn spec(&self) -> &QueueSpec {
        &self.spec
    }

    /// The connection it belongs to, if it is exclusive.
    pub fn owner(&self) -> Option<ConnectionId> {
        self.owner
    }

    /// What it goes by.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.core.lock().settings())
    }

    /// Has it go by other settings from now on. The time for which nobody may
    /// use it begins anew.
    pub fn configure(self: &Arc<Self>, settings: Arc<Settings>, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.touch(effects.now());
        core.configure(settings);
        self.serve(core, effects);
    }

    /// The exchange that it holds messages back for, if that is what it is for.
    pub fn holds_for(&self) -> Option<&str> {
        holds_for(&self.spec.name, &self.spec.arguments)
    }

    /// The exchange that it remembers messages for, if that is what it is for.
    pub fn remembers_for(&self) -> Option<&str> {
        remembers_for(&self.spec.name, &self.spec.arguments)
    }

    /// How full it is and who uses it.
    pub fn counts(&self) -> QueueCounts {
        self.core.lock().counts()
    }

    /// What is there of it, and what has passed it.
    pub fn status(&self) -> QueueStatus {
        self.core.lock().status()
    }

    /// Whether a consumer is one of those that are served: the only one where
    /// there is a single active consumer.
    pub fn is_active(&self, slot: ConsumerSlot) -> bool {
        self.core.lock().consumers.is_active(slot)
    }

    /// Whether it was deleted; what still holds it lets go soon.
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Takes a message: hands it to a waiting consumer or keeps it.
    pub fn push(self: &Arc<Self>, incoming: &Incoming<'_>, effects: &mut Effects) -> Pushed {
        let mut core = self.core.lock();
        let pushed = core.push(incoming, &*self.store, effects);
        if core.is_grouped() {
            // Others may wait though nobody who takes messages is busy.
            self.serve(core, effects);
            return pushed;
        }
        if core.has_to_see_to() {
            core.expire(EXPIRY_BUDGET, effects.now());
            self.let_go(core, effects);
        }
        pushed
    }

    /// Settles messages that were handed out, then serves whoever became ready.
    pub fn settle(
        self: &Arc<Self>,
        held: &[HeldSlot],
        settlement: Settlement,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        let returned = self.take(&mut core, held, settlement, effects);
        core.put_back(returned, effects);
        self.serve(core, effects);
    }

    /// Settles messages that were handed out as part of something bigger: what
    /// the store is to be told of it is added to `records`, what is to be put
    /// back once it knows is returned.
    pub(super) fn settle_within(
        self: &Arc<Self>,
        held: &[HeldSlot],
        settlement: Settlement,
        records: &mut Vec<Record<'static>>,
        effects: &mut Effects,
    ) -> Vec<Entry> {
        let mut core = self.core.lock();
        let returned = self.take(&mut core, held, settlement, effects);
        core.hand_over_notices(records);
        self.hand_over_dying(&mut core, effects);
        returned
    }

    /// Puts messages back to their places, then serves whoever waits.
    pub(super) fn put_back(self: &Arc<Self>, returned: Vec<Entry>, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.put_back(returned, effects);
        self.serve(core, effects);
    }

    /// Gives a message its place, to which it comes with [`Queue::arrive`] once
    /// it is in the store. `is_own` says whether one of that id comes along.
    ///
    /// # Errors
    /// What became of it when it doesn't get one.
    pub(super) fn reserve(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        is_own: &dyn Fn(MessageKey) -> bool,
        effects: &mut Effects,
    ) -> Result<Reserved, Pushed> {
        let mut core = self.core.lock();
        let reserved = core.reserve(incoming, is_own, effects);
        self.hand_over_dying(&mut core, effects);
        reserved
    }

    /// Takes a place back that was given to a message that doesn't come.
    pub(super) fn release(&self, reserved: &Reserved) {
        self.core.lock().release_place(reserved);
    }

    /// Takes a message that had its place given, then serves whoever waits.
    /// `batch` is what it went to the store with, if it did.
    pub(super) fn arrive(
        self: &Arc<Self>,
        reserved: Reserved,
        batch: Option<Batch>,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        core.arrive(reserved, batch);
        self.serve(core, effects);
    }

    /// Hands out what can be handed out, giving way to others in between, drops
    /// what there is no room for then, tells the store and asks it for more.
    fn serve<'a>(self: &'a Arc<Self>, mut core: MutexGuard<'a, QueueCore>, effects: &mut Effects) {
        loop {
            match core.dispatch(DISPATCH_BUDGET, effects) {
                // What is first then may have expired.
                Pause::Idle if core.make_room() => {}
                Pause::Idle => return self.let_go(core, effects),
                Pause::Budget => {}
                Pause::Expired => {
                    core.expire(EXPIRY_BUDGET, effects.now());
                }
            }
            self.let_go(core, effects);
            core = self.core.lock();
        }
    }

    /// Tells the store what it has to know, lets go of the lock and asks for
    /// messages that are to be read back.
    fn let_go(self: &Arc<Self>, mut core: MutexGuard<'_, QueueCore>, effects: &mut Effects) {
        core.notify(&*self.store, effects);
        core.note_full();
        if core.has_dying() {
            self.hand_over_dying(&mut core, effects);
        }
        if let Some((before, at)) = core.new_alarm() {
            self.timers.set(self.id, before, at, Arc::downgrade(self));
        }
        let Some(first) = core.wanted() else {
            return;
        };
        let others: Vec<_> = std::iter::from_fn(|| core.wanted()).collect();
        drop(core);
        for (lane, wanted) in std::iter::once(first).chain(others) {
            self.store.load(Load {
                queue: lane,
                from: wanted.from,
                to: wanted.to,
                bytes: wanted.bytes,
                batch: wanted.batch,
                receiver: Arc::clone(self) as Arc<dyn Receiver>,
            });
        }
    }

    /// Gives what died here to whoever carries it on.
    fn hand_over_dying(self: &Arc<Self>, core: &mut QueueCore, effects: &mut Effects) {
        for (lane, entry, reason) in core.take_dying() {
            let settings = Arc::clone(core.settings());
            effects.dead_letter(DeadLetter::new(self, settings, lane, entry, reason));
        }
    }

    /// Keeps a dead letter that nothing took.
    pub(super) fn keep_undelivered(
        self: &Arc<Self>,
        entry: Entry,
        reason: DeathReason,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        core.keep_undelivered(entry, reason, effects.now());
        self.let_go(core, effects);
    }

    /// Sees to what is due: called at the time the queue asked for.
    pub fn on_time(self: &Arc<Self>, effects: &mut Effects) {
        let now = effects.now();
        let mut core = self.core.lock();
        core.take_alarm();
        core.retry(now);
        core.release_due(now);
        core.retry_undelivered(now);
        core.make_room_first();
        core.expire(EXPIRY_BUDGET, now);
        for late in core.late(now) {
            self.time_out(&mut core, late, effects);
        }
        if core.is_unused(now) && !self.is_deleted() {
            effects.expired(Arc::clone(self));
        }
        self.serve(core, effects);
    }

    /// Takes back what a consumer has kept for too long, and the consumer off.
    fn time_out(self: &Arc<Self>, core: &mut QueueCore, late: Late, effects: &mut Effects) {
        // What it is about to settle it may settle.
        let held = late.subscriber.give_back(late.held, late.timeout, effects);
        if held.is_empty() {
            return;
        }
        let (queue, vhost, messages) = (&*self.spec.name, &*self.vhost, held.len());
        tracing::warn!(queue, vhost, messages, "consumer timed out");
        let detached = late.consumer.map(|consumer| core.detach(consumer));
        let requeue = Settlement::Requeue(ReturnCause::TimedOut);
        let returned = self.take(core, &held, requeue, effects);
        core.put_back(returned, effects);
        if detached == Some(Detached::Last) && self.spec.auto_delete && !self.is_deleted() {
            effects.unused(Arc::clone(self));
        }
    }

    /// Gives who got a message so long to settle it, if there is a limit; `usual`
    /// is the limit, milliseconds, where the queue has none of its own.
    pub fn time_got(
        self: &Arc<Self>,
        held: HeldSlot,
        usual: Option<u64>,
        subscriber: impl FnOnce() -> Arc<dyn Subscriber>,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        core.time_got(held, usual, effects.now(), subscriber);
        self.let_go(core, effects);
    }

    /// Notes a use of the queue that leaves no other trace: it was declared.
    pub fn touch(self: &Arc<Self>, effects: &mut Effects) {
        let mut core = self.core.lock();
        if core.settings().expires.is_some() {
            core.touch(effects.now());
            self.let_go(core, effects);
        }
    }

    /// Has a queue that was restored go on where it was.
    pub fn resume_after_restart(self: &Arc<Self>, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.begin(effects.now());
        self.serve(core, effects);
    }

    /// Whether nobody has used it for longer than it is to be kept then.
    pub fn is_unused(&self, now: Now) -> bool {
        self.core.lock().is_unused(now)
    }

    /// Attaches a consumer and serves it.
    ///
    /// # Errors
    /// 403 when the queue is in exclusive use, or would have to be; 404 when
    /// it is being deleted (`semantics` 9.1).
    pub fn attach(
        self: &Arc<Self>,
        consumer: ConsumerSpec,
        subscriber: Arc<dyn Subscriber>,
        ready: impl FnOnce(),
        effects: &mut Effects,
    ) -> Result<ConsumerSlot, Refusal> {
        let mut core = self.core.lock();
        if self.is_deleted() {
            return Err(self.not_found());
        }
        let slot = core.attach(consumer, subscriber).ok_or_else(|| {
            let text = format!(
                "queue '{}' in vhost '{}' in exclusive use",
                self.spec.name, self.vhost
            );
            Refusal::new(ReplyCode::AccessRefused, text)
        })?;
        ready();
        self.serve(core, effects);
        Ok(slot)
    }

    /// Takes a consumer off. What it holds stays held until it is settled; who
    /// has its place is served.
    pub fn detach(self: &Arc<Self>, slot: ConsumerSlot, effects: &mut Effects) {
        self.detach_returning(slot, Vec::new, Settlement::Acknowledge, effects);
    }

    /// Takes a consumer off and settles what it holds, in one: who has its place
    /// gets what comes back before anything else. `held` is asked for that once
    /// nothing more can be handed to it, with the queue's lock held.
    pub fn detach_returning(
        self: &Arc<Self>,
        slot: ConsumerSlot,
        held: impl FnOnce() -> Vec<HeldSlot>,
        settlement: Settlement,
        effects: &mut Effects,
    ) {
        let mut core = self.core.lock();
        let detached = core.detach(slot);
        core.touch(effects.now());
        let held = held();
        if detached == Detached::Succeeded || !held.is_empty() {
            let returned = self.take(&mut core, &held, settlement, effects);
            core.put_back(returned, effects);
            self.serve(core, effects);
        } else {
            self.let_go(core, effects);
        }
        if detached == Detached::Last && self.spec.auto_delete && !self.is_deleted() {
            effects.unused(Arc::clone(self));
        }
    }

    /// Lets a consumer that turned deliveries away be considered again.
    pub fn resume(self: &Arc<Self>, slot: ConsumerSlot, effects: &mut Effects) {
        let mut core = self.core.lock();
        core.resume(slot);
        self.serve(core, effects);
    }

    /// Hands the first ready message to `take`, with how many remain ready.
    /// While it is on its way from the store, `who` is noted to be woken.
    pub fn get<R, W: Wake + 'static>(
        self: &Arc<Self>,
        no_ack: bool,
        who: &Arc<W>,
        effects: &mut Effects,
        take: impl FnOnce(&Delivery<'_>, u64) -> R,
    ) -> Got<R> {
        let mut core = self.core.lock();
        core.touch(effects.now());
        let got = core.get(no_ack, who, effects.now(), take);
        self.let_go(core, effects);
        got
    }

    /// Drops every ready message; returns how many there were.
    pub fn purge(&self, effects: &mut Effects) -> u64 {
        let mut core = self.core.lock();
        self.trace_removal(&core, Removal::Purged, effects);
        let purged = core.purge(effects);
        core.notify(&*self.store, effects);
        core.note_full();
        purged
    }

    /// Leaves to the store what it held in one of the queue's lanes. For recovery,
    /// before anybody uses the queue: messages are read back when they are asked
    /// for, but what it remembers of those it has had is read now.
    pub fn restore(&self, lane: QueueId, remainder: Remainder) {
        let remembers = self.core.lock().expects_marks(lane, remainder);
        if remembers {
            let take = |page| self.core.lock().recall(page);
            return read_all(&*self.store, lane, remainder, take);
        }
        self.core.lock().restore(lane, remainder);
    }

    /// Deletes the queue: its messages are gone, its consumers are to be told.
    /// Returns how many messages were ready.
    pub fn delete(&self, effects: &mut Effects) -> u64 {
        self.delete_locked(&mut self.core.lock(), effects)
    }

    fn delete_locked(&self, core: &mut QueueCore, effects: &mut Effects) -> u64 {
        if !self.deleted.swap(true, Ordering::AcqRel) {
            let is_quorum = core.settings().quorum;
            self.totals.bury(is_quorum, core.traffic());
        }
        if let Some(at) = core.take_alarm() {
            self.timers.cancel(self.id, at);
        }
        self.trace_removal(core, Removal::QueueDeleted, effects);
        core.delete(effects)
    }

    /// Deletes the queue if it is unused and empty, as far as that is asked for.
    ///
    /// # Errors
    /// 406 when it isn't (`semantics` 6.6).
    pub fn delete_if(
        &self,
        if_unused: bool,
        if_empty: bool,
        effects: &mut Effects,
    ) -> Result<u64, Refusal> {
        let mut core = self.core.lock();
        let counts = core.counts();
        let refuse = |what| {
            let text = format!(
                "queue '{}' in vhost '{}' {what}",
                self.spec.name, self.vhost
            );
            Err(Refusal::new(ReplyCode::PreconditionFailed, text))
        };
        if if_unused && counts.consumers > 0 {
            return refuse("in use");
        }
        if if_empty && counts.ready > 0 {
            return refuse("not empty");
        }
        Ok(self.delete_locked(&mut core, effects))
    }

    fn not_found(&self) -> Refusal {
        let text = format!("no queue '{}' in vhost '{}'", self.spec.name, self.vhost);
        Refusal::new(ReplyCode::NotFound, text)
    }
}

impl Receiver for Queue {
    fn receive(self: Arc<Self>, page: Page, now: Now) {
        let mut effects = Effects::default();
        effects.set_now(now);
        let mut core = self.core.lock();
        let missing = core.receive(page, &mut effects);
        if missing > 0 {
            let (queue, vhost) = (&*self.spec.name, &*self.vhost);
            tracing::error!(queue, vhost, missing, "messages are missing from the store");
        }
        // What dies is carried on by whoever knows the virtual host: that is
        // seen to at once, but not on the store's thread.
        while core.dispatch(DISPATCH_BUDGET, &mut effects) == Pause::Budget {
            self.let_go(core, &mut effects);
            core = self.core.lock();
        }
        if core.has_to_make_room()
            && let Some((before, at)) = core.alarm_at(now.unix_ms)
        {
            self.timers.set(self.id, before, at, Arc::downgrade(&self));
        }
        self.let_go(core, &mut effects);
        effects.wake_all();
    }
}
