//! Who asks, and whether they may.
//!
//! ```text
//!   Acting          anybody who has proved who they are
//!     Viewer        tag management, or any of those below
//!     Policymaker   tag policymaker or administrator
//!     Monitor       tag monitoring or administrator
//!     Administrator tag administrator
//!     InVhost       a viewer who may enter the virtual host of the path
//!     OfVhost       the same, or a monitor
//! ```
//!
//! Each is an argument of a handler; where it can't be had, the handler isn't
//! called.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::api::Api;
use super::audited::Actor;
use super::reply::ApiError;
use crate::broker::access::{ADMINISTRATOR, Grants};
use crate::broker::queue::Queue;
use crate::broker::vhost::Vhost;
use crate::server::attempts::Protocol;
use crate::server::auth::{Identity, LoginRefused, Proof, log_in};
use crate::server::direct::Direct;
use crate::server::shared::Shared;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Somebody who has proved who they are.
#[derive(Debug, Clone)]
pub struct Acting {
    shared: Arc<Shared>,
    identity: Identity,
}

impl Acting {
    /// The user's name, which changes are done in.
    pub fn name(&self) -> &Arc<str> {
        &self.identity.user.name
    }

    /// The user's tags.
    pub fn tags(&self) -> &[Arc<str>] {
        &self.identity.user.tags
    }

    /// Whether the broker itself knows the user, rather than a token's issuer.
    pub fn is_internal(&self) -> bool {
        self.identity.token.is_none()
    }

    /// Whether the user may see this interface at all.
    pub fn is_viewer(&self) -> bool {
        self.is_any(&["management", "policymaker", "monitoring", ADMINISTRATOR])
    }

    /// Whether the user may set policies and parameters.
    pub fn is_policymaker(&self) -> bool {
        self.is_any(&["policymaker", ADMINISTRATOR])
    }

    /// Whether the user may see what belongs to others.
    pub fn is_monitor(&self) -> bool {
        self.is_any(&["monitoring", ADMINISTRATOR])
    }

    /// Whether the user may do everything.
    pub fn is_administrator(&self) -> bool {
        self.is_any(&[ADMINISTRATOR])
    }

    fn is_any(&self, tags: &[&str]) -> bool {
        tags.iter().any(|tag| self.identity.user.has_tag(tag))
    }

    /// What the user may do in a virtual host.
    pub fn grants(&self, vhost: &Vhost) -> Grants {
        self.identity.grants(&self.shared.access, vhost.name())
    }

    /// Whether the user may enter a virtual host.
    pub fn may_enter(&self, vhost: &Vhost) -> bool {
        self.grants(vhost).may_enter()
    }

    /// The virtual hosts that the user may enter, by name.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut all = self.shared.vhosts.all();
        all.retain(|vhost| self.may_enter(vhost));
        all.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// The virtual hosts that the user may know of, by name.
    pub fn visible_vhosts(&self) -> Vec<Arc<Vhost>> {
        if !self.is_monitor() {
            return self.vhosts();
        }
        let mut all = self.shared.vhosts.all();
        all.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        all
    }
}

impl FromRequestParts<Arc<Api>> for Acting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let header = parts.headers.get(AUTHORIZATION);
        let header = header.ok_or_else(ApiError::no_credentials)?;
        let Some(Peer(peer)) = parts.extensions.get::<Peer>() else {
            return Err(ApiError::internal("a request from nowhere"));
        };
        let header = header.to_str().unwrap_or_default();
        let pair = basic(header);
        let proof = match (&pair, bearer(header)) {
            (Some((user, password)), _) => Proof::Password(user, password),
            (None, Some(token)) => Proof::Token(token.as_bytes()),
            (None, None) => return Err(ApiError::wrong_credentials()),
        };
        let found = log_in(&api.shared, Protocol::Http, &proof, peer.ip());
        let identity = found.map_err(refused)?;
        if let Some(actor) = parts.extensions.get::<Actor>() {
            actor.tell(&identity.user.name);
        }
        Ok(Self {
            shared: Arc::clone(&api.shared),
            identity,
        })
    }
}

fn refused(why: LoginRefused) -> ApiError {
    match why {
        LoginRefused::Credentials => ApiError::wrong_credentials(),
        LoginRefused::FromAfar => ApiError::not_authorised("User can only log in via localhost"),
        LoginRefused::TooMany(wait) => ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            format!(
                "Too many failed logins: try again in {} s",
                wait.as_secs() + 1
            ),
        ),
    }
}

/// The token of an `Authorization` header (RFC 6750).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Name and password of an `Authorization` header (RFC 7617).
fn basic(header: &str) -> Option<(String, Vec<u8>)> {
    let (scheme, token) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(token.trim()).ok()?;
    let colon = pair.iter().position(|octet| *octet == b':')?;
    let (user, password) = pair.split_at_checked(colon)?;
    let user = std::str::from_utf8(user).ok()?;
    Some((user.to_owned(), password.get(1..)?.to_vec()))
}

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident($check:ident, $refusal:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $role(pub Acting);

        impl FromRequestParts<Arc<Api>> for $role {
            type Rejection = ApiError;

            async fn from_request_parts(
                parts: &mut Parts,
                api: &Arc<Api>,
            ) -> Result<Self, ApiError> {
                let acting = Acting::from_request_parts(parts, api).await?;
                if acting.$check() {
                    return Ok(Self(acting));
                }
                Err(ApiError::not_authorised($refusal))
            }
        }
    )*};
}

roles! {
    /// Somebody who may see this interface.
    Viewer(is_viewer, "Not management user");
    /// Somebody who may see what belongs to others.
    Monitor(is_monitor, "Not monitor user");
    /// Somebody who may set policies and parameters.
    Policymaker(is_policymaker, "User not authorised to access object");
    /// Somebody who may do everything.
    Administrator(is_administrator, "Not administrator user");
}

/// A viewer who may enter the virtual host that the path names as `{vhost}`.
#[derive(Debug, Clone)]
pub struct InVhost {
    /// Who.
    pub acting: Acting,
    /// The virtual host.
    pub vhost: Arc<Vhost>,
}

impl InVhost {
    /// A queue of the virtual host.
    ///
    /// # Errors
    /// 404 when there is none of that name.
    pub fn queue(&self, name: &str) -> Result<Arc<Queue>, ApiError> {
        self.vhost.queue_named(name).ok_or_else(ApiError::not_found)
    }

    /// What the user does there.
    pub fn direct(&self, api: &Api) -> Direct {
        Direct::new(&api.shared, &self.vhost, self.acting.grants(&self.vhost))
    }
}

impl FromRequestParts<Arc<Api>> for InVhost {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Viewer(acting) = Viewer::from_request_parts(parts, api).await?;
        let vhost = vhost_of_path(parts, api).await?;
        if acting.may_enter(&vhost) {
            return Ok(Self { acting, vhost });
        }
        Err(ApiError::hidden())
    }
}

/// A viewer who may enter the virtual host that the path names as `{vhost}`, or
/// a monitor.
#[derive(Debug, Clone)]
pub struct OfVhost {
    /// Who.
    pub acting: Acting,
    /// The virtual host.
    pub vhost: Arc<Vhost>,
}

impl FromRequestParts<Arc<Api>> for OfVhost {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let Viewer(acting) = Viewer::from_request_parts(parts, api).await?;
        let vhost = vhost_of_path(parts, api).await?;
        if acting.is_monitor() || acting.may_enter(&vhost) {
            return Ok(Self { acting, vhost });
        }
        Err(ApiError::hidden())
    }
}

async fn vhost_of_path(parts: &mut Parts, api: &Arc<Api>) -> Result<Arc<Vhost>, ApiError> {
    let path = RawPathParams::from_request_parts(parts, api).await;
    let path = path.map_err(|_| ApiError::not_found())?;
    let named = path.iter().find(|(key, _)| *key == "vhost");
    let vhost = named.and_then(|(_, name)| api.shared.vhosts.get(name));
    vhost.ok_or_else(ApiError::not_found)
}
