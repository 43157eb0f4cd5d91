//! What a channel was handed out and hasn't settled.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use super::traffic::Handed;
use super::window::Window;

use crate::broker::queue::Queue;
use crate::broker::subscriber::HeldSlot;

/// Names a queue that a channel takes messages from, within that channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceSlot(u32);

/// Stands for a delivery that was settled before older ones.
const SETTLED: u32 = u32::MAX;
/// Stands for a delivery that was taken back: settling it does nothing.
const TAKEN_BACK: u32 = u32::MAX - 1;
/// Settled places are swept out when there are at least this many of them.
const SWEEP_MIN: usize = 64;
/// Marks a source as that of a `basic.get`, which no prefetch counts.
const GOT: u32 = 1 << 31;

#[derive(Debug, Clone, Copy)]
struct Unacked {
    tag: u64,
    source: u32,
    held: u32,
}

#[derive(Debug)]
struct Source {
    queue: Arc<Queue>,
    /// Deliveries not settled and consumers attached.
    users: u32,
}

/// Messages to be settled at one queue, in the order they were handed out.
#[derive(Debug)]
pub struct Share {
    /// The queue.
    pub queue: Arc<Queue>,
    /// Where it holds them.
    pub held: Vec<HeldSlot>,
}

/// The delivery tags of a channel: what was handed out under which.
///
/// Tags only grow, so the list is sorted: the usual tag is the first, any other
/// is found by bisection.
#[derive(Debug, Default)]
pub struct ChannelDeliveries {
    last_tag: u64,
    unacked: VecDeque<Unacked>,
    settled: usize,
    window: Window,
    sources: Slab<Source>,
    /// What was handed out.
    handed: Handed,
}

impl ChannelDeliveries {
    /// Gives out the next delivery tag, and notes what is held under it.
    #[inline]
    pub fn hand_out(
        &mut self,
        source: SourceSlot,
        held: Option<HeldSlot>,
        redelivered: bool,
    ) -> u64 {
        let is_held = held.is_some();
        self.window.add(is_held);
        self.handed.delivered += u64::from(is_held);
        self.handed.delivered_no_ack += u64::from(!is_held);
        self.handed.redelivered += u64::from(redelivered);
        self.note(source.0, held)
    }

    /// The same for a message that somebody asked for, not a consumer.
    pub fn hand_out_got(
        &mut self,
        source: SourceSlot,
        held: Option<HeldSlot>,
        redelivered: bool,
    ) -> u64 {
        self.handed.got += u64::from(held.is_some());
        self.handed.got_no_ack += u64::from(held.is_none());
        self.handed.redelivered += u64::from(redelivered);
        self.note(source.0 | GOT, held)
    }

    #[inline]
    fn note(&mut self, source: u32, held: Option<HeldSlot>) -> u64 {
        self.last_tag += 1;
        if let Some(HeldSlot(held)) = held {
            self.unacked.push_back(Unacked {
                tag: self.last_tag,
                source,
                held,
            });
            if let Some(source) = self.sources.get_mut((source & !GOT) as usize) {
                source.users += 1;
            }
        }
        self.last_tag
    }

    /// What was handed out so far.
    pub fn handed(&self) -> Handed {
        self.handed
    }

    /// How many deliveries aren't settled.
    pub fn outstanding(&self) -> usize {
        self.unacked.len().saturating_sub(self.settled)
    }

    /// What its consumers may hold together.
    pub fn window(&mut self) -> &mut Window {
        &mut self.window
    }

    /// Gives out the next delivery tag for what nothing is held of.
    pub fn next_tag(&mut self) -> u64 {
        self.handed.delivered_no_ack += 1;
        self.last_tag += 1;
        self.last_tag
    }

    /// Notes a use of `queue`, until [`ChannelDeliveries::leave`].
    pub fn join(&mut self, queue: &Arc<Queue>) -> SourceSlot {
        let known = self
            .sources
            .iter_mut()
            .find(|(_, source)| Arc::ptr_eq(&source.queue, queue));
        if let Some((slot, source)) = known {
            source.users += 1;
            return SourceSlot(slot as u32);
        }
        let queue = Arc::clone(queue);
        SourceSlot(self.sources.insert(Source { queue, users: 1 }) as u32)
    }

    /// The name of a queue that is used.
    pub fn queue_name(&self, source: SourceSlot) -> &str {
        let source = self.sources.get(source.0 as usize);
        source.map_or("", |source| &**source.queue.name())
    }

    /// Ends a use noted by [`ChannelDeliveries::join`].
    pub fn leave(&mut self, source: SourceSlot) {
        self.release(source.0);
    }

    /// Takes what `tag` stands for, and with `multiple` everything older; tag 0
    /// then stands for all. `None` when the tag isn't outstanding.
    pub fn take(&mut self, tag: u64, multiple: bool, shares: &mut Vec<Share>) -> Option<()> {
        if multiple {
            return self.take_up_to(tag, shares);
        }
        let at = self.find(tag)?;
        let entry = self.unacked.get_mut(at)?;
        let taken = *entry;
        entry.held = SETTLED;
        self.settled += 1;
        self.share_out(taken, shares);
        self.sweep();
        Some(())
    }

    /// Takes back for its queue what of `held` is outstanding. Its tags stay
    /// outstanding: whoever settles them late has done nothing wrong.
    pub fn take_back(&mut self, source: SourceSlot, mut held: Vec<HeldSlot>) -> Vec<HeldSlot> {
        held.sort_unstable();
        let mut taken = Vec::new();
        for entry in self
            .unacked
            .iter_mut()
            .filter(|e| e.source & !GOT == source.0)
        {
            let slot = HeldSlot(entry.held);
            if held.binary_search(&slot).is_ok() {
                taken.push(slot);
                entry.held = TAKEN_BACK;
                self.window.sub(entry.source & GOT == 0);
            }
        }
        taken
    }

    /// Takes everything that came from one queue.
    pub fn take_from(&mut self, source: SourceSlot) -> Vec<HeldSlot> {
        let from_there =
            |entry: &&mut Unacked| entry.source & !GOT == source.0 && entry.held < TAKEN_BACK;
        let mut taken = Vec::new();
        for entry in self.unacked.iter_mut().filter(from_there) {
            taken.push(*entry);
            entry.held = SETTLED;
        }
        self.settled += taken.len();
        for entry in &taken {
            self.release_held(entry.source);
        }
        let held = taken.iter().map(|entry| HeldSlot(entry.held)).collect();
        self.sweep();
        held
    }

    /// Takes everything.
    pub fn take_all(&mut self, shares: &mut Vec<Share>) {
        while let Some(entry) = self.unacked.pop_front() {
            if entry.held != SETTLED {
                self.share_out(entry, shares);
            }
        }
        self.settled = 0;
    }

    /// Whether `tag` is outstanding.
    pub fn is_outstanding(&self, tag: u64) -> bool {
        self.find(tag).is_some()
    }

    /// The last outstanding tag of those `wanted`.
    pub fn latest(&self, wanted: impl Fn(u64) -> bool) -> Option<u64> {
        let outstanding = self.unacked.iter().filter(|entry| entry.held != SETTLED);
        outstanding
            .rev()
            .map(|entry| entry.tag)
            .find(|tag| wanted(*tag))
    }

    fn take_up_to(&mut self, tag: u64, shares: &mut Vec<Share>) -> Option<()> {
        if tag == 0 {
            self.take_all(shares);
            return Some(());
        }
        self.find(tag)?;
        while let Some(entry) = self.unacked.pop_front_if(|entry| entry.tag <= tag) {
            if entry.held == SETTLED {
                self.settled -= 1;
            } else {
                self.share_out(entry, shares);
            }
        }
        Some(())
    }

    fn find(&self, tag: u64) -> Option<usize> {
        let first = self.unacked.front()?;
        let at = if first.tag == tag {
            0
        } else {
            self.unacked.binary_search_by_key(&tag, |e| e.tag).ok()?
        };
        self.unacked.get(at).filter(|e| e.held != SETTLED)?;
        Some(at)
    }

    fn share_out(&mut self, entry: Unacked, shares: &mut Vec<Share>) {
        if entry.held == TAKEN_BACK {
            return self.release(entry.source & !GOT);
        }
        let Some(source) = self.sources.get((entry.source & !GOT) as usize) else {
            return;
        };
        let held = HeldSlot(entry.held);
        match shares.last_mut() {
            Some(share) if Arc::ptr_eq(&share.queue, &source.queue) => share.held.push(held),
            _ => match shares
                .iter_mut()
                .find(|share| Arc::ptr_eq(&share.queue, &source.queue))
            {
                Some(share) => share.held.push(held),
                None => shares.push(Share {
                    queue: Arc::clone(&source.queue),
                    held: vec![held],
                }),
            },
        }
        self.release_held(entry.source);
    }

    #[inline]
    fn release_held(&mut self, source: u32) {
        self.handed.settled += 1;
        self.window.sub(source & GOT == 0);
        self.release(source & !GOT);
    }

    fn release(&mut self, source: u32) {
        if let Some(entry) = self.sources.get_mut(source as usize) {
            entry.users -= 1;
            if entry.users == 0 {
                self.sources.remove(source as usize);
            }
        }
    }

    /// Drops settled places: those in front at once, others when they make up
    /// more than half, so that one old delivery doesn't keep them all.
    fn sweep(&mut self) {
        while self
            .unacked
            .pop_front_if(|entry| entry.held == SETTLED)
            .is_some()
        {
            self.settled -= 1;
        }
        if self.settled > SWEEP_MIN && self.settled * 2 > self.unacked.len() {
            self.unacked.retain(|entry| entry.held != SETTLED);
            self.settled = 0;
        }
    }
}
