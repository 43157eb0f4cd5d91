//! How far a shovel is, for those who ask.

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::definition::{Definition, From, To};
use super::transfer::Transfer;
use super::uri::shown;
use crate::base::clock::Now;

/// What a shovel is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Connecting.
    Starting,
    /// Moving messages, or ready to.
    Running,
    /// Waiting for another attempt, or for good.
    Terminated {
        /// Why.
        reason: String,
    },
}

impl State {
    /// RabbitMQ's word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Terminated { .. } => "terminated",
        }
    }
}

/// The shared part of a shovel: its task writes, others read.
#[derive(Debug)]
pub(super) struct Progress(Mutex<Snapshot>);

#[derive(Debug, Clone)]
struct Snapshot {
    state: State,
    /// When it came to that.
    since: Now,
    /// Where messages come from and go to, once that is known.
    uris: (String, String),
    blocked: bool,
    pending: u64,
    remaining: Option<u64>,
    remaining_unacked: Option<u64>,
    forwarded: u64,
}

impl Progress {
    pub(super) fn new(now: Now) -> Self {
        Self(Mutex::new(Snapshot {
            state: State::Starting,
            since: now,
            uris: Default::default(),
            blocked: false,
            pending: 0,
            remaining: None,
            remaining_unacked: None,
            forwarded: 0,
        }))
    }

    pub(super) fn enter(&self, state: State, now: Now) {
        let mut snapshot = self.0.lock();
        snapshot.since = now;
        snapshot.state = state;
        snapshot.pending = 0;
    }

    /// Which of the addresses are in use.
    pub(super) fn connected(&self, source: &str, destination: &str) {
        self.0.lock().uris = (shown(source), shown(destination));
    }

    /// Where the transfer is; so many more were forwarded.
    pub(super) fn note(&self, transfer: &Transfer, forwarded: u64, blocked: bool) {
        let mut snapshot = self.0.lock();
        snapshot.pending = transfer.pending();
        snapshot.remaining = transfer.remaining();
        snapshot.remaining_unacked = transfer.remaining_unacked();
        snapshot.forwarded += forwarded;
        snapshot.blocked = blocked;
    }

    pub(super) fn status(&self, of: (&str, &str), node: &str, definition: &Definition) -> Status {
        let snapshot = self.0.lock().clone();
        let (vhost, name) = of;
        let reason = match &snapshot.state {
            // As Erlang prints text.
            State::Terminated { reason } => Some(format!("{reason:?}")),
            _ => None,
        };
        let running = snapshot.state == State::Running;
        Status {
            node: node.to_owned(),
            timestamp: timestamp(snapshot.since),
            name: name.to_owned(),
            vhost: vhost.to_owned(),
            kind: "dynamic",
            state: snapshot.state.name(),
            reason,
            running: running.then(|| Running::of(&snapshot, definition)),
        }
    }
}

/// A shovel as `GET /api/shovels` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The broker it runs in.
    pub node: String,
    /// When it came to its state, UTC.
    pub timestamp: String,
    /// Its name within the virtual host.
    pub name: String,
    /// The virtual host of its parameter.
    pub vhost: String,
    /// Always `dynamic`: there are no others.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `starting`, `running` or `terminated`.
    pub state: &'static str,
    /// Why it is terminated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More of one that runs.
    #[serde(flatten)]
    pub running: Option<Running>,
}

/// What there is to say of a running shovel.
#[derive(Debug, Clone, Serialize)]
pub struct Running {
    /// Published and not yet confirmed.
    pub pending: u64,
    /// Messages still to be published, or `unlimited`.
    pub remaining: Value,
    /// Messages still to be acknowledged, or `unlimited`.
    pub remaining_unacked: Value,
    /// Published since the shovel was set, repeats included.
    pub forwarded: u64,
    /// The source in use, without a password.
    pub src_uri: String,
    src_protocol: &'static str,
    dest_protocol: &'static str,
    /// The destination in use, without a password.
    pub dest_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_exchange_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_exchange: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_exchange_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_queue: Option<String>,
    /// `blocked` while the destination takes no messages, else `running`.
    pub blocked_status: &'static str,
}

impl Running {
    fn of(snapshot: &Snapshot, definition: &Definition) -> Self {
        let count = |count: Option<u64>| count.map_or(Value::from("unlimited"), Value::from);
        let (src_queue, src_exchange, src_exchange_key) = match &definition.source.from {
            From::Queue(queue) => (Some(queue.name.clone()), None, None),
            From::Exchange { name, key } => (None, Some(name.clone()), Some(key.clone())),
        };
        let (dest_queue, dest_exchange, dest_exchange_key) = match &definition.destination.to {
            To::Queue(queue) => (Some(queue.name.clone()), None, None),
            To::Exchange { name, key } => (None, Some(name.clone()), key.clone()),
            To::AsPublished => (None, None, None),
        };
        let (src_uri, dest_uri) = snapshot.uris.clone();
        Self {
            pending: snapshot.pending,
            remaining: count(snapshot.remaining),
            remaining_unacked: count(snapshot.remaining_unacked),
            forwarded: snapshot.forwarded,
            src_uri,
            src_protocol: "amqp091",
            dest_protocol: "amqp091",
            dest_uri,
            src_exchange,
            src_exchange_key,
            src_queue,
            dest_exchange,
            dest_exchange_key,
            dest_queue,
            blocked_status: if snapshot.blocked {
                "blocked"
            } else {
                "running"
            },
        }
    }
}

/// `2026-11-21 21:22:17`, UTC.
fn timestamp(now: Now) -> String {
    let seconds = now.unix_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of the Gregorian calendar, so many days after 1970 began.
/// Years are taken to begin in March, so that a leap day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let era = days / DAYS_OF_400_YEARS;
    let day = days % DAYS_OF_400_YEARS;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_rabbitmq_shows_it() {
        let at = |seconds: u64| timestamp(Now::at_ms(seconds * 1000));
        assert_eq!(at(0), "1970-01-01 00:00:00");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(1_795_296_137), "2026-11-21 21:22:17");
        assert_eq!(at(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00");
    }
}
