//! `harrier global-parameters`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::api::path;
use crate::cli::arguments::json_value;
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "global parameters",
    name: "name",
    columns: &[("name", "name", Plain), ("value", "value", Plain)],
};

/// Parameters that belong to no virtual host.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier global-parameters list\n  \
    harrier global-parameters set owner '\"the shop team\"'\n  \
    harrier global-parameters delete owner")]
pub struct GlobalParametersCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List global parameters
    #[command(after_help = "Examples:\n  harrier global-parameters list")]
    List(Listing),
    /// Set a global parameter, instead of the one with the same name
    #[command(after_help = "Examples:\n  \
        harrier global-parameters set owner '\"the shop team\"'\n  \
        harrier global-parameters set hours '{\"from\": 8, \"to\": 18}'")]
    Set {
        /// The parameter
        name: String,
        /// Its value
        #[arg(value_name = "JSON", value_parser = json_value)]
        value: Value,
    },
    /// Delete a global parameter
    #[command(after_help = "Examples:\n  \
        harrier global-parameters set owner '\"the shop team\"'\n  \
        harrier global-parameters delete owner")]
    Delete {
        /// The parameter
        name: String,
        /// It is no failure if it is gone already
        #[arg(long)]
        if_exists: bool,
    },
}

impl GlobalParametersCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let at = |name: &str| path(&["global-parameters", name]);
        let what = |name: &str| format!("global parameter '{name}'");
        match self.action {
            Action::List(listing) => console.list(KIND, "/global-parameters", &listing, None),
            Action::Set { name, value } => {
                let body = json!({"name": name, "value": value});
                console.put_at(&at(&name), &body, &what(&name))
            }
            Action::Delete { name, if_exists } => {
                console.delete_at(&at(&name), &[], &what(&name), if_exists)
            }
        }
    }
}
