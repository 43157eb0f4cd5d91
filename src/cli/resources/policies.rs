//! `harrier policies` and `harrier operator-policies`: alike but for who sets them.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{in_vhost, list_path};
use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::arguments::{Pair, json_object, object};
use crate::cli::console::{Asking, Console, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const COLUMNS: Kind = Kind {
    many: "policies",
    name: "name",
    columns: &[
        ("vhost", "vhost", Plain),
        ("name", "name", Plain),
        ("pattern", "pattern", Plain),
        ("apply-to", "apply-to", Plain),
        ("priority", "priority", Plain),
        ("definition", "definition", Plain),
    ],
};

/// Set what queues and exchanges are given by their names.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier policies set short --pattern '^recent' --apply-to queues max-length=1000\n  \
    harrier policies list\n  \
    harrier policies delete short\n\n\
    Of the policies whose pattern matches a name the one with the highest priority\n\
    counts. What a queue was declared with comes before its policy.")]
pub struct PoliciesCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

/// Set limits that policies and declarations can't go beyond.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier operator-policies set bounded --pattern '.*' --apply-to queues max-length=1000000\n  \
    harrier operator-policies list\n  \
    harrier operator-policies delete bounded\n\n\
    Where a policy sets the same key, the lower of the two limits counts.")]
pub struct OperatorPoliciesCommand {
    #[command(subcommand)]
    action: OperatorAction,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List policies
    #[command(after_help = "Examples:\n  \
        harrier policies list\n  \
        harrier policies list --vhost / --sort priority --reverse")]
    List(Listing),
    /// Set a policy, instead of the one with the same name
    #[command(after_help = "Examples:\n  \
        harrier policies set short --pattern '^recent' --apply-to queues max-length=1000\n  \
        harrier policies set failed --pattern '^orders' --apply-to queues dead-letter-exchange=failed\n  \
        harrier policies set both --pattern '^a' --definition '{\"message-ttl\": 60000, \"expires\": 3600000}'")]
    Set(Setting),
    /// Delete a policy
    #[command(after_help = "Examples:\n  \
        harrier policies set short --pattern '^recent' max-length=1000\n  \
        harrier policies delete short")]
    Delete(Deleting),
}

#[derive(Debug, Subcommand)]
enum OperatorAction {
    /// List operator policies
    #[command(after_help = "Examples:\n  \
        harrier operator-policies list\n  \
        harrier operator-policies list --vhost /")]
    List(Listing),
    /// Set an operator policy, instead of the one with the same name
    #[command(after_help = "Examples:\n  \
        harrier operator-policies set bounded --pattern '.*' --apply-to queues max-length=1000000")]
    Set(Setting),
    /// Delete an operator policy
    #[command(after_help = "Examples:\n  \
        harrier operator-policies set bounded --pattern '.*' --apply-to queues max-length=1000000\n  \
        harrier operator-policies delete bounded")]
    Delete(Deleting),
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ApplyTo {
    /// Queues and exchanges
    All,
    /// Queues of every type
    Queues,
    /// Classic queues
    ClassicQueues,
    /// Quorum queues
    QuorumQueues,
    /// Streams
    Streams,
    /// Exchanges
    Exchanges,
}

#[derive(Debug, Args)]
struct Setting {
    /// The policy's name
    name: String,
    /// Names of queues or exchanges that it is for
    #[arg(long, value_name = "REGEX")]
    pattern: String,
    /// What it is for
    #[arg(long, value_enum, default_value = "all", hide_possible_values = false)]
    apply_to: ApplyTo,
    /// Of several that match the highest counts
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i64,
    /// What it gives them; a number, true or false is taken as such
    #[arg(value_name = "KEY=VALUE", required_unless_present = "definition")]
    pairs: Vec<Pair>,
    /// The same as a JSON object
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    definition: Option<Map<String, Value>>,
}

#[derive(Debug, Args)]
struct Deleting {
    /// The policy
    name: String,
    /// It is no failure if it is gone already
    #[arg(long)]
    if_exists: bool,
}

impl PoliciesCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = Place {
            console: self.asking.open()?,
            vhost: self.vhost,
            root: "policies",
            what: "policy",
        };
        match self.action {
            Action::List(listing) => place.list(&listing),
            Action::Set(setting) => place.set(setting),
            Action::Delete(deleting) => place.delete(&deleting),
        }
    }
}

impl OperatorPoliciesCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = Place {
            console: self.asking.open()?,
            vhost: self.vhost,
            root: "operator-policies",
            what: "operator policy",
        };
        match self.action {
            OperatorAction::List(listing) => place.list(&listing),
            OperatorAction::Set(setting) => place.set(setting),
            OperatorAction::Delete(deleting) => place.delete(&deleting),
        }
    }
}

/// Which of the two kinds of policies, and where.
struct Place {
    console: Console,
    vhost: VhostOption,
    root: &'static str,
    what: &'static str,
}

impl Place {
    fn list(&self, listing: &Listing) -> Result<(), Failure> {
        let only = self.vhost.vhost.as_deref();
        let hidden = only.map(|_| "vhost");
        let all = list_path(self.root, only);
        self.console.list(COLUMNS, &all, listing, hidden)
    }

    fn set(&self, setting: Setting) -> Result<(), Failure> {
        let mut definition = setting.definition.unwrap_or_default();
        definition.extend(object(&setting.pairs));
        let apply_to = setting.apply_to.to_possible_value();
        let body = json!({
            "pattern": setting.pattern,
            "definition": definition,
            "priority": setting.priority,
            "apply-to": apply_to.map(|value| value.get_name().to_owned()),
        });
        let (at, what) = self.one(&setting.name);
        self.console.put_at(&at, &body, &what)
    }

    fn delete(&self, deleting: &Deleting) -> Result<(), Failure> {
        let (at, what) = self.one(&deleting.name);
        self.console.delete_at(&at, &[], &what, deleting.if_exists)
    }

    fn one(&self, name: &str) -> (String, String) {
        let vhost = self.vhost.name();
        (
            path(&[self.root, vhost, name]),
            in_vhost(self.what, name, vhost),
        )
    }
}
