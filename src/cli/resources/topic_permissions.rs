//! `harrier topic-permissions`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::in_vhost;
use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "topic permissions",
    name: "user",
    columns: &[
        ("vhost", "vhost", Plain),
        ("user", "user", Plain),
        ("exchange", "exchange", Plain),
        ("write", "write", Plain),
        ("read", "read", Plain),
    ],
};

/// Say which routing keys users may publish and bind with.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier topic-permissions set guest amq.topic --write '^order[.]' --read '.*'\n  \
    harrier topic-permissions list\n  \
    harrier topic-permissions delete guest amq.topic")]
pub struct TopicPermissionsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List topic permissions; --matching looks at the user
    #[command(after_help = "Examples:\n  \
        harrier topic-permissions list\n  \
        harrier topic-permissions list --vhost /")]
    List(Listing),
    /// Give a user topic permissions on an exchange, instead of those it had there
    #[command(after_help = "Examples:\n  \
        harrier topic-permissions set guest amq.topic --write '^order[.]' --read '.*'\n\n\
        A pattern that isn't given matches nothing.")]
    Set {
        /// The user
        #[arg(value_name = "USER")]
        name: String,
        /// The topic exchange
        exchange: String,
        /// Routing keys it may publish with
        #[arg(long, value_name = "REGEX", default_value = "^$")]
        write: String,
        /// Routing keys it may bind with
        #[arg(long, value_name = "REGEX", default_value = "^$")]
        read: String,
    },
    /// Take topic permissions away, on one exchange or on all: any key will do again
    #[command(after_help = "Examples:\n  \
        harrier topic-permissions set guest amq.topic --write '^order[.]'\n  \
        harrier topic-permissions delete guest amq.topic\n  \
        harrier topic-permissions delete guest --if-exists")]
    Delete {
        /// The user
        #[arg(value_name = "USER")]
        name: String,
        /// The topic exchange
        exchange: Option<String>,
        /// It is no failure if there are none
        #[arg(long)]
        if_exists: bool,
    },
}

impl TopicPermissionsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        let what = |user: &str| in_vhost("topic permission of user", user, vhost);
        match self.action {
            Action::List(listing) => {
                let only = self.vhost.vhost.as_deref();
                let all = match only {
                    Some(vhost) => path(&["vhosts", vhost, "topic-permissions"]),
                    None => path(&["topic-permissions"]),
                };
                console.list(KIND, &all, &listing, only.map(|_| "vhost"))
            }
            Action::Set {
                name,
                exchange,
                write,
                read,
            } => {
                let body = json!({"exchange": exchange, "write": write, "read": read});
                let at = path(&["topic-permissions", vhost, &name]);
                console.put_at(&at, &body, &what(&name))
            }
            Action::Delete {
                name,
                exchange,
                if_exists,
            } => {
                let at = match exchange {
                    Some(exchange) => path(&["topic-permissions", vhost, &name, &exchange]),
                    None => path(&["topic-permissions", vhost, &name]),
                };
                console.delete_at(&at, &[], &what(&name), if_exists)
            }
        }
    }
}
