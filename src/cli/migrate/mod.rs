//! `harrier migrate`: a RabbitMQ drained into Harrier while its clients work.
//!
//! ```text
//!   source's API --queues, definitions--> Plan --definitions, shovels--> Harrier's API
//!                                           |
//!        source's AMQP ===== messages, by Harrier's own shovels =====> queues
//! ```
//!
//! No message passes through this process: it says what is to be done, looks on,
//! and clears up. It may end at any time, the broker goes on; begun again it
//! goes on from there, too.
//!
#![doc = include_str!("../../manual/migrate.md")]

mod definitions;
mod endpoint;
mod plan;
mod progress;
mod report;
mod run;

use clap::Args;

use super::Failure;
use super::api::Access;

/// Moves definitions and messages from a RabbitMQ into this broker.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier migrate --from amqp://guest:guest@old:5672 --management http://old:15672 --dry-run\n  \
    harrier migrate --from amqp://guest:guest@old:5672 --management http://old:15672\n  \
    harrier migrate --from amqp://u:p@old --management http://old:15672 --queue-vhost shop --once\n\n\
    Publishers and consumers of the old broker may go on: what is published there\n\
    is moved as well. Move consumers first, then publishers; it ends once the old\n\
    queues have been empty for --quiet-for seconds. Ended before, the shovels go on\n\
    in the broker; run it again to look on, or with --stop to take them away.")]
pub struct MigrateCommand {
    /// The old broker, as this one can reach it: amqp://user:password@host:port, or amqps
    #[arg(long, value_name = "URI")]
    from: String,
    /// The old broker's management API [default user: the one of --from]
    #[arg(long, value_name = "URL")]
    management: String,
    /// The management API of the broker to move to; comes before --url
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Move only what is in this virtual host; may be given more than once
    #[arg(long = "queue-vhost", value_name = "NAME")]
    vhosts: Vec<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave users, queues, policies and so on as they are here: they are there already
    #[arg(long)]
    no_definitions: bool,
    /// Move what is there now, not what is published from now on
    #[arg(long, conflicts_with = "stop")]
    once: bool,
    /// Take the shovels of an earlier run away, and move nothing more
    #[arg(long)]
    stop: bool,
    /// Seconds without a message after which it is done
    #[arg(long, value_name = "SECONDS", default_value = "15")]
    quiet_for: u64,
    /// How many queues are moved at the same time
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
    #[command(flatten)]
    access: Access,
}

impl MigrateCommand {
    /// Moves, and reports what was moved.
    ///
    /// # Errors
    /// A usage failure for addresses that are none; a failure when one of the
    /// brokers refuses, and when something is left behind.
    pub fn run(self) -> Result<(), Failure> {
        run::migrate(&self)
    }
}
