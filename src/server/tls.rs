//! Certificates and keys: read at the start, and again whenever they change.
//!
//! A connection keeps what it was accepted with; those that come later get what
//! was read last. A file that can't be used leaves everything as it was.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::certificate::first_expiry;
use crate::base::tls::{TlsOptions, TlsVersion};

/// Why TLS can't be served as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that is needed isn't named.
    #[error("ssl_options.{0} is missing: expected the path of a PEM file")]
    Missing(&'static str),
    /// A file can't be read, or isn't what it should be.
    #[error("ssl_options.{key}: {}: {why}", .path.display())]
    File {
        /// What the configuration calls it.
        key: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// They can't be used together.
    #[error("ssl_options: {0}")]
    Unusable(String),
}

/// What new connections are encrypted with.
#[derive(Debug)]
pub struct Certificates {
    options: TlsOptions,
    current: RwLock<Configs>,
    /// What the files looked like that this was read from.
    seen: Mutex<Vec<Option<Stamp>>>,
}

#[derive(Debug, Clone)]
struct Configs {
    amqp: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    /// When the server's certificates expire, seconds since 1970.
    expires: Option<u64>,
}

/// What tells one version of a file from the next: inode, octets, last change.
type Stamp = (u64, u64, i64, i64);

impl Certificates {
    /// Reads the files that `options` name.
    ///
    /// # Errors
    /// [`TlsError`], which names the file and what is wrong with it.
    pub fn open(options: TlsOptions) -> Result<Self, TlsError> {
        // Before they are read: a change in between is read again, not missed.
        let seen = stamps(&options);
        let configs = Configs::read(&options)?;
        Ok(Self {
            options,
            current: RwLock::new(configs),
            seen: Mutex::new(seen),
        })
    }

    /// For a new AMQP connection.
    pub fn amqp(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().amqp)
    }

    /// For a new connection to the management API. No client is asked for a
    /// certificate there: browsers would bother their users with it.
    pub fn http(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().http)
    }

    /// When the first of the server's certificates expires, seconds since 1970, as
    /// far as they can be read.
    pub fn expires(&self) -> Option<u64> {
        self.current.read().expires
    }

    /// Reads the files again, if they have changed since; whether they had.
    ///
    /// # Errors
    /// [`TlsError`]; what was there before still is.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let stamps = stamps(&self.options);
        let mut seen = self.seen.lock();
        if *seen == stamps {
            return Ok(false);
        }
        // A mistake is told once, not at every look.
        *seen = stamps;
        *self.current.write() = Configs::read(&self.options)?;
        Ok(true)
    }
}

impl Configs {
    fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        let chain = certificates("certfile", options.certfile.as_deref())?;
        let expires = first_expiry(&chain);
        let path = options.keyfile.as_deref();
        let path = path.ok_or(TlsError::Missing("keyfile"))?;
        let key = PrivateKeyDer::from_pem_file(path)
            .map_err(|error| bad_pem("keyfile", path, "an unencrypted private key", &error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let plain = builder(options, &provider)?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key.clone_key());
        let mut http = plain.map_err(|error| unusable(options, &error))?;
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        let amqp = if options.verify_peer {
            let verifier = verifier(options, &provider)?;
            let asking = builder(options, &provider)?
                .with_client_cert_verifier(verifier)
                .with_single_cert(chain, key);
            asking.map_err(|error| unusable(options, &error))?
        } else {
            let mut same = http.clone();
            same.alpn_protocols = Vec::new();
            same
        };
        Ok(Self {
            amqp: Arc::new(amqp),
            http: Arc::new(http),
            expires,
        })
    }
}

type Builder = rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>;

fn builder(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Builder, TlsError> {
    let version = |wanted: &TlsVersion| -> &'static SupportedProtocolVersion {
        match wanted {
            TlsVersion::V1_2 => &version::TLS12,
            TlsVersion::V1_3 => &version::TLS13,
        }
    };
    let versions: Vec<_> = options.versions.iter().map(version).collect();
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&versions)
        .map_err(|error| TlsError::Unusable(error.to_string()))
}

fn verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let path = options.cacertfile.as_deref();
    let mut roots = RootCertStore::empty();
    for root in certificates("cacertfile", path)? {
        roots.add(root).map_err(|error| TlsError::File {
            key: "cacertfile",
            path: path.unwrap_or(Path::new("")).to_owned(),
            why: error.to_string(),
        })?;
    }
    let asking = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let asking = if options.fail_if_no_peer_cert {
        asking
    } else {
        asking.allow_unauthenticated()
    };
    asking
        .build()
        .map_err(|error| TlsError::Unusable(error.to_string()))
}

/// The certificates in a file, of which there has to be one.
fn certificates(
    key: &'static str,
    path: Option<&Path>,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let path = path.ok_or(TlsError::Missing(key))?;
    let bad = |error: &pem::Error| bad_pem(key, path, "certificates", error);
    let found = CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))?;
    let found: Vec<_> = found
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&error))?;
    if found.is_empty() {
        return Err(bad(&pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn bad_pem(key: &'static str, path: &Path, expected: &str, error: &pem::Error) -> TlsError {
    let why = match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("has none: expected {expected} in PEM format"),
        other => format!("{other}: expected {expected} in PEM format"),
    };
    TlsError::File {
        key,
        path: path.to_owned(),
        why,
    }
}

fn unusable(options: &TlsOptions, error: &rustls::Error) -> TlsError {
    let name = |path: &Option<PathBuf>| {
        let path = path.as_deref().unwrap_or(Path::new(""));
        path.display().to_string()
    };
    let (certificate, key) = (name(&options.certfile), name(&options.keyfile));
    TlsError::Unusable(match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("the key in {key} isn't that of the certificate in {certificate}")
        }
        other => format!("certificate {certificate} with key {key}: {other}"),
    })
}

fn stamps(options: &TlsOptions) -> Vec<Option<Stamp>> {
    let files = [&options.cacertfile, &options.certfile, &options.keyfile];
    let stamp = |path: &Option<PathBuf>| {
        let found = fs::metadata(path.as_ref()?).ok()?;
        Some((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    files.map(stamp).into()
}
