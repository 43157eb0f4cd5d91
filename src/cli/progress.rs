//! How far long work is, on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::table::harmless;

/// How often the line is drawn anew at most.
const BETWEEN: Duration = Duration::from_millis(100);

/// A line on stderr that is drawn over and over, and gone when the work is done.
/// Where stderr isn't a terminal nothing is drawn.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    drawn: Option<Instant>,
    begun: Instant,
}

impl Progress {
    /// Nothing drawn yet.
    pub fn begin() -> Self {
        Self {
            shown: io::stderr().is_terminal(),
            drawn: None,
            begun: Instant::now(),
        }
    }

    /// `done` of `total` pieces of `what`.
    pub fn step(&mut self, what: &str, done: usize, total: usize) {
        let soon = self.drawn.is_some_and(|drawn| drawn.elapsed() < BETWEEN);
        if self.shown && !soon {
            let share = (done * 100).checked_div(total).unwrap_or(100);
            self.draw(&format!("{what}: {done} of {total} ({share} %)"));
        }
    }

    /// Any text, and for how long the work has been going on.
    pub fn note(&mut self, text: &str) {
        if self.shown {
            let seconds = self.begun.elapsed().as_secs();
            self.draw(&format!("{text} ({seconds} s)"));
        }
    }

    fn draw(&mut self, line: &str) {
        self.drawn = Some(Instant::now());
        let mut stderr = io::stderr().lock();
        // Who can't see it misses nothing else.
        let _unseen = write!(stderr, "\r\x1b[K{}", harmless(line)).and_then(|()| stderr.flush());
    }

    /// Does `work`, which can't tell how far it is, and calls `look` each second
    /// for what to say meanwhile.
    pub fn during<T: Send>(
        &mut self,
        work: impl FnOnce() -> T + Send,
        mut look: impl FnMut() -> String,
    ) -> T {
        if !self.shown {
            return work();
        }
        thread::scope(|scope| {
            let (done, waiting) = sync_channel::<()>(1);
            let working = scope.spawn(move || {
                // Dropped when the work has ended, however it did.
                let _done = done;
                work()
            });
            while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(Duration::from_secs(1))
            {
                self.note(&look());
            }
            match working.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _unseen = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
