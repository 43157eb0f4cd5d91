//! What the standard library has no name for: waiting on many sockets, and
//! how much of the processor and the memory a process has used.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::error::{PerfError, io_error};

/// The sockets a thread waits for, in the order they were added.
#[derive(Default)]
pub struct PollSet(Vec<libc::pollfd>);

impl PollSet {
    /// Adds a socket: from now on it wakes the thread when it has input or an error.
    pub fn add(&mut self, socket: &impl AsRawFd) {
        self.0.push(libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
    }

    /// Whether socket `index` should wake the thread for room to write, too.
    pub fn set_writable(&mut self, index: usize, wanted: bool) {
        if let Some(entry) = self.0.get_mut(index) {
            entry.events = if wanted {
                libc::POLLIN | libc::POLLOUT
            } else {
                libc::POLLIN
            };
        }
    }

    /// Whether socket `index` had input, an error or its end at the last wait.
    pub fn is_readable(&self, index: usize) -> bool {
        let entry = self.0.get(index);
        entry.is_some_and(|entry| entry.revents & !libc::POLLOUT != 0)
    }

    /// Waits until a socket is ready, at most `timeout`.
    ///
    /// # Errors
    /// [`PerfError::Io`] when the system refuses; an interruption isn't one.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), PerfError> {
        match poll(&mut self.0, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(io_error("waiting for the sockets")(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "the standard library can't wait on several sockets"
)]
fn poll(entries: &mut [libc::pollfd], timeout: Duration) -> io::Result<()> {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
    };
    // SAFETY: pointer and length are one exclusively borrowed slice; `timeout`
    // outlives the call; a null signal mask leaves the mask as it is.
    let ready = unsafe {
        libc::ppoll(
            entries.as_mut_ptr(),
            entries.len() as libc::nfds_t,
            &timeout,
            std::ptr::null(),
        )
    };
    if ready < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[allow(
    unsafe_code,
    reason = "the standard library can't wait on several sockets"
)]
fn poll(entries: &mut [libc::pollfd], timeout: Duration) -> io::Result<()> {
    let timeout_ms = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
    // SAFETY: pointer and length are one exclusively borrowed slice.
    let ready = unsafe {
        libc::poll(
            entries.as_mut_ptr(),
            entries.len() as libc::nfds_t,
            timeout_ms,
        )
    };
    if ready < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets this thread's waits end on time instead of up to 50 us late, which is
/// as long as what a latency run measures.
pub fn wake_on_time() {
    #[cfg(target_os = "linux")]
    #[allow(
        unsafe_code,
        reason = "timer slack has no other interface for a thread"
    )]
    // SAFETY: PR_SET_TIMERSLACK takes one number and touches no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
    }
}

/// The processor time this process has used, all threads, user and system.
#[allow(
    unsafe_code,
    reason = "the standard library doesn't tell processor time"
)]
pub fn own_cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: getrusage fills the structure it is given; all zeros is a valid
    // one should it fail, which it can't for RUSAGE_SELF.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// What another process of this machine has used so far (Linux: /proc).
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessUsage {
    /// Processor time of all its threads, user and system; granularity 10 ms.
    pub cpu: Duration,
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// The most resident memory it ever had, KiB.
    pub rss_peak_kib: u64,
}

impl ProcessUsage {
    /// Reads what process `pid` has used; its children don't count.
    ///
    /// # Errors
    /// [`PerfError::Io`] when there is no such process or no /proc.
    pub fn read(pid: u32) -> Result<Self, PerfError> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).map_err(io_error(format!("reading {path}")))
        };
        let ticks = parse_cpu_ticks(&read("stat")?)
            .ok_or_else(|| PerfError::State(format!("/proc/{pid}/stat has no utime and stime")))?;
        let status = read("status")?;
        Ok(Self {
            cpu: Duration::from_millis(ticks * 1000 / ticks_per_second()),
            rss_kib: parse_kib(&status, "VmRSS:"),
            rss_peak_kib: parse_kib(&status, "VmHWM:"),
        })
    }
}

/// utime + stime of `/proc/PID/stat`: the 14th and 15th field, counted from
/// the end of the name in brackets, which may itself hold blanks and brackets.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_kib(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[allow(
    unsafe_code,
    reason = "the standard library doesn't tell the tick's length"
)]
fn ticks_per_second() -> u64 {
    // SAFETY: sysconf takes a number and returns one.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 9 0 0 0 150 37 8 9 20 0 1 0 77 0 0";
        assert_eq!(parse_cpu_ticks(stat), Some(187));
        assert_eq!(parse_cpu_ticks("42 (cut"), None);
        assert_eq!(parse_cpu_ticks("42 (cut) S 1 2"), None);
    }

    #[test]
    fn memory_is_read_from_its_line() {
        let status = "Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_kib(status, "VmRSS:"), 1024);
        assert_eq!(parse_kib(status, "VmHWM:"), 2048);
        assert_eq!(parse_kib(status, "VmSwap:"), 0);
    }

    #[test]
    fn our_own_processor_time_grows() {
        let before = own_cpu();
        let mut sum = 0_u64;
        while own_cpu() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(own_cpu() > before);
    }
}
