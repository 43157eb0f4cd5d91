//! Shovels: messages moved from one broker to another, or within one, for as
//! long as it is asked for. They are defined as RabbitMQ's dynamic shovels are.
//!
//! ```text
//!   source --deliver--> Link --> Transfer --> Link --publish--> destination
//!          <----ack----            |              <---confirm---
//!                      which of the source's messages are safe
//! ```
//!
//! One task a shovel drives both connections; no message is held by it, a body
//! passes from one socket to the other in pieces. A message is acknowledged to
//! the source only once the destination has confirmed it, so what fails on
//! the way is delivered again: at least once, never less.
//!
//! This speaks the crate's own `wire` and not a client library: properties pass
//! as they came, octet by octet, and a connection costs a socket, not a thread.
// What another broker sends gets this far: no index without a check.
#![warn(clippy::indexing_slicing)]

mod definition;
mod dial;
mod headers;
mod link;
mod progress;
mod relay;
mod shovels;
mod terms;
mod tls;
mod transfer;
mod uri;
mod worker;

pub use self::definition::Definition;
pub use self::progress::{State, Status};
pub use self::shovels::{COMPONENT, Shovels};

use serde_json::Value;

use self::uri::shown;
use crate::broker::events::INTERNAL_USER;
use crate::server::shared::Shared;

/// Whether a user may set a shovel to a value: it may enter no virtual host of
/// this broker that the user may not.
///
/// # Errors
/// What is wrong, in RabbitMQ's words.
pub fn check(shared: &Shared, name: &str, value: &Value, by: &str) -> Result<(), String> {
    let definition = Definition::parse(name, value)?;
    if by == INTERNAL_USER {
        return Ok(());
    }
    let user = by.into();
    let refused = definition.trusted_vhosts().find(|vhost| {
        let vhost = shared.vhosts.get(vhost);
        vhost.is_none_or(|vhost| !shared.access.grants(&user, vhost.name()).may_enter())
    });
    refused.map_or(Ok(()), |vhost| {
        Err(format!("user {by:?} may not connect to vhost {vhost:?}"))
    })
}

/// Whether a shovel is for AMQP 1.0, which RabbitMQ's speak and ours don't.
pub fn is_foreign(value: &Value) -> bool {
    let protocols = ["src-protocol", "dest-protocol"].map(|key| value.get(key));
    protocols.into_iter().flatten().any(|one| one == "amqp10")
}

/// The value of a shovel's parameter as it may be shown: no user, password or
/// option is left in its addresses.
pub fn without_logins(mut value: Value) -> Value {
    for key in ["src-uri", "dest-uri"] {
        let uris = match value.get_mut(key) {
            Some(Value::Array(uris)) => uris.iter_mut().collect(),
            Some(uri) => vec![uri],
            None => Vec::new(),
        };
        for uri in uris {
            if let Value::String(text) = uri {
                *text = shown(text);
            }
        }
    }
    value
}
