//! The management API as commands use it: one blocking client, and what it says
//! when it can't do what was asked.
//!
//! Commands flatten [`Access`] into their arguments and call [`Access::open`].
//! They know the API's paths and JSON, never the code that serves them, so they
//! work with any broker that has RabbitMQ's API.

mod access;
mod client;
mod error;
mod password;
mod path;
mod profile;
mod trust;

pub use self::access::{Access, VhostOption};
pub use self::client::{Api, Made};
pub use self::error::ApiError;
pub use self::path::path;
pub(super) use self::trust::first_line;
