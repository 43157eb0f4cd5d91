//! The durable store: what it keeps through restarts, crashes, lost power and
//! failing disks.
#![expect(clippy::expect_used, reason = "a test ends where it fails")]

mod codec;
mod disk;
mod faults;
mod kill;
mod lanes;
mod power;
mod reclaim;
mod restart;
mod support;
