//! `harrier consumers`.

use clap::{Args, Subcommand};

use super::list_path;
use crate::cli::Failure;
use crate::cli::api::VhostOption;
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "consumers",
    name: "queue.name",
    columns: &[
        ("queue.vhost", "vhost", Plain),
        ("queue.name", "queue", Plain),
        ("consumer_tag", "tag", Plain),
        ("channel_details.name", "channel", Plain),
        ("ack_required", "acks", Plain),
        ("exclusive", "exclusive", Plain),
        ("prefetch_count", "prefetch", Plain),
        ("activity_status", "status", Plain),
        ("arguments", "arguments", Plain),
    ],
};

/// List consumers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier consumers list\n  \
    harrier consumers list --matching '^orders$'")]
pub struct ConsumersCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List consumers; --matching looks at their queue
    #[command(after_help = "Examples:\n  \
        harrier consumers list\n  \
        harrier consumers list --vhost / --columns queue,tag,channel_details.peer_host")]
    List(Listing),
}

impl ConsumersCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let Action::List(listing) = self.action;
        let only = self.vhost.vhost.as_deref();
        let hidden = only.map(|_| "queue.vhost");
        console.list(KIND, &list_path("consumers", only), &listing, hidden)
    }
}
