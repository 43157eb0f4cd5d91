//! Users, permissions and definitions, without a socket.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

mod claims;
mod definitions;
mod passwords;
mod patterns;
mod permissions;
mod scopes;
mod support;
mod throttle;
mod vhosts;
