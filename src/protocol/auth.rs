//! SASL responses: what a client sends to prove who it is.

use crate::wire::FieldTable;

/// The mechanisms this layer can read. Which of them are offered is the
/// server's [`Settings`](super::Settings).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    AmqPlain,
    External,
    Anonymous,
}

impl Mechanism {
    /// The mechanism called `name`, if it is among those `offered`, which are
    /// separated by spaces.
    pub(super) fn chosen(name: &str, offered: &str) -> Option<Self> {
        if !offered.split(' ').any(|word| word == name) {
            return None;
        }
        match name {
            "PLAIN" => Some(Self::Plain),
            "AMQPLAIN" => Some(Self::AmqPlain),
            "EXTERNAL" => Some(Self::External),
            "ANONYMOUS" => Some(Self::Anonymous),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::AmqPlain => "AMQPLAIN",
            Self::External => "EXTERNAL",
            Self::Anonymous => "ANONYMOUS",
        }
    }
}

/// Name and password of a PLAIN response: NUL, name, NUL, password. As with
/// RabbitMQ, there can be no other identity in front (RFC 4616 allows one).
pub(super) fn plain(response: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = response.split(|octet| *octet == 0);
    let (b"", Some(user), Some(password), None) =
        (parts.next()?, parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    Some((std::str::from_utf8(user).ok()?, password))
}

/// Name and password of an AMQPLAIN response: the entries of a table, LOGIN
/// and PASSWORD among them.
pub(super) fn amqplain(response: &[u8]) -> Option<(String, Vec<u8>)> {
    let table = FieldTable::parse_entries(response).ok()?;
    let user = table.get("LOGIN")?.as_str()?;
    let password = table.get("PASSWORD")?.as_octets()?;
    Some((user.to_owned(), password.to_vec()))
}
