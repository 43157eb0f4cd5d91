//! What a migration says.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::plan::{Plan, Queue};
use super::progress::{Look, Tally, duration};
use crate::cli::table::{Canvas, Cell, Table, Tone, harmless};

/// Lines of a list before the rest of it is only counted.
const LINES_MAX: usize = 20;

/// What is going to be moved, and what isn't.
pub(super) fn plan(plan: &Plan) -> String {
    let mut table = Table::new(["vhost", "queue", "type", "messages", ""]);
    for queue in &plan.queues {
        let note = match (queue.stays, queue.durable) {
            (Some(why), _) => Cell::text(&format!("stays: {why}")).toned(Tone::Odd),
            (None, false) => Cell::text("not durable there, so not here"),
            (None, true) => Cell::text(""),
        };
        table.push(row(queue, [queue.messages], note));
    }
    table.render(Canvas::stdout())
}

/// What was moved in the end.
pub(super) fn outcome(plan: &Plan, tally: &Tally, look: &Look, here: &Look) -> String {
    let mut table = Table::new([
        "vhost", "queue", "type", "before", "moved", "left", "here", "",
    ]);
    for queue in &plan.queues {
        let left = look.left_of(queue);
        let moved = tally.moved(queue);
        let note = match queue.stays {
            Some(why) => Cell::text(&format!("stays: {why}")).toned(Tone::Odd),
            None if left > 0 => Cell::text("not empty").toned(Tone::Bad),
            None => Cell::text("ok").toned(Tone::Good),
        };
        let numbers = [queue.messages, moved, left, here.left_of(queue)];
        table.push(row(queue, numbers, note));
    }
    table.render(Canvas::stdout())
}

fn row<const N: usize>(queue: &Queue, numbers: [u64; N], note: Cell) -> Vec<Cell> {
    let names = [&queue.vhost, &queue.name, &queue.kind];
    let names = names.map(|name| Cell::text(name));
    let numbers = numbers.map(|number| Cell::number(number.to_string()));
    names.into_iter().chain(numbers).chain([note]).collect()
}

/// A list under a title; of a long one the beginning.
pub(super) fn list(title: &str, lines: &[String]) -> String {
    let mut text = title.to_owned();
    for line in lines.iter().take(LINES_MAX) {
        text.push_str(&format!("\n  {}", harmless(line)));
    }
    if lines.len() > LINES_MAX {
        text.push_str(&format!("\n  ... and {} more", lines.len() - LINES_MAX));
    }
    text
}

/// The line that says how far it is: over itself on a terminal, every so often
/// otherwise.
#[derive(Debug)]
pub(super) struct Ticker {
    is_terminal: bool,
    said: Option<Duration>,
}

/// Between two lines where they can't replace each other.
const PAUSE: Duration = Duration::from_secs(10);

impl Ticker {
    pub(super) fn stderr() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            said: None,
        }
    }

    /// Says how far it is, `at` so long after the beginning.
    pub(super) fn say(&mut self, at: Duration, moved: u64, left: u64, rate: f64, queues: usize) {
        let eta = match rate > 0.5 && left > 0 {
            true => duration(Duration::from_secs_f64(left as f64 / rate)),
            false => "-".to_owned(),
        };
        let line = format!(
            "{moved} moved ({rate:.0}/s), {left} left in {queues} queues, ETA {eta}, {} so far",
            duration(at)
        );
        let mut stderr = io::stderr().lock();
        // Nobody may be reading; it goes on all the same.
        let _unread = if self.is_terminal {
            write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
        } else if self
            .said
            .is_none_or(|said| at.saturating_sub(said) >= PAUSE)
        {
            self.said = Some(at);
            writeln!(stderr, "{line}")
        } else {
            Ok(())
        };
    }

    /// Ends the line.
    pub(super) fn end(&self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}
