//! Layer 3: what AMQP means. Virtual hosts, exchanges, bindings, queues.
//!
//! Nothing here knows sockets, files or clocks. Deliveries leave through
//! [`Subscriber`](subscriber::Subscriber), what has to survive through
//! [`Store`](store::Store), time comes in as [`Now`](crate::base::clock::Now).

pub mod access;
pub mod announcements;
mod arguments;
pub mod attempts;
mod binding;
pub mod change;
pub mod consuming;
pub mod dead_lettering;
mod delay;
pub mod effects;
mod equivalence;
mod erlang;
pub mod events;
mod exchange;
pub mod firehose;
pub mod message;
mod name;
pub mod once;
pub mod parameters;
pub mod pattern;
pub mod policy;
pub mod publishing;
pub mod queue;
pub mod replaying;
pub mod replies;
mod resource;
pub mod routing;
pub mod spec;
pub mod store;
pub mod subscriber;
pub mod timers;
mod topology;
pub mod trace;
pub mod traffic;
pub mod unit;
pub mod vhost;
pub mod vhosts;
mod ways;
pub mod weight;
