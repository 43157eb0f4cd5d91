//! Passwords as RabbitMQ keeps them: a salt of four octets, then the hash of
//! the salt and the password, all in base64.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};

/// Octets of salt before every hash.
const SALT_LEN: usize = 4;

/// How a password is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// What RabbitMQ had before 3.6. Only ever checked: new hashes are never made.
    Md5,
    /// The usual one.
    Sha256,
    /// The longer one.
    Sha512,
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Md5, Self::Sha256, Self::Sha512];

    /// The name RabbitMQ has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "rabbit_password_hashing_md5",
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
        }
    }

    /// Octets of the hash, without the salt.
    const fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn hash(self, salt: &[u8], password: &[u8]) -> Vec<u8> {
        fn digest<D: Digest>(salt: &[u8], password: &[u8]) -> Vec<u8> {
            D::new()
                .chain_update(salt)
                .chain_update(password)
                .finalize()
                .to_vec()
        }
        match self {
            Self::Md5 => digest::<Md5>(salt, password),
            Self::Sha256 => digest::<Sha256>(salt, password),
            Self::Sha512 => digest::<Sha512>(salt, password),
        }
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    algorithm: Algorithm,
    /// Salt and hash; empty for a user who can't log in with a password.
    octets: Box<[u8]>,
}

/// Something that is no password hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHash {
    /// It isn't base64.
    #[error("expected a password hash in base64")]
    NotBase64,
    /// It has the wrong length for its algorithm.
    #[error("expected {expected} octets of salt and hash for {algorithm}, found {found}")]
    Length {
        /// The name of the algorithm.
        algorithm: &'static str,
        /// Octets that it takes.
        expected: usize,
        /// Octets given.
        found: usize,
    },
    /// No algorithm is named and none makes hashes of that length.
    #[error("no known algorithm makes a password hash of {0} octets")]
    UnknownLength(usize),
    /// There is no such algorithm.
    #[error("unknown hashing algorithm '{0}'")]
    UnknownAlgorithm(String),
}

impl PasswordHash {
    /// Of a user who can't log in with a password.
    pub fn none() -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            octets: Box::default(),
        }
    }

    /// Of `password`, whatever octets it has. An empty one is none.
    pub fn of(password: &[u8], salt: [u8; SALT_LEN]) -> Self {
        if password.is_empty() {
            return Self::none();
        }
        Self::hashed(Algorithm::Sha256, salt, password)
    }

    fn hashed(algorithm: Algorithm, salt: [u8; SALT_LEN], password: &[u8]) -> Self {
        Self {
            algorithm,
            octets: [&salt[..], &algorithm.hash(&salt, password)]
                .concat()
                .into(),
        }
    }

    /// Reads a hash as RabbitMQ exports it. Exports of old don't name the
    /// algorithm; the length tells it.
    ///
    /// # Errors
    /// [`BadHash`] when it can't be one.
    pub fn parse(text: &str, algorithm: Option<&str>) -> Result<Self, BadHash> {
        let octets = BASE64_STANDARD.decode(text.trim_ascii());
        let octets = octets.map_err(|_| BadHash::NotBase64)?;
        let known = |name| Algorithm::ALL.into_iter().find(|a| a.name() == name);
        let algorithm = match algorithm {
            Some(name) => Some(known(name).ok_or_else(|| BadHash::UnknownAlgorithm(name.into()))?),
            None => None,
        };
        Self::from_octets(algorithm, octets.into())
    }

    /// Puts a hash together from what [`algorithm`](Self::algorithm) and
    /// [`octets`](Self::octets) gave.
    ///
    /// # Errors
    /// [`BadHash`] when the length isn't right.
    pub fn from_octets(algorithm: Option<Algorithm>, octets: Box<[u8]>) -> Result<Self, BadHash> {
        if octets.is_empty() {
            let algorithm = algorithm.unwrap_or(Algorithm::Sha256);
            return Ok(Self { algorithm, octets });
        }
        let found = octets.len();
        let fits = |algorithm: &Algorithm| SALT_LEN + algorithm.len() == found;
        match algorithm {
            None => match Algorithm::ALL.into_iter().find(fits) {
                Some(algorithm) => Ok(Self { algorithm, octets }),
                None => Err(BadHash::UnknownLength(found)),
            },
            Some(algorithm) if fits(&algorithm) => Ok(Self { algorithm, octets }),
            Some(algorithm) => Err(BadHash::Length {
                algorithm: algorithm.name(),
                expected: SALT_LEN + algorithm.len(),
                found,
            }),
        }
    }

    /// How it was made.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Salt and hash; empty for a user who can't log in with a password.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The text that RabbitMQ exports.
    pub fn to_base64(&self) -> String {
        BASE64_STANDARD.encode(&self.octets)
    }

    /// Whether `password` is the one. Takes as long whether it is or not, and
    /// nearly as long when there is none.
    pub fn verify(&self, password: &[u8]) -> bool {
        let (salt, expected) = self.octets.split_at_checked(SALT_LEN).unwrap_or_default();
        let given = self.algorithm.hash(salt, password);
        same(&given, expected) && !password.is_empty()
    }
}

/// Neither the hash nor its salt gets into a log.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
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
