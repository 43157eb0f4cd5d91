//! The keys that tokens are signed with: from files, or asked for.
//!
//! Nobody who logs in waits for them to be fetched. A token of a key that isn't
//! known is refused, and has the issuer asked for its keys; clients come again.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;
use parking_lot::RwLock;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::base::limits::JWKS_MAX;
use crate::base::oauth2::OAuth2Options;

/// Where Debian and Alpine, among others, have the authorities of the web.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// How often the issuer is asked anew: keys that are gone there go here, too.
const REFRESH: Duration = Duration::from_secs(3600);
/// How long it is left alone at least, whoever shows whatever token.
const PAUSE: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such way to sign, or none that can be trusted.
    #[error(
        "auth_oauth2.algorithms has {0}: expected RS256, RS384, RS512, PS256, PS384, PS512, \
         ES256, ES384 or EdDSA"
    )]
    Algorithm(String),
    /// A file isn't what it should be.
    #[error(
        "auth_oauth2.signing_keys.{id}: {}: {why}: expected a public key in PEM format",
        .path.display()
    )]
    File {
        /// The key's id.
        id: String,
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There are no keys, nor anybody to ask.
    #[error(
        "auth_oauth2.resource_server_id is set: expected auth_oauth2.signing_keys, \
         auth_oauth2.jwks_url or auth_oauth2.issuer, to know tokens by"
    )]
    None,
    /// The issuer doesn't answer as it should.
    #[error("{url}: {why}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// What came of it.
        why: String,
    },
}

type ById = HashMap<String, DecodingKey, ahash::RandomState>;

/// The keys that tokens are signed with, by their ids.
pub struct Keys {
    fixed: ById,
    fetched: RwLock<Arc<ById>>,
    /// The addresses of the keys, and of what says where they are.
    source: Option<Source>,
    wanted: Notify,
}

#[derive(Debug, Clone)]
struct Source {
    at: Address,
    /// Whoever may vouch for that server.
    authorities: PathBuf,
}

#[derive(Debug, Clone)]
enum Address {
    Jwks(String),
    Issuer(String),
}

impl Keys {
    /// Those in files. Others are fetched by [`refresh`](Self::refresh).
    ///
    /// # Errors
    /// [`KeyError`] for a file that has no key, and when nothing is to be had.
    pub fn open(options: &OAuth2Options) -> Result<Self, KeyError> {
        let mut fixed = ById::default();
        for (id, path) in &options.signing_keys {
            let bad = |why: String| KeyError::File {
                id: id.clone(),
                path: path.clone(),
                why,
            };
            let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
            let key = DecodingKey::from_rsa_pem(&pem)
                .or_else(|_| DecodingKey::from_ec_pem(&pem))
                .or_else(|_| DecodingKey::from_ed_pem(&pem));
            fixed.insert(id.clone(), key.map_err(|error| bad(error.to_string()))?);
        }
        let at = match (&options.jwks_url, &options.issuer) {
            (Some(url), _) => Some(Address::Jwks(url.clone())),
            // Who has given keys of an issuer means those.
            (None, Some(issuer)) if fixed.is_empty() => Some(Address::Issuer(issuer.clone())),
            _ if fixed.is_empty() => return Err(KeyError::None),
            _ => None,
        };
        let authorities = options.https_cacertfile.clone();
        let authorities = authorities.unwrap_or_else(|| SYSTEM_AUTHORITIES.into());
        let source = at.map(|at| Source { at, authorities });
        Ok(Self {
            fixed,
            fetched: RwLock::default(),
            source,
            wanted: Notify::new(),
        })
    }

    /// The key with this id. One that isn't known is asked for.
    pub fn get(&self, id: &str) -> Option<DecodingKey> {
        let fetched = Arc::clone(&self.fetched.read());
        let known = self.fixed.get(id).or_else(|| fetched.get(id));
        if known.is_none() {
            self.wanted.notify_one();
        }
        known.cloned()
    }

    /// Asks the issuer for its keys, again and again.
    pub async fn refresh(&self) {
        let Some(source) = self.source.clone() else {
            return std::future::pending().await;
        };
        loop {
            let source = source.clone();
            match tokio::task::spawn_blocking(move || source.fetch()).await {
                Ok(Ok(keys)) => {
                    tracing::info!(keys = keys.len(), "the keys of OAuth 2 were fetched");
                    *self.fetched.write() = Arc::new(keys);
                }
                Ok(Err(error)) => tracing::error!(%error, "cannot fetch the keys of OAuth 2"),
                Err(error) => tracing::error!(%error, "cannot fetch the keys of OAuth 2"),
            }
            sleep(PAUSE).await;
            // Either will do.
            let _whichever = timeout(REFRESH, self.wanted.notified()).await;
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.fixed.keys().collect();
        f.debug_struct("Keys")
            .field("fixed", &ids)
            .finish_non_exhaustive()
    }
}

impl Source {
    fn fetch(&self) -> Result<ById, KeyError> {
        let url = match &self.at {
            Address::Jwks(url) => url.clone(),
            Address::Issuer(issuer) => {
                let bare = issuer.trim_end_matches('/');
                let about = format!("{bare}/.well-known/openid-configuration");
                let found = self.get(&about)?;
                let url = found.get("jwks_uri").and_then(Value::as_str);
                let url = url.ok_or_else(|| fetch_error(&about, "it has no jwks_uri"))?;
                url.to_owned()
            }
        };
        let set: JwkSet = serde_json::from_value(self.get(&url)?)
            .map_err(|error| fetch_error(&url, format!("no set of keys: {error}")))?;
        // Those of a kind that isn't known here are for others.
        let usable = set.keys.iter().filter_map(|key| {
            let id = key.common.key_id.clone()?;
            Some((id, DecodingKey::from_jwk(key).ok()?))
        });
        Ok(usable.collect())
    }

    fn get(&self, url: &str) -> Result<Value, KeyError> {
        let bad = |error: ureq::Error| fetch_error(url, error.to_string());
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .tls_config(self.tls(url)?)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut answer = agent.get(url).call().map_err(bad)?;
        let body = answer.body_mut().with_config().limit(JWKS_MAX);
        let text = body.read_to_string().map_err(bad)?;
        serde_json::from_str(&text).map_err(|error| fetch_error(url, format!("no JSON: {error}")))
    }

    fn tls(&self, url: &str) -> Result<TlsConfig, KeyError> {
        let mut authorities = Vec::new();
        if url.starts_with("https:") {
            let path = &self.authorities;
            let bad = |error: pem::Error| fetch_error(url, format!("{}: {error}", path.display()));
            for found in CertificateDer::pem_file_iter(path).map_err(bad)? {
                authorities.push(Certificate::from_der(&found.map_err(bad)?).to_owned());
            }
        }
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&authorities))
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build())
    }
}

fn fetch_error(url: &str, why: impl Into<String>) -> KeyError {
    KeyError::Fetch {
        url: url.to_owned(),
        why: why.into(),
    }
}
