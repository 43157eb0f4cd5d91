//! Named brokers: a file of what would otherwise be typed with every command.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Deserialize;

use crate::cli::Failure;

/// What is used when none is named, and may be absent.
const UNNAMED: &str = "default";

/// A broker as the file of profiles describes it; a table each.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) url: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) insecure: Option<bool>,
}

impl Profile {
    /// The profile called `name`; without one `default`, which may be absent.
    pub(super) fn chosen(name: Option<&str>) -> Result<Self, Failure> {
        let Some(file) = file() else {
            return match name {
                None => Ok(Self::default()),
                Some(name) => Err(Failure::Usage(format!(
                    "--profile {name}: neither HARRIER_PROFILES nor HOME says where profiles are"
                ))),
            };
        };
        let shown = file.display();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && name.is_none() => String::new(),
            Err(error) => return Err(Failure::Usage(format!("cannot read {shown}: {error}"))),
        };
        let mut profiles: BTreeMap<String, Self> = toml::from_str(&text).map_err(|error| {
            Failure::Usage(format!("{shown}: {}", error.to_string().trim_end()))
        })?;
        match (profiles.remove(name.unwrap_or(UNNAMED)), name) {
            (Some(profile), _) => Ok(profile),
            (None, None) => Ok(Self::default()),
            (None, Some(name)) => {
                let there: Vec<String> = profiles.into_keys().collect();
                Err(Failure::Usage(format!(
                    "--profile {name}: {shown} has no [{name}]; it has {}",
                    if there.is_empty() {
                        "none".to_owned()
                    } else {
                        there.join(", ")
                    }
                )))
            }
        }
    }
}

fn file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(file) = set("HARRIER_PROFILES") {
        return Some(file.into());
    }
    let config = match set("XDG_CONFIG_HOME") {
        Some(config) => PathBuf::from(config),
        None => PathBuf::from(set("HOME")?).join(".config"),
    };
    Some(config.join("harrier").join("profiles.toml"))
}
