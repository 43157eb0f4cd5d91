//! `harrier nodes`.

use clap::{Args, Subcommand};

use crate::cli::Failure;
use crate::cli::api::path;
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::{Bytes, Plain, Span};

const KIND: Kind = Kind {
    many: "nodes",
    name: "name",
    columns: &[
        ("name", "name", Plain),
        ("running", "running", Plain),
        ("uptime", "uptime", Span),
        ("mem_used", "memory", Bytes),
        ("mem_limit", "limit", Bytes),
        ("mem_alarm", "alarm", Plain),
        ("disk_free", "disk-free", Bytes),
        ("disk_free_limit", "limit", Bytes),
        ("disk_free_alarm", "alarm", Plain),
        ("fd_used", "files", Plain),
        ("sockets_used", "sockets", Plain),
    ],
};

/// The broker's nodes: memory, disk, alarms.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier nodes list\n  \
    harrier nodes list --columns name,mem_used,disk_free --format json")]
pub struct NodesCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List nodes
    #[command(after_help = "Examples:\n  harrier nodes list")]
    List(Listing),
    /// Show all there is to know of a node
    #[command(after_help = "Examples:\n  harrier nodes show rabbit@localhost")]
    Show {
        /// Its name, as the list has it
        name: String,
    },
}

impl NodesCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        match self.action {
            Action::List(listing) => console.list(KIND, "/nodes", &listing, None),
            Action::Show { name } => {
                let at = path(&["nodes", &name]);
                console.show_at(&at, &format!("node '{name}'"))
            }
        }
    }
}
