//! `harrier top`: a broker at work, live, by way of the management API alone.

mod draw;
mod snapshot;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

pub use self::draw::draw;
pub use self::snapshot::{Asked, Order, Snapshot, Subject, View};
use super::Failure;
use super::api::{Access, Api, VhostOption};

/// How long a key may take to have an effect.
const TICK: Duration = Duration::from_millis(100);

/// Watch a broker at work.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier top\n  \
    harrier top --every 1 --vhost shop\n\n\
    Keys: q quits; Tab goes from queues to connections and back; r, u, t, i, o, n sort by\n\
    ready, unacked, total, in/s, out/s, name; the arrows scroll; p pauses.")]
pub struct TopCommand {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    vhost: VhostOption,
}

impl TopCommand {
    /// Watches until told to stop.
    ///
    /// # Errors
    /// No terminal, or a broker that can't be asked from the start.
    pub fn run(self) -> Result<(), Failure> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(Failure::Usage(
                "harrier top needs a terminal; `harrier status --format json` is for programs"
                    .into(),
            ));
        }
        let api = self.access.open()?;
        let asked = Asked::new(self.vhost.vhost);
        // What is wrong with the login is told on a whole terminal, not in a corner.
        let first = Snapshot::take(&api, &asked)?;
        let (orders, wanted) = sync_channel::<Asked>(1);
        let (snapshots, taken) = sync_channel(1);
        let every = Duration::from_secs(self.every);
        let mut view = View::new(first, asked.clone(), api.base());
        thread::spawn(move || look(&api, asked, every, &wanted, &snapshots));
        let mut terminal = ratatui::init();
        let outcome = watch(&mut terminal, &mut view, &orders, &taken);
        ratatui::restore();
        outcome.map_err(|error| Failure::Failed(format!("the terminal failed: {error}")))
    }
}

/// Asks the API over and over, at once when something else is wanted.
fn look(
    api: &Api,
    mut asked: Asked,
    every: Duration,
    wanted: &Receiver<Asked>,
    snapshots: &SyncSender<Result<Snapshot, String>>,
) {
    loop {
        match wanted.recv_timeout(every) {
            Ok(other) => asked = other,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let taken = Snapshot::take(api, &asked).map_err(|error| error.to_string());
        if snapshots.send(taken).is_err() {
            return;
        }
    }
}

fn watch(
    terminal: &mut DefaultTerminal,
    view: &mut View,
    orders: &SyncSender<Asked>,
    taken: &Receiver<Result<Snapshot, String>>,
) -> io::Result<()> {
    loop {
        terminal.draw(|frame| draw(frame, view))?;
        if event::poll(TICK)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let before = view.asked().clone();
            if !press(view, key) {
                return Ok(());
            }
            if *view.asked() != before {
                // One is on its way already if this is full; the next key tries again.
                let _full = orders.try_send(view.asked().clone());
            }
        }
        match taken.try_recv() {
            Ok(snapshot) => view.take(snapshot),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

/// What a key does; whether to go on.
fn press(view: &mut View, key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => return false,
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Tab | KeyCode::BackTab => view.turn(),
        KeyCode::Down | KeyCode::Char('j') => view.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => view.scroll(-1),
        KeyCode::PageDown => view.scroll(20),
        KeyCode::PageUp => view.scroll(-20),
        KeyCode::Home => view.scroll(isize::MIN),
        KeyCode::Char('p' | ' ') => view.pause(),
        KeyCode::Char(letter) => {
            if let Some(order) = Order::of(letter) {
                view.sort(order);
            }
        }
        _ => {}
    }
    true
}
