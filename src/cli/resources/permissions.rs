//! `harrier permissions`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::in_vhost;
use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::console::{Asking, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "permissions",
    name: "user",
    columns: &[
        ("vhost", "vhost", Plain),
        ("user", "user", Plain),
        ("configure", "configure", Plain),
        ("write", "write", Plain),
        ("read", "read", Plain),
    ],
};

/// Say what users may configure, write and read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier users add shop --new-password s3cret\n  \
    harrier permissions set shop --configure '^shop' --write '.*' --read '.*'\n  \
    harrier permissions list\n  \
    harrier permissions delete shop")]
pub struct PermissionsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List permissions; --matching looks at the user
    #[command(after_help = "Examples:\n  \
        harrier permissions list\n  \
        harrier permissions list --vhost / --matching '^guest$'")]
    List(Listing),
    /// Give a user permissions in a virtual host, instead of those it had there
    #[command(after_help = "Examples:\n  \
        harrier users add shop --new-password s3cret\n  \
        harrier permissions set shop --configure '^shop' --write '.*' --read '.*'\n  \
        harrier permissions set shop --read '^shop[.]'\n\n\
        A pattern that isn't given matches nothing.")]
    Set {
        /// The user
        #[arg(value_name = "USER")]
        name: String,
        /// Names it may declare and delete
        #[arg(long, value_name = "REGEX", default_value = "^$")]
        configure: String,
        /// Names it may publish to and bind
        #[arg(long, value_name = "REGEX", default_value = "^$")]
        write: String,
        /// Names it may consume from and bind to
        #[arg(long, value_name = "REGEX", default_value = "^$")]
        read: String,
    },
    /// Keep a user out of a virtual host
    #[command(after_help = "Examples:\n  \
        harrier users add shop --new-password s3cret\n  \
        harrier permissions set shop --read '.*'\n  \
        harrier permissions delete shop")]
    Delete {
        /// The user
        #[arg(value_name = "USER")]
        name: String,
        /// It is no failure if there are none
        #[arg(long)]
        if_exists: bool,
    },
}

impl PermissionsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let vhost = self.vhost.name();
        let at = |user: &str| path(&["permissions", vhost, user]);
        let what = |user: &str| in_vhost("permission of user", user, vhost);
        match self.action {
            Action::List(listing) => {
                let only = self.vhost.vhost.as_deref();
                let all = match only {
                    Some(vhost) => path(&["vhosts", vhost, "permissions"]),
                    None => path(&["permissions"]),
                };
                console.list(KIND, &all, &listing, only.map(|_| "vhost"))
            }
            Action::Set {
                name,
                configure,
                write,
                read,
            } => {
                let body = json!({"configure": configure, "write": write, "read": read});
                console.put_at(&at(&name), &body, &what(&name))
            }
            Action::Delete { name, if_exists } => {
                console.delete_at(&at(&name), &[], &what(&name), if_exists)
            }
        }
    }
}
