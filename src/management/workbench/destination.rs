//! Where a message is sent back to, and why there.

use std::sync::Arc;

use serde_json::Value;

use super::letter::Letter;
use crate::broker::vhost::Vhost;
use crate::management::body::{Body, unexpected};
use crate::management::path::exchange_name;
use crate::management::reply::ApiError;

/// Where messages are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To the queue where each died first, or else where it was published to.
    Origin,
    /// Where each was published to at first: all queues bound there get it again.
    OriginExchange,
    /// To this exchange, by this key or else the first one each had.
    Exchange(String, Option<String>),
}

impl Wanted {
    /// Reads `to` of a request: `"origin"`, `"origin-exchange"`, or an object with
    /// `queue`, or with `exchange` and perhaps `routing_key`.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub(super) fn parse(body: &Body) -> Result<Self, ApiError> {
        const EXPECTED: &str = "\"origin\", \"origin-exchange\", {\"queue\": name} or \
                                {\"exchange\": name, \"routing_key\": key}";
        let object = match body.get("to") {
            None => return Ok(Self::Origin),
            Some(Value::String(text)) if text == "origin" => return Ok(Self::Origin),
            Some(Value::String(text)) if text == "origin-exchange" => {
                return Ok(Self::OriginExchange);
            }
            Some(Value::Object(object)) => Body(object.clone()),
            Some(other) => return Err(unexpected("to", EXPECTED, other)),
        };
        if let Some(queue) = object.text("queue")? {
            return Ok(Self::Exchange(String::new(), Some(queue.to_owned())));
        }
        let Some(exchange) = object.text("exchange")? else {
            return Err(unexpected("to", EXPECTED, &Value::Object(object.0)));
        };
        let key = object.text("routing_key")?.map(str::to_owned);
        Ok(Self::Exchange(exchange_name(exchange).to_owned(), key))
    }

    /// Where a message goes.
    ///
    /// # Errors
    /// Why that can't be said.
    pub(super) fn of(&self, letter: &Letter<'_>, vhost: &Vhost) -> Result<Destination, String> {
        match self {
            Self::Origin => origin(letter, vhost),
            Self::OriginExchange => origin_exchange(letter, vhost),
            Self::Exchange(exchange, key) => {
                let origin = letter.history.origin().and_then(|(_, key)| key);
                let own = || origin.map_or_else(|| letter.routing_key(), str::to_owned);
                let key = key.clone().unwrap_or_else(own);
                Ok(Destination::new(exchange, &key, "as asked for"))
            }
        }
    }
}

/// Where a message goes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Destination {
    pub(super) exchange: Arc<str>,
    pub(super) routing_key: Arc<str>,
    pub(super) why: String,
}

impl Destination {
    fn new(exchange: &str, routing_key: &str, why: impl Into<String>) -> Self {
        Self {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            why: why.into(),
        }
    }
}

fn origin(letter: &Letter<'_>, vhost: &Vhost) -> Result<Destination, String> {
    let history = &letter.history;
    let queue = history.first_queue().ok_or_else(no_history)?;
    if vhost.has_queue(queue) {
        let why = format!(
            "to the queue where it died first, '{queue}', alone: others that had it keep theirs"
        );
        return Ok(Destination::new("", queue, why));
    }
    let found = origin_exchange(letter, vhost)?;
    let why = format!(
        "the queue where it died first, '{queue}', is gone: {}",
        found.why
    );
    Ok(Destination { why, ..found })
}

fn origin_exchange(letter: &Letter<'_>, vhost: &Vhost) -> Result<Destination, String> {
    let (exchange, key) = letter.history.origin().ok_or_else(no_history)?;
    if !vhost.has_exchange(exchange) && !exchange.is_empty() {
        return Err(format!(
            "it was published to exchange '{exchange}', which is gone: say where it is to go"
        ));
    }
    let own = letter.routing_key();
    let why = match exchange {
        "" => "to where it was published, the default exchange".to_owned(),
        _ => format!("to where it was published, exchange '{exchange}'"),
    };
    Ok(Destination::new(exchange, key.unwrap_or(&own), why))
}

fn no_history() -> String {
    "it never died, so it doesn't tell where it comes from: say where it is to go".to_owned()
}
