//! Taking back what was handed out, and what becomes of messages that are traced.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::backlog::Entry;
use super::{Queue, QueueCore, Settlement};
use crate::broker::effects::Effects;
use crate::broker::message::trace_of;
use crate::broker::subscriber::HeldSlot;
use crate::broker::trace::{Happening, Removal, TraceId};

impl Queue {
    /// Takes messages from who holds them; returns those to be put back.
    #[inline]
    pub(super) fn take(
        &self,
        core: &mut QueueCore,
        held: &[HeldSlot],
        settlement: Settlement,
        effects: &Effects,
    ) -> Vec<Entry> {
        if self.tracer.is_active() {
            self.trace_settled(core, held, settlement, effects);
        }
        match settlement {
            Settlement::Acknowledge => core.acknowledge(held),
            Settlement::Requeue(cause) => return core.take_back(held, cause),
            Settlement::Discard(cause) => core.discard(held, cause),
        }
        Vec::new()
    }

    #[cold]
    fn trace_settled(
        &self,
        core: &QueueCore,
        held: &[HeldSlot],
        settlement: Settlement,
        effects: &Effects,
    ) {
        let (queue, by) = (self.name(), effects.actor());
        let happening = || {
            let (queue, by) = (Arc::clone(queue), by.into());
            match settlement {
                Settlement::Acknowledge => Happening::Acknowledged { queue, by },
                Settlement::Requeue(cause) => Happening::Requeued {
                    queue,
                    by,
                    cause: cause.name(),
                },
                Settlement::Discard(_) => Happening::Rejected { queue, by },
            }
        };
        for message in core.messages_in(held) {
            let now = effects.now();
            self.tracer
                .note_of(&message.view(), &self.vhost, now, happening);
        }
    }

    /// Tells of all messages that go with the queue, or with a purge.
    #[inline]
    pub(super) fn trace_removal(&self, core: &QueueCore, how: Removal, effects: &Effects) {
        if self.tracer.is_active() {
            self.trace_all_removed(core, how, effects);
        }
    }

    #[cold]
    fn trace_all_removed(&self, core: &QueueCore, how: Removal, effects: &Effects) {
        let stays = core.traced_that_stay(how);
        let mut gone = core.traced_that_go(how);
        if core.ready.is_paging() || core.schedule.is_some() {
            // Messages on disk aren't read: what was told of them has to do.
            let others = self.tracer.staying(&self.vhost, self.name());
            let others = others.into_iter().filter(|(trace, is_held)| {
                let goes = how == Removal::QueueDeleted || !is_held;
                goes && !stays.contains(trace)
            });
            gone.extend(others.map(|(trace, _)| trace));
        }
        let (queue, by) = (self.name(), Arc::<str>::from(effects.actor()));
        for trace in gone {
            let (queue, by) = (Arc::clone(queue), Arc::clone(&by));
            let removed = Happening::Removed { queue, by, how };
            self.tracer.note(trace, &self.vhost, removed, effects.now());
        }
    }
}

impl QueueCore {
    /// The messages in memory that are traced and go: what is ready and dead letters
    /// that nothing took, with the queue all others, too.
    fn traced_that_go(&self, how: Removal) -> BTreeSet<TraceId> {
        let letters = self.undelivered.iter().flat_map(|all| all.letters());
        let mut gone = traced(self.ready.in_memory().chain(letters));
        if how == Removal::QueueDeleted {
            gone.append(&mut traced(self.handed_out_or_delayed()));
        }
        gone
    }

    /// Those that don't.
    fn traced_that_stay(&self, how: Removal) -> BTreeSet<TraceId> {
        match how {
            Removal::QueueDeleted => BTreeSet::new(),
            _ => traced(self.handed_out_or_delayed()),
        }
    }

    fn handed_out_or_delayed(&self) -> impl Iterator<Item = &Entry> {
        let delayed = self.retries.after(Bound::Unbounded);
        let held = self.held.iter().map(|(_, held)| held.entry());
        held.chain(delayed.map(|(_, entry)| entry))
    }
}

fn traced<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeSet<TraceId> {
    let traced = entries.filter(|entry| entry.message.is_traced());
    traced
        .filter_map(|entry| trace_of(entry.message.view().blind_copies))
        .collect()
}
