//! Who may log in, and enter which virtual host.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::{Protocol, Source};
use super::oauth2::{Token, Verifier};
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
    /// A name and a password, which may be a token.
    Password(&'a str, &'a [u8]),
    /// A token, which says whose it is.
    Token(&'a [u8]),
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
            Self::Token(_) | Self::Nothing => "",
        }
    }
}

/// Without the password.
impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proof").field(&self.user()).finish()
    }
}

/// Somebody who has proved who he is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who.
    pub user: Arc<User>,
    /// The token he did it with, if it was one.
    pub token: Option<Arc<Token>>,
}

impl Identity {
    /// What he may do in a virtual host.
    pub fn grants(&self, access: &Arc<Access>, vhost: &Arc<str>) -> Grants {
        let user = &self.user.name;
        match &self.token {
            Some(token) => access.grants_of_token(user, vhost, Arc::clone(&token.scopes)),
            None => access.grants(user, vhost),
        }
    }
}

/// Why somebody can't log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRefused {
    /// There is no such user, or that isn't the password.
    Credentials,
    /// The user may only come from this machine.
    FromAfar,
    /// Too many have failed. Nobody has looked at this one; others will be looked
    /// at after that time.
    TooMany(Duration),
}

/// Whose `proof` is, who comes from `peer` over `protocol`.
///
/// # Errors
/// [`LoginRefused`].
pub fn log_in(
    shared: &Shared,
    protocol: Protocol,
    proof: &Proof<'_>,
    peer: IpAddr,
) -> Result<Identity, LoginRefused> {
    let user = proof.user();
    let now = shared.now().unix_ms;
    // A token can't be guessed, nor can a certificate.
    let takes_tokens = shared.verifier.is_some();
    let guessed = matches!(proof, Proof::Password(_, secret)
        if !(takes_tokens && Verifier::is_token(secret)));
    let wait = shared.throttle.wait(peer, user, now);
    let wait = wait.filter(|_| guessed);
    let found = match wait {
        Some(wait) => {
            tracing::warn!(user, %peer, "too many failed logins: refused unseen");
            Err(LoginRefused::TooMany(wait))
        }
        None => identify(shared, proof).and_then(|found| admit(shared, found, peer)),
    };
    match &found {
        Ok(_) if guessed => shared.throttle.succeeded(peer, user, now),
        // A wrong place isn't a wrong guess, and one unseen is none.
        Err(LoginRefused::Credentials) if guessed => shared.throttle.failed(peer, user, now),
        _ => {}
    }
    let known = found
        .as_ref()
        .ok()
        .map(|found| Arc::clone(&found.user.name));
    let source = Source {
        address: peer.to_canonical(),
        user: known.unwrap_or_else(|| user.into()),
        protocol,
    };
    shared.attempts.count(source, found.is_ok());
    found
}

fn identify(shared: &Shared, proof: &Proof<'_>) -> Result<Identity, LoginRefused> {
    let verifier = shared.verifier.as_deref();
    let known = match (proof, verifier) {
        (Proof::Password(_, secret) | Proof::Token(secret), Some(verifier))
            if Verifier::is_token(secret) =>
        {
            return match verifier.verify(secret) {
                Ok(token) => Ok(Identity {
                    user: Arc::clone(&token.user),
                    token: Some(Arc::new(token)),
                }),
                Err(why) => {
                    tracing::warn!(%why, "the token isn't taken");
                    Err(LoginRefused::Credentials)
                }
            };
        }
        (Proof::Password(user, password), _) => shared.access.authenticate(user, password),
        (Proof::Certificate(user), _) => shared.access.user(user),
        (Proof::Token(_) | Proof::Nothing, _) => None,
    };
    let Some(user) = known else {
        let user = proof.user();
        tracing::warn!(user, "no such user, or not that password");
        return Err(LoginRefused::Credentials);
    };
    Ok(Identity { user, token: None })
}

/// Lets somebody in who may come from there.
fn admit(shared: &Shared, found: Identity, peer: IpAddr) -> Result<Identity, LoginRefused> {
    let user = &*found.user.name;
    let is_near = peer.to_canonical().is_loopback();
    if !is_near && shared.config.loopback_users.iter().any(|name| name == user) {
        tracing::warn!(
            user,
            "one of loopback_users: may only log in from this machine"
        );
        return Err(LoginRefused::FromAfar);
    }
    Ok(found)
}

/// Takes another token in the place of somebody's.
///
/// # Errors
/// 530: it isn't taken, or it is somebody else's.
pub fn renew(shared: &Shared, identity: &Identity, secret: &[u8]) -> Result<Arc<Token>, Refusal> {
    let refused = |why: &str| {
        tracing::warn!(why, "the new token isn't taken");
        Refusal::new(
            ReplyCode::NotAllowed,
            "New secret was refused by one of the backends",
        )
    };
    let Some(verifier) = &shared.verifier else {
        return Err(refused("no tokens are taken"));
    };
    let token = verifier.verify(secret);
    let token = token.map_err(|why| refused(&why.to_string()))?;
    if token.user.name != identity.user.name {
        return Err(refused("it is somebody else's"));
    }
    Ok(Arc::new(token))
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

/// Lets the connection `id` of somebody into the virtual host called `vhost`, if
/// it may.
///
/// # Errors
/// 530, in the order of `semantics` 2.5.
pub fn enter(
    shared: &Shared,
    id: ConnectionId,
    identity: &Identity,
    vhost: &str,
) -> Result<Entry, Refusal> {
    let user = &identity.user.name;
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
        false => identity.grants(&shared.access, found.name()),
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
