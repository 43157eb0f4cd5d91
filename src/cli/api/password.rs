//! Asking a person for a password.

use std::io::{self, IsTerminal, Write};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use crate::cli::Failure;
use crate::cli::table::harmless;

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden;

impl Hidden {
    fn begin() -> io::Result<Self> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _lost = disable_raw_mode();
    }
}

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What somebody types, up to the end of the line; it isn't shown.
///
/// # Errors
/// A usage failure: the terminal fails, or whoever sits there gives up.
pub(super) fn ask(user: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| {
        Failure::Usage(format!(
            "cannot ask for the password of {user} ({error}); give it by --password-file"
        ))
    };
    // Before the question, after which somebody may type at once.
    let hidden = Hidden::begin().map_err(failed)?;
    eprint!("Password of {}: ", harmless(user));
    let asked = io::stderr().flush();
    let typed = asked.and_then(|()| typed()).map_err(failed);
    drop(hidden);
    // The line's end wasn't shown either.
    eprintln!();
    typed?.ok_or_else(|| Failure::Usage(format!("no password of {user} was given")))
}

/// A line, or nothing if it was broken off.
fn typed() -> io::Result<Option<String>> {
    let mut line = String::new();
    loop {
        let Event::Key(KeyEvent {
            code,
            modifiers,
            kind: KeyEventKind::Press,
            ..
        }) = event::read()?
        else {
            continue;
        };
        let control = modifiers.contains(KeyModifiers::CONTROL);
        match code {
            KeyCode::Enter => return Ok(Some(line)),
            // Raw, some terminals send the end of a line as this.
            KeyCode::Char('j') if control => return Ok(Some(line)),
            KeyCode::Char('c' | 'd') if control => return Ok(None),
            KeyCode::Char('u') if control => line.clear(),
            KeyCode::Backspace => drop(line.pop()),
            KeyCode::Char(typed) if !control => line.push(typed),
            _ => {}
        }
    }
}
