//! Harrier: an AMQP 0-9-1 message broker.

pub mod base;
pub mod broker;
pub mod protocol;
pub mod storage;
pub mod wire;
