//! Harrier: an AMQP 0-9-1 message broker.
//!
//! The layers, and what may import what: only downwards.
//!
//! ```text
//!   8 cli  - - HTTP/JSON - - > 7 management               main.rs wires them together
//!                                    |
//!                              6 server         tokio: listeners, connection tasks, outboxes
//!               +----------+---------+---+
//!               |          |             |
//!         4 storage        |             |      write-ahead log + sled, behind a trait of 3
//!               +----+-----+             |
//!              3 broker              2 protocol  3: vhosts, exchanges, bindings, queues: pure
//!                    +-------+-----------+       2: connection and channel state machines, sans-IO
//!                         1 wire                 bytes <-> frames <-> values (nom)
//!                         0 base                 clock, ids, limits, config
//! ```
//!
//! A reference like (`semantics` 6.4) is to the project's specification of
//! RabbitMQ's behaviour, method by method, with its exact texts; it is kept
//! beside this repository.

pub mod base;
pub mod broker;
pub mod cli;
pub mod management;
pub mod protocol;
pub mod server;
pub mod storage;
pub mod wire;
