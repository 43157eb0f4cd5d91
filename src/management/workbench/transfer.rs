//! Messages as lines of JSON: out of a queue, and into one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body as HttpBody, Bytes};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use hyper::body::{Body as Streamed, Frame};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::filter::Filter;
use super::letter::Letter;
use super::payload::{self, Payloads, Shown};
use super::scan::Scan;
use crate::base::ids::Batch;
use crate::broker::dead_lettering::see_to_effects;
use crate::broker::effects::Effects;
use crate::broker::message::Content;
use crate::broker::publishing::expiration_ms;
use crate::broker::queue::{Cursor, Incoming, Pushed, Queue};
use crate::broker::unit::Unit;
use crate::broker::vhost::Vhost;
use crate::management::arguments;
use crate::management::reply::{ApiError, merge};
use crate::server::shared::Shared;
use crate::wire::{Body, FieldTable, FieldValue, Properties};

/// Pieces of an export that wait for whoever reads them.
const PIECES_AHEAD: usize = 2;

/// The messages of a queue that are meant, a line each. `then` is told how many
/// there were and what came of it. Lines that break off don't end like those that
/// are all: the answer is cut short.
pub(super) fn export<F>(
    queue: &Arc<Queue>,
    filter: Filter,
    now: u64,
    then: impl FnOnce(u64, &'static str) -> F + Send + 'static,
) -> HttpBody
where
    F: Future<Output = ()> + Send,
{
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let scan = Scan::new(queue, Cursor::Start);
    let count = Arc::new(AtomicU64::new(0));
    let sent = tokio::spawn(send(scan, filter, now, sender.clone(), Arc::clone(&count)));
    tokio::spawn(async move {
        let outcome = match sent.await {
            Ok(Ok(())) => "done",
            Ok(Err(Stopped::GivenUp)) => "given up",
            Ok(Err(Stopped::Closed)) | Err(_) => {
                let broken = io::Error::other("the export broke off");
                // It may have been given up as well.
                let _told = sender.send(Err(broken)).await;
                "failed"
            }
        };
        then(count.load(Ordering::Relaxed), outcome).await;
    });
    HttpBody::new(Lines(receiver))
}

/// Why an export ended early.
enum Stopped {
    /// Nobody reads it any more.
    GivenUp,
    /// The store is closed.
    Closed,
}

type Piece = io::Result<Bytes>;

async fn send(
    mut scan: Scan,
    filter: Filter,
    now: u64,
    pieces: mpsc::Sender<Piece>,
    count: Arc<AtomicU64>,
) -> Result<(), Stopped> {
    while let Some(seen) = scan.next(256).await.map_err(|_| Stopped::Closed)? {
        let (mut lines, mut sent) = (String::new(), 0);
        for seen in &seen {
            let letter = Letter::of(seen);
            if filter.takes(&letter, now) {
                lines.push_str(&line(&letter).to_string());
                lines.push('\n');
                sent += 1;
            }
        }
        if !lines.is_empty() {
            let piece = pieces.send(Ok(Bytes::from(lines))).await;
            piece.map_err(|_| Stopped::GivenUp)?;
            count.fetch_add(sent, Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Lines on their way.
struct Lines(mpsc::Receiver<Piece>);

impl Streamed for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let lines = self.0.poll_recv(context);
        lines.map(|lines| lines.map(|lines| lines.map(Frame::data)))
    }
}

/// What `properties` in JSON doesn't keep, types of headers above all, is in
/// `raw_properties`.
fn line(letter: &Letter<'_>) -> Value {
    let raw = letter.seen.message().view().properties;
    let mut line = json!({
        "id": letter.seen.place().to_string(),
        "exchange": letter.exchange(),
        "routing_key": letter.routing_key(),
        "properties": letter.shown_properties(),
        "raw_properties": payload::base64(raw),
    });
    let whole = Payloads {
        shown: Shown::Auto,
        truncate: usize::MAX,
    };
    let mut shown = json!({});
    whole.show(letter.body(), &mut shown);
    for key in ["payload", "payload_encoding"] {
        merge(&mut line, json!({ key: shown[key] }));
    }
    line
}

/// A message read from a line.
struct Imported {
    exchange: String,
    routing_key: String,
    properties: BytesMut,
    body: Vec<u8>,
}

/// Puts the messages of lines into a queue, all of them or none; how many.
///
/// # Errors
/// 400 with the first line that makes no sense, or when there is no room.
pub(super) fn import(
    shared: &Shared,
    vhost: &Vhost,
    queue: &Arc<Queue>,
    lines: &[u8],
) -> Result<(u64, Option<Batch>), ApiError> {
    let lines = lines.split(|octet| *octet == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let read = lines.map(|(at, line)| {
        parse(line).map_err(|why| ApiError::bad_request(format!("line {}: {why}", at + 1)))
    });
    let messages: Vec<Imported> = read.collect::<Result<_, _>>()?;
    let mut effects = Effects::default();
    effects.set_now(shared.now());
    let mut unit = Unit::default();
    for message in &messages {
        if unit.publish(queue, &incoming(message), &mut effects) == Pushed::Refused {
            unit.abandon();
            let name = queue.name();
            return Err(ApiError::bad_request(format!(
                "queue '{name}' has no room for them: nothing was imported"
            )));
        }
    }
    unit.commit(vhost.store(), &mut effects);
    see_to_effects(vhost, &mut effects);
    effects.wake_all();
    Ok((messages.len() as u64, effects.take_batch()))
}

fn incoming(message: &Imported) -> Incoming<'_> {
    let parsed = Properties::parse(&message.properties).unwrap_or_default();
    let headers = parsed.headers_table().unwrap_or_default();
    let expiration = parsed.expiration.and_then(|ms| expiration_ms(ms).ok());
    let content = Content {
        exchange: message.exchange.as_bytes(),
        routing_key: message.routing_key.as_bytes(),
        properties: &message.properties,
        persistent: parsed.is_persistent(),
        // Its history goes on where it was exported.
        dead_lettered: headers.get("x-death").is_some(),
        failed: false,
        blind_copies: &[],
        body: Body::Borrowed(&message.body),
    };
    Incoming::new(content).expiring(expiration)
}

fn parse(line: &[u8]) -> Result<Imported, String> {
    let line: Value = serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
    let text = |key: &str| match &line[key] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(&**text),
        other => Err(format!("{key} is {other}: expected a string")),
    };
    let payload = line["payload"].as_str();
    let payload = payload.ok_or("no payload: expected a string")?;
    let body = payload::decode(payload, line["payload_encoding"].as_str())?;
    let short = |key: &str| match text(key)? {
        long if u8::try_from(long.len()).is_err() => Err(format!("{key} is over 255 octets")),
        short => Ok(short.to_owned()),
    };
    let properties = match text("raw_properties")? {
        "" => from_json(&line["properties"])?,
        raw => from_raw(raw)?,
    };
    Ok(Imported {
        exchange: short("exchange")?,
        routing_key: short("routing_key")?,
        properties,
        body,
    })
}

fn from_raw(raw: &str) -> Result<BytesMut, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("raw_properties: {why}");
    let raw = BASE64_STANDARD.decode(raw).map_err(|e| wrong(&e))?;
    let parsed = Properties::parse(&raw).map_err(|e| wrong(&e))?;
    parsed.headers_table().map_err(|e| wrong(&e))?;
    Ok(BytesMut::from(&raw[..]))
}

/// Raw properties from those in JSON, by RabbitMQ's names.
fn from_json(json: &Value) -> Result<BytesMut, String> {
    let nothing = Map::new();
    let given = match json {
        Value::Null => &nothing,
        Value::Object(object) => object,
        other => return Err(format!("properties is {other}: expected an object")),
    };
    let text = |name: &str| match given.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= 255 => Ok(Some(text.as_bytes())),
        Some(other) => Err(format!("{name} is {other}: expected up to 255 octets")),
    };
    let number = |name: &str, most: u64| match given.get(name) {
        None => Ok(None),
        Some(value) => (value.as_u64().filter(|number| *number <= most))
            .map(Some)
            .ok_or_else(|| format!("{name} is {value}: expected a number up to {most}")),
    };
    let headers = match given.get("headers") {
        None => FieldTable::new(),
        Some(value) => match arguments::value(value)? {
            FieldValue::Table(table) => table,
            _ => return Err(format!("headers is {value}: expected an object")),
        },
    };
    Ok(Properties {
        content_type: text("content_type")?,
        content_encoding: text("content_encoding")?,
        headers: None,
        delivery_mode: number("delivery_mode", 255)?.map(|mode| mode as u8),
        priority: number("priority", 255)?.map(|priority| priority as u8),
        correlation_id: text("correlation_id")?,
        reply_to: text("reply_to")?,
        expiration: text("expiration")?,
        message_id: text("message_id")?,
        timestamp: number("timestamp", u64::MAX)?,
        kind: text("type")?,
        user_id: text("user_id")?,
        app_id: text("app_id")?,
        cluster_id: text("cluster_id")?,
    }
    .with_headers(&headers))
}
