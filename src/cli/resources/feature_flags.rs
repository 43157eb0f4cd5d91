//! `harrier feature-flags`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Failure;
use crate::cli::api::path;
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "feature flags",
    name: "name",
    columns: &[
        ("name", "name", Plain),
        ("state", "state", Plain),
        ("stability", "stability", Plain),
        ("desc", "description", Plain),
    ],
};

/// List and enable feature flags.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier feature-flags list\n  \
    harrier feature-flags enable quorum_queue")]
pub struct FeatureFlagsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List feature flags
    #[command(after_help = "Examples:\n  \
        harrier feature-flags list\n  \
        harrier feature-flags list --matching queue")]
    List(Listing),
    /// Enable a feature flag
    #[command(after_help = "Examples:\n  harrier feature-flags enable quorum_queue")]
    Enable {
        /// The flag
        name: String,
    },
}

impl FeatureFlagsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        match self.action {
            Action::List(listing) => console.list(KIND, "/feature-flags", &listing, None),
            Action::Enable { name } => {
                let at = path(&["feature-flags", &name, "enable"]);
                let what = format!("feature flag '{name}'");
                let enabled = console.api.put(&at, &json!({"name": name}));
                enabled.map_err(|error| error.about(&what))?;
                console.say(&format!("{what} enabled"))
            }
        }
    }
}
