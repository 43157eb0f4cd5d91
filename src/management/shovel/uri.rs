//! The addresses of brokers, as shovels name them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// How long a broker has for the connection to be open, unless said.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// The heartbeat asked for unless said, seconds.
const HEARTBEAT: u16 = 10;

/// Where a broker is, and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Host name and port; `None` is the broker that the shovel runs in.
    pub host: Option<(String, u16)>,
    /// User and password, if any are given.
    pub login: Option<(String, String)>,
    /// The virtual host.
    pub vhost: String,
    /// How to encrypt; `None` leaves it.
    pub tls: Option<TlsOptions>,
    /// The heartbeat asked for, seconds; 0 is none.
    pub heartbeat: u16,
    /// How long the broker has for the connection to be open.
    pub timeout: Duration,
}

/// The options of `amqps`, by RabbitMQ's names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Who may vouch for the broker, a file; the system's list when `None`.
    pub cacertfile: Option<PathBuf>,
    /// Our own certificate.
    pub certfile: Option<PathBuf>,
    /// And its key.
    pub keyfile: Option<PathBuf>,
    /// Any certificate will do: `verify=verify_none`.
    pub trusts_anyone: bool,
    /// The name the certificate has to be for, when it isn't the host's.
    pub server_name: Option<String>,
}

/// Why text is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadUri(String);

impl fmt::Display for BadUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = BadUri;

    /// Parses `amqp[s]://[user[:password]@][host[:port]][/vhost][?options]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| BadUri(format!("{text:?} not a valid URI: {{{why},{text:?}}}"));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("no_scheme"))?;
        let is_tls = match scheme {
            "amqp" => false,
            "amqps" => true,
            other => return Err(bad(&format!("{{unexpected_uri_scheme,{other:?}}}"))),
        };
        let decode = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8();
            let is_sound = is_percent_encoded(part);
            match decoded {
                Ok(decoded) if is_sound => Ok(decoded.into_owned()),
                _ => Err(bad(&format!("{{invalid_entity,{part:?}}}"))),
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, Some(vhost)),
            None => (rest, None),
        };
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Ok((decode(user)?, decode(password)?))
        });
        let default_port = if is_tls { 5671 } else { 5672 };
        let mut address = Self {
            host: split_port(host, default_port).map_err(|why| bad(&why))?,
            login: login.transpose()?,
            vhost: match vhost {
                None | Some("") => "/".to_owned(),
                Some(vhost) => decode(vhost)?,
            },
            tls: is_tls.then(TlsOptions::default),
            heartbeat: HEARTBEAT,
            timeout: CONNECTION_TIMEOUT,
        };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = decode(value)?;
            address
                .set(name, value)
                .map_err(|why| bad(&format!("{{{name},{why:?}}}")))?;
        }
        Ok(address)
    }
}

impl Address {
    /// Sets an option. One that isn't known is passed over, as RabbitMQ does.
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let number = |value: String| value.parse::<u16>().map_err(|_| value);
        match name {
            "heartbeat" => self.heartbeat = number(value)?,
            "connection_timeout" => {
                let ms = value.parse().map_err(|_| value)?;
                self.timeout = Duration::from_millis(ms);
            }
            name => {
                let Some(tls) = &mut self.tls else {
                    return Ok(());
                };
                match name {
                    "cacertfile" => tls.cacertfile = Some(value.into()),
                    "certfile" => tls.certfile = Some(value.into()),
                    "keyfile" => tls.keyfile = Some(value.into()),
                    "server_name_indication" => tls.server_name = Some(value),
                    "verify" => match value.as_str() {
                        "verify_none" => tls.trusts_anyone = true,
                        "verify_peer" => tls.trusts_anyone = false,
                        _ => return Err(value),
                    },
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// What may be shown of a broker's address: no user, password or options.
pub fn shown(uri: &str) -> String {
    let (scheme, rest) = uri.split_once("://").unwrap_or(("amqp", ""));
    let rest = rest.split('?').next().unwrap_or_default();
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Without user, password and options, so that it can be logged.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        match &self.host {
            Some((host, port)) => write!(f, "{scheme}://{host}:{port}/{}", self.vhost),
            None => write!(f, "{scheme}:///{}", self.vhost),
        }
    }
}

/// Whether each `%` has two hexadecimal digits behind it.
fn is_percent_encoded(text: &str) -> bool {
    let mut pieces = text.split('%').skip(1);
    pieces.all(|piece| {
        let digits = piece.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() == 2
    })
}

fn split_port(authority: &str, default: u16) -> Result<Option<(String, u16)>, String> {
    if authority.is_empty() {
        return Ok(None);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("invalid_host")?,
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    let port = match port.strip_prefix(':').unwrap_or_default() {
        "" => default,
        text => {
            let number: u64 = text
                .parse()
                .map_err(|_| format!("{{invalid_port,{text:?}}}"))?;
            u16::try_from(number).map_err(|_| format!("{{port_out_of_range,{number}}}"))?
        }
    };
    Ok(Some((host.to_owned(), port)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_has_the_parts_it_names() {
        let address: Address = "amqps://a%40b:p%2Fw@h.example:99/%2Fv?heartbeat=3&verify=verify_none&cacertfile=/etc/ca.pem&zork=1"
            .parse()
            .unwrap();
        assert_eq!(address.host, Some(("h.example".into(), 99)));
        assert_eq!(address.login, Some(("a@b".into(), "p/w".into())));
        assert_eq!((address.vhost.as_str(), address.heartbeat), ("/v", 3));
        let tls = address.tls.unwrap();
        assert!(tls.trusts_anyone);
        assert_eq!(tls.cacertfile, Some("/etc/ca.pem".into()));
    }

    #[test]
    fn an_address_without_a_host_is_this_broker() {
        for text in ["amqp://", "amqp:///", "amqp:///%2f"] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host, address.vhost), (None, "/".into()), "{text}");
        }
        let address: Address = "amqp://[::1]/v".parse().unwrap();
        assert_eq!(address.host, Some(("::1".into(), 5672)));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_as_rabbitmq_says_it() {
        assert_eq!(
            refused("foo://x"),
            r#""foo://x" not a valid URI: {{unexpected_uri_scheme,"foo"},"foo://x"}"#
        );
        assert_eq!(
            refused("amqp://h:99999"),
            r#""amqp://h:99999" not a valid URI: {{port_out_of_range,99999},"amqp://h:99999"}"#
        );
        assert!(refused("amqp://h/%zz").contains("invalid_entity"));
        assert!(refused("amqp://h?heartbeat=x").contains("heartbeat"));
    }

    #[test]
    fn a_shown_address_has_no_password() {
        assert_eq!(shown("amqp://u:p@h:1/v?heartbeat=1"), "amqp://h:1/v");
        assert_eq!(shown("amqp://"), "amqp://");
        let address: Address = "amqp://u:secret@h/v".parse().unwrap();
        assert!(!format!("{address:?}").contains("secret"));
    }
}
