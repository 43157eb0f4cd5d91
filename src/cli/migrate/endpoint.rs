//! The address of the old broker, for each of its virtual hosts.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::cli::Failure;

/// Where the old broker speaks AMQP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Up to the host and port.
    front: String,
    /// From the question mark on.
    query: String,
}

impl Endpoint {
    /// # Errors
    /// A usage failure when `uri` isn't one of AMQP with a host.
    pub(super) fn parse(uri: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            Failure::Usage(format!(
                "--from {why}; expected something like amqp://guest:guest@old:5672"
            ))
        };
        let (scheme, rest) = uri
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "amqp" | "amqps"))
            .ok_or_else(|| refuse("has neither amqp:// nor amqps:// in front"))?;
        let (rest, query) = match rest.find('?') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.rsplit('@').next().is_none_or(str::is_empty) {
            return Err(refuse("names no host"));
        }
        if !matches!(vhost, "" | "%2f" | "%2F") {
            return Err(refuse("names a virtual host, which --queue-vhost is for"));
        }
        Ok(Self {
            front: format!("{scheme}://{authority}"),
            query: query.to_owned(),
        })
    }

    /// The address of a virtual host.
    pub(super) fn of_vhost(&self, vhost: &str) -> String {
        let vhost = utf8_percent_encode(vhost, NON_ALPHANUMERIC);
        format!("{}/{vhost}{}", self.front, self.query)
    }

    /// The address of a virtual host of the broker that is moved to, seen from
    /// there.
    pub(super) fn here(vhost: &str) -> String {
        let here = Self {
            front: "amqp://".to_owned(),
            query: String::new(),
        };
        here.of_vhost(vhost)
    }

    /// User and password.
    pub(super) fn login(&self) -> Option<(String, String)> {
        let authority = self.front.split_once("://")?.1;
        let (login, _) = authority.rsplit_once('@')?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let decode = |text| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.ok().map(|text| text.into_owned())
        };
        Some((decode(user)?, decode(password)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_endpoint_has_an_address_for_each_virtual_host() {
        let endpoint = Endpoint::parse("amqps://u%40x:p@old:5671/%2F?verify=verify_none").unwrap();
        let address = "amqps://u%40x:p@old:5671/a%2Fb?verify=verify_none";
        assert_eq!(endpoint.of_vhost("a/b"), address);
        assert_eq!(endpoint.login(), Some(("u@x".into(), "p".into())));
        let endpoint = Endpoint::parse("amqp://old").unwrap();
        assert_eq!(endpoint.of_vhost("/"), "amqp://old/%2F");
        assert_eq!(endpoint.login(), None);
    }

    #[test]
    fn what_is_no_endpoint_is_a_usage_failure() {
        for uri in [
            "old:5672",
            "http://old",
            "amqp://",
            "amqp://u:p@",
            "amqp://old/shop",
        ] {
            assert!(
                matches!(Endpoint::parse(uri), Err(Failure::Usage(_))),
                "{uri}"
            );
        }
    }
}
