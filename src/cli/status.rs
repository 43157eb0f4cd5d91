//! `harrier status`: is a broker there, and which?

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;

use super::Failure;
use super::format::{Format, print};
use crate::base::limits::FRAME_MAX_BEFORE_TUNE;
use crate::wire::encode::PROTOCOL_HEADER;
use crate::wire::{FieldTable, FieldValue, Frame, Method};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a broker whether it is there and what it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier status\n  \
    harrier status --amqp 10.0.0.7:5672 --format json\n\n\
    Exit code 0: it answers AMQP 0-9-1; 1: it doesn't.")]
pub struct StatusCommand {
    /// Address of the broker
    #[arg(
        long,
        env = "HARRIER_AMQP",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:5672"
    )]
    amqp: SocketAddr,
    /// How to print it [default: table on a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
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
        let status = ask(self.amqp).map_err(|error| {
            Failure::Failed(format!(
                "no AMQP broker at {}: {error}; start one with `harrier serve`",
                self.amqp
            ))
        })?;
        let text = |name| {
            let value = status.properties.get(name).and_then(FieldValue::as_str);
            value.unwrap_or("-").to_owned()
        };
        let rows = [
            ("address", self.amqp.to_string()),
            ("product", text("product")),
            ("version", text("version")),
            ("harrier", text("harrier_version")),
            ("mechanisms", status.mechanisms.clone()),
            (
                "answered_in_ms",
                format!("{:.1}", status.answered_in.as_secs_f64() * 1e3),
            ),
        ];
        let printed = match Format::or_fitting(self.format) {
            Format::Table => rows
                .map(|(name, value)| format!("{name:<16}{value}"))
                .join("\n"),
            Format::Json => {
                let object: serde_json::Map<_, _> = rows
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.into()))
                    .collect();
                serde_json::Value::from(object).to_string()
            }
        };
        print(&printed).map(drop)
    }
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
