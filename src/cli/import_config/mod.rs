//! `harrier import-config`: from `rabbitmq.conf` to Harrier's configuration.

mod parse;
mod table;
mod translation;
mod value;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

pub use self::parse::{Entry, Unreadable, parse};
pub use self::table::targets;
pub use self::translation::{Remark, Setting, Translation};
use super::Failure;
use super::config_file::Keys;
use super::format::{Format, print};
use super::tls_keys;

/// Translate a rabbitmq.conf into Harrier's configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier import-config /etc/rabbitmq/rabbitmq.conf > harrier.toml\n  \
    harrier import-config /etc/rabbitmq/rabbitmq.conf /etc/rabbitmq/conf.d/10-default.conf\n  \
    harrier import-config rabbitmq.conf --format json\n\n\
    What has no equivalent is listed at the end, as comments, with the reason. Users,\n\
    queues and so on aren't configuration: `harrier definitions export --url ...` takes\n\
    them from a RabbitMQ, `load_definitions` or `harrier definitions import` brings them in.\n\
    advanced.config and environment variables of RabbitMQ aren't read.\n\n\
    Exit code 1: with --strict, if anything has no equivalent.")]
pub struct ImportConfigCommand {
    /// The files, in the order in which RabbitMQ reads them; `-` for stdin
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Fail if anything has no equivalent
    #[arg(long)]
    strict: bool,
    /// How to print it [default: table, which is TOML here]
    #[arg(long)]
    format: Option<Format>,
}

impl ImportConfigCommand {
    /// Translates and prints.
    ///
    /// # Errors
    /// A file that can't be read or isn't a rabbitmq.conf.
    pub fn run(self) -> Result<(), Failure> {
        let mut entries = Vec::new();
        for file in &self.files {
            let shown = file.display().to_string();
            let found = parse(&shown, &read(file)?);
            entries.extend(found.map_err(|error| Failure::Failed(error.to_string()))?);
        }
        let mut translation = Translation::of(&entries);
        drop_refused(&mut translation, &entries)?;
        match self.format {
            Some(Format::Json) => print(&format!("{:#}", json(&translation)))?,
            _ => print(translation.toml().trim_end())?,
        };
        let without = translation.without.len();
        if without == 0 {
            return Ok(());
        }
        let text = format!("{without} of {} keys have no equivalent", entries.len());
        if self.strict {
            return Err(Failure::Failed(text));
        }
        eprintln!("harrier: {text}; they are listed at the end, with the reason");
        Ok(())
    }
}

/// Values that RabbitMQ takes may be out of Harrier's range: they are left out,
/// so that a broker starts with what is printed.
fn drop_refused(translation: &mut Translation, entries: &[Entry]) -> Result<(), Failure> {
    let mut kept = String::new();
    let mut left: Vec<String> = translation.settings.keys().cloned().collect();
    // Some keys make sense only after others: those that don't are tried again.
    loop {
        let before = left.len();
        left.retain(|key| {
            let setting = translation.settings.get(key);
            let line = setting.map(|setting| format!("{key} = {}\n", setting.value));
            let with = format!("{kept}{}", line.unwrap_or_default());
            let accepted = accepted(&with).is_ok();
            if accepted {
                kept = with;
            }
            !accepted
        });
        if left.len() == before {
            break;
        }
    }
    for key in left {
        let Some(setting) = translation.settings.remove(&key) else {
            continue;
        };
        let why = accepted(&format!("{kept}{key} = {}\n", setting.value));
        let why = why.err().unwrap_or_default();
        let of = |entry: &&Entry| entry.key.starts_with(&setting.from);
        let entry = entries.iter().rev().find(of);
        let entry = entry
            .cloned()
            .ok_or_else(|| Failure::Failed(format!("{key} can't be {}: {why}", setting.value)))?;
        translation.without.push(Remark { entry, why });
    }
    Ok(())
}

/// Whether Harrier would start with this configuration.
fn accepted(text: &str) -> Result<(), String> {
    let keys: Keys = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let checked = keys
        .resolve()
        .and_then(|(config, _)| tls_keys::check(&config));
    checked.map_err(|(Failure::Usage(why) | Failure::Failed(why))| why)
}

fn json(translation: &Translation) -> Value {
    let settings = translation.settings.iter();
    let settings = settings.map(|(key, setting)| {
        let value = json!({"value": setting.value, "from": setting.from});
        (key.clone(), value)
    });
    let remarks = |remarks: &[Remark]| {
        let remarks = remarks.iter().map(|Remark { entry, why }| {
            json!({"file": entry.file, "line": entry.line, "key": entry.key, "value": entry.value,
                "why": why})
        });
        remarks.collect::<Vec<_>>()
    };
    json!({
        "settings": Value::Object(settings.collect()),
        "without": remarks(&translation.without),
        "always": remarks(&translation.always),
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    let refuse =
        |error: std::io::Error| Failure::Failed(format!("cannot read {}: {error}", file.display()));
    if file != Path::new("-") {
        return std::fs::read_to_string(file).map_err(refuse);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(refuse)?;
    Ok(text)
}
