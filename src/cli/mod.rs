//! Layer 8: the command line.
//!
//! Exit codes: 0 done, 1 failed (stderr says what and what to do), 2 usage.

pub mod address_key;
pub mod api;
mod arguments;
mod completion;
pub mod config_file;
pub mod console;
mod definitions;
mod dlq;
pub mod fields;
pub mod format;
mod get;
mod health;
pub mod import_config;
mod logging;
mod migrate;
pub mod oauth2_keys;
pub mod perf;
mod progress;
mod publish;
mod resources;
mod serve;
mod status;
pub mod store;
pub mod table;
pub mod tls_keys;
pub mod top;
mod trace;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::completion::CompletionCommand;
use self::definitions::DefinitionsCommand;
use self::dlq::DlqCommand;
use self::get::GetCommand;
use self::health::HealthCommand;
use self::import_config::ImportConfigCommand;
use self::migrate::MigrateCommand;
use self::perf::PerfCommand;
use self::publish::PublishCommand;
use self::resources::ResourceCommand;
use self::serve::ServeCommand;
use self::status::StatusCommand;
use self::store::{StoreCommand, StoreTools};
use self::top::TopCommand;
use self::trace::TraceCommand;
use crate::base::config::Config;

/// An AMQP 0-9-1 message broker that RabbitMQ's clients can use unchanged.
#[derive(Debug, Parser)]
#[command(
    name = "harrier",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        harrier                                   serve with the defaults\n  \
        harrier serve --data-dir /var/lib/harrier --amqp 0.0.0.0:5672\n  \
        harrier serve --config harrier.toml --log debug\n  \
        harrier status                            is a broker there, and which?\n  \
        harrier queues list                       what waits where\n  \
        harrier help queues declare               all there is to say of a command\n\n\
        `harrier` alone is `harrier serve`, and takes its flags."
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeCommand,
}

#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "made once, when the process starts"
)]
enum Command {
    /// Run the broker
    Serve(ServeCommand),
    /// Ask a broker whether it is there and what it is
    Status(StatusCommand),
    /// Watch a broker at work
    Top(TopCommand),
    /// Ask a broker's own health checks
    Health(HealthCommand),
    #[command(flatten)]
    Resource(ResourceCommand),
    /// Export and import all that is declared, as RabbitMQ does
    Definitions(DefinitionsCommand),
    /// Publish a message, or one for each line
    Publish(PublishCommand),
    /// Take messages from a queue, or look at them and put them back
    Get(GetCommand),
    /// Look into dead letters, see why, send them back
    Dlq(DlqCommand),
    /// Follow messages: who published them, where they went, what became of them
    Trace(TraceCommand),
    /// Check a stopped broker's data directory, print messages in it
    Store(StoreCommand),
    /// Load a broker, measure it, check that nothing was lost
    Perf(PerfCommand),
    /// Move a RabbitMQ's definitions and messages into this broker, while it is used
    Migrate(MigrateCommand),
    /// Translate a rabbitmq.conf into Harrier's configuration
    ImportConfig(ImportConfigCommand),
    /// Print a script that has the shell complete commands and flags
    Completion(CompletionCommand),
}

/// The command line as it is described to people and shells.
pub fn command() -> clap::Command {
    // What serves is described where it is called by its name: here its flags
    // would hide the commands.
    Arguments::command().mut_args(|argument| match argument.get_id().as_str() {
        "help" | "version" => argument,
        _ => argument.hide(true),
    })
}

/// What runs the broker.
pub type Serve = fn(Config) -> Result<(), Failure>;

/// What lies below everything the command line may know.
#[derive(Debug, Clone, Copy)]
pub struct Below {
    /// Runs the broker.
    pub serve: Serve,
    /// Looks into data directories.
    pub store: StoreTools,
}

/// Runs the command that the process was started with.
pub fn run(below: Below) -> ExitCode {
    let arguments = match Arguments::from_arg_matches(&command().get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let outcome = match arguments.command {
        None => arguments.serve.run(below.serve),
        Some(Command::Serve(command)) => command.run(below.serve),
        Some(Command::Status(status)) => status.run(),
        Some(Command::Top(top)) => top.run(),
        Some(Command::Health(health)) => health.run(),
        Some(Command::Resource(resource)) => resource.run(),
        Some(Command::Definitions(definitions)) => definitions.run(),
        Some(Command::Publish(publish)) => publish.run(),
        Some(Command::Get(get)) => get.run(),
        Some(Command::Dlq(dlq)) => dlq.run(),
        Some(Command::Trace(trace)) => trace.run(),
        Some(Command::Store(store)) => store.run(below.store),
        Some(Command::Perf(perf)) => perf.run(),
        Some(Command::Migrate(migrate)) => migrate.run(),
        Some(Command::ImportConfig(import)) => import.run(),
        Some(Command::Completion(completion)) => completion.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("harrier: {text}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            eprintln!("harrier: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Why a command didn't do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// It was asked wrongly: exit code 2.
    Usage(String),
    /// It could not be done: exit code 1.
    Failed(String),
}
