//! The state machine of a queue.
//!
//! ```text
//!              push                      deliver, get
//!   publisher ------> ready (Ready) ---------------------> held (one slot each)
//!                     ^   |  |    |                        |     |      |
//!                     |   |  |    | purge          requeue |     | ack  | discard
//!      delayed retry  |   |  +----|---- <------------------+     v      v
//!      (Retries) -----+   |       v                            gone   dead letter
//!                         |      gone
//!                         +-> dead letter: expired, or no room for it
//! ```
//!
//! A message that finds a consumer ready and nothing waiting before it skips
//! the backlog, and is never copied if that consumer doesn't acknowledge.

use std::num::NonZeroU64;
use std::sync::Arc;

use slab::Slab;

use super::backlog::{Entry, Wanted};
use super::consumers::{ConsumerSlot, ConsumerSpec, Consumers, Detached};
use super::dead_letter::DeathReason;
use super::deduplication::{MessageKey, Window};
use super::incoming::Incoming;
use super::notices::Notices;
use super::ready::Ready;
use super::residency::Residency;
use super::retries::Retries;
use super::schedule::Schedule;
use super::settings::{Counts, Settings};
use super::state::State;
use super::timeouts::Timeouts;
use super::undelivered::Undelivered;
use super::{EXPIRY_BUDGET, Got, Pushed, QueueCounts, QueueOctets, QueueStatus};
use crate::base::clock::Now;
use crate::base::ids::{Batch, QueueId};
use crate::broker::attempts::{Attempts, ReturnCause};
use crate::broker::delay::holds_for;
use crate::broker::effects::Effects;
use crate::broker::spec::QueueSpec;
use crate::broker::store::{Page, Record, Remainder, Store};
use crate::broker::subscriber::{Delivery, HeldSlot, Subscriber, Wake};
use crate::broker::traffic::QueueTraffic;
use crate::broker::weight::Gone;

/// What becomes of messages that were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// They are done.
    Acknowledge,
    /// They go back to their places.
    Requeue(ReturnCause),
    /// They are dead-lettered if the queue says where to, else dropped.
    Discard(ReturnCause),
}

/// Why handing out came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Nothing is ready in memory, or nobody takes it.
    Idle,
    /// It is somebody else's turn.
    Budget,
    /// The next message is one whose time is over.
    Expired,
}

/// A message handed out, and to whom.
#[derive(Debug)]
pub(super) struct Held {
    entry: Entry,
    /// `None` for one taken by `basic.get`.
    pub(super) consumer: Option<ConsumerSlot>,
    /// The second it was handed out in, when that is of interest.
    pub(super) since: u32,
}

impl Held {
    /// The message.
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// The state of a queue. Same calls, same state: no clock, no randomness; only
/// what is in memory of it depends on how much others have there.
///
/// What the store is to be told gathers in `notices`, what died in `dying`:
/// whoever holds the lock sees to both before it lets go.
#[derive(Debug)]
pub struct QueueCore {
    pub(super) durable: bool,
    pub(super) settings: Arc<Settings>,
    /// The last batch that a message went to.
    pub(super) batch: Batch,
    pub(super) ready: Ready,
    /// Those that have their places and come once they are stored.
    pub(super) coming: Gone,
    pub(super) held: Slab<Held>,
    pub(super) timeouts: Timeouts,
    pub(super) retries: Retries,
    pub(super) consumers: Consumers,
    /// Those who asked for a message while it was on its way from the store.
    waiting: Vec<Arc<dyn Wake>>,
    pub(super) notices: Notices,
    /// Messages that died and are to be dead-lettered.
    pub(super) dying: Vec<(Entry, DeathReason)>,
    /// What has passed.
    pub(super) traffic: QueueTraffic,
    /// Octets of the bodies of messages held.
    held_octets: u64,
    /// Dead letters that nothing took.
    pub(super) undelivered: Option<Box<Undelivered>>,
    /// What waits for its time, if this is what the queue is for.
    pub(super) schedule: Option<Box<Schedule>>,
    /// The messages it has had, if it takes none twice.
    pub(super) window: Option<Box<Window>>,
    /// Whether a message that comes may be refused, or has to wait, or may have
    /// come before.
    pub(super) checks_arrivals: bool,
    /// Whether anything is to be seen to after a message has come, besides what
    /// messages themselves ask for.
    has_more_to_do: bool,
    /// Whether publishers are refused until there is room again.
    pub(super) refusing: bool,
    /// Whether a message that was ready had a deadline.
    pub(super) has_deadlines: bool,
    /// When it is to be called, if it is, milliseconds since 1970.
    pub(super) alarm: Option<u64>,
    /// When it was used last, milliseconds since 1970.
    pub(super) last_use: u64,
    pub(super) deleted: bool,
}

impl QueueCore {
    /// An empty queue; `durable` ones give persistent messages to the store.
    pub fn new(
        id: QueueId,
        spec: &QueueSpec,
        settings: Arc<Settings>,
        residency: Arc<Residency>,
    ) -> Self {
        let schedule = holds_for(&spec.name, &spec.arguments).map(|_| Box::default());
        let mut ready = Ready::new(id, settings.priorities, residency);
        ready.group_by(&spec.arguments);
        let window = Window::of(id, &spec.name, &spec.arguments).map(Box::new);
        Self {
            durable: spec.durable,
            checks_arrivals: settings.is_limited() || schedule.is_some() || window.is_some(),
            has_more_to_do: settings.is_eventful() || schedule.is_some(),
            schedule,
            window,
            batch: Batch::default(),
            ready,
            coming: Gone::default(),
            held: Slab::new(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            consumers: Consumers::new(&spec.arguments, settings.consumer_timeout),
            settings,
            waiting: Vec::new(),
            notices: Notices::default(),
            dying: Vec::new(),
            traffic: QueueTraffic::default(),
            held_octets: 0,
            undelivered: None,
            refusing: false,
            has_deadlines: false,
            alarm: None,
            last_use: 0,
            deleted: false,
        }
    }

    /// How full it is and who uses it.
    pub fn counts(&self) -> QueueCounts {
        let (undelivered, weight) = self.undelivered();
        QueueCounts {
            undelivered,
            undelivered_bytes: weight.bodies,
            ready: self.ready.len(),
            unacked: self.held.len() as u64,
            delayed: self.retries.len() + self.schedule.as_ref().map_or(0, |s| s.len()),
            consumers: self.consumers.len() as u64,
            duplicates: self.window.as_ref().map_or(0, |w| w.duplicates()),
        }
    }

    /// What has passed it since it was started.
    pub fn traffic(&self) -> QueueTraffic {
        self.traffic
    }

    /// What is there of it, and what has passed it.
    pub fn status(&self) -> QueueStatus {
        QueueStatus {
            counts: self.counts(),
            octets: QueueOctets {
                ready: self.ready.weight().bodies,
                unacked: self.held_octets,
            },
            traffic: self.traffic,
            last_use: self.last_use,
            oldest: self.ready.oldest(),
        }
    }

    /// Begins anew with what an earlier run has left.
    pub fn begin(&mut self, now: Now) {
        self.touch(now);
        self.ready.begin(now.unix_ms);
    }

    /// Whether its messages wait for others of their group.
    pub fn is_grouped(&self) -> bool {
        self.ready.is_grouped()
    }

    /// Whether something has to be seen to after a message has come: most queues
    /// have nothing.
    #[inline]
    pub fn has_to_see_to(&self) -> bool {
        self.has_more_to_do || self.has_deadlines || self.wants_alarm()
    }

    /// What it goes by.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Takes a message: hands it to a waiting consumer or keeps it.
    pub fn push(
        &mut self,
        incoming: &Incoming<'_>,
        store: &dyn Store,
        effects: &mut Effects,
    ) -> Pushed {
        if self.deleted {
            return Pushed::Taken;
        }
        if self.checks_arrivals
            && let Some(pushed) = self.check_arrival(incoming, store, effects)
        {
            return pushed;
        }
        self.traffic.published += 1;
        if self.ready.lets_pass()
            && let Some((slot, consumer)) = self.consumers.next()
        {
            let mut delivery = Delivery {
                message: incoming.view(),
                redelivered: incoming.has_failed(),
                attempts: None,
                held: None,
            };
            self.traffic
                .note_delivery(consumer.no_ack(), delivery.redelivered);
            if consumer.no_ack() {
                consumer.subscriber().deliver(&delivery, effects);
                if self.window.is_some() {
                    self.keep_marked(None, store, effects);
                }
                return Pushed::Taken;
            }
            consumer.hold();
            let since = self.timeouts.begin(consumer.timeout(), effects.now());
            let subscriber = Arc::clone(consumer.subscriber());
            let entry = self.enter(incoming, effects.now());
            self.keep(&entry, true, store, effects);
            self.held_octets += delivery.message.body.len() as u64;
            let held = Held {
                entry,
                consumer: Some(slot),
                since,
            };
            delivery.held = Some(HeldSlot(self.held.insert(held) as u32));
            subscriber.deliver(&delivery, effects);
            return Pushed::Taken;
        }
        let entry = self.enter(incoming, effects.now());
        self.keep(&entry, false, store, effects);
        self.has_deadlines |= entry.deadline.is_some();
        self.ready.push(entry, self.batch);
        if self.checks_arrivals {
            self.make_room();
        }
        Pushed::Taken
    }

    /// What becomes of a message that doesn't come in as usual: it is refused,
    /// or has to wait for its time.
    fn check_arrival(
        &mut self,
        incoming: &Incoming<'_>,
        store: &dyn Store,
        effects: &mut Effects,
    ) -> Option<Pushed> {
        if self.schedule.is_some() {
            if let Some(entry) = self.enter_schedule(incoming, effects.now()) {
                self.keep(&entry, false, store, effects);
                self.put_on_schedule(entry);
            }
            return Some(Pushed::Taken);
        }
        if self.remembers_only() {
            let pushed = self.recognise(incoming, &|_| false, effects);
            self.keep_marked(None, store, effects);
            return Some(pushed.unwrap_or(Pushed::Taken));
        }
        self.check_room(incoming, &|_| false, effects)
    }

    /// What becomes of a message that has come before, or for which there is no
    /// room; `is_own` is for [`QueueCore::recognise`].
    pub(super) fn check_room(
        &mut self,
        incoming: &Incoming<'_>,
        is_own: &dyn Fn(MessageKey) -> bool,
        effects: &mut Effects,
    ) -> Option<Pushed> {
        if let Some(pushed) = self.recognise(incoming, is_own, effects) {
            return Some(pushed);
        }
        if !self.refuses(incoming, effects) {
            return None;
        }
        if let Some(mark) = self.take_mark() {
            self.release_mark(&mark);
        }
        Some(Pushed::Refused)
    }

    /// Gives a message its place, detached.
    pub(super) fn enter(&mut self, incoming: &Incoming<'_>, now: Now) -> Entry {
        let ttl = match (incoming.expiration(), self.settings.message_ttl) {
            (Some(own), Some(queue)) => Some(own.min(queue)),
            (own, queue) => own.or(queue),
        };
        // Most queues needn't look into the properties.
        let asked = self.ready.has_priorities().then(|| incoming.priority());
        let priority = self.ready.level(asked.flatten());
        Entry {
            position: self.ready.lane(priority).next_position(now.unix_ms),
            message: incoming.message().clone(),
            deadline: ttl.and_then(|ms| NonZeroU64::new(now.unix_ms.saturating_add(ms))),
            state: State::new(priority, Attempts::default())
                .redelivered(incoming.has_failed())
                .stored(self.durable && incoming.is_persistent()),
        }
    }

    /// Gives a message to the store if it has to survive.
    #[inline]
    fn keep(&mut self, entry: &Entry, delivered: bool, store: &dyn Store, effects: &mut Effects) {
        if !entry.is_stored() {
            if self.window.is_some() {
                self.keep_marked(None, store, effects);
            }
            return;
        }
        let lane = self.ready.lane(entry.priority());
        let record = entry.publish(lane.id, delivered);
        if self.window.is_some() {
            self.keep_marked(Some(record), store, effects);
        } else {
            self.batch = store.append(&[record]);
            effects.stored(self.batch);
        }
        self.traffic.stored += 1;
        if delivered {
            let lane = self.ready.lane(entry.priority());
            lane.handed_out_at_once(entry.position);
        }
    }

    /// Hands out up to `budget` messages; why it stopped.
    pub fn dispatch(&mut self, budget: usize, effects: &mut Effects) -> Pause {
        let counts = self.settings.counts();
        for _ in 0..budget {
            let Some(head) = self.ready.head() else {
                self.ready.shrink();
                return Pause::Idle;
            };
            if head.is_expired(effects.now()) {
                return Pause::Expired;
            }
            let Some((slot, consumer)) = self.consumers.next() else {
                return Pause::Idle;
            };
            let Some(entry) = self.ready.pop() else {
                return Pause::Idle;
            };
            self.traffic
                .note_delivery(consumer.no_ack(), entry.is_redelivered());
            if consumer.no_ack() {
                let delivery = delivery_of(&entry, counts, None);
                consumer.subscriber().deliver(&delivery, effects);
                self.forget(&entry);
                continue;
            }
            consumer.hold();
            let since = self.timeouts.begin(consumer.timeout(), effects.now());
            let vacant = self.held.vacant_entry();
            let held = Some(HeldSlot(vacant.key() as u32));
            let delivery = delivery_of(&entry, counts, held);
            self.held_octets += delivery.message.body.len() as u64;
            consumer.subscriber().deliver(&delivery, effects);
            self.ready.handed_out(&entry, held);
            vacant.insert(Held {
                entry,
                consumer: Some(slot),
                since,
            });
        }
        Pause::Budget
    }

    /// Hands the first ready message to `take`, with how many remain ready.
    /// While it is on its way from the store, `who` is noted to be woken.
    pub fn get<R, W: Wake + 'static>(
        &mut self,
        no_ack: bool,
        who: &Arc<W>,
        now: Now,
        take: impl FnOnce(&Delivery<'_>, u64) -> R,
    ) -> Got<R> {
        while self.is_timed() && self.expire(EXPIRY_BUDGET, now) {}
        let Some(entry) = self.ready.pop() else {
            if !self.ready.is_coming() {
                self.traffic.get_empty += 1;
                return Got::Nothing;
            }
            self.note_waiting(who);
            return Got::NotYet;
        };
        let counts = self.settings.counts();
        // What has expired behind it isn't ready any more.
        while self.is_timed() && self.expire(EXPIRY_BUDGET, now) {}
        let remaining = self.ready.len();
        self.traffic.note_get(no_ack, entry.is_redelivered());
        if no_ack {
            let taken = take(&delivery_of(&entry, counts, None), remaining);
            self.forget(&entry);
            return Got::Message(taken);
        }
        let vacant = self.held.vacant_entry();
        let held = Some(HeldSlot(vacant.key() as u32));
        self.ready.handed_out(&entry, held);
        let delivery = delivery_of(&entry, counts, held);
        self.held_octets += delivery.message.body.len() as u64;
        let taken = take(&delivery, remaining);
        vacant.insert(Held {
            entry,
            consumer: None,
            since: 0,
        });
        Got::Message(taken)
    }

    /// Notes somebody to be woken, once: who is woken for something else asks again.
    fn note_waiting<W: Wake + 'static>(&mut self, who: &Arc<W>) {
        let own = Arc::as_ptr(who).cast::<()>();
        let is_own = |other: &Arc<dyn Wake>| Arc::as_ptr(other).cast::<()>() == own;
        if !self.waiting.iter().any(is_own) {
            self.waiting.push(Arc::clone(who) as Arc<dyn Wake>);
        }
    }

    fn wake_waiting(&mut self, effects: &mut Effects) {
        for who in self.waiting.drain(..) {
            effects.wake_later(who);
        }
    }

    /// Drops every ready message, and dead letters that nothing took; returns how
    /// many there were of the former.
    pub fn purge(&mut self, effects: &mut Effects) -> u64 {
        self.wake_waiting(effects);
        self.purge_undelivered();
        self.ready.purge(&mut self.notices)
    }

    /// What is to be read back from the store now, for [`QueueCore::receive`],
    /// and what it is stored under.
    pub fn wanted(&mut self) -> Option<(QueueId, Wanted)> {
        if let Some(schedule) = &mut self.schedule {
            return Some((self.ready.lane(0).id, schedule.wanted()?));
        }
        self.ready.wanted()
    }

    /// Takes what was read back from the store. Returns how many messages turn
    /// out to be missing there.
    pub fn receive(&mut self, page: Page, effects: &mut Effects) -> u64 {
        if let Some(schedule) = &mut self.schedule {
            return schedule.receive(page);
        }
        self.has_deadlines |= page.messages.iter().any(|m| m.deadline.is_some());
        self.traffic.read_back += page.messages.len() as u64;
        let Some(missing) = self.ready.receive(page) else {
            return 0;
        };
        self.wake_waiting(effects);
        missing
    }

    /// Attaches a consumer; `None` when exclusive use stands against it.
    pub fn attach(
        &mut self,
        spec: ConsumerSpec,
        subscriber: Arc<dyn Subscriber>,
    ) -> Option<ConsumerSlot> {
        self.consumers.attach(spec, subscriber)
    }

    /// Takes a consumer off.
    pub fn detach(&mut self, slot: ConsumerSlot) -> Detached {
        self.consumers.detach(slot)
    }

    /// Lets a consumer that turned a delivery away be considered again.
    pub fn resume(&mut self, slot: ConsumerSlot) {
        self.consumers.enter_ring(slot);
    }

    /// Takes note of what a store held in one of the lanes.
    pub fn restore(&mut self, lane: QueueId, remainder: Remainder) {
        match &mut self.schedule {
            Some(schedule) => {
                self.ready.lane(0).note_past(remainder);
                schedule.restore(remainder);
            }
            None => self.ready.restore(lane, remainder),
        }
    }

    /// Goes by other settings from now on. Messages that are there keep their
    /// deadlines.
    pub fn configure(&mut self, settings: Arc<Settings>) {
        self.consumers.configure(settings.consumer_timeout);
        self.checks_arrivals =
            settings.is_limited() || self.schedule.is_some() || self.window.is_some();
        // What waits to be tried again still does.
        self.has_more_to_do =
            settings.is_eventful() || self.schedule.is_some() || self.retries.len() > 0;
        self.settings = settings;
        self.make_room();
    }

    /// Empties the queue for good; its consumers are to be told.
    pub fn delete(&mut self, effects: &mut Effects) -> u64 {
        self.deleted = true;
        for consumer in self.consumers.take() {
            effects.cancel_later(consumer.into_subscriber());
        }
        self.held = Slab::new();
        self.held_octets = 0;
        self.timeouts = Timeouts::default();
        self.retries = Retries::default();
        self.undelivered = None;
        self.schedule = None;
        self.window = None;
        self.wake_waiting(effects);
        let ready = self.ready.len();
        self.ready.clear();
        ready
    }

    /// Tells the store what has gathered to be told.
    pub fn notify(&mut self, store: &dyn Store, effects: &mut Effects) {
        self.ready.note_delivered(&mut self.notices);
        self.notices.send(store, effects);
    }

    /// The same, with somebody else to tell it.
    pub fn hand_over_notices(&mut self, to: &mut Vec<Record<'static>>) {
        self.ready.note_delivered(&mut self.notices);
        self.notices.hand_over(to);
    }

    pub(super) fn release(&mut self, slot: HeldSlot) -> Option<Entry> {
        let held = self.held.try_remove(slot.0 as usize)?;
        self.held_octets -= held.entry.message.body_len();
        self.timeouts.forget(slot);
        if let Some(consumer) = held.consumer {
            self.consumers.release(consumer);
        }
        Some(held.entry)
    }

    /// Notes for the store that a message is gone.
    pub(super) fn forget(&mut self, entry: &Entry) {
        self.ready.forget(entry, &mut self.notices);
    }
}

/// How a message is handed out.
fn delivery_of(entry: &Entry, counts: Counts, held: Option<HeldSlot>) -> Delivery<'_> {
    let attempts = counts.of(entry.attempts());
    Delivery {
        message: entry.message.view(),
        redelivered: entry.is_redelivered(),
        attempts,
        held,
    }
}
