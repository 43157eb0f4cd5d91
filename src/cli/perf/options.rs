//! What a run is to do, as given on the command line.

use std::fmt;
use std::time::Duration;

use super::error::PerfError;
use super::stamp::STAMP_LEN;
use super::uri::AmqpUri;
use crate::wire::FieldValue;

/// Load a broker over AMQP, measure it, and check that nothing was lost,
/// duplicated or reordered.
///
/// Works against any AMQP 0-9-1 broker. Prints one JSON line (or, on a
/// terminal, a table) and exits with 1 if the check failed.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PerfCommand {
    /// The broker's address
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    pub uri: AmqpUri,
    /// Connections that publish; with --drain, how many filled the queues
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub producers: u16,
    /// Connections that consume
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub consumers: u16,
    /// Queues. Producer p publishes to queue p modulo this, consumers likewise;
    /// with fewer connections than queues each serves several
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub queues: u16,
    /// Octets of each body, at least 16
    #[arg(long, default_value_t = STAMP_LEN, value_name = "BYTES")]
    pub size: usize,
    /// Publish persistent messages (delivery mode 2); implies --durable
    #[arg(long)]
    pub persistent: bool,
    /// Publish with confirms, at most WINDOW unconfirmed per producer
    #[arg(long, value_name = "WINDOW", value_parser = clap::value_parser!(u32).range(1..))]
    pub confirm: Option<u32>,
    /// Unacknowledged messages per consumer; 0 is no limit
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub prefetch: u16,
    /// How consumers acknowledge
    #[arg(long, value_enum, default_value_t = AckMode::Auto)]
    pub ack: AckMode,
    /// With --ack multiple: one ack for N deliveries, not for what one read brought
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub ack_batch: Option<u16>,
    /// The type of exchange to publish to
    #[arg(long, value_enum, default_value_t = ExchangeKind::Default)]
    pub exchange: ExchangeKind,
    /// Bindings of the exchange in all; of those beyond the needed ones none
    /// matches. A topic exchange gets patterns with wildcards
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub bindings: u32,
    /// Route each publish to all the queues
    #[arg(long)]
    pub fanout: bool,
    /// Publish this many messages a second, all producers together. Latencies
    /// then count from when a message was due, not from when it could be sent
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Publish N messages in all, then stop
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub count: Option<u64>,
    /// Measure for this many seconds [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<f64>,
    /// Seconds of load before measuring [default: 1 with a duration, else 0]
    #[arg(long, value_name = "SECONDS")]
    pub warmup: Option<f64>,
    /// Declare durable queues and a durable exchange
    #[arg(long)]
    pub durable: bool,
    /// Arguments of the queues, such as x-queue-type=quorum,x-max-length=1000
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', value_parser = parse_argument)]
    pub queue_args: Vec<(String, QueueArgument)>,
    /// What the names of queues and exchange begin with [default: harrier-perf-PID]
    #[arg(long, value_name = "PREFIX")]
    pub queue_name: Option<String>,
    /// Only publish; the queues stay, for a later --drain with the same --queue-name
    #[arg(long, conflicts_with = "drain")]
    pub no_consume: bool,
    /// Only consume what an earlier --no-consume left
    #[arg(long, requires = "queue_name", conflicts_with_all = ["count", "duration", "rate"])]
    pub drain: bool,
    /// Leave queues and exchange behind
    #[arg(long)]
    pub keep: bool,
    /// Exit with 0 even if messages were lost, duplicated or reordered
    #[arg(long)]
    pub no_verify: bool,
    /// Give up when nothing arrives for this many seconds
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub patience: f64,
    /// The broker's process on this machine: its processor time and memory are measured
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// A name for the run, repeated in the output
    #[arg(long, default_value = "")]
    pub label: String,
    /// How to print the result [default: table on a terminal, else json]
    #[arg(long, value_enum)]
    pub format: Option<OutputFormat>,
}

const EXAMPLES: &str = "\
Examples:
  The most the broker does with small transient messages:
    harrier perf --size 16 --duration 10
  Persistent, confirmed and acknowledged, with the server's cost per message:
    harrier perf --size 1024 --persistent --confirm 1000 --ack each --prefetch 1000 \\
        --server-pid $(pidof harrier)
  Latency at a fixed rate:
    harrier perf --rate 5000 --size 1024 --persistent --confirm 1000 --ack each
  Fan-out to ten queues:
    harrier perf --queues 10 --consumers 10 --fanout
  A topic exchange with a thousand bindings of which one matches:
    harrier perf --exchange topic --bindings 1000
  Fill a queue now, drain it later:
    harrier perf --no-consume --count 1000000 --persistent --queue-name backlog
    harrier perf --drain --durable --queue-name backlog";

/// How consumers acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AckMode {
    /// The broker takes a message as acknowledged once it is sent
    Auto,
    /// One ack for each message
    Each,
    /// One ack for several messages
    Multiple,
}

/// The type of exchange published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExchangeKind {
    /// The default exchange: the routing key is the queue's name
    Default,
    /// Direct
    Direct,
    /// Fanout; implies --fanout
    Fanout,
    /// Topic
    Topic,
    /// Headers
    Headers,
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        })
    }
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// One line of JSON
    Json,
    /// Lines for people
    Table,
}

/// The value of a queue's argument.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueArgument {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
}

impl QueueArgument {
    /// The value as it goes into a field table.
    pub fn to_field(&self) -> FieldValue {
        match self {
            Self::Bool(value) => FieldValue::Bool(*value),
            Self::Number(value) => FieldValue::I64(*value),
            Self::Text(value) => FieldValue::str(value),
        }
    }
}

fn parse_argument(text: &str) -> Result<(String, QueueArgument), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not NAME=VALUE"))?;
    let value = match (value.parse(), value.parse()) {
        (Ok(number), _) => QueueArgument::Number(number),
        (_, Ok(truth)) => QueueArgument::Bool(truth),
        _ => QueueArgument::Text(value.to_owned()),
    };
    Ok((name.to_owned(), value))
}

impl PerfCommand {
    /// Settles what follows from other options, and refuses what can't be.
    ///
    /// # Errors
    /// [`PerfError::Usage`] that says which options and why.
    pub fn settled(mut self) -> Result<Self, PerfError> {
        if self.no_consume {
            self.consumers = 0;
        }
        self.durable |= self.persistent;
        if self.exchange == ExchangeKind::Fanout {
            self.fanout = true;
        } else if self.fanout && self.exchange == ExchangeKind::Default {
            self.exchange = ExchangeKind::Fanout;
        }
        match self.fault() {
            Some(fault) => Err(PerfError::Usage(fault.to_owned())),
            None => Ok(self),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let seconds = [self.duration, self.warmup, Some(self.patience)];
        let bad_seconds = |s: f64| !(0.0..=1e6).contains(&s);
        let faults = [
            (
                self.size < STAMP_LEN,
                "--size must be at least 16: the check needs them",
            ),
            (
                self.producers == 0,
                "--producers must be at least 1: use --drain to only consume",
            ),
            (
                self.consumers == 0 && !self.no_consume,
                "--consumers 0 needs --no-consume",
            ),
            (
                self.drain && self.fanout,
                "--drain does not know about --fanout",
            ),
            (
                self.ack_batch.is_some() && self.ack != AckMode::Multiple,
                "--ack-batch needs --ack multiple",
            ),
            (
                self.prefetch > 0 && self.ack_batch.is_some_and(|batch| batch > self.prefetch),
                "--ack-batch larger than --prefetch would wait for ever",
            ),
            (
                seconds.into_iter().flatten().any(bad_seconds),
                "seconds must be between 0 and 1000000",
            ),
        ];
        faults
            .iter()
            .find(|(is_fault, _)| *is_fault)
            .map(|(_, text)| *text)
    }

    /// What the names of queues and exchange begin with.
    pub fn prefix(&self) -> String {
        let own = || format!("harrier-perf-{}", std::process::id());
        self.queue_name.clone().unwrap_or_else(own)
    }

    /// How long to measure; `None` until all is done.
    pub fn measured(&self) -> Option<Duration> {
        if self.drain || self.count.is_some() {
            return None;
        }
        Some(Duration::from_secs_f64(self.duration.unwrap_or(10.0)))
    }

    /// How long to load the broker before measuring.
    pub fn warmup(&self) -> Duration {
        let default = if self.measured().is_some() { 1.0 } else { 0.0 };
        Duration::from_secs_f64(self.warmup.unwrap_or(default))
    }

    /// How many messages producer `producer` sends at most.
    pub fn quota(&self, producer: u16) -> Option<u64> {
        let count = self.count?;
        let producers = u64::from(self.producers.max(1));
        Some(count / producers + u64::from(u64::from(producer) < count % producers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        perf: PerfCommand,
    }

    fn settle(line: &str) -> Result<PerfCommand, PerfError> {
        let words = std::iter::once("perf").chain(line.split_whitespace());
        Line::parse_from(words).perf.settled()
    }

    #[test]
    fn options_imply_others() {
        let plan = settle("--persistent --fanout --no-consume").expect("good");
        assert!(plan.durable);
        assert_eq!(plan.exchange, ExchangeKind::Fanout);
        assert_eq!(plan.consumers, 0);
    }

    #[test]
    fn contradictions_are_refused() {
        for line in [
            "--size 8",
            "--producers 0",
            "--consumers 0",
            "--ack-batch 5",
            "--ack multiple --ack-batch 50 --prefetch 10",
            "--duration=-1",
            "--patience NaN",
        ] {
            assert!(settle(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_count_is_shared_among_the_producers() {
        let plan = settle("--count 10 --producers 4").expect("good");
        let quotas: Vec<_> = (0..4).filter_map(|p| plan.quota(p)).collect();
        assert_eq!(quotas, [3, 3, 2, 2]);
    }

    #[test]
    fn queue_arguments_have_types() {
        let plan =
            settle("--queue-args x-max-length=5,x-queue-type=quorum,flag=true").expect("good");
        let values: Vec<_> = plan
            .queue_args
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        let text = QueueArgument::Text("quorum".to_owned());
        assert_eq!(
            values,
            [QueueArgument::Number(5), text, QueueArgument::Bool(true)]
        );
    }
}
