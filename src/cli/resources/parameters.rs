//! `harrier parameters`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::arguments::json_value;
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "parameters",
    name: "name",
    columns: &[
        ("component", "component", Plain),
        ("vhost", "vhost", Plain),
        ("name", "name", Plain),
        ("value", "value", Plain),
    ],
};

/// Parameters of components, such as shovels.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier parameters list\n  \
    harrier parameters list --component shovel")]
pub struct ParametersCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List parameters
    #[command(after_help = "Examples:\n  \
        harrier parameters list\n  \
        harrier parameters list --component shovel --format json")]
    List {
        /// Only those of this component
        #[arg(long, value_name = "NAME")]
        component: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Show a parameter
    #[command(after_help = "Examples:\n  \
        harrier parameters set shovel drain '{\"src-uri\": \"amqp://old\", \"src-queue\": \"a\", \
        \"dest-uri\": \"amqp://\", \"dest-queue\": \"a\"}'\n  \
        harrier parameters show shovel drain")]
    Show {
        /// The component
        component: String,
        /// The parameter
        name: String,
    },
    /// Set a parameter, instead of the one with the same name
    #[command(after_help = "Examples:\n  \
        harrier parameters set shovel drain '{\"src-uri\": \"amqp://old\", \"src-queue\": \"a\", \
        \"dest-uri\": \"amqp://\", \"dest-queue\": \"a\"}'")]
    Set {
        /// The component
        component: String,
        /// The parameter
        name: String,
        /// Its value
        #[arg(value_name = "JSON", value_parser = json_value)]
        value: Value,
    },
    /// Delete a parameter
    #[command(after_help = "Examples:\n  \
        harrier parameters delete shovel drain --if-exists")]
    Delete {
        /// The component
        component: String,
        /// The parameter
        name: String,
        /// It is no failure if it is gone already
        #[arg(long)]
        if_exists: bool,
    },
}

impl ParametersCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        let at = |component: &str, name: &str| path(&["parameters", component, vhost, name]);
        let what = |component: &str, name: &str| {
            format!("parameter '{name}' of component '{component}' in vhost '{vhost}'")
        };
        match self.action {
            Action::List { component, listing } => {
                let only = self.vhost.vhost.as_deref();
                let all = match (&component, only) {
                    (None, _) => path(&["parameters"]),
                    (Some(component), None) => path(&["parameters", component]),
                    (Some(component), Some(vhost)) => path(&["parameters", component, vhost]),
                };
                console.list(KIND, &all, &listing, None)
            }
            Action::Show { component, name } => {
                console.show_at(&at(&component, &name), &what(&component, &name))
            }
            Action::Set {
                component,
                name,
                value,
            } => {
                let what = what(&component, &name);
                console.put_at(&at(&component, &name), &json!({"value": value}), &what)
            }
            Action::Delete {
                component,
                name,
                if_exists,
            } => {
                let what = what(&component, &name);
                console.delete_at(&at(&component, &name), &[], &what, if_exists)
            }
        }
    }
}
