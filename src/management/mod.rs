//! Layer 7: what administrators exchange with a broker.

pub mod definitions;
pub mod parameters;
