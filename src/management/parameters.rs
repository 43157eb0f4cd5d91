//! Runtime parameters in JSON: what components have to say to them, and what
//! the broker keeps of them.

use serde_json::Value;

use super::arguments;
use crate::broker::access::Applied;
use crate::broker::parameters::{ParameterError, ParameterKey};
use crate::server::shared::Shared;
use crate::wire::FieldValue;

/// A component that takes parameters.
struct Component {
    name: &'static str,
    /// What is wrong with a value, as RabbitMQ says it.
    check: fn(name: &str, value: &Value) -> Result<(), String>,
}

/// The components there are. Parameters of others can't be set, but are kept
/// when definitions have them.
const COMPONENTS: [Component; 0] = [];

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
    if let ParameterKey::Of { component, .. } = &key
        && find(component).is_none()
    {
        return Err(SetError::UnknownComponent(component.as_ref().to_owned()));
    }
    import(shared, key, value, by)
}

/// The same, but one of a component that isn't here is kept for when it is.
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
            Some(found) => (found.check)(name, value).map_err(SetError::Invalid)?,
            None => tracing::warn!(
                component = &**component,
                name = &**name,
                "parameter kept without effect: there is no such component here"
            ),
        }
    }
    let text = value.to_string();
    // An event can't have every number that JSON can.
    let told = arguments::value(value).unwrap_or_else(|_| FieldValue::str(&text));
    Ok(shared.set_parameter(key, &text, told, by)?)
}

fn find(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}
