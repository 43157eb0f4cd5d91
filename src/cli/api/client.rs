//! The client: requests out, JSON in.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

use super::error::ApiError;
use super::path::query_value;

/// Octets of an answer that are read; lists of 100,000 queues take a tenth.
const ANSWER_MAX: u64 = 1 << 30;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// In which the broker says what of a file of definitions it left out.
const LEFT_OUT: &str = "x-harrier-left-out";

/// A user and the password.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// Whether a PUT or POST made what wasn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is new.
    New,
    /// It was there already, and is now as asked.
    There,
}

/// What the broker said to a request that it carried out.
struct Answer {
    status: u16,
    left_out: Option<String>,
    body: Vec<u8>,
}

/// A broker's management API.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    base: String,
    user: String,
    authorization: String,
}

impl Api {
    pub(super) fn new(
        base: String,
        login: Login,
        tls: Option<TlsConfig>,
        patience: Duration,
    ) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Brokers are inside; a proxy meant for the web would only be in the way.
            .proxy(None)
            .user_agent(concat!("harrier/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT.min(patience)))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience));
        if let Some(tls) = tls {
            config = config.tls_config(tls);
        }
        let token = BASE64_STANDARD.encode(format!("{}:{}", login.user, login.password));
        Self {
            agent: Agent::new_with_config(config.build()),
            base,
            user: login.user,
            authorization: format!("Basic {token}"),
        }
    }

    /// Where requests go, for people; without the login.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Who asks.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What is at `path` (from [`path`](super::path()), so `/queues/%2F/orders`).
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that isn't JSON.
    pub fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.get_with(path, &[])
    }

    /// The same with parameters.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn get_with(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ApiError> {
        let answer = self.ask("GET", path, query, &[], None)?;
        self.json(path, &answer.body)
    }

    /// What is at `path`, not taken apart: metrics, a download.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub fn get_octets(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, ApiError> {
        Ok(self.ask("GET", path, query, &[], None)?.body)
    }

    /// Makes `path` be what `body` says.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub fn put(&self, path: &str, body: &Value) -> Result<Made, ApiError> {
        let answer = self.ask("PUT", path, &[], &[], Some(octets(body)))?;
        Ok(made(answer.status))
    }

    /// Sends `body` to `path`; what the broker says to it, null if nothing.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that isn't JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.post_with(path, &[], octets(body))
    }

    /// The same with parameters, and with a body that is JSON or lines of it already.
    ///
    /// # Errors
    /// As [`Api::post`].
    pub fn post_with(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Value, ApiError> {
        let answer = self.ask("POST", path, query, &[], Some(body))?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        self.json(path, &answer.body)
    }

    /// Has the broker make what definitions say; which of them it left out, by
    /// their places in there, if any.
    ///
    /// # Errors
    /// No answer or a refusal.
    pub fn import(&self, path: &str, body: Vec<u8>) -> Result<Option<String>, ApiError> {
        Ok(self.ask("POST", path, &[], &[], Some(body))?.left_out)
    }

    /// Removes what is at `path`.
    ///
    /// # Errors
    /// No answer or a refusal, such as that it isn't there.
    pub fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<(), ApiError> {
        self.ask("DELETE", path, query, &[], None).map(drop)
    }

    /// The same with more headers.
    ///
    /// # Errors
    /// As [`Api::delete`].
    pub fn delete_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<(), ApiError> {
        self.ask("DELETE", path, &[], headers, None).map(drop)
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, ApiError> {
        let mut address = format!("{}{path}", self.base);
        for (at, (name, value)) in query.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.push_str(name);
            address.push('=');
            address.push_str(&query_value(value));
        }
        let mut request = Request::builder()
            .method(method)
            .uri(&address)
            // RabbitMQ has no JSON to say of a purge, and refuses if it must.
            .header("accept", "application/json, */*;q=0.1")
            .header("authorization", &self.authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let asked = match body {
            None => request.body(()).map(|request| self.agent.run(request)),
            Some(body) => request
                .header("content-type", "application/json")
                .body(body)
                .map(|request| self.agent.run(request)),
        };
        let asked = asked.map_err(|error| {
            ApiError::Strange(format!("{address} is no address to ask: {error}"))
        })?;
        let answer = asked.map_err(|error| ApiError::transport(&self.base, &error))?;
        self.read(answer)
    }

    fn read(&self, mut answer: Response<Body>) -> Result<Answer, ApiError> {
        let status = answer.status().as_u16();
        let left_out = answer.headers().get(LEFT_OUT);
        let left_out = left_out.and_then(|told| told.to_str().ok().map(str::to_owned));
        let body = answer.body_mut().with_config().limit(ANSWER_MAX);
        let body = body
            .read_to_vec()
            .map_err(|error| ApiError::transport(&self.base, &error))?;
        match status {
            200..300 => Ok(Answer {
                status,
                left_out,
                body,
            }),
            300..400 => Err(ApiError::Strange(format!(
                "{} sends elsewhere ({status}), so it isn't the management API; is --url right?",
                self.base
            ))),
            _ => Err(ApiError::refused(status, &body)),
        }
    }

    fn json(&self, path: &str, body: &[u8]) -> Result<Value, ApiError> {
        serde_json::from_slice(body).map_err(|error| {
            ApiError::Strange(format!(
                "{}{path} doesn't answer with JSON ({error}); is that a management API?",
                self.base
            ))
        })
    }
}

fn octets(body: &Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    }
}

fn made(status: u16) -> Made {
    if status == 201 {
        Made::New
    } else {
        Made::There
    }
}
