//! Who may log in, and enter which virtual host.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::seats::{Full, Seat};
use super::shared::Shared;
use crate::base::config::Config;
use crate::base::ids::ConnectionId;
use crate::broker::access::{Access, AccessError, Grants, PasswordHash, User, allowed};
use crate::broker::store::{Recovered, Store};
use crate::broker::vhost::{Vhost, VhostSettings};
use crate::wire::{Refusal, ReplyCode};

/// Puts users and permissions together from what was `recovered`. A data
/// directory that was never used gets the user and the virtual host that
/// `config` names, unless definitions are going to say what there is. To be
/// called before the virtual hosts are restored, which that one is then among.
///
/// # Errors
/// [`AccessError`] when nobody can be called what the configuration says, or
/// there is no such type of queue.
pub fn open_access(
    store: Arc<dyn Store>,
    recovered: &mut Recovered,
    config: &Config,
) -> Result<Arc<Access>, AccessError> {
    let settings = new_vhost(config);
    settings.check()?;
    let access = Access::restore(store, &recovered.changes);
    let is_new = recovered.changes.is_empty();
    if is_new && config.load_definitions.is_none() {
        let password = hashed(config.default_pass.as_bytes());
        let (user, vhost) = (&config.default_user, &config.default_vhost);
        let made = access.put_first_user(user, password, (vhost, settings))?;
        recovered.changes.push(made);
    } else if access.users().is_empty() && config.load_definitions.is_none() {
        tracing::warn!("there are no users: nobody can log in");
    }
    Ok(Arc::new(access))
}

/// What is said of a virtual host by those who say nothing of it.
pub(super) fn new_vhost(config: &Config) -> VhostSettings {
    VhostSettings {
        default_queue_type: Some(config.default_queue_type.as_str().into()),
        ..VhostSettings::default()
    }
}

/// The hash of a password, with a new salt.
pub fn hashed(password: &[u8]) -> PasswordHash {
    PasswordHash::of(password, rand::random())
}

/// What somebody has to show for himself.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof<'a> {
    /// A name and a password.
    Password(&'a str, &'a [u8]),
    /// A certificate with this name, which TLS has seen to.
    Certificate(String),
    /// Nothing.
    Nothing,
}

impl Proof<'_> {
    /// Who he says he is.
    pub fn user(&self) -> &str {
        match self {
            Self::Password(user, _) => user,
            Self::Certificate(user) => user,
            Self::Nothing => "",
        }
    }
}

/// Without the password.
impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proof").field(&self.user()).finish()
    }
}

/// Why somebody can't log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRefused {
    /// There is no such user, or that isn't the password.
    Credentials,
    /// The user may only come from this machine.
    FromAfar,
}

/// The user that `proof` is of, coming from `peer`, whatever the protocol.
///
/// # Errors
/// [`LoginRefused`].
pub fn log_in(shared: &Shared, proof: &Proof<'_>, peer: IpAddr) -> Result<Arc<User>, LoginRefused> {
    let user = proof.user();
    let known = match proof {
        Proof::Password(user, password) => shared.access.authenticate(user, password),
        Proof::Certificate(user) => shared.access.user(user),
        Proof::Nothing => None,
    };
    let Some(known) = known else {
        tracing::warn!(user, "no such user, or not that password");
        return Err(LoginRefused::Credentials);
    };
    let is_near = peer.to_canonical().is_loopback();
    if !is_near && shared.config.loopback_users.iter().any(|name| name == user) {
        tracing::warn!(
            user,
            "one of loopback_users: may only log in from this machine"
        );
        return Err(LoginRefused::FromAfar);
    }
    Ok(known)
}

/// What a connection has once it is in a virtual host.
#[derive(Debug)]
pub struct Entry {
    /// The virtual host.
    pub vhost: Arc<Vhost>,
    /// What its user may do there.
    pub grants: Grants,
    /// Its place among all connections.
    pub seat: Arc<Seat>,
}

/// Lets the connection `id` of `user` into the virtual host called `vhost`, if
/// it may.
///
/// # Errors
/// 530, in the order of `semantics` 2.5.
pub fn enter(
    shared: &Shared,
    id: ConnectionId,
    user: &Arc<str>,
    vhost: &str,
) -> Result<Entry, Refusal> {
    let refused = |text| Refusal::new(ReplyCode::NotAllowed, text);
    let not_found = || refused(format!("vhost {vhost} not found"));
    let full = |full: Full| refused(full.to_string());
    shared.seats.check_room().map_err(full)?;
    let found = shared.vhosts.get(vhost).ok_or_else(not_found)?;
    let of_vhost = allowed(found.settings().limits.max_connections);
    let known = shared.access.user(user);
    let of_user = known.and_then(|known| allowed(known.limits.max_connections));
    let taken = shared
        .seats
        .take(id, user, found.name(), (of_vhost, of_user));
    let seat = taken.map_err(full)?;
    let mut grants = match shared.insiders.has(id) {
        true => shared.access.all_grants(user, found.name()),
        false => shared.access.grants(user, found.name()),
    };
    // Whoever deletes the virtual host or the user takes it out first and looks
    // for seats then: either this finds it gone, or that finds this seat.
    let is_there = shared.vhosts.get(vhost);
    let refusal = if !is_there.is_some_and(|there| Arc::ptr_eq(&there, &found)) {
        not_found()
    } else if !grants.may_enter() {
        refused(format!(
            "access to vhost '{vhost}' refused for user '{user}'"
        ))
    } else {
        return Ok(Entry {
            vhost: found,
            grants,
            seat,
        });
    };
    shared.seats.leave(id);
    Err(refusal)
}
