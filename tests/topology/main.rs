//! What may be declared, bound and deleted in a virtual host, and with which
//! words it is refused (`semantics` 6 and 7).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod announcements;
mod durability;
mod exchange_types;
mod exchanges;
mod history;
mod picking;
mod queues;
mod speed;
mod support;
