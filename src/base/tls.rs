//! What can be configured of TLS. RabbitMQ's names where it has one.

use std::path::PathBuf;

/// A version of TLS that is safe to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}

/// What in a client's certificate is the name of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertLogin {
    /// The whole subject: `CN=orders,O=Example`.
    DistinguishedName,
    /// The subject's common name.
    CommonName,
    /// One of the names it has besides its subject.
    SubjectAlternativeName,
}

/// A kind of names that a certificate has besides its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanType {
    /// Host names.
    Dns,
    /// Addresses.
    Ip,
    /// Mail addresses.
    Email,
    /// URIs, such as `spiffe://example/orders`.
    Uri,
}

/// How connections are encrypted, and who may ask for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file with whoever may vouch for clients.
    pub cacertfile: Option<PathBuf>,
    /// PEM file with the server's certificate, and those between it and its root.
    pub certfile: Option<PathBuf>,
    /// PEM file with that certificate's private key.
    pub keyfile: Option<PathBuf>,
    /// Whether AMQP clients are asked for a certificate, and a bad one refused.
    pub verify_peer: bool,
    /// Whether those who have none are refused.
    pub fail_if_no_peer_cert: bool,
    /// The versions spoken.
    pub versions: Vec<TlsVersion>,
    /// Who somebody is who logs in by EXTERNAL.
    pub login_from: CertLogin,
    /// The kind of alternative names that counts.
    pub login_san_type: SanType,
    /// Which of those, from 0.
    pub login_san_index: usize,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            cacertfile: None,
            certfile: None,
            keyfile: None,
            verify_peer: false,
            fail_if_no_peer_cert: false,
            versions: vec![TlsVersion::V1_3, TlsVersion::V1_2],
            login_from: CertLogin::DistinguishedName,
            login_san_type: SanType::Dns,
            login_san_index: 0,
        }
    }
}
