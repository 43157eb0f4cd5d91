//! The files behind a TLS connection and a login.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::cli::Failure;

/// Where distributions keep the certificates that the system trusts.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom a TLS connection trusts, and what it shows of itself.
pub(super) struct Trust {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    /// Whoever answers is taken for the broker.
    pub(super) everybody: bool,
}

impl Trust {
    pub(super) fn load(&self) -> Result<TlsConfig, Failure> {
        let roots = match &self.ca_file {
            _ if self.everybody => Vec::new(),
            Some(file) => certificates(file)?,
            None => system()?,
        };
        let shown = match (&self.cert_file, &self.key_file) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKey::from_pem(&read(key)?)
                    .map_err(|error| refuse(key, &format!("has no private key: {error}")))?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
            _ => None,
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Ok(TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(shown)
            .disable_verification(self.everybody)
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .build())
    }
}

/// The first line of a file, `-` for stdin, without its end.
pub(in crate::cli) fn first_line(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = Vec::new();
        let read = std::io::stdin().read_to_end(&mut text);
        read.map_err(|error| refuse(file, &error.to_string()))?;
        text
    } else {
        read(file)?
    };
    let text = String::from_utf8(text).map_err(|_| refuse(file, "isn't UTF-8"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn system() -> Result<Vec<Certificate<'static>>, Failure> {
    let found = SYSTEM.iter().map(Path::new).find(|file| file.exists());
    let file = found.ok_or_else(|| {
        Failure::Usage(
            "this system has no file of certificates to trust; name one: --ca-file".into(),
        )
    })?;
    certificates(file)
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let mut found = Vec::new();
    for item in parse_pem(&read(file)?) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(refuse(file, &format!("isn't PEM: {error}"))),
        }
    }
    if found.is_empty() {
        return Err(refuse(
            file,
            "has no certificate (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| refuse(file, &error.to_string()))
}

fn refuse(file: &Path, why: &str) -> Failure {
    Failure::Usage(format!("{}: {why}", file.display()))
}
