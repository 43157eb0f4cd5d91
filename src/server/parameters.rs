//! Setting and clearing the parameters of a running server, and being told.

use std::sync::Arc;

use tokio::sync::watch;

use super::shared::Shared;
use crate::base::ids::Batch;
use crate::broker::access::Applied;
use crate::broker::parameters::{ParameterError, ParameterKey};
use crate::wire::FieldValue;

/// Counts the changes of parameters.
#[derive(Debug)]
pub(super) struct ParameterChanges(watch::Sender<u64>);

impl Default for ParameterChanges {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl ParameterChanges {
    pub(super) fn count(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl Shared {
    /// Sets a parameter to `value`, the text of some JSON, of which events say
    /// `told`. Its component, if anything has taken that on, has agreed to it.
    ///
    /// # Errors
    /// [`ParameterError`] when there is no such virtual host, or the name or the
    /// size of it can't be.
    pub fn set_parameter(
        &self,
        key: ParameterKey,
        value: &str,
        told: FieldValue,
        by: &str,
    ) -> Result<Applied, ParameterError> {
        let _one_at_a_time = self.administration.lock();
        if let Some(vhost) = key.vhost().filter(|name| self.vhosts.get(name).is_none()) {
            return Err(ParameterError::NoSuchVhost(vhost.as_ref().to_owned()));
        }
        let name = Arc::clone(key.name());
        let applied = self.vhosts.parameters().set(key, value, told, by)?;
        if applied.batch.is_some() {
            tracing::info!(name = &*name, by, "parameter set");
            self.parameter_changes.count();
        }
        Ok(applied)
    }

    /// Takes a parameter away; returns the batch that says so, `None` when there
    /// is none of that name.
    pub fn clear_parameter(&self, key: &ParameterKey, by: &str) -> Option<Batch> {
        let _one_at_a_time = self.administration.lock();
        let batch = self.vhosts.parameters().clear(key, by)?;
        tracing::info!(name = &**key.name(), by, "parameter cleared");
        self.parameter_changes.count();
        Some(batch)
    }

    /// What says that parameters have changed: set, cleared, or gone with their
    /// virtual host.
    ///
    /// A component that lives by its parameters asks for this once, and then over
    /// and over reads [`Parameters::of`] its name and waits for
    /// [`watch::Receiver::changed`]. What changes while it reads is told at the
    /// next wait; several changes may be told as one.
    ///
    /// [`Parameters::of`]: crate::broker::parameters::Parameters::of
    pub fn parameter_changes(&self) -> watch::Receiver<u64> {
        self.parameter_changes.0.subscribe()
    }
}
