//! What can be configured of OAuth 2. RabbitMQ's names where it has one.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How tokens are checked, and what their scopes mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Options {
    /// What this broker is called by those who issue tokens; none where no token
    /// is taken.
    pub resource_server_id: Option<String>,
    /// What scopes that concern this broker begin with.
    pub scope_prefix: Option<String>,
    /// Whether a token has to name this broker among those it is for.
    pub verify_aud: bool,
    /// Who has to have issued it, if anybody in particular.
    pub issuer: Option<String>,
    /// Where the issuer's keys are.
    pub jwks_url: Option<String>,
    /// PEM file with whoever may vouch for that server, or the system's.
    pub https_cacertfile: Option<PathBuf>,
    /// Keys known without asking anybody, by their ids: PEM files.
    pub signing_keys: BTreeMap<String, PathBuf>,
    /// The key of tokens that don't say which is theirs.
    pub default_key: Option<String>,
    /// The ways tokens may be signed.
    pub algorithms: Vec<String>,
    /// Claims that have scopes besides `scope`, each a path of names with dots.
    pub additional_scopes_key: Vec<String>,
    /// Claims that may have the user's name, the first that has it first.
    pub preferred_username_claims: Vec<String>,
    /// Scopes that stand for others.
    pub scope_aliases: BTreeMap<String, Vec<String>>,
}

impl Default for OAuth2Options {
    fn default() -> Self {
        Self {
            resource_server_id: None,
            scope_prefix: None,
            verify_aud: true,
            issuer: None,
            jwks_url: None,
            https_cacertfile: None,
            signing_keys: BTreeMap::new(),
            default_key: None,
            algorithms: [
                "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA",
            ]
            .map(str::to_owned)
            .into(),
            additional_scopes_key: Vec::new(),
            preferred_username_claims: Vec::new(),
            scope_aliases: BTreeMap::new(),
        }
    }
}
