//! `harrier definitions`: all that is declared, out and in, in RabbitMQ's format.

mod comparison;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use self::comparison::{Comparison, Scope};
use super::Failure;
use super::api::{VhostOption, path};
use super::console::{Asking, Console};
use super::format::{Format, print};
use super::progress::Progress;
use super::table::harmless;

/// What a file of definitions has lists of.
const LISTS: [&str; 10] = [
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "global_parameters",
    "policies",
    "queues",
    "exchanges",
    "bindings",
];

/// Export and import all that is declared, as RabbitMQ does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier definitions export > broker.json\n  \
    harrier definitions import broker.json")]
pub struct DefinitionsCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    vhost: VhostOption,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write users (with password hashes), vhosts, permissions, policies, queues,
    /// exchanges and bindings as JSON; messages are no part of it
    #[command(after_help = "Examples:\n  \
        harrier definitions export > broker.json\n  \
        harrier definitions export broker.json\n  \
        harrier definitions export --vhost / shop.json\n\n\
        With --vhost (or HARRIER_VHOST) only what is in that virtual host, without users.")]
    Export {
        /// The file to write, for its owner only; stdout without one
        file: Option<PathBuf>,
    },
    /// Make what a file says; nothing is deleted, and what is there already stays
    #[command(after_help = "Examples:\n  \
        harrier definitions export broker.json\n  \
        harrier definitions import --dry-run broker.json\n  \
        harrier definitions import broker.json\n  \
        harrier definitions export | harrier definitions import -\n\n\
        --dry-run compares with what is there. What the broker would refuse shows only\n\
        when it is done.")]
    Import {
        /// The file, as exported from Harrier or RabbitMQ; `-` for stdin
        file: PathBuf,
        /// Tell what would be new and what would change, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl DefinitionsCommand {
    /// Exports or imports.
    ///
    /// # Errors
    /// A file that can't be read or written, what the API refuses.
    pub fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        let at = match &self.vhost.vhost {
            Some(vhost) => path(&["definitions", vhost]),
            None => path(&["definitions"]),
        };
        let about = match &self.vhost.vhost {
            Some(vhost) => format!("vhost '{vhost}'"),
            None => "definitions".to_owned(),
        };
        match self.action {
            Action::Export { file } => {
                let found = console.api.get(&at).map_err(|error| error.about(&about))?;
                let text = format!("{found:#}");
                match file {
                    None => print(&text).map(drop),
                    Some(file) => {
                        write(&file, &text)?;
                        console.say(&format!("{} written to {}", count(&found), file.display()))
                    }
                }
            }
            Action::Import { file, dry_run } => {
                let import = Import::of(&file)?;
                if dry_run {
                    let scope = match self.vhost.vhost {
                        Some(_) => Scope::Vhost,
                        None => Scope::Broker,
                    };
                    return import.try_out(&console, &at, &about, scope);
                }
                import.carry_out(&console, &at, &about)
            }
        }
    }
}

/// What a file wants to be there.
struct Import {
    text: Vec<u8>,
    definitions: Value,
}

impl Import {
    fn of(file: &Path) -> Result<Self, Failure> {
        let text = read(file)?;
        let shown = file.display();
        // Told here, a mistake has its line and column.
        let definitions: Value = serde_json::from_slice(&text)
            .map_err(|error| Failure::Failed(format!("{shown} isn't JSON: {error}")))?;
        if !LISTS.iter().any(|list| definitions[*list].is_array()) {
            return Err(Failure::Failed(format!(
                "{shown} has no definitions: expected a JSON object with lists such as \"queues\""
            )));
        }
        Ok(Self { text, definitions })
    }

    fn try_out(
        &self,
        console: &Console,
        at: &str,
        about: &str,
        scope: Scope,
    ) -> Result<(), Failure> {
        let there = console.api.get(at).map_err(|error| error.about(about))?;
        let comparison = Comparison::of(&self.definitions, &there, scope);
        match console.format {
            Format::Json => console.json(&comparison.to_json()),
            Format::Table => print(&comparison.to_table()).map(drop),
        }
    }

    fn carry_out(self, console: &Console, at: &str, about: &str) -> Result<(), Failure> {
        let what = count(&self.definitions);
        let mut progress = Progress::begin();
        let note = format!("importing {what}");
        progress.note(&note);
        let imported = progress.during(|| console.api.import(at, self.text), || note.clone());
        drop(progress);
        let left_out = imported.map_err(|error| error.about(about))?;
        if let Some(left_out) = left_out {
            eprintln!(
                "left out, since an exchange isn't there: {} (the broker's log has their names)",
                harmless(&left_out)
            );
        }
        console.say(&format!("{what} imported"))
    }
}

/// How many there are of what, in a file of definitions.
fn count(definitions: &Value) -> String {
    let counted = LISTS.iter().filter_map(|list| {
        let found = definitions[*list].as_array()?.len();
        (found > 0).then(|| format!("{found} {}", list.replace('_', " ")))
    });
    let counted: Vec<String> = counted.collect();
    if counted.is_empty() {
        "nothing".to_owned()
    } else {
        counted.join(", ")
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let refuse =
        |error: std::io::Error| Failure::Failed(format!("cannot read {}: {error}", file.display()));
    if file != Path::new("-") {
        return std::fs::read(file).map_err(refuse);
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(refuse)?;
    Ok(text)
}

/// Password hashes are in it: nobody else reads it.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    let written = opened.and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.write_all(b"\n")
    });
    written.map_err(|error| Failure::Failed(format!("cannot write {}: {error}", file.display())))
}
