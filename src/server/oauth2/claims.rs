//! What the claims of a token mean to this broker.

use serde_json::Value;

use crate::base::limits::{SHORT_STR_MAX, TOKEN_SCOPES_MAX};
use crate::base::oauth2::OAuth2Options;
use crate::broker::access::Scopes;

/// Where a user's name is that no preferred claim has.
const USERNAME_CLAIMS: [&str; 2] = ["sub", "client_id"];
/// Where Keycloak puts permissions.
const REQUESTING_PARTY: &str = "authorization.permissions";

/// What the claims of a token mean to this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who has it.
    pub user: String,
    /// When it expires, seconds since 1970.
    pub expires: u64,
    /// What it permits.
    pub scopes: Scopes,
}

/// Claims that can't be made sense of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadClaims {
    /// It would hold for ever.
    #[error("it doesn't say when it expires")]
    NoExpiry,
    /// Nobody can be called that.
    #[error("the name of its user has more than 255 octets")]
    Username,
    /// It has more scopes than are looked at.
    #[error("it has more than {TOKEN_SCOPES_MAX} scopes")]
    TooManyScopes,
}

impl Claims {
    /// Reads what `claims` say to the broker called `resource`.
    ///
    /// # Errors
    /// [`BadClaims`].
    pub fn read(
        claims: &Value,
        options: &OAuth2Options,
        resource: &str,
    ) -> Result<Self, BadClaims> {
        let expires = claims.get("exp").and_then(|exp| {
            let whole = exp.as_u64();
            // A fraction of a second is none, as for RabbitMQ.
            whole.or_else(|| exp.as_f64().filter(|exp| *exp > 0.0).map(|exp| exp as u64))
        });
        let user = username(claims, options);
        if user.len() > SHORT_STR_MAX {
            return Err(BadClaims::Username);
        }
        let scopes = scopes(claims, options, resource);
        if scopes.len() > TOKEN_SCOPES_MAX {
            return Err(BadClaims::TooManyScopes);
        }
        let value = |name: &str| Some(claims.get(name)?.as_str()?.to_owned());
        Ok(Self {
            user,
            expires: expires.ok_or(BadClaims::NoExpiry)?,
            scopes: Scopes::new(scopes.iter().map(String::as_str), value),
        })
    }
}

fn username(claims: &Value, options: &OAuth2Options) -> String {
    let preferred = options.preferred_username_claims.iter().map(String::as_str);
    let mut names = preferred.chain(USERNAME_CLAIMS);
    let found = names.find_map(|name| claims.get(name)?.as_str().filter(|name| !name.is_empty()));
    found.unwrap_or("unknown").to_owned()
}

/// The scopes that are this broker's, without what says so.
fn scopes(claims: &Value, options: &OAuth2Options, resource: &str) -> Vec<String> {
    let mut all = Vec::new();
    let further = options.additional_scopes_key.iter().map(String::as_str);
    for path in ["scope"].into_iter().chain(further) {
        gather(claims, path, resource, &mut all);
    }
    let permissions = format!("{REQUESTING_PARTY}.scopes");
    gather(claims, &permissions, resource, &mut all);
    let aliased = all
        .iter()
        .filter_map(|scope| options.scope_aliases.get(scope));
    let aliased: Vec<String> = aliased.flatten().cloned().collect();
    all.extend(aliased);
    let own = format!("{resource}.");
    let prefix = options.scope_prefix.as_deref().unwrap_or(&own);
    let mut own: Vec<String> = all
        .iter()
        .filter_map(|scope| scope.strip_prefix(prefix))
        .map(str::to_owned)
        .collect();
    own.sort_unstable();
    own.dedup();
    own
}

/// Adds the scopes at a path of names with dots: a text of them, a list of texts,
/// or an object that has either by this broker's name. Lists on the way are
/// followed each.
fn gather(at: &Value, path: &str, resource: &str, into: &mut Vec<String>) {
    if let Value::Array(several) = at {
        for one in several {
            gather(one, path, resource, into);
        }
        return;
    }
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    match (at.get(name), rest) {
        (Some(found), Some(rest)) => gather(found, rest, resource, into),
        (Some(Value::Object(by_resource)), None) => {
            let own = by_resource.get(resource).map(texts).unwrap_or_default();
            into.extend(own.into_iter().map(|scope| format!("{resource}.{scope}")));
        }
        (Some(found), None) => into.extend(texts(found)),
        (None, _) => {}
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|one| Some(one.as_str()?.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}
