//! Messages published and taken over HTTP: for people who try something, not
//! for those who work.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::access::InVhost;
use super::api::Api;
use super::body::Body;
use super::fields;
use super::path::{Path, exchange_name};
use super::reply::{ApiError, Reply, found};
use super::routes::Routes;
use crate::base::limits::{HTTP_GET_MAX, HTTP_GET_MESSAGES_MAX};
use crate::broker::attempts::ReturnCause;
use crate::broker::queue::Settlement;
use crate::server::direct::{Fate, Letter, Taken};

/// `/queues/.../get` and `/exchanges/.../publish`.
pub fn routes() -> Routes {
    Router::new()
        .route("/queues/{vhost}/{queue}/get", post(take))
        .route("/exchanges/{vhost}/{exchange}/publish", post(publish))
}

async fn publish(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    let name = exchange_name(&name);
    if place.vhost.exchange(name).is_none() {
        return Err(ApiError::missing("exchange_not_found"));
    }
    body.required(["routing_key", "properties", "payload", "payload_encoding"])?;
    let payload = payload(&body)?;
    let none = Map::new();
    let properties = fields::raw_properties(body.object("properties")?.unwrap_or(&none))?;
    let letter = Letter {
        exchange: name,
        routing_key: body.text("routing_key")?.unwrap_or_default(),
        properties: &properties,
        body: &payload,
    };
    if letter.routing_key.len() > 255 {
        return Err(ApiError::bad_request("routing_key is over 255 octets"));
    }
    if payload.len() as u64 > api.shared.config.max_message_size {
        let limit = api.shared.config.max_message_size;
        return Err(ApiError::bad_request(format!(
            "message size {} is larger than configured max size {limit}",
            payload.len()
        )));
    }
    let mut direct = place.direct(&api);
    let fate = direct.publish(&letter)?;
    api.synced(direct.take_batch()).await;
    match fate {
        Fate::Routed => found(json!({ "routed": true })),
        Fate::Unroutable => found(json!({ "routed": false })),
        Fate::Refused => Err(ApiError::bad_request("rejected")),
    }
}

fn payload(body: &Body) -> Result<Bytes, ApiError> {
    let text = body.text("payload")?.unwrap_or_default();
    match body.text("payload_encoding")?.unwrap_or_default() {
        "string" => Ok(Bytes::copy_from_slice(text.as_bytes())),
        "base64" => match BASE64_STANDARD.decode(text) {
            Ok(octets) => Ok(octets.into()),
            Err(_) => Err(ApiError::because(json!(["not_base64", text]))),
        },
        other => Err(ApiError::because(json!(["unsupported_encoding", other]))),
    }
}

/// How messages that were taken are to be settled.
enum AckMode {
    /// As they are taken.
    AtOnce,
    /// When all are taken.
    Then(Settlement),
}

impl AckMode {
    fn of(name: &str) -> Result<Self, ApiError> {
        Ok(match name {
            "ack_requeue_false" => Self::AtOnce,
            "ack_requeue_true" => Self::Then(Settlement::Requeue(ReturnCause::Returned)),
            "reject_requeue_true" => Self::Then(Settlement::Requeue(ReturnCause::Rejected)),
            "reject_requeue_false" => Self::Then(Settlement::Discard(ReturnCause::Rejected)),
            other => {
                return Err(ApiError::bad_request(format!(
                    "Invalid ackmode value: {other}. Valid values are: ack_requeue_true, \
                     ack_requeue_false, reject_requeue_true, reject_requeue_false"
                )));
            }
        })
    }
}

async fn take(
    State(api): State<Arc<Api>>,
    place: InVhost,
    Path((_, name)): Path<(String, String)>,
    body: Body,
) -> Reply {
    if place.queue(&name).is_err() {
        return Err(ApiError::missing("queue_not_found"));
    }
    body.required(["ackmode", "count", "encoding"])?;
    let mode = AckMode::of(body.text("ackmode")?.unwrap_or_default())?;
    let as_base64 = match body.text("encoding")?.unwrap_or_default() {
        "auto" => false,
        "base64" => true,
        _ => {
            let text = "Unsupported encoding. Please use auto or base64.";
            return Err(ApiError::bad_request(text));
        }
    };
    let count = body.integer("count")?.unwrap_or_default();
    let truncate = body.integer("truncate")?;
    let cut = truncate.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(0));
    let mut direct = place.direct(&api);
    let mut taken = Vec::new();
    let mut octets = 0;
    let no_ack = matches!(mode, AckMode::AtOnce);
    // Who wants more asks again.
    for _ in 0..count.min(HTTP_GET_MESSAGES_MAX) {
        let Some(message) = direct.get(&name, no_ack).await? else {
            break;
        };
        taken.push(shown(&message, as_base64, cut));
        octets += message.body.len();
        if octets >= HTTP_GET_MAX {
            break;
        }
    }
    if let AckMode::Then(settlement) = mode {
        direct.settle(settlement);
    }
    api.synced(direct.take_batch()).await;
    found(taken.into())
}

fn shown(message: &Taken, as_base64: bool, cut: usize) -> Value {
    let part = message.body.get(..cut).unwrap_or(&message.body);
    let (payload, encoding) = fields::payload(part, as_base64);
    json!({
        "payload_bytes": message.body.len(),
        "redelivered": message.redelivered,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "message_count": message.remaining,
        "properties": fields::properties(&message.properties),
        "payload": payload,
        "payload_encoding": encoding,
    })
}
