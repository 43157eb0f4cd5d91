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
use tokio::time::sleep;

use super::events::tell_alarm;
use super::shared::Shared;
use crate::storage::free_space;

/// How often memory and disk are looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);
/// The same while the disk may run short any moment: a fast one takes what is
/// left above the limit in less than the usual interval.
const CLOSE_WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// Free octets above the limit within which that may be so: more than a disk
/// takes in the usual interval.
const CLOSE_WATCH_FREE: u64 = 1024 * 1024 * 1024;
/// An alarm goes off again when memory is below this share of its limit, in
/// percent: the gap keeps it from flapping.
const CLEAR_PERCENT: u64 = 95;
/// The same for the disk: this much more than its limit has to be free, in
/// percent of the limit.
const CLEAR_EXTRA_PERCENT: u64 = 5;

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

    /// Whether memory is short.
    pub fn memory(&self) -> bool {
        self.is_on(LOW_ON_MEMORY)
    }

    /// Whether the disk is.
    pub fn disk(&self) -> bool {
        self.is_on(LOW_ON_DISK)
    }

    /// What publishers are told.
    pub fn reason(&self) -> &'static str {
        match self.0.load(Ordering::Relaxed) {
            LOW_ON_MEMORY => "low on memory",
            LOW_ON_DISK => "low on disk",
            _ => "low on memory & disk",
        }
    }

    /// Sets the alarms; which of them that made a difference to.
    fn set(&self, alarms: u8) -> u8 {
        self.0.swap(alarms, Ordering::Relaxed) ^ alarms
    }

    fn is_on(&self, alarm: u8) -> bool {
        self.0.load(Ordering::Relaxed) & alarm != 0
    }
}

/// What the process has of what it may have, octets; none where that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Resident memory.
    pub memory: Option<u64>,
    /// How much of it may be used before publishers are blocked.
    pub memory_limit: Option<u64>,
    /// Whether they are for that.
    pub memory_alarm: bool,
    /// Space on the disk of the data directory.
    pub disk_free: Option<u64>,
    /// How little of it may be left before publishers are blocked.
    pub disk_free_limit: u64,
    /// Whether they are for that.
    pub disk_alarm: bool,
}

impl Shared {
    /// What the process has of what it may have.
    pub fn resources(&self) -> Resources {
        Resources {
            memory: resident_memory(),
            memory_limit: memory_limit(self.config.vm_memory_high_watermark),
            memory_alarm: self.alarms.is_on(LOW_ON_MEMORY),
            disk_free: free_space(&self.config.data_dir).ok(),
            disk_free_limit: self.config.disk_free_limit,
            disk_alarm: self.alarms.is_on(LOW_ON_DISK),
        }
    }
}

/// Watches memory and disk for as long as it is polled.
pub async fn watch(shared: Arc<Shared>) {
    let memory_limit = memory_limit(shared.config.vm_memory_high_watermark);
    let free_limit = shared.config.disk_free_limit;
    tracing::debug!(memory_limit, free_limit, "watching memory and disk, bytes");
    loop {
        let memory = resident_memory();
        let free = free_space(&shared.config.data_dir).ok();
        let mut alarms = 0;
        if is_over(memory, memory_limit, shared.alarms.is_on(LOW_ON_MEMORY)) {
            alarms |= LOW_ON_MEMORY;
        }
        let is_short = is_short(free, free_limit, shared.alarms.is_on(LOW_ON_DISK));
        if is_short || shared.store.is_disk_full() {
            alarms |= LOW_ON_DISK;
        }
        let changed = shared.alarms.set(alarms);
        if changed != 0 {
            tell(&shared, changed);
            if shared.alarms.any() {
                let reason = shared.alarms.reason();
                tracing::warn!(reason, memory, free, "publishers are blocked");
            } else {
                tracing::info!("publishers are unblocked");
            }
            shared.wake_all();
        }
        if shared.alarms.is_on(LOW_ON_MEMORY) {
            release_memory(shared.release_memory);
        }
        sleep(until_next_look(shared.alarms.any(), free, free_limit)).await;
    }
}

/// Tells of the alarms that went off or on again.
fn tell(shared: &Shared, changed: u8) {
    for (alarm, source) in [(LOW_ON_MEMORY, "memory"), (LOW_ON_DISK, "disk")] {
        if changed & alarm != 0 {
            tell_alarm(shared.vhosts.herald(), source, shared.alarms.is_on(alarm));
        }
    }
}

fn until_next_look(blocked: bool, free: Option<u64>, limit: u64) -> Duration {
    let close = limit.saturating_add(CLOSE_WATCH_FREE);
    if !blocked && is_short(free, close, false) {
        CLOSE_WATCH_INTERVAL
    } else {
        WATCH_INTERVAL
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

/// What can't be read is not short.
fn is_short(free: Option<u64>, limit: u64, on_already: bool) -> bool {
    let enough = if on_already {
        limit.saturating_add(limit / 100 * CLEAR_EXTRA_PERCENT)
    } else {
        limit
    };
    free.is_some_and(|free| free < enough)
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn the_disk_is_short_below_its_limit_until_some_more_is_free() {
        let limit = 100 * MIB;
        assert!(!is_short(Some(limit), limit, false));
        assert!(is_short(Some(limit - 1), limit, false));
        assert!(is_short(Some(limit), limit, true));
        assert!(is_short(Some(105 * MIB - 1), limit, true));
        assert!(!is_short(Some(105 * MIB), limit, true));
    }

    #[test]
    fn without_a_limit_or_a_reading_the_disk_is_never_short() {
        assert!(!is_short(Some(0), 0, false));
        assert!(!is_short(Some(0), 0, true));
        assert!(!is_short(None, u64::MAX, true));
        assert!(is_short(Some(u64::MAX - 1), u64::MAX, true));
    }

    #[test]
    fn memory_runs_out_above_its_limit_and_is_back_well_below() {
        let limit = Some(100 * MIB);
        assert!(!is_over(limit, limit, false));
        assert!(is_over(Some(100 * MIB + 1), limit, false));
        assert!(is_over(Some(95 * MIB + 1), limit, true));
        assert!(!is_over(Some(95 * MIB), limit, true));
        assert!(!is_over(None, limit, true));
    }
}
