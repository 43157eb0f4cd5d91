//! `harrier status`: is a broker there, and which?

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value};

use super::Failure;
use super::api::Access;
use super::fields::{at, bytes, per_second, span, text};
use super::format::{Format, print};
use super::table::{Canvas, Cell, Table, Tone};
use crate::base::limits::FRAME_MAX_BEFORE_TUNE;
use crate::wire::encode::PROTOCOL_HEADER;
use crate::wire::{FieldTable, FieldValue, Frame, Method};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where AMQP is served unless told otherwise.
const AMQP: &str = "127.0.0.1:5672";

/// Asks a broker whether it is there and what it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier status\n  \
    harrier status --amqp 10.0.0.7:5672 --format json\n  \
    harrier status --amqp 10.0.0.7:5672 --url http://10.0.0.7:15672\n\n\
    Exit code 0: it answers AMQP 0-9-1; 1: it doesn't. How much there is of what is asked\n\
    of the management API, if --url or --profile says where it is or --amqp isn't given.")]
pub struct StatusCommand {
    /// Address of the broker [default: 127.0.0.1:5672]
    #[arg(long, env = "HARRIER_AMQP", value_name = "ADDR:PORT")]
    amqp: Option<SocketAddr>,
    /// How to print it [default: table on a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
    #[command(flatten)]
    access: Access,
}

/// What a broker says of itself before anybody logs in.
struct Status {
    properties: FieldTable,
    mechanisms: String,
    answered_in: Duration,
}

impl StatusCommand {
    /// Asks and prints.
    ///
    /// # Errors
    /// Nobody listens there, or it isn't an AMQP 0-9-1 broker.
    pub fn run(self) -> Result<(), Failure> {
        let address = match self.amqp {
            Some(address) => address,
            None => AMQP.parse().map_err(|_| Failure::Usage(AMQP.into()))?,
        };
        let status = ask(address).map_err(|error| {
            Failure::Failed(format!(
                "no AMQP broker at {address}: {error}; start one with `harrier serve`"
            ))
        })?;
        let wanted = self.amqp.is_none() || self.access.is_given();
        let managed = wanted.then(|| Managed::ask(&self.access)).transpose()?;
        let first = status.rows(address);
        let printed = match Format::or_fitting(self.format) {
            Format::Table => {
                let rows = first
                    .into_iter()
                    .map(|(name, value)| (name, Cell::text(&value)));
                let more = managed.iter().flat_map(Managed::rows);
                let more = more.map(|(name, cell)| (name.to_owned(), cell));
                let rows = rows.map(|(name, cell)| (name.to_owned(), cell));
                Table::of_one(rows.chain(more)).render(Canvas::stdout())
            }
            Format::Json => {
                let first = first.into_iter();
                let mut object: Map<String, Value> = first
                    .map(|(name, value)| (name.to_owned(), value.into()))
                    .collect();
                if let Some(Managed::Answered { overview, nodes }) = managed {
                    object.insert("overview".into(), overview);
                    object.insert("nodes".into(), nodes);
                }
                Value::from(object).to_string()
            }
        };
        print(&printed).map(drop)
    }
}

impl Status {
    fn rows(&self, address: SocketAddr) -> [(&'static str, String); 6] {
        let text = |name| {
            let value = self.properties.get(name).and_then(FieldValue::as_str);
            value.unwrap_or("-").to_owned()
        };
        [
            ("address", address.to_string()),
            ("product", text("product")),
            ("version", text("version")),
            ("harrier", text("harrier_version")),
            ("mechanisms", self.mechanisms.clone()),
            (
                "answered_in_ms",
                format!("{:.1}", self.answered_in.as_secs_f64() * 1e3),
            ),
        ]
    }
}

/// What the management API adds.
enum Managed {
    Answered { overview: Value, nodes: Value },
    Not(String),
}

impl Managed {
    fn ask(access: &Access) -> Result<Self, Failure> {
        let api = access.open()?;
        let asked = api
            .get("/overview")
            .and_then(|overview| Ok((overview, api.get("/nodes")?)));
        Ok(match asked {
            Ok((overview, nodes)) => Self::Answered { overview, nodes },
            Err(error) => Self::Not(error.to_string()),
        })
    }

    fn rows(&self) -> Vec<(&'static str, Cell)> {
        let (overview, nodes) = match self {
            Self::Answered { overview, nodes } => (overview, nodes),
            Self::Not(why) => return vec![("management", Cell::text(why).toned(Tone::Odd))],
        };
        let of = |field| Cell::text(&text(at(overview, field)));
        let rate = |field| Cell::text(&per_second(at(overview, field).as_f64().unwrap_or(0.0)));
        let mut rows = vec![
            ("node", of("node")),
            ("connections", of("object_totals.connections")),
            ("channels", of("object_totals.channels")),
            ("consumers", of("object_totals.consumers")),
            ("queues", of("object_totals.queues")),
            ("exchanges", of("object_totals.exchanges")),
            ("messages ready", of("queue_totals.messages_ready")),
            (
                "messages unacked",
                of("queue_totals.messages_unacknowledged"),
            ),
            ("published/s", rate("message_stats.publish_details.rate")),
            (
                "delivered/s",
                rate("message_stats.deliver_get_details.rate"),
            ),
        ];
        for node in nodes.as_array().into_iter().flatten() {
            rows.extend(node_rows(node));
        }
        rows
    }
}

fn node_rows(node: &Value) -> Vec<(&'static str, Cell)> {
    let number = |field| at(node, field).as_f64();
    let of = |field| number(field).map_or_else(|| "?".into(), bytes);
    let alarmed = |alarm, row: String| {
        if at(node, alarm) == true {
            return Cell::text(&format!("{row}: publishers are blocked")).toned(Tone::Bad);
        }
        Cell::text(&row)
    };
    let memory = format!("{} of {}", of("mem_used"), of("mem_limit"));
    let disk = format!("{}, at least {}", of("disk_free"), of("disk_free_limit"));
    vec![
        (
            "uptime",
            Cell::text(&number("uptime").map_or_else(String::new, span)),
        ),
        ("memory", alarmed("mem_alarm", memory)),
        ("disk free", alarmed("disk_free_alarm", disk)),
    ]
}

fn ask(address: SocketAddr) -> io::Result<Status> {
    let asked = Instant::now();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&PROTOCOL_HEADER)?;
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::Error::other("it closed the connection"));
        }
        read.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some((frame, _)) = Frame::cut(&read, FRAME_MAX_BEFORE_TUNE)
            .map_err(|_| io::Error::other("what it answers isn't AMQP 0-9-1"))?
        {
            return status_from(&frame, asked.elapsed());
        }
    }
}

fn status_from(frame: &Frame<'_>, answered_in: Duration) -> io::Result<Status> {
    match Method::parse(frame.payload) {
        Ok(Method::ConnectionStart(start)) => Ok(Status {
            properties: start.server_properties,
            mechanisms: String::from_utf8_lossy(start.mechanisms.0).into_owned(),
            answered_in,
        }),
        _ => Err(io::Error::other("it didn't answer with connection.start")),
    }
}
