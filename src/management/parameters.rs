//! Runtime parameters in JSON: what components have to say to them, and what
//! the broker keeps of them.

use serde_json::Value;

use super::arguments;
use super::shovel;
use crate::broker::access::Applied;
use crate::broker::parameters::{ParameterError, ParameterKey};
use crate::server::shared::Shared;
use crate::wire::FieldValue;

/// A component that takes parameters.
struct Component {
    name: &'static str,
    /// What is wrong with a value that somebody sets, as RabbitMQ says it.
    check: fn(&Shared, name: &str, value: &Value, by: &str) -> Result<(), String>,
    /// Whether a value is for what RabbitMQ's component can do and ours can't.
    is_foreign: fn(value: &Value) -> bool,
}

/// The components there are. Parameters of others can't be set, but are kept
/// when definitions have them.
const COMPONENTS: [Component; 1] = [Component {
    name: shovel::COMPONENT,
    check: shovel::check,
    is_foreign: shovel::is_foreign,
}];

/// Why a parameter can't be set.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// There is no such component.
    #[error("component {0} not found")]
    UnknownComponent(String),
    /// The component doesn't take that value.
    #[error("{0}")]
    Invalid(String),
    /// The broker doesn't keep it.
    #[error(transparent)]
    Refused(#[from] ParameterError),
}

/// Sets a parameter of a component that is here, or of the whole broker.
///
/// # Errors
/// [`SetError`].
pub fn set(
    shared: &Shared,
    key: ParameterKey,
    value: &Value,
    by: &str,
) -> Result<Applied, SetError> {
    if let ParameterKey::Of {
        component, name, ..
    } = &key
    {
        let found = find(component);
        let found =
            found.ok_or_else(|| SetError::UnknownComponent(component.as_ref().to_owned()))?;
        (found.check)(shared, name, value, by).map_err(SetError::Invalid)?;
    }
    keep(shared, key, value, by)
}

/// The same, but one of a component that isn't here, or for what it can't do
/// here, is kept for when it is, or can.
///
/// # Errors
/// [`SetError`].
pub fn import(
    shared: &Shared,
    key: ParameterKey,
    value: &Value,
    by: &str,
) -> Result<Applied, SetError> {
    if let ParameterKey::Of {
        component, name, ..
    } = &key
    {
        match find(component) {
            Some(found) if !(found.is_foreign)(value) => {
                (found.check)(shared, name, value, by).map_err(SetError::Invalid)?;
            }
            _ => tracing::warn!(
                component = &**component,
                name = &**name,
                "parameter kept without effect: nothing here can do that"
            ),
        }
    }
    keep(shared, key, value, by)
}

fn keep(shared: &Shared, key: ParameterKey, value: &Value, by: &str) -> Result<Applied, SetError> {
    let text = value.to_string();
    // An event can't have every number that JSON can.
    let told = arguments::value(value).unwrap_or_else(|_| FieldValue::str(&text));
    Ok(shared.set_parameter(key, &text, told, by)?)
}

fn find(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}
