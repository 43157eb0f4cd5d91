//! What takes down where messages go, for all virtual hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::{Event, Happening, Identity, Ring, RingStatus, Rule, RuleError, Story, TraceId, Way};
use crate::base::clock::Now;
use crate::base::limits::{TRACE_BYTES_MAX, TRACE_EVENTS_MAX, TRACE_RULES_MAX};
use crate::broker::announcements::Peer;
use crate::broker::message::{MessageView, trace_of};
use crate::broker::queue::Queue;

/// Milliseconds are moved up by so many bits to make the first id that begins
/// with them: a million messages in one of them have ids of their own.
const ID_SHIFT: u32 = 20;
/// How many events are copied with the ring locked.
const COPIED_AT_ONCE: usize = 4096;

/// Takes down what happens to messages that rules choose.
///
/// Rules and events are in memory: a broker that is started again traces nothing
/// until it is told to, so that nobody pays for what somebody forgot.
#[derive(Debug)]
pub struct Tracer {
    active: Active,
    rules: RwLock<Arc<[Arc<Rule>]>>,
    last_id: AtomicU64,
    ring: Mutex<Ring>,
}

/// Whether there are rules. Looked at whenever something is settled, so it has a
/// cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Active(AtomicBool);

impl Default for Tracer {
    fn default() -> Self {
        Self {
            active: Active::default(),
            rules: RwLock::new(Arc::new([])),
            last_id: AtomicU64::new(0),
            ring: Mutex::new(Ring::new(TRACE_EVENTS_MAX, TRACE_BYTES_MAX)),
        }
    }
}

impl Tracer {
    /// Whether anything is traced.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.0.load(Ordering::Relaxed)
    }

    /// The rules there are, by virtual host and name.
    pub fn rules(&self) -> Arc<[Arc<Rule>]> {
        Arc::clone(&self.rules.read())
    }

    /// Adds a rule, in place of one of that name, and has `tell` know whether its
    /// virtual host has any. Whether there was none of that name.
    ///
    /// # Errors
    /// [`RuleError::TooMany`].
    pub(in crate::broker) fn put(
        &self,
        rule: Rule,
        tell: impl FnOnce(),
    ) -> Result<bool, RuleError> {
        let mut rules = self.rules.write();
        let mut all = rules.to_vec();
        let key = |rule: &Rule| (Arc::clone(&rule.vhost), Arc::clone(&rule.name));
        let place = all.binary_search_by_key(&key(&rule), |known| key(known));
        match place {
            Ok(at) => drop(all.splice(at..=at, [Arc::new(rule)])),
            Err(_) if all.len() >= TRACE_RULES_MAX => return Err(RuleError::TooMany(all.len())),
            Err(at) => all.insert(at, Arc::new(rule)),
        }
        self.set(&mut rules, all);
        tell();
        Ok(place.is_err())
    }

    /// Takes away the rules of a virtual host that `goes` says it of, and has `tell`
    /// know whether any of it are left. Whether there were such.
    pub(in crate::broker) fn remove(
        &self,
        vhost: &str,
        goes: impl Fn(&Rule) -> bool,
        tell: impl FnOnce(bool),
    ) -> bool {
        let mut rules = self.rules.write();
        let mut all = rules.to_vec();
        all.retain(|rule| *rule.vhost != *vhost || !goes(rule));
        let is_less = all.len() < rules.len();
        let any_left = all.iter().any(|rule| *rule.vhost == *vhost);
        self.set(&mut rules, all);
        tell(any_left);
        is_less
    }

    fn set(&self, rules: &mut Arc<[Arc<Rule>]>, all: Vec<Arc<Rule>>) {
        self.active.0.store(!all.is_empty(), Ordering::Relaxed);
        *rules = all.into();
    }

    /// Has a message traced that `by` publishes, if a rule wants that; the ways it
    /// was routed by are asked for then. `None` when no rule does.
    pub fn choose(
        &self,
        vhost: &Arc<str>,
        (by, channel): (&Peer, u16),
        message: &MessageView<'_>,
        (queues, replies): (&[Arc<Queue>], &[&str]),
        ways: impl FnOnce() -> Vec<Way>,
        now: Now,
    ) -> Option<TraceId> {
        let rules = self.rules();
        let mut own = rules.iter().filter(|rule| *rule.vhost == **vhost);
        let rule = own.find(|rule| rule.chooses(&by.user, message, queues))?;
        let trace = self.next_id(now);
        let names = queues.iter().map(|queue| Arc::clone(queue.name()));
        let published = Happening::Published {
            rule: Arc::clone(&rule.name),
            by: by.clone(),
            channel,
            exchange: text(message.exchange),
            routing_key: text(message.routing_key),
            identity: Box::new(Identity::of(message)),
            ways: ways(),
            queues: names.chain(replies.iter().map(|&to| to.into())).collect(),
        };
        self.note(trace, vhost, published, now);
        Some(trace)
    }

    /// Takes down what happened to a message.
    ///
    /// Called with queue and outbox locked.
    pub fn note(&self, trace: TraceId, vhost: &Arc<str>, what: Happening, now: Now) {
        self.ring.lock().push(trace, now.unix_ms, vhost, what);
    }

    /// The same, if the message is traced and anything is.
    pub fn note_of(
        &self,
        message: &MessageView<'_>,
        vhost: &Arc<str>,
        now: Now,
        what: impl FnOnce() -> Happening,
    ) {
        if let Some(trace) = trace_of(message.blind_copies)
            && self.is_active()
        {
            self.note(trace, vhost, what(), now);
        }
    }

    /// Events after the one of that number, oldest first, at most `count`.
    pub fn after(&self, number: u64, count: usize) -> Vec<Arc<Event>> {
        self.ring.lock().after(number, count)
    }

    /// All events there are, oldest first, copied a part at a time: whoever has
    /// one to note waits for no more than that.
    pub fn events(&self) -> Vec<Arc<Event>> {
        let mut all: Vec<Arc<Event>> = Vec::new();
        loop {
            let after = all.last().map_or(0, |event| event.number);
            let part = self.after(after, COPIED_AT_ONCE);
            let is_last = part.len() < COPIED_AT_ONCE;
            all.extend(part);
            if is_last {
                return all;
            }
        }
    }

    /// The messages that are in a queue, as far as events tell, and whether somebody
    /// has been handed them.
    pub(in crate::broker) fn staying(&self, vhost: &str, queue: &str) -> Vec<(TraceId, bool)> {
        let mut events = self.events();
        events.retain(|event| *event.vhost == *vhost);
        let stories = Story::all(events);
        let in_queue = stories.iter().flat_map(|story| {
            let stays = story.stays().into_iter().filter(|s| *s.queue == *queue);
            stays.map(|stay| (story.trace, stay.is_held))
        });
        in_queue.collect()
    }

    /// The number of the last event there ever was.
    pub fn last(&self) -> u64 {
        self.ring.lock().last()
    }

    /// How many events are kept, and how many aren't any more.
    pub fn status(&self) -> RingStatus {
        self.ring.lock().status()
    }

    /// Forgets all events.
    pub fn clear(&self) {
        self.ring.lock().clear();
    }

    fn next_id(&self, now: Now) -> TraceId {
        let first = now.unix_ms << ID_SHIFT;
        let next = |last: u64| Some((last + 1).max(first).max(1));
        let last = self
            .last_id
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_default();
        let own = next(last).and_then(TraceId::new);
        own.unwrap_or(TraceId::FIRST)
    }
}

fn text(octets: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(octets).into()
}
