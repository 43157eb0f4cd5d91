//! Who a client's certificate says he is.

use std::net::{Ipv4Addr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::base::tls::{CertLogin, SanType, TlsOptions};

/// The attribute of a subject that is its common name (RFC 4519, 2.3).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What a client's certificate says, in the forms that RabbitMQ gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerCertificate {
    /// Whom it is for: `CN=orders,O=Example` (RFC 4514).
    pub subject: String,
    /// Who vouches for that.
    pub issuer: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// From when to when it holds.
    pub validity: String,
    /// The common names of its subject.
    common_names: Vec<String>,
    /// The names it has besides, each with its kind.
    alternative: Vec<(SanType, String)>,
}

impl PeerCertificate {
    /// What `certificate` says, if it can be read. That somebody who may has
    /// signed it was seen to when it was shown.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let body = certificate.tbs_certificate();
        let subject = body.subject();
        let validity = body.validity();
        let besides = body.get_extension::<SubjectAltName>().ok()?;
        Some(Self {
            subject: subject.to_string(),
            issuer: body.issuer().to_string(),
            serial: hexadecimal(body.serial_number().as_bytes()),
            validity: format!("{} - {}", validity.not_before, validity.not_after),
            common_names: subject
                .iter()
                .filter(|part| part.oid == COMMON_NAME)
                .filter_map(text)
                .collect(),
            alternative: besides
                .map(|(_, names)| names.0.iter().filter_map(alternative).collect())
                .unwrap_or_default(),
        })
    }

    /// The user it stands for, if it has such a name.
    pub fn user(&self, options: &TlsOptions) -> Option<String> {
        let name = match options.login_from {
            CertLogin::DistinguishedName => self.subject.clone(),
            CertLogin::CommonName => self.common_names.join(","),
            CertLogin::SubjectAlternativeName => {
                let wanted = self
                    .alternative
                    .iter()
                    .filter(|(kind, _)| *kind == options.login_san_type);
                let found = wanted.map(|(_, name)| name).nth(options.login_san_index);
                found?.clone()
            }
        };
        (!name.is_empty()).then_some(name)
    }
}

/// When the first of some certificates expires, seconds since 1970; those that
/// can't be read don't.
pub(super) fn first_expiry(chain: &[CertificateDer<'_>]) -> Option<u64> {
    let expiry = |certificate: &CertificateDer<'_>| {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        Some(validity.not_after.to_unix_duration().as_secs())
    };
    chain.iter().filter_map(expiry).min()
}

fn text(part: &AttributeTypeAndValue) -> Option<String> {
    let value = &part.value;
    let utf8 = Utf8StringRef::try_from(value).map(|text| text.as_str().to_owned());
    let text = utf8
        .or_else(|_| PrintableStringRef::try_from(value).map(|text| text.as_str().to_owned()))
        .or_else(|_| TeletexStringRef::try_from(value).map(|text| text.as_str().to_owned()));
    text.ok()
}

fn alternative(name: &GeneralName) -> Option<(SanType, String)> {
    match name {
        GeneralName::DnsName(name) => Some((SanType::Dns, name.to_string())),
        GeneralName::Rfc822Name(name) => Some((SanType::Email, name.to_string())),
        GeneralName::UniformResourceIdentifier(name) => Some((SanType::Uri, name.to_string())),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).to_string());
            let name =
                v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|o| Ipv6Addr::from(o).to_string()));
            Some((SanType::Ip, name.ok()?))
        }
        _ => None,
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_chain_expires_with_the_first_of_it() {
        let chain = [until(2031), until(2030), until(2032)];
        assert_eq!(first_expiry(&chain), Some(1_893_456_000));
        assert_eq!(first_expiry(&[]), None);
        let garbage = CertificateDer::from(vec![1, 2, 3]);
        assert_eq!(first_expiry(&[garbage]), None);
    }
}
