//! `harrier queues`, `harrier users` and so on: what a broker has, listed,
//! shown, made and removed through the management API.

mod bindings;
mod channels;
mod connections;
mod consumers;
mod exchanges;
mod feature_flags;
mod global_parameters;
mod limits;
mod nodes;
mod parameters;
mod permissions;
mod policies;
mod queues;
mod topic_permissions;
mod users;
mod vhosts;

use clap::Subcommand;
use serde_json::Value;

use self::bindings::BindingsCommand;
use self::channels::ChannelsCommand;
use self::connections::ConnectionsCommand;
use self::consumers::ConsumersCommand;
use self::exchanges::ExchangesCommand;
use self::feature_flags::FeatureFlagsCommand;
use self::global_parameters::GlobalParametersCommand;
use self::limits::LimitsCommand;
use self::nodes::NodesCommand;
use self::parameters::ParametersCommand;
use self::permissions::PermissionsCommand;
use self::policies::{OperatorPoliciesCommand, PoliciesCommand};
use self::queues::QueuesCommand;
use self::topic_permissions::TopicPermissionsCommand;
use self::users::UsersCommand;
use self::vhosts::VhostsCommand;
use super::Failure;
use super::api::{ApiError, Made, path};
use super::console::Console;

/// A command for each kind of thing that a broker has.
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// List, declare, purge and delete queues
    #[command(alias = "queue")]
    Queues(QueuesCommand),
    /// List, declare and delete exchanges
    #[command(alias = "exchange")]
    Exchanges(ExchangesCommand),
    /// List, make and remove bindings
    #[command(alias = "binding")]
    Bindings(BindingsCommand),
    /// List and close connections
    #[command(alias = "connection")]
    Connections(ConnectionsCommand),
    /// List channels
    #[command(alias = "channel")]
    Channels(ChannelsCommand),
    /// List consumers
    #[command(alias = "consumer")]
    Consumers(ConsumersCommand),
    /// List, add, change and delete users
    #[command(alias = "user")]
    Users(UsersCommand),
    /// List, add, protect and delete virtual hosts
    #[command(alias = "vhost")]
    Vhosts(VhostsCommand),
    /// Say what users may configure, write and read
    #[command(alias = "permission")]
    Permissions(PermissionsCommand),
    /// Say which routing keys users may publish and bind with
    #[command(alias = "topic-permission")]
    TopicPermissions(TopicPermissionsCommand),
    /// Set what queues and exchanges are given by their names
    #[command(alias = "policy")]
    Policies(PoliciesCommand),
    /// The same, in which policies can't go further than these
    #[command(alias = "operator-policy")]
    OperatorPolicies(OperatorPoliciesCommand),
    /// Parameters of components, such as shovels
    #[command(alias = "parameter")]
    Parameters(ParametersCommand),
    /// Parameters that belong to no virtual host
    #[command(alias = "global-parameter")]
    GlobalParameters(GlobalParametersCommand),
    /// Limits of virtual hosts and of users
    #[command(alias = "limit")]
    Limits(LimitsCommand),
    /// The broker's nodes: memory, disk, alarms
    #[command(alias = "node")]
    Nodes(NodesCommand),
    /// List and enable feature flags
    #[command(alias = "feature-flag")]
    FeatureFlags(FeatureFlagsCommand),
}

impl ResourceCommand {
    /// Asks the API and prints.
    ///
    /// # Errors
    /// What the API refuses, or a usage failure.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Queues(command) => command.run(),
            Self::Exchanges(command) => command.run(),
            Self::Bindings(command) => command.run(),
            Self::Connections(command) => command.run(),
            Self::Channels(command) => command.run(),
            Self::Consumers(command) => command.run(),
            Self::Users(command) => command.run(),
            Self::Vhosts(command) => command.run(),
            Self::Permissions(command) => command.run(),
            Self::TopicPermissions(command) => command.run(),
            Self::Policies(command) => command.run(),
            Self::OperatorPolicies(command) => command.run(),
            Self::Parameters(command) => command.run(),
            Self::GlobalParameters(command) => command.run(),
            Self::Limits(command) => command.run(),
            Self::Nodes(command) => command.run(),
            Self::FeatureFlags(command) => command.run(),
        }
    }
}

/// The list called `root`, in one virtual host or in all.
fn list_path(root: &str, vhost: Option<&str>) -> String {
    match vhost {
        Some(vhost) => path(&[root, vhost]),
        None => path(&[root]),
    }
}

/// One of many things in a virtual host, as people call it.
pub(super) fn in_vhost(what: &str, name: &str, vhost: &str) -> String {
    format!("{what} '{name}' in vhost '{vhost}'")
}

impl Console {
    /// Prints the object at `path`, called `what`.
    fn show_at(&self, path: &str, what: &str) -> Result<(), Failure> {
        let object = self.api.get(path).map_err(|error| error.about(what))?;
        self.show(&object)
    }

    /// Makes `path` be `body` and tells whether it is new.
    fn put_at(&self, path: &str, body: &Value, what: &str) -> Result<(), Failure> {
        match self
            .api
            .put(path, body)
            .map_err(|error| error.about(what))?
        {
            Made::New => self.say(&format!("{what} made")),
            Made::There => self.say(&format!("{what} set")),
        }
    }

    /// Removes what is at `path`; with `if_exists` it may be gone already.
    fn delete_at(
        &self,
        path: &str,
        query: &[(&str, &str)],
        what: &str,
        if_exists: bool,
    ) -> Result<(), Failure> {
        match self.api.delete(path, query) {
            Ok(()) => self.say(&format!("{what} deleted")),
            Err(error) if error.is_absent() && if_exists => {
                self.say(&format!("there was no {what}"))
            }
            Err(error) => Err(ApiError::about(error, what).into()),
        }
    }
}
