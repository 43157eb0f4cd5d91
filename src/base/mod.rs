//! Layer 0: what every other layer may lean on and nothing that knows AMQP.

pub mod clock;
pub mod config;
pub mod histogram;
pub mod ids;
pub mod limits;
pub mod oauth2;
pub mod tls;
