//! What operations on queues leave to be done once their locks are released.

use std::sync::Arc;

use super::events::INTERNAL_USER;
use super::queue::{DeadLetter, Queue};
use super::subscriber::{Subscriber, Wake};
use crate::base::clock::Now;
use crate::base::ids::Batch;

/// Gathers what is left to do over a batch of operations.
///
/// Whoever drives the broker owns one, hands it down with each operation and
/// empties it when no lock is held: dead letters at once, wakes once per batch.
#[derive(Debug, Default)]
pub struct Effects {
    now: Now,
    /// Who has the operations done, when somebody does.
    actor: Option<Arc<str>>,
    batch: Option<Batch>,
    wakes: Vec<Arc<dyn Wake>>,
    cancelled: Vec<Arc<dyn Subscriber>>,
    dead_letters: Vec<DeadLetter>,
    unused: Vec<Arc<Queue>>,
    expired: Vec<Arc<Queue>>,
}

impl Effects {
    /// Sets the time of the batch of operations that begins.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// The time of the batch of operations.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Has what is done from now on be done by the user `actor`.
    pub fn set_actor(&mut self, actor: Arc<str>) {
        self.actor = Some(actor);
    }

    /// Who has it done, as events say.
    pub fn actor(&self) -> &str {
        self.actor.as_deref().unwrap_or(INTERNAL_USER)
    }

    /// Notes that something went to the store as part of `batch`.
    pub fn stored(&mut self, batch: Batch) {
        self.batch = self.batch.max(Some(batch));
    }

    /// The last batch something went to since this was last asked.
    pub fn take_batch(&mut self) -> Option<Batch> {
        self.batch.take()
    }

    /// Notes somebody to be woken when the batch of operations is over.
    pub fn wake_later(&mut self, who: Arc<dyn Wake>) {
        self.wakes.push(who);
    }

    /// Wakes everybody noted since the last time but `own`, who is at work.
    pub fn wake_others<W>(&mut self, own: &Arc<W>) {
        let own = Arc::as_ptr(own).cast::<()>();
        for who in self.wakes.drain(..) {
            if Arc::as_ptr(&who).cast::<()>() != own {
                who.wake();
            }
        }
    }

    /// Wakes everybody noted since the last time.
    pub fn wake_all(&mut self) {
        for who in self.wakes.drain(..) {
            who.wake();
        }
    }

    /// Notes a consumer whose queue is gone.
    pub fn cancel_later(&mut self, subscriber: Arc<dyn Subscriber>) {
        self.cancelled.push(subscriber);
    }

    /// Tells the consumers whose queue is gone. For when whoever deleted it has
    /// been answered: RabbitMQ's `delete-ok` comes before its `cancel`.
    pub fn tell_cancelled(&mut self) {
        for subscriber in std::mem::take(&mut self.cancelled) {
            subscriber.cancelled(self);
        }
    }

    /// Notes a message that is to be dead-lettered.
    pub fn dead_letter(&mut self, letter: DeadLetter) {
        self.dead_letters.push(letter);
    }

    /// The first dead letters noted since this was last asked, `most` at most.
    pub fn take_dead_letters(&mut self, most: usize) -> Vec<DeadLetter> {
        let rest = self
            .dead_letters
            .split_off(most.min(self.dead_letters.len()));
        std::mem::replace(&mut self.dead_letters, rest)
    }

    /// Whether there are dead letters to see to.
    pub fn has_dead_letters(&self) -> bool {
        !self.dead_letters.is_empty()
    }

    /// Notes an auto-delete queue that has lost its last consumer.
    pub fn unused(&mut self, queue: Arc<Queue>) {
        self.unused.push(queue);
    }

    /// The auto-delete queues noted since this was last asked.
    pub fn take_unused(&mut self) -> Vec<Arc<Queue>> {
        std::mem::take(&mut self.unused)
    }

    /// Notes a queue that nobody has used for longer than it is to be kept then.
    pub fn expired(&mut self, queue: Arc<Queue>) {
        self.expired.push(queue);
    }

    /// The queues noted since this was last asked that nobody has used for long.
    pub fn take_expired(&mut self) -> Vec<Arc<Queue>> {
        std::mem::take(&mut self.expired)
    }

    /// Whether there is neither a dead letter nor an unused queue to see to.
    pub fn is_settled(&self) -> bool {
        !self.has_dead_letters() && self.unused.is_empty() && self.expired.is_empty()
    }
}
