//! Layer 7: what administrators exchange with a broker.
//!
//! ```text
//!   TCP --Envelope--> HTTP/1 --front--> routes --> a handler --> reply | listing
//!        (nothing,             what all            Viewer .. Administrator, InVhost: who
//!         or TLS)              answers share       and where; body: what is asked for
//! ```
//!
//! The HTTP API is RabbitMQ's (`management-api`). A file here has the routes of
//! one kind of thing, its handlers and its JSON; [`routes`] puts the files
//! together. Handlers keep nothing: each looks at the live broker, lets go of
//! what it looked at, and only then writes JSON.

pub mod access;
mod api;
pub mod arguments;
mod attempts;
pub mod audit;
mod audited;
mod bindings;
pub mod body;
mod channels;
mod connections;
pub mod consumers;
pub mod counters;
mod definition_routes;
pub mod definitions;
mod envelope;
mod exchanges;
mod features;
pub mod fields;
mod front;
mod health;
mod limits;
pub mod listing;
mod maintenance;
mod messages;
pub mod metrics;
mod nodes;
mod origin;
pub mod otlp;
mod overview;
mod parameter_routes;
pub mod parameters;
pub mod path;
mod permissions;
mod policies;
pub mod properties_key;
pub mod query;
pub mod queue_view;
mod queues;
pub mod rates;
pub mod replicas;
mod reply;
pub mod routes;
pub mod row;
mod server;
pub mod shovel;
mod shovels;
mod term;
pub mod times;
pub mod totals;
mod traces;
mod ui;
mod users;
mod vhost_routes;
mod vhosts;
mod whoami;
pub mod workbench;

pub use self::api::{Api, Listener};
pub use self::envelope::{Encrypted, Envelope, Plain, Stream};
pub use self::server::Management;
