//! One channel, and the set of them that a connection has.

use super::assembly::Assembly;
use super::confirm::Confirms;

/// A channel that was opened and isn't forgotten yet.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: u16,
    pub(super) state: State,
    pub(super) mode: Mode,
    pub(super) assembly: Assembly,
    /// The queue declared last: what an empty queue name stands for.
    pub(super) last_queue: Option<String>,
}

/// Where a channel stands; the module's picture shows the way through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It works.
    Open,
    /// We sent `channel.close`: everything is discarded until `close-ok`.
    Closing,
    /// The client's `close` crossed ours: its `close-ok` may come, or not.
    Crossed,
    /// The client sent `channel.close`; the server is cleaning up.
    Leaving,
}

/// What a publish on the channel is answered with.
#[derive(Debug, Default)]
pub(super) enum Mode {
    /// Nothing.
    #[default]
    Plain,
    /// Each is confirmed (`confirm.select`).
    Confirm(Box<Confirms>),
    /// They take effect together (`tx.select`).
    Tx,
}

impl Channel {
    fn new(id: u16) -> Self {
        Self {
            id,
            state: State::Open,
            mode: Mode::Plain,
            assembly: Assembly::Idle,
            last_queue: None,
        }
    }

    /// Whether a method may come now.
    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Open && self.assembly.is_idle()
    }

    /// Whether publishes wait for `tx.commit`.
    pub(super) const fn is_tx(&self) -> bool {
        matches!(self.mode, Mode::Tx)
    }

    /// The number of the publish that just came, if it is to be confirmed.
    pub(super) fn number_publish(&mut self) -> Option<u64> {
        match &mut self.mode {
            Mode::Confirm(confirms) => Some(confirms.number()),
            _ => None,
        }
    }

    /// Stops the channel, on our initiative.
    pub(super) fn stop(&mut self, state: State) {
        self.state = state;
        self.mode = Mode::Plain;
        self.assembly = Assembly::Idle;
        self.last_queue = None;
    }
}

/// The channels of a connection, in the order of their ids.
///
/// Clients number from 1 without gaps, so a channel is most likely found at
/// the place of its id; searching is for the others. The memory taken is
/// proportional to the channels, whatever their ids.
#[derive(Debug, Default)]
pub(super) struct Channels(Vec<Channel>);

impl Channels {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, id: u16) -> Option<&Channel> {
        self.0.get(self.place(id).ok()?)
    }

    pub(super) fn get_mut(&mut self, id: u16) -> Option<&mut Channel> {
        let place = self.place(id).ok()?;
        self.0.get_mut(place)
    }

    /// Adds a new channel in place of any with the same id.
    pub(super) fn open(&mut self, id: u16) {
        self.remove(id);
        if let Err(place) = self.place(id) {
            self.0.insert(place, Channel::new(id));
        }
    }

    pub(super) fn remove(&mut self, id: u16) {
        if let Ok(place) = self.place(id) {
            self.0.remove(place);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    fn place(&self, id: u16) -> Result<usize, usize> {
        let guess = usize::from(id).wrapping_sub(1);
        match self.0.get(guess) {
            Some(channel) if channel.id == id => Ok(guess),
            _ => self.0.binary_search_by_key(&id, |channel| channel.id),
        }
    }
}
