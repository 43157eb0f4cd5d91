//! `harrier users`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::Failure;
use crate::cli::api::{first_line, path};
use crate::cli::console::{Asking, Console, Kind, Listing};
use crate::cli::fields::Shape::Plain;

const KIND: Kind = Kind {
    many: "users",
    name: "name",
    columns: &[
        ("name", "name", Plain),
        ("tags", "tags", Plain),
        ("limits", "limits", Plain),
    ],
};

/// List, add, change and delete users.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier users add shop --new-password s3cret --tags management\n  \
    harrier permissions set shop --configure '^shop' --write '.*' --read '.*'\n  \
    harrier users list\n  \
    harrier users delete shop")]
pub struct UsersCommand {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List users and their tags
    #[command(after_help = "Examples:\n  \
        harrier users list\n  \
        harrier users list --format json")]
    List(Listing),
    /// Show a user, with what it may do where
    #[command(after_help = "Examples:\n  \
        harrier users show guest")]
    Show {
        /// The user
        name: String,
    },
    /// Add a user, who may do nothing until given permissions
    #[command(after_help = "Examples:\n  \
        harrier users add shop --new-password s3cret --tags management\n  \
        echo s3cret | harrier users add till --new-password-file -\n  \
        harrier users add batch --no-password")]
    Add {
        /// The user's name
        name: String,
        #[command(flatten)]
        secret: Secret,
        /// management, policymaker, monitoring, administrator or your own
        #[arg(long, value_name = "A,B", value_delimiter = ',')]
        tags: Vec<String>,
    },
    /// Give a user another password; the tags stay
    #[command(after_help = "Examples:\n  \
        harrier users add shop --new-password s3cret\n  \
        echo n3wer | harrier users set-password shop --new-password-file -")]
    SetPassword {
        /// The user
        name: String,
        #[command(flatten)]
        secret: Secret,
    },
    /// Give a user other tags, or none; the password stays
    #[command(after_help = "Examples:\n  \
        harrier users add shop --new-password s3cret\n  \
        harrier users tag shop monitoring policymaker\n  \
        harrier users tag shop")]
    Tag {
        /// The user
        name: String,
        /// All the tags it is to have
        tags: Vec<String>,
    },
    /// Delete users; their connections are closed
    #[command(after_help = "Examples:\n  \
        harrier users add gone --no-password\n  \
        harrier users delete gone\n  \
        harrier users delete gone --if-exists")]
    Delete {
        /// The users
        #[arg(required = true)]
        names: Vec<String>,
        /// It is no failure if one is gone already
        #[arg(long)]
        if_exists: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Secret {
    /// The password; --new-password-file keeps it off the process list
    #[arg(long, value_name = "PASSWORD")]
    new_password: Option<String>,
    /// The password is the first line of this file, `-` for stdin
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// The password as RabbitMQ keeps it: Base64 of salt and SHA-256
    #[arg(long, value_name = "HASH")]
    password_hash: Option<String>,
    /// No password: the user logs in by certificate or token, if at all
    #[arg(long)]
    no_password: bool,
}

impl UsersCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        let console = self.asking.open()?;
        match self.action {
            Action::List(listing) => console.list(KIND, "/users", &listing, None),
            Action::Show { name } => show(&console, &name),
            Action::Add { name, secret, tags } => {
                let mut body = secret.fields()?;
                body.insert("tags".into(), json!(tags));
                console.put_at(&at(&name), &Value::Object(body), &what(&name))
            }
            Action::SetPassword { name, secret } => {
                let found = find(&console, &name)?;
                let mut body = secret.fields()?;
                body.insert("tags".into(), found["tags"].clone());
                put(&console, &name, body)?;
                console.say(&format!("{} has another password", what(&name)))
            }
            Action::Tag { name, tags } => {
                let found = find(&console, &name)?;
                let mut body = Map::new();
                for kept in ["password_hash", "hashing_algorithm"] {
                    body.insert(kept.into(), found[kept].clone());
                }
                body.insert("tags".into(), json!(tags));
                put(&console, &name, body)?;
                console.say(&format!("{} is tagged [{}]", what(&name), tags.join(", ")))
            }
            Action::Delete { names, if_exists } => {
                for name in names {
                    console.delete_at(&at(&name), &[], &what(&name), if_exists)?;
                }
                Ok(())
            }
        }
    }
}

fn at(name: &str) -> String {
    path(&["users", name])
}

fn what(name: &str) -> String {
    format!("user '{name}'")
}

fn find(console: &Console, name: &str) -> Result<Value, Failure> {
    let found = console.api.get(&at(name));
    Ok(found.map_err(|error| error.about(what(name)))?)
}

fn put(console: &Console, name: &str, body: Map<String, Value>) -> Result<(), Failure> {
    let put = console.api.put(&at(name), &Value::Object(body));
    put.map_err(|error| error.about(what(name)))?;
    Ok(())
}

fn show(console: &Console, name: &str) -> Result<(), Failure> {
    let mut user = find(console, name)?;
    for list in ["permissions", "topic-permissions"] {
        let found = console.api.get(&path(&["users", name, list]));
        user[list] = found.map_err(|error| error.about(what(name)))?;
    }
    console.show(&user)
}

impl Secret {
    fn fields(self) -> Result<Map<String, Value>, Failure> {
        let password = match (self.new_password, self.new_password_file) {
            (None, Some(file)) => Some(first_line(&file)?),
            (password, _) => password,
        };
        let (key, value) = match (password, self.password_hash) {
            (Some(password), _) if password.is_empty() => {
                let text = "the new password is empty; --no-password makes a user without one";
                return Err(Failure::Usage(text.into()));
            }
            (Some(password), _) => ("password", password),
            (None, Some(hash)) => ("password_hash", hash),
            (None, None) => ("password_hash", String::new()),
        };
        Ok(Map::from_iter([(key.to_owned(), value.into())]))
    }
}
