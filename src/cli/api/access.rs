//! Where the management API is and who we are to it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::client::{Api, Login};
use super::password;
use super::profile::Profile;
use super::trust::Trust;
use crate::cli::Failure;

/// Where RabbitMQ's and Harrier's API is unless told otherwise.
const URL: &str = "http://127.0.0.1:15672";

/// Who is there unless configured otherwise, and the password as well.
const GUEST: &str = "guest";

/// The options of every command that asks the management API.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Broker")]
pub struct Access {
    /// The management API's address [default: http://127.0.0.1:15672]
    #[arg(long, global = true, env = "HARRIER_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Log in as [default: guest]
    #[arg(long, global = true, env = "HARRIER_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// With this password; --password-file keeps it off the process list, and on a terminal
    /// it is asked for [default: guest]
    #[arg(
        long,
        global = true,
        env = "HARRIER_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<String>,
    /// With the password on the first line of this file, `-` for stdin
    #[arg(
        long,
        global = true,
        env = "HARRIER_PASSWORD_FILE",
        value_name = "FILE",
        conflicts_with = "password"
    )]
    pub password_file: Option<PathBuf>,
    /// Trust the certificates in this file (PEM) instead of the system's
    #[arg(long, global = true, env = "HARRIER_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Take any certificate for the broker's: whoever is in between may read and change all
    #[arg(long, global = true, env = "HARRIER_INSECURE")]
    pub insecure: bool,
    /// Show the broker this certificate (PEM), together with --key-file
    #[arg(
        long,
        global = true,
        env = "HARRIER_CERT_FILE",
        value_name = "FILE",
        requires = "key_file"
    )]
    pub cert_file: Option<PathBuf>,
    /// The private key of --cert-file (PEM)
    #[arg(long, global = true, env = "HARRIER_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Take what isn't given from this table of ~/.config/harrier/profiles.toml
    #[arg(long, global = true, env = "HARRIER_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// Seconds the broker may take to answer
    #[arg(
        long,
        global = true,
        env = "HARRIER_TIMEOUT",
        value_name = "SECONDS",
        default_value = "60",
        hide_default_value = false
    )]
    pub timeout: Option<u64>,
}

impl Login {
    /// The one that is meant; a person is asked for what only that person knows.
    fn chosen(user: Option<String>, password: Option<String>) -> Result<Self, Failure> {
        let user = user.unwrap_or_else(|| GUEST.to_owned());
        let password = match password {
            Some(password) => password,
            // Everybody knows it.
            None if user == GUEST || !password::can_ask() => GUEST.to_owned(),
            None => password::ask(&user)?,
        };
        Ok(Self { user, password })
    }
}

impl Access {
    /// The client that these options describe. Nothing is sent yet.
    ///
    /// # Errors
    /// A usage failure: an address that is none, a file that can't be read, a
    /// profile that isn't there.
    pub fn open(&self) -> Result<Api, Failure> {
        let profile = Profile::chosen(self.profile.as_deref())?;
        let url = self.url.clone().or(profile.url);
        let url = url.unwrap_or_else(|| URL.to_owned());
        let (base, from_url) = split(&url)?;
        let password = match (&self.password, &self.password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(file)) => Some(super::trust::first_line(file)?),
            (None, None) => None,
        };
        let (url_user, url_password) = from_url.unzip();
        let profile_password = match (profile.password, profile.password_file) {
            (None, Some(file)) if password.is_none() => Some(super::trust::first_line(&file)?),
            (password, _) => password,
        };
        let user = self.user.clone().or(url_user).or(profile.user);
        let password = password.or(url_password).or(profile_password);
        let login = Login::chosen(user, password)?;
        let trust = Trust {
            ca_file: self.ca_file.clone().or(profile.ca_file),
            cert_file: self.cert_file.clone().or(profile.cert_file),
            key_file: self.key_file.clone().or(profile.key_file),
            everybody: self.insecure || profile.insecure.unwrap_or_default(),
        };
        let tls = base.starts_with("https://").then(|| trust.load());
        let patience = Duration::from_secs(self.timeout.unwrap_or(60).max(1));
        Ok(Api::new(base, login, tls.transpose()?, patience))
    }

    /// Whether it was said where the API is, rather than left to the default.
    pub fn is_given(&self) -> bool {
        self.url.is_some() || self.profile.is_some()
    }
}

/// The virtual host that a command is about.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Broker")]
pub struct VhostOption {
    /// The virtual host; lists show all of them without it, the rest means `/`
    #[arg(long, global = true, env = "HARRIER_VHOST", value_name = "NAME")]
    pub vhost: Option<String>,
}

impl VhostOption {
    /// The one named, or else the default one.
    pub fn name(&self) -> &str {
        self.vhost.as_deref().unwrap_or("/")
    }
}

/// The address without the login that may be in it, and that login.
fn split(url: &str) -> Result<(String, Option<(String, String)>), Failure> {
    let refuse = |why: &str| {
        Failure::Usage(format!(
            "--url {url} {why}; expected something like http://127.0.0.1:15672"
        ))
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| refuse("has no http:// or https:// in front"))?;
    if !matches!(scheme, "http" | "https") {
        return Err(refuse("is neither http:// nor https://"));
    }
    // A path in front of /api is RabbitMQ's management.path_prefix.
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/api").unwrap_or(rest);
    let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    if host.is_empty() {
        return Err(refuse("names no host"));
    }
    let decoded = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8();
        let text = text.map_err(|_| refuse("has a login that isn't UTF-8"))?;
        Ok::<_, Failure>(text.into_owned())
    };
    let login = match login {
        None => None,
        Some(login) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Some((decoded(user)?, decoded(password)?))
        }
    };
    Ok((format!("{scheme}://{host}{prefix}/api"), login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_found_below_whatever_is_given() {
        for (given, base) in [
            ("http://127.0.0.1:15672", "http://127.0.0.1:15672/api"),
            ("http://127.0.0.1:15672/", "http://127.0.0.1:15672/api"),
            ("http://127.0.0.1:15672/api/", "http://127.0.0.1:15672/api"),
            ("https://mq.example/rabbit", "https://mq.example/rabbit/api"),
            ("http://[::1]:15672", "http://[::1]:15672/api"),
        ] {
            assert_eq!(split(given).unwrap(), (base.to_owned(), None), "{given}");
        }
    }

    #[test]
    fn a_login_may_be_in_the_address() {
        let (base, login) = split("http://al%40ice:s%2Fcret@mq:15672").unwrap();
        assert_eq!(base, "http://mq:15672/api");
        assert_eq!(login, Some(("al@ice".into(), "s/cret".into())));
    }

    #[test]
    fn what_is_no_address_is_a_usage_error() {
        for given in [
            "mq:15672",
            "amqp://mq",
            "http://",
            "http://u:p@",
            "http:///x",
        ] {
            assert!(matches!(split(given), Err(Failure::Usage(_))), "{given}");
        }
    }
}
