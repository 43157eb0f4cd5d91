//! `harrier vhosts`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::Failure;
use crate::cli::api::path;
use crate::cli::console::{Asking, Console, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "virtual hosts",
    name: "name",
    columns: &[
        ("name", "name", Plain),
        ("description", "description", Plain),
        ("tags", "tags", Plain),
        ("default_queue_type", "default-type", Plain),
        ("messages_ready", "ready", Plain),
        ("messages_unacknowledged", "unacked", Plain),
        ("messages", "total", Plain),
        ("protected_from_deletion", "protected", Plain),
        ("tracing", "tracing", Plain),
    ],
};

/// List, add, protect and delete virtual hosts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier vhosts add shop --description 'the shop' --default-queue-type quorum\n  \
    harrier vhosts list\n  \
    harrier vhosts protect shop\n  \
    harrier vhosts unprotect shop\n  \
    harrier vhosts delete shop")]
pub struct VhostsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List virtual hosts
    #[command(after_help = "Examples:\n  \
        harrier vhosts list\n  \
        harrier vhosts list --columns name,messages,cluster_state")]
    List(Listing),
    /// Show all there is to know of a virtual host
    #[command(after_help = "Examples:\n  \
        harrier vhosts show /")]
    Show {
        /// The virtual host
        name: String,
    },
    /// Add a virtual host, or change what is given of one
    #[command(after_help = "Examples:\n  \
        harrier vhosts add shop\n  \
        harrier vhosts add shop --description 'the shop' --tags production --default-queue-type quorum")]
    Add {
        /// The virtual host's name
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Words to find it by
        #[arg(long, value_name = "A,B", value_delimiter = ',')]
        tags: Option<Vec<String>>,
        /// The type of queues that don't ask for one
        #[arg(long, value_name = "TYPE")]
        default_queue_type: Option<String>,
        /// Publish a copy of every message to amq.rabbitmq.trace
        #[arg(long, value_name = "BOOL")]
        tracing: Option<bool>,
    },
    /// Keep a virtual host from being deleted
    #[command(after_help = "Examples:\n  \
        harrier vhosts add shop\n  \
        harrier vhosts protect shop")]
    Protect {
        /// The virtual host
        name: String,
    },
    /// Let a virtual host be deleted again
    #[command(after_help = "Examples:\n  \
        harrier vhosts add shop\n  \
        harrier vhosts unprotect shop")]
    Unprotect {
        /// The virtual host
        name: String,
    },
    /// Delete a virtual host with all its queues, exchanges and messages
    #[command(after_help = "Examples:\n  \
        harrier vhosts add leftover\n  \
        harrier vhosts delete leftover\n  \
        harrier vhosts delete leftover --if-exists")]
    Delete {
        /// The virtual host
        name: String,
        /// It is no failure if it is gone already
        #[arg(long)]
        if_exists: bool,
    },
}

impl VhostsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        match self.action {
            Action::List(listing) => console.list(KIND, "/vhosts", &listing, None),
            Action::Show { name } => console.show_at(&at(&name), &what(&name)),
            Action::Add {
                name,
                description,
                tags,
                default_queue_type,
                tracing,
            } => {
                let given = [
                    ("description", description.map(Value::from)),
                    ("tags", tags.map(|tags| json!(tags))),
                    ("default_queue_type", default_queue_type.map(Value::from)),
                    ("tracing", tracing.map(Value::from)),
                ];
                let given = given.into_iter();
                let body: Map<String, Value> = given
                    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                    .collect();
                console.put_at(&at(&name), &Value::Object(body), &what(&name))
            }
            Action::Protect { name } => protect(&console, &name),
            Action::Unprotect { name } => {
                let unprotected = console.api.delete(&protection(&name), &[]);
                unprotected.map_err(|error| error.about(what(&name)))?;
                console.say(&format!("{} may be deleted", what(&name)))
            }
            Action::Delete { name, if_exists } => {
                console.delete_at(&at(&name), &[], &what(&name), if_exists)
            }
        }
    }
}

fn protect(console: &Console, name: &str) -> Result<(), Failure> {
    let protected = console.api.post(&protection(name), &Value::Null);
    protected.map_err(|error| error.about(what(name)))?;
    console.say(&format!("{} can't be deleted", what(name)))
}

fn at(name: &str) -> String {
    path(&["vhosts", name])
}

fn protection(name: &str) -> String {
    path(&["vhosts", name, "deletion", "protection"])
}

fn what(name: &str) -> String {
    format!("vhost '{name}'")
}
