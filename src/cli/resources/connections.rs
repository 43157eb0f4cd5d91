//! `harrier connections`.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Failure;
use crate::cli::api::{VhostOption, path};
use crate::cli::console::{Asking, Console, Kind, Listing, items, pattern_of};
use crate::cli::fields::Shape::{Bytes, Plain, Since};
use crate::cli::progress::Progress;

const KIND: Kind = Kind {
    many: "connections",
    name: "name",
    columns: &[
        ("name", "name", Plain),
        ("user_provided_name", "client", Plain),
        ("user", "user", Plain),
        ("vhost", "vhost", Plain),
        ("state", "state", Plain),
        ("channels", "channels", Plain),
        ("ssl", "tls", Plain),
        ("recv_oct_details.rate", "in/s", Bytes),
        ("send_oct_details.rate", "out/s", Bytes),
        ("connected_at", "age", Since),
    ],
};

/// List and close connections.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier connections list\n  \
    harrier connections list --sort out/s --reverse --limit 10\n  \
    harrier connections close --of-user guest --dry-run")]
pub struct ConnectionsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List connections
    #[command(after_help = "Examples:\n  \
        harrier connections list\n  \
        harrier connections list --vhost / --columns name,state,client_properties.product")]
    List(Listing),
    /// Show all there is to know of a connection
    #[command(after_help = "Examples:\n  \
        harrier connections show '127.0.0.1:50312 -> 127.0.0.1:5672'")]
    Show {
        /// Its name, as the list has it
        name: String,
    },
    /// Close connections; their clients are told why
    #[command(after_help = "Examples:\n  \
        harrier connections close '127.0.0.1:50312 -> 127.0.0.1:5672' --reason 'too many channels'\n  \
        harrier connections close --of-user guest --dry-run\n  \
        harrier connections close --matching '^10[.]0[.]' --dry-run")]
    Close(Closing),
}

#[derive(Debug, Args)]
struct Closing {
    /// Their names, as the list has them
    #[arg(required_unless_present_any = ["of_user", "matching"])]
    names: Vec<String>,
    /// All of this user
    #[arg(long, value_name = "USER")]
    of_user: Option<String>,
    /// All whose names match this pattern
    #[arg(long, value_name = "REGEX")]
    matching: Option<String>,
    /// What their clients are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only say which ones
    #[arg(long)]
    dry_run: bool,
}

impl ConnectionsCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let only = self.vhost.vhost.as_deref();
        match self.action {
            Action::List(listing) => {
                console.list(KIND, &all(only), &listing, only.map(|_| "vhost"))
            }
            Action::Show { name } => {
                let at = path(&["connections", &name]);
                console.show_at(&at, &format!("connection '{name}'"))
            }
            Action::Close(closing) => closing.run(&console, only),
        }
    }
}

fn all(vhost: Option<&str>) -> String {
    match vhost {
        Some(vhost) => path(&["vhosts", vhost, "connections"]),
        None => path(&["connections"]),
    }
}

impl Closing {
    fn run(&self, console: &Console, vhost: Option<&str>) -> Result<(), Failure> {
        let names = self.names(console, vhost)?;
        if self.dry_run {
            for name in &names {
                console.say(&format!("connection '{name}' would be closed"))?;
            }
            if console.format == crate::cli::format::Format::Json {
                console.json(&json!(names))?;
            }
            return Ok(());
        }
        let mut progress = Progress::begin();
        let mut closed = 0;
        for (done, name) in names.iter().enumerate() {
            progress.step("connections closed", done, names.len());
            let headers: Vec<(&str, &str)> = (self.reason.iter())
                .map(|reason| ("x-reason", &**reason))
                .collect();
            match console
                .api
                .delete_with(&path(&["connections", name]), &headers)
            {
                Ok(()) => closed += 1,
                // It went by itself between the list and now.
                Err(error) if error.is_absent() && self.names.is_empty() => {}
                Err(error) => return Err(error.about(format!("connection '{name}'")).into()),
            }
        }
        drop(progress);
        console.say(&format!(
            "{closed} connection{} closed",
            if closed == 1 { "" } else { "s" }
        ))
    }

    fn names(&self, console: &Console, vhost: Option<&str>) -> Result<Vec<String>, Failure> {
        if self.of_user.is_none() && self.matching.is_none() {
            return Ok(self.names.clone());
        }
        let pattern = self.matching.as_deref().map(pattern_of).transpose()?;
        let columns = [("columns", "name,user")];
        let found = items(console.api.get_with(&all(vhost), &columns)?);
        let mut names = self.names.clone();
        for connection in &found {
            let name = connection["name"].as_str().unwrap_or_default();
            let of_user = |user: &String| connection["user"] == **user;
            let matches = |pattern: &fancy_regex::Regex| pattern.is_match(name).unwrap_or(false);
            if self.of_user.as_ref().is_none_or(of_user) && pattern.as_ref().is_none_or(matches) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}
