//! The events of parameters, with the fields that RabbitMQ gives them.

use super::ParameterKey;
use crate::broker::announcements::Herald;
use crate::broker::events::done;
use crate::wire::{FieldTable, FieldValue};

/// What RabbitMQ takes for the component of parameters of the whole broker.
const GLOBAL: &str = "global";

impl Herald {
    pub(super) fn parameter_set(&self, key: &ParameterKey, value: FieldValue, by: &str) {
        self.event("parameter.set", || {
            let mut headers = of_parameter(key, by);
            headers.push("value", value);
            headers
        });
    }

    pub(super) fn parameter_cleared(&self, key: &ParameterKey, by: &str) {
        self.event("parameter.cleared", || of_parameter(key, by));
    }
}

fn of_parameter(key: &ParameterKey, by: &str) -> FieldTable {
    let mut headers = done("name", key.name(), by);
    match key {
        ParameterKey::Global { .. } => headers.push("component", GLOBAL),
        ParameterKey::Of {
            component, vhost, ..
        } => {
            headers.push("component", &**component);
            headers.push("vhost", &**vhost);
        }
    }
    headers
}
