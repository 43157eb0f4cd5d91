//! What a run found, as JSON or for people.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use serde_json::{Value, json};

use super::latency::LatencySummary;
use super::options::{OutputFormat, PerfCommand};
use super::os::ProcessUsage;
use super::verify::Account;

/// What happened between the two readings of a run.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The time between them.
    pub elapsed: Duration,
    /// Messages handed to the sockets.
    pub published: u64,
    /// Messages confirmed.
    pub confirmed: u64,
    /// Messages that reached a consumer, each queue counted.
    pub delivered: u64,
    /// What costs are shared out on: messages that came out at the end,
    /// counted once with fan-out; those published if nothing is consumed.
    pub messages: u64,
    /// Processor time of the load generator.
    pub own_cpu: Duration,
    /// Processor time of the server.
    pub server_cpu: Duration,
    /// The server at the first reading.
    pub server_begin: ProcessUsage,
    /// The server at the second.
    pub server_end: ProcessUsage,
    /// How long the broker kept producers blocked, over the whole run.
    pub blocked: Duration,
}

/// All that a run found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the server says it is.
    pub server: String,
    /// What happened between the readings.
    pub measured: Measured,
    /// What came out, over the whole run.
    pub account: Account,
    /// Messages the broker refused.
    pub nacked: u64,
    /// Messages that were never confirmed.
    pub unconfirmed: u64,
    /// Messages in the queues after everything had arrived.
    pub left: u64,
    /// From the intended sending to the arrival, measured messages only.
    pub deliver_latency: Option<LatencySummary>,
    /// From the intended sending to the confirm, measured messages only.
    pub confirm_latency: Option<LatencySummary>,
}

impl Measured {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn us_per_message(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.messages.max(1) as f64
    }
}

impl Outcome {
    /// Whether nothing was lost, duplicated, reordered, refused or left over.
    pub fn is_verified(&self) -> bool {
        self.account.is_clean() && self.nacked == 0 && self.unconfirmed == 0 && self.left == 0
    }

    /// The result as `plan` wants it printed.
    pub fn render(&self, plan: &PerfCommand) -> String {
        let terminal = std::io::stdout().is_terminal();
        match plan.format {
            Some(OutputFormat::Table) => self.table(plan),
            None if terminal => self.table(plan),
            _ => self.json(plan).to_string(),
        }
    }

    fn json(&self, plan: &PerfCommand) -> Value {
        let measured = &self.measured;
        json!({
            "label": plan.label,
            "server": self.server,
            "options": options_json(plan),
            "seconds": round(measured.elapsed.as_secs_f64()),
            "published": measured.published,
            "confirmed": measured.confirmed,
            "delivered": measured.delivered,
            "messages": measured.messages,
            "published_per_s": round(measured.per_second(measured.published)),
            "delivered_per_s": round(measured.per_second(measured.delivered)),
            "messages_per_s": round(measured.per_second(measured.messages)),
            "blocked_ms": measured.blocked.as_millis() as u64,
            "own_cpu_us_per_message": round(measured.us_per_message(measured.own_cpu)),
            "server_process": plan.server_pid.map(|_| self.server_json()),
            "latency_us": {
                "deliver": self.deliver_latency.map(latency_json),
                "confirm": self.confirm_latency.map(latency_json),
            },
            "verify": self.verify_json(),
        })
    }

    fn server_json(&self) -> Value {
        let measured = &self.measured;
        json!({
            "cpu_s": round(measured.server_cpu.as_secs_f64()),
            "cpu_us_per_message": round(measured.us_per_message(measured.server_cpu)),
            "rss_kib_begin": measured.server_begin.rss_kib,
            "rss_kib_end": measured.server_end.rss_kib,
            "rss_kib_peak": measured.server_end.rss_peak_kib,
        })
    }

    fn verify_json(&self) -> Value {
        json!({
            "ok": self.is_verified(),
            "received": self.account.received,
            "lost": self.account.lost,
            "duplicated": self.account.duplicated,
            "reordered": self.account.reordered,
            "foreign": self.account.foreign,
            "redelivered": self.account.redelivered,
            "nacked": self.nacked,
            "unconfirmed": self.unconfirmed,
            "left": self.left,
        })
    }

    fn table(&self, plan: &PerfCommand) -> String {
        let measured = &self.measured;
        let mut lines = Lines::default();
        lines.put("server", format_args!("{} at {}", self.server, plan.uri));
        lines.put(
            "measured",
            format_args!("{:.2} s", measured.elapsed.as_secs_f64()),
        );
        for (name, count) in [
            ("published", measured.published),
            ("confirmed", measured.confirmed),
            ("delivered", measured.delivered),
        ] {
            if count > 0 {
                lines.put(
                    name,
                    format_args!("{count} ({:.0}/s)", measured.per_second(count)),
                );
            }
        }
        if plan.server_pid.is_some() {
            let cost = measured.us_per_message(measured.server_cpu);
            let (begin, end) = (measured.server_begin, measured.server_end);
            lines.put("server CPU", format_args!("{cost:.3} us per message"));
            lines.put(
                "server memory",
                format_args!(
                    "{} -> {} MiB, peak {}",
                    begin.rss_kib / 1024,
                    end.rss_kib / 1024,
                    end.rss_peak_kib / 1024
                ),
            );
        }
        let own = measured.us_per_message(measured.own_cpu);
        lines.put("own CPU", format_args!("{own:.3} us per message"));
        if !measured.blocked.is_zero() {
            lines.put(
                "blocked",
                format_args!("{:.2} s", measured.blocked.as_secs_f64()),
            );
        }
        for (name, latency) in [
            ("to delivery", self.deliver_latency),
            ("to confirm", self.confirm_latency),
        ] {
            if let Some(l) = latency {
                lines.put(
                    name,
                    format_args!(
                        "p50 {:.0} us, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
                        l.p50, l.p90, l.p99, l.p999, l.max
                    ),
                );
            }
        }
        lines.put("check", format_args!("{}", self.verdict(plan)));
        lines.0
    }

    /// What the check found, in words.
    pub fn verdict(&self, plan: &PerfCommand) -> String {
        if self.is_verified() {
            return match plan.no_consume {
                true => "the queues hold all that was published".to_owned(),
                false => format!("all {} arrived once and in order", self.account.received),
            };
        }
        let account = &self.account;
        let counts = [
            (account.lost, "lost"),
            (account.duplicated, "duplicated"),
            (account.reordered, "reordered"),
            (account.foreign, "not ours"),
            (self.nacked, "refused"),
            (self.unconfirmed, "never confirmed"),
            (self.left, "left in the queues"),
        ];
        let found = counts.iter().filter(|(count, _)| *count > 0);
        let found: Vec<_> = found
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        format!("FAILED: {}", found.join(", "))
    }
}

/// Lines of `name  value`.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, value: std::fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        // Writing to a string can't fail.
        write!(self.0, "{name:<14} {value}").ok();
    }
}

fn options_json(plan: &PerfCommand) -> Value {
    json!({
        "uri": plan.uri.to_string(),
        "producers": plan.producers,
        "consumers": plan.consumers,
        "queues": plan.queues,
        "size": plan.size,
        "persistent": plan.persistent,
        "durable": plan.durable,
        "confirm": plan.confirm,
        "prefetch": plan.prefetch,
        "ack": format!("{:?}", plan.ack).to_lowercase(),
        "exchange": plan.exchange.to_string(),
        "bindings": plan.bindings,
        "fanout": plan.fanout,
        "rate": plan.rate,
        "count": plan.count,
    })
}

fn latency_json(latency: LatencySummary) -> Value {
    json!({
        "count": latency.count,
        "mean": round(latency.mean),
        "p50": round(latency.p50),
        "p90": round(latency.p90),
        "p99": round(latency.p99),
        "p999": round(latency.p999),
        "max": round(latency.max),
    })
}

/// To a thousandth, so that a line stays readable.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
