//! An address that something is served on, or nothing.

use std::net::SocketAddr;
use std::str::FromStr;

use serde::Deserialize;

/// An address that something is served on; `off`, or an empty text, for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AddressKey(pub Option<SocketAddr>);

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: expected one like 127.0.0.1:15672, or off")]
pub struct BadAddress(String);

impl FromStr for AddressKey {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text {
            "" | "off" => Ok(Self(None)),
            _ => match text.parse() {
                Ok(address) => Ok(Self(Some(address))),
                Err(_) => Err(BadAddress(text.to_owned())),
            },
        }
    }
}

impl TryFrom<String> for AddressKey {
    type Error = BadAddress;

    fn try_from(text: String) -> Result<Self, BadAddress> {
        text.parse()
    }
}
