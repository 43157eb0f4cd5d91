//! `harrier channels`.

use clap::{Args, Subcommand};

use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::{Plain, Rate};

const KIND: Kind = Kind {
    many: "channels",
    name: "name",
    columns: &[
        ("name", "name", Plain),
        ("user", "user", Plain),
        ("vhost", "vhost", Plain),
        ("state", "state", Plain),
        ("consumer_count", "consumers", Plain),
        ("prefetch_count", "prefetch", Plain),
        ("messages_unacknowledged", "unacked", Plain),
        ("messages_unconfirmed", "unconfirmed", Plain),
        ("confirm", "confirms", Plain),
        ("message_stats.publish_details.rate", "in/s", Rate),
        ("message_stats.deliver_get_details.rate", "out/s", Rate),
    ],
};

/// List channels.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier channels list\n  \
    harrier channels list --sort unacked --reverse --limit 10")]
pub struct ChannelsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List channels
    #[command(after_help = "Examples:\n  \
        harrier channels list\n  \
        harrier channels list --of-connection '127.0.0.1:50312 -> 127.0.0.1:5672'")]
    List {
        /// Only those of this connection
        #[arg(long, value_name = "NAME")]
        of_connection: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show all there is to know of a channel
    #[command(after_help = "Examples:\n  \
        harrier channels show '127.0.0.1:50312 -> 127.0.0.1:5672 (1)'")]
    Show {
        /// Its name, as the list has it
        name: String,
    },
}

impl ChannelsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let only = self.vhost.vhost.as_deref();
        match self.action {
            Action::List {
                of_connection: Some(connection),
                listing,
            } => {
                let at = path(&["connections", &connection, "channels"]);
                console.list(KIND, &at, &listing, None)
            }
            Action::List { listing, .. } => {
                let at = match only {
                    Some(vhost) => path(&["vhosts", vhost, "channels"]),
                    None => path(&["channels"]),
                };
                console.list(KIND, &at, &listing, only.map(|_| "vhost"))
            }
            Action::Show { name } => {
                let at = path(&["channels", &name]);
                console.show_at(&at, &format!("channel '{name}'"))
            }
        }
    }
}
