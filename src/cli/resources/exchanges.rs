//! `harrier exchanges`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{in_vhost, list_path};
use crate::cli::Failure;
use crate::cli::api::{Made, VhostOption, path};
use crate::cli::arguments::{Pair, object};
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::{Plain, Rate};

const KIND: Kind = Kind {
    many: "exchanges",
    name: "name",
    columns: &[
        ("vhost", "vhost", Plain),
        ("name", "name", Plain),
        ("type", "type", Plain),
        ("durable", "durable", Plain),
        ("auto_delete", "auto-delete", Plain),
        ("internal", "internal", Plain),
        ("message_stats.publish_in_details.rate", "in/s", Rate),
        ("message_stats.publish_out_details.rate", "out/s", Rate),
        ("arguments", "arguments", Plain),
    ],
};

/// List, declare and delete exchanges.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier exchanges list\n  \
    harrier exchanges declare events --type topic\n  \
    harrier exchanges show events\n  \
    harrier exchanges delete events")]
pub struct ExchangesCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List exchanges; the one without a name is the default exchange
    #[command(after_help = "Examples:\n  \
        harrier exchanges list\n  \
        harrier exchanges list --vhost / --matching '^(?!amq)' --columns name,type")]
    List(Listing),
    /// Show all there is to know of an exchange
    #[command(after_help = "Examples:\n  \
        harrier exchanges show amq.topic\n  \
        harrier exchanges show amq.topic --format json")]
    Show {
        /// The exchange
        name: String,
    },
    /// Declare an exchange, durable unless told otherwise
    #[command(after_help = "Examples:\n  \
        harrier exchanges declare events --type topic\n  \
        harrier exchanges declare orders --alternate-exchange unroutable\n  \
        harrier exchanges declare wires --internal --type fanout")]
    Declare {
        /// The exchange's name
        name: String,
        /// direct, topic, fanout, headers or another the broker knows
        #[arg(long = "type", value_name = "TYPE", default_value = "direct")]
        kind: String,
        /// It doesn't outlive the broker
        #[arg(long)]
        transient: bool,
        /// It goes with its last binding
        #[arg(long)]
        auto_delete: bool,
        /// Only exchanges publish to it
        #[arg(long)]
        internal: bool,
        /// Where messages go that it has no queue for
        #[arg(long, value_name = "EXCHANGE")]
        alternate_exchange: Option<String>,
        /// Any other argument; a number, true or false is taken as such
        #[arg(long = "argument", value_name = "KEY=VALUE")]
        arguments: Vec<Pair>,
    },
    /// Delete an exchange with its bindings
    #[command(after_help = "Examples:\n  \
        harrier exchanges declare leftover\n  \
        harrier exchanges delete leftover --if-unused\n  \
        harrier exchanges delete leftover --if-exists")]
    Delete {
        /// The exchange
        name: String,
        /// Only if nothing is bound to it
        #[arg(long)]
        if_unused: bool,
        /// It is no failure if it is gone already
        #[arg(long)]
        if_exists: bool,
    },
}

impl ExchangesCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        let at = |name: &str| path(&["exchanges", vhost, name]);
        let what = |name: &str| in_vhost("exchange", name, vhost);
        match self.action {
            Action::List(listing) => {
                let only = self.vhost.vhost.as_deref();
                let hidden = only.map(|_| "vhost");
                console.list(KIND, &list_path("exchanges", only), &listing, hidden)
            }
            Action::Show { name } => console.show_at(&at(&name), &what(&name)),
            Action::Declare {
                name,
                kind,
                transient,
                auto_delete,
                internal,
                alternate_exchange,
                arguments,
            } => {
                let mut arguments = object(&arguments);
                if let Some(alternate) = alternate_exchange {
                    arguments.insert("alternate-exchange".into(), alternate.into());
                }
                let body = json!({
                    "type": kind,
                    "durable": !transient,
                    "auto_delete": auto_delete,
                    "internal": internal,
                    "arguments": arguments,
                });
                let made = console.api.put(&at(&name), &body);
                match made.map_err(|error| error.about(what(&name)))? {
                    Made::New => console.say(&format!("{} declared", what(&name))),
                    Made::There => console.say(&format!("{} is there already", what(&name))),
                }
            }
            Action::Delete {
                name,
                if_unused,
                if_exists,
            } => {
                let unused: &[_] = if if_unused {
                    &[("if-unused", "true")]
                } else {
                    &[]
                };
                console.delete_at(&at(&name), unused, &what(&name), if_exists)
            }
        }
    }
}
