//! Logins with a token of OAuth 2 in the place of a password.
//!
//! ```text
//!   token --signature, keys--> claims --claims--> who, until when, scopes
//! ```

mod claims;
mod keys;

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::Value;

pub use self::claims::{BadClaims, Claims};
pub use self::keys::{KeyError, Keys};

use crate::base::oauth2::OAuth2Options;
use crate::broker::access::{PasswordHash, Scopes, User, UserLimits};

/// Why a token isn't taken. None of these has anything of the token in it but
/// what its issuer could say of it in public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It isn't one.
    #[error("it is no JSON Web Token")]
    Malformed,
    /// It is signed in a way that isn't taken.
    #[error("it is signed by {0}, which auth_oauth2.algorithms hasn't")]
    Algorithm(String),
    /// Nobody knows the key that signed it.
    #[error("key '{0}' isn't known")]
    UnknownKey(String),
    /// It doesn't say which key signed it, and there is no default.
    #[error("it doesn't name its key, and auth_oauth2.default_key isn't set")]
    NoKey,
    /// Somebody has made it up.
    #[error("its signature is wrong")]
    Signature,
    /// It was issued by somebody else, or for somebody else, or not for now.
    #[error("{0}")]
    Claim(&'static str),
    /// It doesn't say what it has to.
    #[error(transparent)]
    Claims(#[from] BadClaims),
}

/// What a token that was taken says.
#[derive(Debug)]
pub struct Token {
    /// Who has it.
    pub user: Arc<User>,
    /// What it permits.
    pub scopes: Arc<Scopes>,
    /// When it expires, seconds since 1970.
    pub expires: u64,
}

impl Token {
    /// How long it holds, from `now_ms` since 1970.
    pub fn left(&self, now_ms: u64) -> Duration {
        Duration::from_millis((self.expires * 1000).saturating_sub(now_ms))
    }
}

/// Whoever takes tokens.
#[derive(Debug)]
pub struct Verifier {
    options: OAuth2Options,
    /// What this broker is called.
    audience: String,
    algorithms: Vec<Algorithm>,
    /// What they are signed with.
    pub keys: Keys,
}

impl Verifier {
    /// One by `options`, if they want one.
    ///
    /// # Errors
    /// [`KeyError`] for an algorithm nobody knows, and keys that can't be read.
    pub fn open(options: &OAuth2Options) -> Result<Option<Self>, KeyError> {
        let Some(audience) = options.resource_server_id.clone() else {
            return Ok(None);
        };
        let algorithms = options.algorithms.iter().map(|name| {
            let known = name.parse().ok();
            known
                .filter(is_asymmetric)
                .ok_or_else(|| KeyError::Algorithm(name.clone()))
        });
        Ok(Some(Self {
            audience,
            algorithms: algorithms.collect::<Result<_, _>>()?,
            keys: Keys::open(options)?,
            options: options.clone(),
        }))
    }

    /// Whether a password is to be taken for a token: three parts with dots
    /// between them, which begin as an object of JSON does in base64.
    pub fn is_token(password: &[u8]) -> bool {
        let dots = password.iter().filter(|octet| **octet == b'.').count();
        dots == 2 && password.starts_with(b"eyJ")
    }

    /// What `token` says, if it can be trusted.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn verify(&self, token: &[u8]) -> Result<Token, BadToken> {
        let header = decode_header(token).map_err(|_| BadToken::Malformed)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(BadToken::Algorithm(format!("{:?}", header.alg)));
        }
        let id = header.kid.or_else(|| self.options.default_key.clone());
        let id = id.ok_or(BadToken::NoKey)?;
        let key = self.keys.get(&id).ok_or(BadToken::UnknownKey(id))?;
        let verified = decode::<Value>(token, &key, &self.validation(header.alg));
        let verified = verified.map_err(|error| refused(error.kind()))?;
        let claims = Claims::read(&verified.claims, &self.options, &self.audience)?;
        let user = User {
            name: claims.user.into(),
            password: PasswordHash::none(),
            tags: claims.scopes.tags().to_vec(),
            limits: UserLimits::default(),
        };
        Ok(Token {
            user: Arc::new(user),
            scopes: Arc::new(claims.scopes),
            expires: claims.expires,
        })
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        // Whoever has it may use it up to the second it says.
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.validate_aud = self.options.verify_aud;
        if self.options.verify_aud {
            validation.set_audience(&[&self.audience]);
            validation.set_required_spec_claims(&["exp", "aud"]);
        }
        if let Some(issuer) = &self.options.issuer {
            let bare = issuer.trim_end_matches('/');
            validation.set_issuer(&[bare.to_owned(), format!("{bare}/")]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        validation
    }
}

/// Signed with a key that whoever checks it doesn't have: a secret that both
/// share would let a broker issue tokens.
fn is_asymmetric(algorithm: &Algorithm) -> bool {
    !matches!(
        algorithm,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
    )
}

fn refused(kind: &ErrorKind) -> BadToken {
    match kind {
        ErrorKind::ExpiredSignature => BadToken::Claim("it has expired"),
        ErrorKind::ImmatureSignature => BadToken::Claim("it isn't valid yet"),
        ErrorKind::InvalidIssuer => BadToken::Claim("it isn't of auth_oauth2.issuer"),
        ErrorKind::InvalidAudience => {
            BadToken::Claim("it is for others than auth_oauth2.resource_server_id")
        }
        ErrorKind::MissingRequiredClaim(name) if name == "exp" => {
            BadToken::Claim("it doesn't say when it expires")
        }
        ErrorKind::MissingRequiredClaim(_) => {
            BadToken::Claim("it doesn't say who issued it or for whom it is")
        }
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidRsaKey(_)
        | ErrorKind::InvalidEcdsaKey => BadToken::Signature,
        _ => BadToken::Malformed,
    }
}
