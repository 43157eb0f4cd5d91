//! The durable store: what it keeps through restarts, crashes, lost power and
//! failing disks.
#![expect(clippy::expect_used, reason = "a test ends where it fails")]

mod restart;
mod support;
