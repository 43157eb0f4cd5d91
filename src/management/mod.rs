//! Layer 7: what administrators exchange with a broker.
//!
//! ```text
//!   TCP --Envelope--> HTTP/1 --front--> routes --> a handler --> reply | listing
//!        (nothing,             what all            Viewer .. Administrator, InVhost: who
//!         or TLS)              answers share       and where; body: what is asked for
//! ```
//!
//! The HTTP API is RabbitMQ's (`management-api`). A file here has the routes of
//! one kind of thing, its handlers and its JSON; [`routes::api`] puts the files
//! together. Handlers keep nothing: each looks at the live broker, lets go of
//! what it looked at, and only then writes JSON.

pub mod access;
mod api;
pub mod arguments;
pub mod body;
pub mod definitions;
mod envelope;
mod front;
pub mod listing;
mod overview;
pub mod parameters;
pub mod path;
pub mod query;
pub mod reply;
pub mod routes;
mod server;
pub mod totals;
mod ui;
mod vhosts;
mod whoami;

pub use self::api::{Api, Listener};
pub use self::envelope::{Encrypted, Envelope, Plain, Stream};
pub use self::server::Management;
