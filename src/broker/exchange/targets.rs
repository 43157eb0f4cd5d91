//! Where bindings lead, each place once however many bindings lead there.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::base::ids::QueueId;
use crate::broker::queue::Queue;

/// The place of an exchange in its virtual host's table. A place is given to
/// another exchange only after every binding from and to the old one is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::broker) struct ExchangeId(pub(in crate::broker) u32);

/// Where a binding leads.
#[derive(Debug, Clone)]
pub(in crate::broker) enum Target {
    Queue(Arc<Queue>),
    Exchange(ExchangeId),
}

/// What tells one target from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::broker) enum TargetId {
    Queue(QueueId),
    Exchange(ExchangeId),
}

impl Target {
    pub(in crate::broker) fn id(&self) -> TargetId {
        match self {
            Self::Queue(queue) => TargetId::Queue(queue.id()),
            Self::Exchange(exchange) => TargetId::Exchange(*exchange),
        }
    }
}

/// Lists longer than this get an index of places.
const INDEXED_FROM: usize = 32;

/// The targets that bindings with one key or pattern lead to.
///
/// A long list keeps an index, so that taking ten thousand queues out of it one
/// by one isn't a search through ten thousand each time.
#[derive(Debug, Default)]
pub(in crate::broker) struct Targets {
    entries: Vec<Entry>,
    index: Option<Box<Index>>,
}

type Index = HashMap<TargetId, u32, RandomState>;

#[derive(Debug)]
struct Entry {
    target: Target,
    /// How many bindings lead here.
    bindings: u32,
}

impl Targets {
    pub(in crate::broker) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(in crate::broker) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.entries.iter().map(|entry| &entry.target)
    }

    /// Counts one more binding that leads to `target`.
    pub(in crate::broker) fn insert(&mut self, target: &Target) {
        if let Some(place) = self.find(target.id()) {
            self.entries[place].bindings += 1;
            return;
        }
        if let Some(index) = &mut self.index {
            index.insert(target.id(), self.entries.len() as u32);
        }
        self.entries.push(Entry {
            target: target.clone(),
            bindings: 1,
        });
        if self.index.is_none() && self.entries.len() > INDEXED_FROM {
            let places = self.entries.iter().zip(0..);
            let places = places.map(|(entry, place)| (entry.target.id(), place));
            self.index = Some(Box::new(places.collect()));
        }
    }

    /// Counts one binding less that leads to `target`.
    pub(in crate::broker) fn remove(&mut self, target: &Target) {
        let Some(place) = self.find(target.id()) else {
            return;
        };
        let entry = &mut self.entries[place];
        entry.bindings -= 1;
        if entry.bindings > 0 {
            return;
        }
        self.entries.swap_remove(place);
        let Some(index) = &mut self.index else {
            return;
        };
        index.remove(&target.id());
        if let Some(moved) = self.entries.get(place) {
            index.insert(moved.target.id(), place as u32);
        }
        if self.entries.len() < INDEXED_FROM / 2 {
            self.index = None;
            self.entries.shrink_to_fit();
        }
    }

    fn find(&self, id: TargetId) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(&id).map(|place| *place as usize),
            None => self.iter().position(|target| target.id() == id),
        }
    }
}
