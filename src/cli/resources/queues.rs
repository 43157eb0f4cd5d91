//! `harrier queues`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{in_vhost, list_path};
use crate::cli::Failure;
use crate::cli::api::{Made, VhostOption, path};
use crate::cli::arguments::{Pair, object};
use crate::cli::console::{Asking, Console, Kind, Listing, items, pattern_of};
use crate::cli::fields::Shape::{Plain, Rate};
use crate::cli::fields::{at, text};
use crate::cli::progress::Progress;

const KIND: Kind = Kind {
    many: "queues",
    name: "name",
    columns: &[
        ("vhost", "vhost", Plain),
        ("name", "name", Plain),
        ("type", "type", Plain),
        ("state", "state", Plain),
        ("messages_ready", "ready", Plain),
        ("messages_unacknowledged", "unacked", Plain),
        ("messages", "total", Plain),
        ("consumers", "consumers", Plain),
        ("message_stats.publish_details.rate", "in/s", Rate),
        ("message_stats.deliver_get_details.rate", "out/s", Rate),
        ("policy", "policy", Plain),
    ],
};

/// List, declare, purge and delete queues.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier queues list\n  \
    harrier queues declare orders --type quorum --dead-letter-exchange failed\n  \
    harrier queues show orders\n  \
    harrier queues purge orders\n  \
    harrier queues delete orders")]
pub struct QueuesCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List queues with their depths and rates
    #[command(after_help = "Examples:\n  \
        harrier queues list\n  \
        harrier queues list --vhost / --sort ready --reverse --limit 10\n  \
        harrier queues list --matching '^orders' --columns name,messages,arguments\n  \
        harrier queues list --format json")]
    List(Listing),
    /// Show all there is to know of a queue
    #[command(after_help = "Examples:\n  \
        harrier queues declare invoices\n  \
        harrier queues show invoices\n  \
        harrier queues show invoices --vhost / --format json")]
    Show {
        /// The queue
        name: String,
    },
    /// Declare a queue, durable unless told otherwise
    #[command(after_help = "Examples:\n  \
        harrier queues declare invoices\n  \
        harrier queues declare payments --type quorum --delivery-limit 5 --dead-letter-exchange failed\n  \
        harrier queues declare recent --max-length 1000 --overflow drop-head --message-ttl 60000\n  \
        harrier queues declare turns --argument x-single-active-consumer=true\n\n\
        A queue that is there already stays as it is, if it has the same properties;\n\
        with others the broker refuses.")]
    Declare(Declaration),
    /// Drop the messages that wait in queues; those held by consumers stay
    #[command(after_help = "Examples:\n  \
        harrier queues declare invoices\n  \
        harrier queues purge invoices\n  \
        harrier queues purge --matching '^test-' --dry-run")]
    Purge(Chosen),
    /// Delete queues and what is in them
    #[command(after_help = "Examples:\n  \
        harrier queues delete invoices --if-exists\n  \
        harrier queues declare leftover\n  \
        harrier queues delete leftover --if-empty --if-unused\n  \
        harrier queues delete --matching '^test-' --dry-run")]
    Delete {
        #[command(flatten)]
        chosen: Chosen,
        /// Only if no message is in it
        #[arg(long)]
        if_empty: bool,
        /// Only if it has no consumer
        #[arg(long)]
        if_unused: bool,
        /// It is no failure if it is gone already
        #[arg(long)]
        if_exists: bool,
    },
}

#[derive(Debug, Args)]
struct Declaration {
    /// The queue's name
    name: String,
    /// classic, quorum or stream [default: the virtual host's]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// It doesn't outlive the broker
    #[arg(long)]
    transient: bool,
    /// It goes with its last consumer
    #[arg(long)]
    auto_delete: bool,
    /// Where messages go that expire, overflow or are rejected
    #[arg(long, value_name = "EXCHANGE")]
    dead_letter_exchange: Option<String>,
    /// The key they go there with
    #[arg(long, value_name = "KEY")]
    dead_letter_routing_key: Option<String>,
    /// Milliseconds a message may wait
    #[arg(long, value_name = "MS")]
    message_ttl: Option<u64>,
    /// Milliseconds the queue may be unused
    #[arg(long, value_name = "MS")]
    expires: Option<u64>,
    /// Messages that may wait
    #[arg(long, value_name = "N")]
    max_length: Option<u64>,
    /// Bytes that may wait
    #[arg(long, value_name = "BYTES")]
    max_length_bytes: Option<u64>,
    /// What becomes of one too many: drop-head, reject-publish, reject-publish-dlx
    #[arg(long, value_name = "WHAT")]
    overflow: Option<String>,
    /// Times a message of a quorum queue may come back
    #[arg(long, value_name = "N")]
    delivery_limit: Option<u64>,
    /// Any other argument; a number, true or false is taken as such
    #[arg(long = "argument", value_name = "KEY=VALUE")]
    arguments: Vec<Pair>,
}

#[derive(Debug, Args)]
struct Chosen {
    /// The queues
    #[arg(required_unless_present = "matching", conflicts_with = "matching")]
    names: Vec<String>,
    /// All queues of the virtual host whose names match this pattern
    #[arg(long, value_name = "REGEX")]
    matching: Option<String>,
    /// Only say which ones, and what is in them
    #[arg(long)]
    dry_run: bool,
}

impl QueuesCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        match self.action {
            Action::List(listing) => {
                let only = self.vhost.vhost.as_deref();
                let hidden = only.map(|_| "vhost");
                console.list(KIND, &list_path("queues", only), &listing, hidden)
            }
            Action::Show { name } => {
                let what = in_vhost("queue", &name, vhost);
                console.show_at(&path(&["queues", vhost, &name]), &what)
            }
            Action::Declare(declaration) => declaration.run(&console, vhost),
            Action::Purge(chosen) => chosen.purge(&console, vhost),
            Action::Delete {
                chosen,
                if_empty,
                if_unused,
                if_exists,
            } => {
                let conditions = [("if-empty", if_empty), ("if-unused", if_unused)];
                let conditions: Vec<(&str, &str)> = conditions
                    .into_iter()
                    .filter_map(|(name, wanted)| wanted.then_some((name, "true")))
                    .collect();
                chosen.delete(&console, vhost, &conditions, if_exists)
            }
        }
    }
}

impl Declaration {
    fn run(self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let what = in_vhost("queue", &self.name, vhost);
        let at = path(&["queues", vhost, &self.name]);
        let body = json!({
            "durable": !self.transient,
            "auto_delete": self.auto_delete,
            "arguments": self.arguments(),
        });
        let made = console.api.put(&at, &body);
        match made.map_err(|error| error.about(&what))? {
            Made::New => console.say(&format!("{what} declared")),
            Made::There => console.say(&format!("{what} is there already")),
        }
    }

    fn arguments(self) -> Map<String, Value> {
        let mut arguments = object(&self.arguments);
        let named: [(&str, Option<Value>); 9] = [
            ("x-queue-type", self.kind.map(Into::into)),
            (
                "x-dead-letter-exchange",
                self.dead_letter_exchange.map(Into::into),
            ),
            (
                "x-dead-letter-routing-key",
                self.dead_letter_routing_key.map(Into::into),
            ),
            ("x-message-ttl", self.message_ttl.map(Into::into)),
            ("x-expires", self.expires.map(Into::into)),
            ("x-max-length", self.max_length.map(Into::into)),
            ("x-max-length-bytes", self.max_length_bytes.map(Into::into)),
            ("x-overflow", self.overflow.map(Into::into)),
            ("x-delivery-limit", self.delivery_limit.map(Into::into)),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                arguments.insert(name.to_owned(), value);
            }
        }
        arguments
    }
}

impl Chosen {
    fn purge(&self, console: &Console, vhost: &str) -> Result<(), Failure> {
        let Some(names) = self.names(console, vhost, "purged")? else {
            return Ok(());
        };
        let mut progress = Progress::begin();
        for (done, name) in names.iter().enumerate() {
            progress.step("queues purged", done, names.len());
            let queue = path(&["queues", vhost, name]);
            let contents = path(&["queues", vhost, name, "contents"]);
            let left = || {
                let now = console.api.get(&queue).unwrap_or_default();
                format!(
                    "purging {name}: {} messages left",
                    text(at(&now, "messages_ready"))
                )
            };
            let purged = progress.during(|| console.api.delete(&contents, &[]), left);
            purged.map_err(|error| error.about(in_vhost("queue", name, vhost)))?;
        }
        drop(progress);
        let what = match &names[..] {
            [name] => in_vhost("queue", name, vhost),
            names => format!("{} queues in vhost '{vhost}'", names.len()),
        };
        console.say(&format!("{what} purged"))
    }

    fn delete(
        &self,
        console: &Console,
        vhost: &str,
        conditions: &[(&str, &str)],
        if_exists: bool,
    ) -> Result<(), Failure> {
        let Some(names) = self.names(console, vhost, "deleted")? else {
            return Ok(());
        };
        let mut progress = Progress::begin();
        for (done, name) in names.iter().enumerate() {
            progress.step("queues deleted", done, names.len());
            let what = in_vhost("queue", name, vhost);
            let at = path(&["queues", vhost, name]);
            console.delete_at(&at, conditions, &what, if_exists)?;
        }
        Ok(())
    }

    /// The queues meant, or nothing if they were only to be told.
    fn names(
        &self,
        console: &Console,
        vhost: &str,
        what_for: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let names = match &self.matching {
            None => self.names.clone(),
            Some(pattern) => {
                let pattern = pattern_of(pattern)?;
                let columns = [("columns", "name")];
                let found = console.api.get_with(&path(&["queues", vhost]), &columns);
                let found = items(found.map_err(|error| error.about(format!("vhost '{vhost}'")))?);
                let names = found.iter().filter_map(|queue| queue["name"].as_str());
                let matching = names.filter(|name| pattern.is_match(name).unwrap_or(false));
                matching.map(str::to_owned).collect()
            }
        };
        if !self.dry_run {
            return Ok(Some(names));
        }
        for name in &names {
            let what = in_vhost("queue", name, vhost);
            let queue = console.api.get(&path(&["queues", vhost, name]));
            let queue = queue.map_err(|error| error.about(&what))?;
            let messages = text(at(&queue, "messages"));
            console.say(&format!(
                "{what} with {messages} messages would be {what_for}"
            ))?;
        }
        if console.format == crate::cli::format::Format::Json {
            console.json(&json!(names))?;
        }
        Ok(None)
    }
}
