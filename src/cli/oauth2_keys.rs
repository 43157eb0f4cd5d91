//! The keys of the configuration that say which tokens of OAuth 2 are taken.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Deserializer};

use crate::base::oauth2::OAuth2Options;

/// A name and what belongs to it: `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair(String, String);

/// A text that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` has no `=`: expected name=value")]
pub struct NoPair(String);

impl FromStr for Pair {
    type Err = NoPair;

    fn from_str(text: &str) -> Result<Self, NoPair> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| NoPair(text.to_owned()))?;
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}

/// Pairs, in the file a table.
fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Pair>>, D::Error> {
    let table = BTreeMap::<String, String>::deserialize(from)?;
    let pairs = table.into_iter().map(|(name, value)| Pair(name, value));
    Ok(Some(pairs.collect()))
}

/// The keys under `auth_oauth2`, in the file as RabbitMQ spells them:
/// `auth_oauth2.resource_server_id = "..."`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Keys {
    /// What this broker is called in tokens; none are taken without
    #[serde(rename = "resource_server_id")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_RESOURCE_SERVER_ID",
        value_name = "NAME"
    )]
    pub auth_oauth2_resource_server_id: Option<String>,
    /// What scopes begin with [default: the resource server's id and a dot]
    #[serde(rename = "scope_prefix")]
    #[arg(long, env = "HARRIER_AUTH_OAUTH2_SCOPE_PREFIX", value_name = "PREFIX")]
    pub auth_oauth2_scope_prefix: Option<String>,
    /// Whether tokens have to be for this broker [default: true]
    #[serde(rename = "verify_aud")]
    #[arg(long, env = "HARRIER_AUTH_OAUTH2_VERIFY_AUD", value_name = "BOOL")]
    pub auth_oauth2_verify_aud: Option<bool>,
    /// Who has to have issued tokens
    #[serde(rename = "issuer")]
    #[arg(long, env = "HARRIER_AUTH_OAUTH2_ISSUER", value_name = "URL")]
    pub auth_oauth2_issuer: Option<String>,
    /// Where the issuer's keys are [default: as the issuer says]
    #[serde(rename = "jwks_url")]
    #[arg(long, env = "HARRIER_AUTH_OAUTH2_JWKS_URL", value_name = "URL")]
    pub auth_oauth2_jwks_url: Option<String>,
    /// PEM file with the authorities of that server [default: the system's]
    #[serde(rename = "https_cacertfile")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_HTTPS_CACERTFILE",
        value_name = "FILE"
    )]
    pub auth_oauth2_https_cacertfile: Option<PathBuf>,
    /// Public keys that tokens are signed with, PEM files by the keys' ids
    #[serde(rename = "signing_keys", default, deserialize_with = "pairs")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_SIGNING_KEYS",
        value_name = "ID=FILE",
        value_delimiter = ','
    )]
    pub auth_oauth2_signing_keys: Option<Vec<Pair>>,
    /// Key of tokens that don't name theirs
    #[serde(rename = "default_key")]
    #[arg(long, env = "HARRIER_AUTH_OAUTH2_DEFAULT_KEY", value_name = "ID")]
    pub auth_oauth2_default_key: Option<String>,
    /// Ways to sign that are taken [default: RS256,RS384,RS512,PS256,ES256,ES384,EdDSA]
    #[serde(rename = "algorithms")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_ALGORITHMS",
        value_name = "NAMES",
        value_delimiter = ','
    )]
    pub auth_oauth2_algorithms: Option<Vec<String>>,
    /// Claims with scopes besides `scope`, paths with dots
    #[serde(rename = "additional_scopes_key")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_ADDITIONAL_SCOPES_KEY",
        value_name = "CLAIMS"
    )]
    pub auth_oauth2_additional_scopes_key: Option<String>,
    /// Claims with the user's name, before sub and client_id
    #[serde(rename = "preferred_username_claims")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_PREFERRED_USERNAME_CLAIMS",
        value_name = "CLAIMS",
        value_delimiter = ','
    )]
    pub auth_oauth2_preferred_username_claims: Option<Vec<String>>,
    /// Scopes that stand for others, those with spaces between them
    #[serde(rename = "scope_aliases", default, deserialize_with = "pairs")]
    #[arg(
        long,
        env = "HARRIER_AUTH_OAUTH2_SCOPE_ALIASES",
        value_name = "ALIAS=SCOPES",
        value_delimiter = ','
    )]
    pub auth_oauth2_scope_aliases: Option<Vec<Pair>>,
}

impl OAuth2Keys {
    /// These keys, with those of `fallback` where they are absent.
    pub fn or(self, fallback: Self) -> Self {
        macro_rules! either {
            ($($key:ident),*) => {
                Self { $($key: self.$key.or(fallback.$key),)* }
            };
        }
        either!(
            auth_oauth2_resource_server_id,
            auth_oauth2_scope_prefix,
            auth_oauth2_verify_aud,
            auth_oauth2_issuer,
            auth_oauth2_jwks_url,
            auth_oauth2_https_cacertfile,
            auth_oauth2_signing_keys,
            auth_oauth2_default_key,
            auth_oauth2_algorithms,
            auth_oauth2_additional_scopes_key,
            auth_oauth2_preferred_username_claims,
            auth_oauth2_scope_aliases
        )
    }

    /// What results. An empty text is none.
    pub fn resolve(self) -> OAuth2Options {
        let default = OAuth2Options::default();
        let text = |key: Option<String>| key.filter(|text| !text.is_empty());
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let keys = self.auth_oauth2_signing_keys.unwrap_or_default();
        let aliases = self.auth_oauth2_scope_aliases.unwrap_or_default();
        OAuth2Options {
            resource_server_id: text(self.auth_oauth2_resource_server_id),
            scope_prefix: text(self.auth_oauth2_scope_prefix),
            verify_aud: self.auth_oauth2_verify_aud.unwrap_or(default.verify_aud),
            issuer: text(self.auth_oauth2_issuer),
            jwks_url: text(self.auth_oauth2_jwks_url),
            https_cacertfile: self
                .auth_oauth2_https_cacertfile
                .filter(|path| !path.as_os_str().is_empty()),
            signing_keys: keys
                .into_iter()
                .map(|Pair(id, path)| (id, path.into()))
                .collect(),
            default_key: text(self.auth_oauth2_default_key),
            algorithms: self.auth_oauth2_algorithms.unwrap_or(default.algorithms),
            additional_scopes_key: self
                .auth_oauth2_additional_scopes_key
                .map_or_else(Vec::new, |keys| words(&keys)),
            preferred_username_claims: self
                .auth_oauth2_preferred_username_claims
                .unwrap_or_default(),
            scope_aliases: aliases
                .into_iter()
                .map(|Pair(alias, scopes)| (alias, words(&scopes)))
                .collect(),
        }
    }
}
