//! Taking back what was handed out, and telling of it where it is traced.

use std::sync::Arc;

use super::backlog::Entry;
use super::{Queue, QueueCore, Settlement};
use crate::broker::effects::Effects;
use crate::broker::subscriber::HeldSlot;
use crate::broker::trace::Happening;

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
}
