//! Runtime parameters: what components beside the broker are told to do, kept
//! for them. What a value means, its component knows; here it is the text of
//! some JSON, and nobody reads it.
//!
//! ```text
//!   component, in a virtual host   --name--> value      shovel: what moves whence whither
//!   the whole broker               --name--> value      its name, its tags
//! ```

mod error;
mod events;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

pub use self::error::ParameterError;

use super::access::Applied;
use super::announcements::Herald;
use super::change::Change;
use super::store::{Record, Store};
use crate::base::ids::Batch;
use crate::base::limits::{PARAMETER_BYTES_MAX, SHORT_STR_MAX};
use crate::wire::FieldValue;

/// What a parameter is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterKey {
    /// One of the whole broker.
    Global {
        /// Its name.
        name: Arc<str>,
    },
    /// One of a component.
    Of {
        /// The component.
        component: Arc<str>,
        /// The virtual host it is for.
        vhost: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
}

impl ParameterKey {
    /// The name, unique among those of its component and virtual host.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Global { name } | Self::Of { name, .. } => name,
        }
    }

    /// The virtual host it goes with.
    pub fn vhost(&self) -> Option<&Arc<str>> {
        match self {
            Self::Global { .. } => None,
            Self::Of { vhost, .. } => Some(vhost),
        }
    }

    fn check(&self) -> Result<(), ParameterError> {
        let names = match self {
            Self::Global { name } => [name, name],
            Self::Of {
                component, name, ..
            } => [component, name],
        };
        let bad = names
            .into_iter()
            .find(|name| !(1..=SHORT_STR_MAX).contains(&name.len()));
        bad.map_or(Ok(()), |name| {
            Err(ParameterError::BadName(name.as_ref().to_owned()))
        })
    }
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// What it is known by.
    pub key: ParameterKey,
    /// The text of its JSON.
    pub value: Arc<str>,
}

/// The parameters there are, by what they are known by.
#[derive(Debug)]
pub struct Parameters {
    store: Arc<dyn Store>,
    herald: Arc<Herald>,
    known: RwLock<BTreeMap<ParameterKey, Arc<str>>>,
}

impl Parameters {
    pub(super) fn new(store: Arc<dyn Store>, herald: Arc<Herald>) -> Self {
        Self {
            store,
            herald,
            known: RwLock::default(),
        }
    }

    /// The value of a parameter, the text of its JSON.
    pub fn get(&self, key: &ParameterKey) -> Option<Arc<str>> {
        self.known.read().get(key).cloned()
    }

    /// All of them: those of the whole broker first, then by component, virtual
    /// host and name.
    pub fn all(&self) -> Vec<Parameter> {
        let known = self.known.read();
        let all = known.iter().map(|(key, value)| Parameter {
            key: key.clone(),
            value: Arc::clone(value),
        });
        all.collect()
    }

    /// Those of a component, by virtual host and name.
    pub fn of(&self, component: &str) -> Vec<Parameter> {
        let mut all = self.all();
        all.retain(
            |one| matches!(&one.key, ParameterKey::Of { component: own, .. } if **own == *component),
        );
        all
    }

    /// Sets a parameter to `value`, the text of some JSON, of which events say
    /// `told`. Whether its component takes it, and whether there is such a
    /// virtual host, is the caller's to know.
    ///
    /// # Errors
    /// [`ParameterError`] when the name or the size of it can't be.
    pub fn set(
        &self,
        key: ParameterKey,
        value: &str,
        told: FieldValue,
        by: &str,
    ) -> Result<Applied, ParameterError> {
        key.check()?;
        if value.len() > PARAMETER_BYTES_MAX {
            return Err(ParameterError::TooLong(value.len()));
        }
        let mut known = self.known.write();
        let before = known.get(&key);
        let created = before.is_none();
        if before.is_some_and(|before| **before == *value) {
            return Ok(Applied {
                created,
                batch: None,
            });
        }
        let change = Change::ParameterSet {
            key: key.clone(),
            value: value.into(),
        };
        replay(&mut known, &change);
        let batch = Some(self.store.append(&[Record::Topology(&change)]));
        drop(known);
        self.herald.parameter_set(&key, told, by);
        Ok(Applied { created, batch })
    }

    /// Takes a parameter away; returns the batch that says so, `None` when there
    /// is none of that name.
    pub fn clear(&self, key: &ParameterKey, by: &str) -> Option<Batch> {
        let mut known = self.known.write();
        if !known.contains_key(key) {
            return None;
        }
        let change = Change::ParameterCleared { key: key.clone() };
        replay(&mut known, &change);
        let batch = self.store.append(&[Record::Topology(&change)]);
        drop(known);
        self.herald.parameter_cleared(key, by);
        Some(batch)
    }

    /// Forgets those of a virtual host that was deleted. The store knows from
    /// that deletion.
    pub(super) fn forget_vhost(&self, vhost: &Arc<str>) {
        let vhost = Arc::clone(vhost);
        self.restore(&Change::VhostDeleted { vhost });
    }

    /// Carries out a change without writing it; again is the same as once.
    pub(super) fn restore(&self, change: &Change) {
        replay(&mut self.known.write(), change);
    }
}

fn replay(known: &mut BTreeMap<ParameterKey, Arc<str>>, change: &Change) {
    match change {
        Change::ParameterSet { key, value } => {
            known.insert(key.clone(), Arc::clone(value));
        }
        Change::ParameterCleared { key } => {
            known.remove(key);
        }
        Change::VhostDeleted { vhost } => known.retain(|key, _| key.vhost() != Some(vhost)),
        _ => {}
    }
}
