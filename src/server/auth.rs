//! Who may log in.

use std::fmt::Debug;
use std::net::IpAddr;

use crate::base::config::Config;
use crate::protocol::Login;

/// Decides about logins.
pub trait Authenticator: Debug + Send + Sync {
    /// The user that `login` stands for, coming from `peer`; `None` refuses it.
    fn authenticate(&self, login: &Login<'_>, peer: IpAddr) -> Option<String>;
}

/// The one user that the configuration names.
#[derive(Debug)]
pub struct ConfiguredUser {
    name: String,
    password: String,
    loopback_only: bool,
}

impl ConfiguredUser {
    /// The `default_user` of `config`.
    pub fn new(config: &Config) -> Self {
        Self {
            name: config.default_user.clone(),
            password: config.default_pass.clone(),
            loopback_only: config.loopback_users.contains(&config.default_user),
        }
    }
}

impl Authenticator for ConfiguredUser {
    fn authenticate(&self, login: &Login<'_>, peer: IpAddr) -> Option<String> {
        let Login::Plain { user, password } = login else {
            return None;
        };
        let known =
            same(user.as_bytes(), self.name.as_bytes()) & same(password, self.password.as_bytes());
        let welcome =
            !password.is_empty() && (peer.to_canonical().is_loopback() || !self.loopback_only);
        (known && welcome).then(|| self.name.clone())
    }
}

/// Compares without telling by the time it takes where the difference is.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let difference = given
        .iter()
        .zip(expected)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == expected.len() && difference == 0
}
