//! `harrier bindings`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::list_path;
use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::arguments::{Pair, object};
use crate::cli::console::{Asking, Console, Kind, Listing, items};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "bindings",
    name: "source",
    columns: &[
        ("vhost", "vhost", Plain),
        ("source", "source", Plain),
        ("destination_type", "to", Plain),
        ("destination", "destination", Plain),
        ("routing_key", "routing-key", Plain),
        ("arguments", "arguments", Plain),
    ],
};

/// List, make and remove bindings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier queues declare audit\n  \
    harrier bindings declare amq.topic audit --routing-key 'order.#'\n  \
    harrier bindings list --of-queue audit\n  \
    harrier bindings delete amq.topic audit --routing-key 'order.#'")]
pub struct BindingsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List bindings; --matching looks at the exchange they come from
    #[command(after_help = "Examples:\n  \
        harrier bindings list\n  \
        harrier bindings list --from-exchange amq.topic\n  \
        harrier bindings list --vhost / --sort destination --format json")]
    List {
        /// Only those that lead to this queue
        #[arg(long, value_name = "QUEUE")]
        of_queue: Option<String>,
        /// Only those that come from this exchange
        #[arg(long, value_name = "EXCHANGE", conflicts_with = "of_queue")]
        from_exchange: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Bind a queue or an exchange to an exchange
    #[command(after_help = "Examples:\n  \
        harrier queues declare audit\n  \
        harrier bindings declare amq.topic audit --routing-key 'order.#'\n  \
        harrier bindings declare amq.headers audit --argument x-match=all --argument kind=order\n  \
        harrier bindings declare amq.topic amq.fanout --to exchange --routing-key '#'")]
    Declare(Ends),
    /// Take a binding away
    #[command(after_help = "Examples:\n  \
        harrier queues declare audit\n  \
        harrier bindings declare amq.topic audit --routing-key 'order.#'\n  \
        harrier bindings delete amq.topic audit --routing-key 'order.#'")]
    Delete(Ends),
}

/// What a binding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    Queue,
    Exchange,
}

#[derive(Debug, Args)]
struct Ends {
    /// The exchange that messages come from
    source: String,
    /// Where they go
    destination: String,
    /// What that is
    #[arg(long, value_enum, default_value = "queue")]
    to: To,
    /// The key they have
    #[arg(long, value_name = "KEY", default_value = "")]
    routing_key: String,
    /// What a headers exchange looks at; a number, true or false is taken as such
    #[arg(long = "argument", value_name = "KEY=VALUE")]
    arguments: Vec<Pair>,
}

impl BindingsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        match self.action {
            Action::List {
                of_queue,
                from_exchange,
                listing,
            } => {
                let only = self.vhost.vhost.as_deref();
                let one = of_queue.is_some() || from_exchange.is_some();
                let hidden = (one || only.is_some()).then_some("vhost");
                let at = match (of_queue, from_exchange) {
                    (Some(queue), _) => path(&["queues", vhost, &queue, "bindings"]),
                    (None, Some(from)) => path(&["exchanges", vhost, &from, "bindings", "source"]),
                    (None, None) => list_path("bindings", only),
                };
                console.list(KIND, &at, &listing, hidden)
            }
            Action::Declare(ends) => ends.declare(&console, vhost),
            Action::Delete(ends) => ends.delete(&console, vhost),
        }
    }
}

impl Ends {
    fn declare(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let body = json!({
            "routing_key": self.routing_key,
            "arguments": object(&self.arguments),
        });
        let bound = console.api.post(&self.path(vhost), &body);
        bound.map_err(|error| error.about(self.both(vhost)))?;
        console.say(&format!("{} made", self.name(vhost)))
    }

    fn delete(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let between = self.path(vhost);
        let found = console.api.get(&between);
        let found = items(found.map_err(|error| error.about(self.both(vhost)))?);
        let wanted = Value::Object(object(&self.arguments));
        let binding = found.iter().find(|binding| {
            binding["routing_key"] == *self.routing_key && binding["arguments"] == wanted
        });
        let Some(key) = binding.and_then(|binding| binding["properties_key"].as_str()) else {
            return Err(Failure::Failed(format!(
                "there is no {}; `harrier bindings list` shows those that are there",
                self.name(vhost)
            )));
        };
        let one = format!("{between}{}", path(&[key]));
        console.delete_at(&one, &[], &self.name(vhost), false)
    }

    fn path(&self, vhost: &str) -> String {
        let to = match self.to {
            To::Queue => "q",
            To::Exchange => "e",
        };
        // The default exchange has no name, which a path can't have.
        let source = match &*self.source {
            "" => "amq.default",
            source => source,
        };
        path(&["bindings", vhost, "e", source, to, &self.destination])
    }

    fn name(&self, vhost: &str) -> String {
        let mut name = format!(
            "binding from '{}' to '{}' in vhost '{vhost}' with key '{}'",
            self.source, self.destination, self.routing_key
        );
        if !self.arguments.is_empty() {
            name.push_str(" and these arguments");
        }
        name
    }

    fn both(&self, vhost: &str) -> String {
        let to = match self.to {
            To::Queue => "queue",
            To::Exchange => "exchange",
        };
        format!(
            "exchange '{}' or {to} '{}' in vhost '{vhost}'",
            self.source, self.destination
        )
    }
}
