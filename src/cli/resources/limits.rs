//! `harrier limits`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::api::path;
use crate::cli::console::{Asking, Console, Kind, Listing, items};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "limits",
    name: "name",
    columns: &[
        ("of", "of", Plain),
        ("name", "name", Plain),
        ("limit", "limit", Plain),
        ("value", "value", Plain),
    ],
};

/// Limits of virtual hosts and of users.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier limits set vhost / max-queues 1000\n  \
    harrier limits set user guest max-channels 500\n  \
    harrier limits list\n  \
    harrier limits delete vhost / max-queues")]
pub struct LimitsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the limits that are set
    #[command(after_help = "Examples:\n  \
        harrier limits list\n  \
        harrier limits list --of vhost")]
    List {
        /// Only those of virtual hosts, or of users
        #[arg(long, value_enum)]
        of: Option<Of>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Set a limit
    #[command(after_help = "Examples:\n  \
        harrier limits set vhost / max-queues 1000\n  \
        harrier limits set vhost / max-connections 500\n  \
        harrier limits set user guest max-connections 100\n\n\
        Virtual hosts have max-queues and max-connections, users max-connections and\n\
        max-channels. 0 allows none, -1 any number.")]
    Set {
        /// What has the limit
        of: Of,
        /// Its name
        name: String,
        /// max-queues, max-connections or max-channels
        limit: String,
        /// How many there may be
        #[arg(allow_negative_numbers = true)]
        value: i64,
    },
    /// Take a limit away
    #[command(after_help = "Examples:\n  \
        harrier limits set vhost / max-queues 1000\n  \
        harrier limits delete vhost / max-queues")]
    Delete {
        /// What has the limit
        of: Of,
        /// Its name
        name: String,
        /// max-queues, max-connections or max-channels
        limit: String,
    },
}

/// What has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// A virtual host
    Vhost,
    /// A user
    User,
}

impl Of {
    fn root(self) -> &'static str {
        match self {
            Self::Vhost => "vhost-limits",
            Self::User => "user-limits",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Vhost => "vhost",
            Self::User => "user",
        }
    }
}

impl LimitsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        match self.action {
            Action::List { of, listing } => list(&console, of, &listing),
            Action::Set {
                of,
                name,
                limit,
                value,
            } => {
                let at = path(&[of.root(), &name, &limit]);
                let what = format!("limit {limit} of {} '{name}'", of.word());
                console.put_at(&at, &json!({"value": value}), &what)
            }
            Action::Delete { of, name, limit } => {
                let at = path(&[of.root(), &name, &limit]);
                let what = format!("limit {limit} of {} '{name}'", of.word());
                console.delete_at(&at, &[], &what, false)
            }
        }
    }
}

/// The API has a list of objects with several limits each; here one is a row.
fn list(console: &Console, of: Option<Of>, listing: &Listing) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for kind in [Of::Vhost, Of::User] {
        if of.is_some_and(|of| of != kind) {
            continue;
        }
        for object in items(console.api.get(&path(&[kind.root()]))?) {
            let limits = object["value"].as_object().into_iter().flatten();
            rows.extend(limits.map(|(limit, value)| {
                let name = &object[kind.word()];
                json!({"of": kind.word(), "name": name, "limit": limit, "value": value})
            }));
        }
    }
    let columns = listing.columns(KIND, None);
    console.print_list(KIND, Value::Array(rows), listing, &columns)
}
