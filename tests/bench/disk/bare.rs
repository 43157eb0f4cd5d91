//! The bare program.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use harrier::base::limits::SEGMENT_SIZE;

use crate::noted::pause;

/// What it took.
pub struct Used {
    pub wall: Duration,
    /// Processor time.
    pub cpu: Duration,
}

/// Appends and syncs batches of so many octets each, over and over the same
/// file: one that is filled with zeros already, as this is the fastest.
pub fn bare(path: &Path, batches: &[u64]) -> Used {
    let largest = batches.iter().copied().max().unwrap_or_default();
    let size = SEGMENT_SIZE.max(largest);
    let file = File::create(path).unwrap();
    file.write_all_at(&vec![0; size as usize], 0).unwrap();
    file.sync_all().unwrap();
    let octets: Vec<u8> = (0..largest).map(|octet| octet as u8 | 1).collect();
    let (cpu, started) = (thread_cpu(), Instant::now());
    let mut offset = 0;
    for batch in batches {
        if offset + batch > size {
            offset = 0;
        }
        file.write_all_at(&octets[..*batch as usize], offset)
            .unwrap();
        file.sync_data().unwrap();
        pause();
        offset += batch;
    }
    let used = Used {
        wall: started.elapsed(),
        cpu: thread_cpu() - cpu,
    };
    fs::remove_file(path).unwrap();
    used
}

/// The processor time this thread has used.
fn thread_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = stat.split(' ').next().unwrap().parse();
    Duration::from_nanos(nanoseconds.unwrap())
}
