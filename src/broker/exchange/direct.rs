//! The direct exchange: to what is bound with the message's very key.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashMap;

use super::targets::{Target, Targets};
use crate::broker::name::Name;

/// What is bound to a direct exchange, by key.
#[derive(Debug, Default)]
pub(in crate::broker) struct DirectTable {
    by_key: HashMap<Name, Targets, RandomState>,
}

impl DirectTable {
    pub(super) fn insert(&mut self, key: &Arc<str>, target: &Target) {
        self.by_key
            .entry(Name(Arc::clone(key)))
            .or_default()
            .insert(target);
    }

    pub(super) fn remove(&mut self, key: &str, target: &Target) {
        let Some(targets) = self.by_key.get_mut(key.as_bytes()) else {
            return;
        };
        targets.remove(target);
        if targets.is_empty() {
            self.by_key.remove(key.as_bytes());
        }
    }

    pub(super) fn route(&self, key: &[u8], found: &mut dyn FnMut(&Target)) {
        if let Some(targets) = self.by_key.get(key) {
            targets.iter().for_each(found);
        }
    }
}
