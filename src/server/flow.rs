//! Back-pressure: when memory or the disk runs out, publishers wait.
//!
//! A connection isn't held back before it publishes something while an alarm
//! is on; from then on its socket isn't read (`semantics` 15). Consumers that
//! only consume never notice.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use super::shared::Shared;

/// How often memory and disk are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// An alarm goes off again when memory is below this share of its limit, in
/// percent: the gap keeps it from flapping.
const CLEAR_PERCENT: u64 = 95;

const LOW_ON_MEMORY: u8 = 1;
const LOW_ON_DISK: u8 = 2;

/// The alarms that are on.
#[derive(Debug, Default)]
pub struct Alarms(AtomicU8);

impl Alarms {
    /// Whether publishers have to wait.
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// What publishers are told.
    pub fn reason(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            LOW_ON_MEMORY => "low on memory",
            LOW_ON_DISK => "low on disk",
            _ => "low on memory & disk",
        }
    }

    /// Sets the alarms; whether that made a difference.
    fn set(&self, alarms: u8) -> bool {
        self.0.swap(alarms, Ordering::Relaxed) != alarms
    }

    fn is_on(&self, alarm: u8) -> bool {
        self.0.load(Ordering::Relaxed) & alarm != 0
    }
}

/// Watches memory and disk for as long as it is polled.
pub async fn watch(shared: Arc<Shared>) {
    let limit = memory_limit(shared.config.vm_memory_high_watermark);
    tracing::debug!(limit, "memory high watermark, bytes");
    let mut ticks = interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut alarms = 0;
        if is_over(resident_memory(), limit, shared.alarms.is_on(LOW_ON_MEMORY)) {
            alarms |= LOW_ON_MEMORY;
        }
        if shared.store.is_disk_full() {
            alarms |= LOW_ON_DISK;
        }
        if shared.alarms.set(alarms) {
            if shared.alarms.any() {
                tracing::warn!(reason = shared.alarms.reason(), "publishers are blocked");
            } else {
                tracing::info!("publishers are unblocked");
            }
            shared.wake_all();
        }
        if shared.alarms.is_on(LOW_ON_MEMORY) {
            release_memory(shared.release_memory);
        }
    }
}

/// Has the threads that serve connections give unused memory back: an allocator
/// does so while it allocates, and with publishers blocked it hardly does. More
/// tasks than threads, so that idle ones are woken for some; those left out
/// have their turn when memory is looked at again.
fn release_memory(release: fn()) {
    for _ in 0..2 * Handle::current().metrics().num_workers() {
        tokio::spawn(async move { release() });
    }
}

fn is_over(used: Option<u64>, limit: Option<u64>, on_already: bool) -> bool {
    let (Some(used), Some(limit)) = (used, limit) else {
        return false;
    };
    let threshold = if on_already {
        limit / 100 * CLEAR_PERCENT
    } else {
        limit
    };
    used > threshold
}

/// The share `watermark` of the memory there is, bytes: the machine's or, if it
/// is less, what the control group allows. `None` where neither can be read.
fn memory_limit(watermark: f64) -> Option<u64> {
    let machine = kilobytes("/proc/meminfo", "MemTotal:");
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let total = machine.into_iter().chain(group).min()?;
    Some((total as f64 * watermark) as u64)
}

/// The process's resident memory, bytes.
fn resident_memory() -> Option<u64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// The bytes that the line beginning with `name` gives in kB.
fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    number.checked_mul(1024)
}
