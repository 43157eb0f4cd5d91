//! `amqp://user:password@host:port/vhost`.

use std::fmt;
use std::str::FromStr;

/// Where a broker is and who we are to it.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUri {
    /// Host name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Virtual host.
    pub vhost: String,
}

impl FromStr for AmqpUri {
    type Err = String;

    /// Parses the form RabbitMQ's clients take. What is left out is `guest`,
    /// `guest`, port 5672 and the virtual host `/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = match text.split_once("://") {
            Some(("amqp", rest)) => rest,
            Some(("amqps", _)) => return Err("TLS is not supported here, use amqp://".into()),
            _ => return Err("a broker's address begins with amqp://".into()),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, percent_decode(vhost)?),
            None => (rest, "/".to_owned()),
        };
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (login, address),
            None => ("guest:guest", authority),
        };
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = split_port(address)?;
        Ok(Self {
            host,
            port,
            user: percent_decode(user)?,
            password: percent_decode(password)?,
            vhost,
        })
    }
}

impl fmt::Debug for AmqpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Without user and password, so that it can be printed.
impl fmt::Display for AmqpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn split_port(address: &str) -> Result<(String, u16), String> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("']' is missing after '['")?;
            (host, port.strip_prefix(':'))
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let port = match port {
        None | Some("") => 5672,
        Some(port) => port
            .parse()
            .map_err(|_| format!("'{port}' is not a port number"))?,
    };
    Ok((host.to_owned(), port))
}

fn percent_decode(text: &str) -> Result<String, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |octet: &u8| char::from(*octet).to_digit(16);
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Err(format!("'{text}' has a '%' without two hex digits"));
                };
                octets.push((high * 16 + low) as u8);
                tail
            }
            (b'%', _) => return Err(format!("'{text}' has a '%' without two hex digits")),
            _ => {
                octets.push(*first);
                tail
            }
        };
    }
    String::from_utf8(octets).map_err(|_| format!("'{text}' does not decode to UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AmqpUri {
        text.parse().expect("a good address")
    }

    #[test]
    fn everything_given() {
        let uri = parse("amqp://al%40ice:s%2fcret@broker.example:5673/%2f");
        assert_eq!(uri.user, "al@ice");
        assert_eq!(uri.password, "s/cret");
        assert_eq!((uri.host.as_str(), uri.port), ("broker.example", 5673));
        assert_eq!(uri.vhost, "/");
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let uri = parse("amqp://localhost");
        assert_eq!(
            (uri.user.as_str(), uri.password.as_str()),
            ("guest", "guest")
        );
        assert_eq!((uri.port, uri.vhost.as_str()), (5672, "/"));
        assert_eq!(parse("amqp://[::1]:1234/a").host, "::1");
        assert_eq!(parse("amqp://h/").vhost, "");
    }

    #[test]
    fn the_password_is_not_printed() {
        let uri = parse("amqp://u:topsecret@h");
        assert!(!format!("{uri} {uri:?}").contains("topsecret"));
    }

    #[test]
    fn wrong_ones_are_refused() {
        for text in [
            "localhost",
            "amqps://h",
            "amqp://h:port",
            "amqp://h/%2",
            "amqp://[::1",
        ] {
            assert!(text.parse::<AmqpUri>().is_err(), "{text}");
        }
    }
}
