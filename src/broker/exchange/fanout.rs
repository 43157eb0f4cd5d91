//! The fanout exchange: to everything bound, whatever the key.

use super::targets::{Target, Targets};

/// Everything bound to a fanout exchange.
#[derive(Debug, Default)]
pub(in crate::broker) struct FanoutTable {
    targets: Targets,
}

impl FanoutTable {
    pub(super) fn insert(&mut self, target: &Target) {
        self.targets.insert(target);
    }

    pub(super) fn remove(&mut self, target: &Target) {
        self.targets.remove(target);
    }

    pub(super) fn route(&self, found: &mut dyn FnMut(&Target)) {
        self.targets.iter().for_each(found);
    }
}
