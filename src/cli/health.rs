//! `harrier health`.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::api::{Api, ApiError, path};
use super::console::Asking;
use super::fields::text;
use super::format::{Format, print};
use super::table::{Canvas, Cell, Table, Tone};

/// The checks that suit every broker.
const CHECKS: [&str; 7] = [
    "alarms",
    "local-alarms",
    "virtual-hosts",
    "node-is-quorum-critical",
    "is-in-service",
    "ready-to-serve-clients",
    "below-node-connection-limit",
];

/// Ask a broker's own health checks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier health\n  \
    harrier health alarms virtual-hosts\n  \
    harrier health protocol-listener/amqp\n  \
    harrier health ready-to-serve-clients --format json\n\n\
    Exit code 0: all of them hold; 1: one of them doesn't, or the broker can't be asked.")]
pub struct HealthCommand {
    /// The checks, as the API calls them, such as port-listener/5672 [default: those that suit
    /// every broker]
    checks: Vec<String>,
    #[command(flatten)]
    asking: Asking,
}

/// What came of a check.
struct Outcome {
    check: String,
    status: &'static str,
    tone: Tone,
    reason: String,
    said: Value,
}

impl HealthCommand {
    /// Asks and prints.
    ///
    /// # Errors
    /// A check that fails, a broker that can't be asked.
    pub fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let usual = self.checks.is_empty();
        let checks = match usual {
            true => CHECKS.map(str::to_owned).to_vec(),
            false => self.checks,
        };
        let mut outcomes = Vec::new();
        for check in checks {
            outcomes.push(ask(&console.api, check, usual)?);
        }
        match console.format {
            Format::Table => print(&table(&outcomes).render(Canvas::stdout())).map(drop)?,
            Format::Json => {
                let said = outcomes
                    .iter()
                    .map(|outcome| (outcome.check.clone(), outcome.said.clone()));
                console.json(&Value::Object(said.collect()))?;
            }
        }
        let failed = outcomes.iter().filter(|outcome| outcome.tone == Tone::Bad);
        let failed: Vec<&str> = failed.map(|outcome| &*outcome.check).collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "not healthy: {}; `harrier nodes list` shows memory and disk, the broker's log says more",
            failed.join(", ")
        )))
    }
}

/// One check. Of the `usual` ones a broker needn't have all.
fn ask(api: &Api, check: String, usual: bool) -> Result<Outcome, Failure> {
    let mut segments = vec!["health", "checks"];
    segments.extend(check.split('/'));
    let (status, tone, reason, said) = match api.get(&path(&segments)) {
        Ok(said) => ("ok", Tone::Good, text(&said["reason"]), said),
        Err(ApiError::Refused {
            status: 503,
            reason,
            body,
            ..
        }) => ("failed", Tone::Bad, reason, body),
        Err(error) if error.is_absent() && usual => {
            let said = json!({"status": "unknown"});
            (
                "unknown",
                Tone::Odd,
                "this broker has no such check".into(),
                said,
            )
        }
        Err(error) => return Err(error.about(format!("health check '{check}'")).into()),
    };
    Ok(Outcome {
        check,
        status,
        tone,
        reason,
        said,
    })
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(["check", "status", "reason"]);
    for outcome in outcomes {
        table.push(vec![
            Cell::text(&outcome.check),
            Cell::text(outcome.status).toned(outcome.tone),
            Cell::text(&outcome.reason),
        ]);
    }
    table
}
