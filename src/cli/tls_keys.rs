//! The keys of the configuration that say how connections are encrypted.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::Failure;
use crate::base::config::{AuthMechanism, Config};
use crate::base::tls::{CertLogin, SanType, TlsOptions, TlsVersion};

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum VerifyKey {
    /// They aren't
    VerifyNone,
    /// They are, and a bad one is refused
    VerifyPeer,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
pub enum VersionKey {
    /// TLS 1.2
    #[serde(rename = "tlsv1.2")]
    #[value(name = "tlsv1.2")]
    V1_2,
    /// TLS 1.3
    #[serde(rename = "tlsv1.3")]
    #[value(name = "tlsv1.3")]
    V1_3,
}

impl From<VersionKey> for TlsVersion {
    fn from(key: VersionKey) -> Self {
        match key {
            VersionKey::V1_2 => Self::V1_2,
            VersionKey::V1_3 => Self::V1_3,
        }
    }
}

/// What in a client's certificate is the name of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum CertLoginKey {
    /// The whole subject
    DistinguishedName,
    /// The subject's common name
    CommonName,
    /// An alternative name
    SubjectAlternativeName,
}

impl From<CertLoginKey> for CertLogin {
    fn from(key: CertLoginKey) -> Self {
        match key {
            CertLoginKey::DistinguishedName => Self::DistinguishedName,
            CertLoginKey::CommonName => Self::CommonName,
            CertLoginKey::SubjectAlternativeName => Self::SubjectAlternativeName,
        }
    }
}

/// A kind of alternative names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum SanTypeKey {
    /// Host names
    Dns,
    /// Addresses
    Ip,
    /// Mail addresses
    Email,
    /// URIs
    Uri,
}

impl From<SanTypeKey> for SanType {
    fn from(key: SanTypeKey) -> Self {
        match key {
            SanTypeKey::Dns => Self::Dns,
            SanTypeKey::Ip => Self::Ip,
            SanTypeKey::Email => Self::Email,
            SanTypeKey::Uri => Self::Uri,
        }
    }
}

/// The keys under `ssl_options`, in the file as RabbitMQ spells them:
/// `ssl_options.certfile = "..."`.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SslOptionsKeys {
    /// PEM file with the authorities that vouch for clients
    #[serde(rename = "cacertfile")]
    #[arg(long, env = "HARRIER_SSL_OPTIONS_CACERTFILE", value_name = "FILE")]
    pub ssl_options_cacertfile: Option<PathBuf>,
    /// PEM file with the server's certificate and those between it and its root
    #[serde(rename = "certfile")]
    #[arg(long, env = "HARRIER_SSL_OPTIONS_CERTFILE", value_name = "FILE")]
    pub ssl_options_certfile: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[serde(rename = "keyfile")]
    #[arg(long, env = "HARRIER_SSL_OPTIONS_KEYFILE", value_name = "FILE")]
    pub ssl_options_keyfile: Option<PathBuf>,
    /// Whether AMQP clients are asked for a certificate [default: verify_none]
    #[serde(rename = "verify")]
    #[arg(long, env = "HARRIER_SSL_OPTIONS_VERIFY", value_name = "HOW")]
    pub ssl_options_verify: Option<VerifyKey>,
    /// Whether clients without a certificate are refused [default: false]
    #[serde(rename = "fail_if_no_peer_cert")]
    #[arg(
        long,
        env = "HARRIER_SSL_OPTIONS_FAIL_IF_NO_PEER_CERT",
        value_name = "BOOL"
    )]
    pub ssl_options_fail_if_no_peer_cert: Option<bool>,
    /// Versions of TLS spoken [default: tlsv1.3,tlsv1.2]
    #[serde(rename = "versions")]
    #[arg(
        long,
        env = "HARRIER_SSL_OPTIONS_VERSIONS",
        value_name = "VERSIONS",
        value_delimiter = ','
    )]
    pub ssl_options_versions: Option<Vec<VersionKey>>,
}

impl SslOptionsKeys {
    /// These keys, with those of `fallback` where they are absent.
    pub fn or(self, fallback: Self) -> Self {
        macro_rules! either {
            ($($key:ident),*) => {
                Self { $($key: self.$key.or(fallback.$key),)* }
            };
        }
        either!(
            ssl_options_cacertfile,
            ssl_options_certfile,
            ssl_options_keyfile,
            ssl_options_verify,
            ssl_options_fail_if_no_peer_cert,
            ssl_options_versions
        )
    }

    /// What results. An empty path is none.
    pub fn resolve(self) -> TlsOptions {
        let default = TlsOptions::default();
        let path = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        TlsOptions {
            cacertfile: path(self.ssl_options_cacertfile),
            certfile: path(self.ssl_options_certfile),
            keyfile: path(self.ssl_options_keyfile),
            verify_peer: self.ssl_options_verify == Some(VerifyKey::VerifyPeer),
            fail_if_no_peer_cert: self.ssl_options_fail_if_no_peer_cert.unwrap_or_default(),
            versions: self.ssl_options_versions.map_or(default.versions, |keys| {
                keys.into_iter().map(Into::into).collect()
            }),
            ..TlsOptions::default()
        }
    }
}

/// Whether what is said of TLS makes sense taken together. A file needn't by
/// itself: the rest may come from flags and variables.
///
/// # Errors
/// A usage failure naming the key that is missing, and what needs it.
pub fn check(config: &Config) -> Result<(), Failure> {
    let tls = &config.tls;
    let external = config.auth_mechanisms.contains(&AuthMechanism::External);
    let served = config.amqps.is_some() || config.https.is_some();
    let refuse = |text: &str| Err(Failure::Usage(text.to_owned()));
    if external && !(config.amqps.is_some() && tls.verify_peer) {
        return refuse(
            "auth_mechanisms has EXTERNAL: expected amqps to be an address and \
             ssl_options.verify = \"verify_peer\", so that there are certificates to log in with",
        );
    }
    if tls.verify_peer && tls.cacertfile.is_none() {
        return refuse(
            "ssl_options.verify is verify_peer: expected ssl_options.cacertfile, the authorities \
             that vouch for clients",
        );
    }
    if tls.fail_if_no_peer_cert && !tls.verify_peer {
        return refuse(
            "ssl_options.fail_if_no_peer_cert is true: expected ssl_options.verify = \
             \"verify_peer\", without which no client is asked for a certificate",
        );
    }
    if tls.versions.is_empty() {
        return refuse("ssl_options.versions is empty: expected tlsv1.2, tlsv1.3 or both");
    }
    if served && (tls.certfile.is_none() || tls.keyfile.is_none()) {
        return refuse(
            "amqps or https is an address: expected ssl_options.certfile and \
             ssl_options.keyfile, the server's certificate and its key",
        );
    }
    Ok(())
}
