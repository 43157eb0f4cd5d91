//! Layer 3: what AMQP means. Virtual hosts, exchanges, bindings, queues.
//!
//! Nothing here knows sockets, files or clocks. Deliveries leave through
//! [`Subscriber`](subscriber::Subscriber), what has to survive through
//! [`Store`](store::Store), time comes in as [`Now`](crate::base::clock::Now).

pub mod change;
pub mod effects;
pub mod message;
pub mod queue;
pub mod spec;
pub mod store;
pub mod subscriber;
