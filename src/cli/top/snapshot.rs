//! What was seen at one moment, and what is looked at.

use std::collections::VecDeque;

use serde_json::Value;

use crate::cli::api::{Api, ApiError, path};
use crate::cli::console::items;
use crate::cli::fields::at;

/// Rows that are asked for: more than a screen has.
const ROWS: &str = "200";

/// Rates of the past that are kept for the charts.
const HISTORY_MAX: usize = 240;

/// What the lower part shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The queues that come first in the order.
    Queues,
    /// Connections, those with the most traffic first.
    Connections,
}

/// What queues are sorted by, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Messages that wait.
    Ready,
    /// Messages that consumers hold.
    Unacked,
    /// Both.
    Total,
    /// Messages that come.
    In,
    /// Messages that go.
    Out,
    /// By letter.
    Name,
}

impl Order {
    /// The order that a key stands for.
    pub fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'r' => Self::Ready,
            'u' => Self::Unacked,
            't' => Self::Total,
            'i' => Self::In,
            'o' => Self::Out,
            'n' => Self::Name,
            _ => return None,
        })
    }

    /// The field of a queue that it goes by.
    pub fn field(self) -> &'static str {
        match self {
            Self::Ready => "messages_ready",
            Self::Unacked => "messages_unacknowledged",
            Self::Total => "messages",
            Self::In => "message_stats.publish_details.rate",
            Self::Out => "message_stats.deliver_get_details.rate",
            Self::Name => "name",
        }
    }
}

/// What the API is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    vhost: Option<String>,
    subject: Subject,
    order: Order,
}

impl Asked {
    /// The longest queues, of one virtual host or of all.
    pub fn new(vhost: Option<String>) -> Self {
        Self {
            vhost,
            subject: Subject::Queues,
            order: Order::Total,
        }
    }

    fn path(&self) -> String {
        match (self.subject, &self.vhost) {
            (Subject::Queues, None) => path(&["queues"]),
            (Subject::Queues, Some(vhost)) => path(&["queues", vhost]),
            (Subject::Connections, None) => path(&["connections"]),
            (Subject::Connections, Some(vhost)) => path(&["vhosts", vhost, "connections"]),
        }
    }

    /// The broker sorts and cuts: of 100,000 queues only a screenful travels.
    fn query(&self) -> [(&'static str, &'static str); 5] {
        let (sort, reverse, columns) = match self.subject {
            Subject::Queues => (
                self.order.field(),
                if self.order == Order::Name {
                    "false"
                } else {
                    "true"
                },
                "vhost,name,type,state,messages,messages_ready,messages_unacknowledged,consumers,\
                 message_stats.publish_details.rate,message_stats.deliver_get_details.rate",
            ),
            Subject::Connections => (
                "recv_oct_details.rate",
                "true",
                "name,user_provided_name,user,vhost,state,channels,recv_oct_details.rate,\
                 send_oct_details.rate",
            ),
        };
        [
            ("page", "1"),
            ("page_size", ROWS),
            ("sort", sort),
            ("sort_reverse", reverse),
            ("columns", columns),
        ]
    }
}

/// What the API said at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// `/api/overview`.
    pub overview: Value,
    /// `/api/nodes`.
    pub nodes: Vec<Value>,
    /// Queues or connections.
    pub rows: Vec<Value>,
}

impl Snapshot {
    /// Asks for everything that is shown.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn take(api: &Api, asked: &Asked) -> Result<Self, ApiError> {
        let rows = api.get_with(&asked.path(), &asked.query());
        Ok(Self {
            overview: api.get("/overview")?,
            nodes: items(api.get("/nodes")?),
            rows: items(rows.map_err(|error| error.about("such virtual host"))?),
        })
    }

    /// Whether publishers are blocked, and why.
    pub fn alarms(&self) -> Vec<&'static str> {
        let on = |alarm| self.nodes.iter().any(|node| at(node, alarm) == true);
        let alarms = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
        let alarms = alarms.into_iter().filter(|(alarm, _)| on(alarm));
        alarms.map(|(_, word)| word).collect()
    }

    /// A figure of the overview, 0 if it isn't there yet.
    pub fn figure(&self, field: &str) -> f64 {
        at(&self.overview, field).as_f64().unwrap_or(0.0)
    }
}

/// What is on the screen.
#[derive(Debug)]
pub struct View {
    asked: Asked,
    address: String,
    pub(super) snapshot: Snapshot,
    /// Why the last look failed.
    pub(super) trouble: Option<String>,
    pub(super) published: VecDeque<u64>,
    pub(super) delivered: VecDeque<u64>,
    pub(super) skipped: usize,
    pub(super) paused: bool,
}

impl View {
    /// Of the broker at `address`, with a first look taken.
    pub fn new(first: Snapshot, asked: Asked, address: &str) -> Self {
        let mut view = Self {
            asked,
            address: address.to_owned(),
            snapshot: Snapshot::default(),
            trouble: None,
            published: VecDeque::new(),
            delivered: VecDeque::new(),
            skipped: 0,
            paused: false,
        };
        view.take(Ok(first));
        view
    }

    /// Takes what was seen, or why nothing was.
    pub fn take(&mut self, taken: Result<Snapshot, String>) {
        match taken {
            Err(why) => self.trouble = Some(why),
            Ok(_) if self.paused => {}
            Ok(snapshot) => {
                let figure = |field| snapshot.figure(field).max(0.0).round() as u64;
                let published = figure("message_stats.publish_details.rate");
                let delivered = figure("message_stats.deliver_get_details.rate");
                for (history, rate) in [
                    (&mut self.published, published),
                    (&mut self.delivered, delivered),
                ] {
                    if history.len() == HISTORY_MAX {
                        history.pop_front();
                    }
                    history.push_back(rate);
                }
                self.snapshot = snapshot;
                self.trouble = None;
            }
        }
    }

    /// What is looked at.
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Where it is asked for.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether queues or connections are shown.
    pub fn subject(&self) -> Subject {
        self.asked.subject
    }

    /// What queues are sorted by.
    pub fn order(&self) -> Order {
        self.asked.order
    }

    /// From queues to connections and back.
    pub fn turn(&mut self) {
        self.asked.subject = match self.asked.subject {
            Subject::Queues => Subject::Connections,
            Subject::Connections => Subject::Queues,
        };
        self.snapshot.rows.clear();
        self.skipped = 0;
    }

    /// Sorts queues by something else.
    pub fn sort(&mut self, order: Order) {
        self.asked.order = order;
        self.skipped = 0;
    }

    /// Goes down so many rows, up if negative.
    pub fn scroll(&mut self, rows: isize) {
        let last = self.snapshot.rows.len().saturating_sub(1);
        self.skipped = self.skipped.saturating_add_signed(rows).min(last);
    }

    /// Keeps what is shown, or goes on.
    pub fn pause(&mut self) {
        self.paused = !self.paused;
    }
}
