//! What went wrong with a request, said so that one knows what to do next.

use std::io::ErrorKind;

use serde_json::Value;

use crate::cli::Failure;

/// Why a request has no answer to go on with.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nothing that speaks HTTP answered.
    #[error("{0}")]
    Unreachable(String),
    /// The broker answered that it won't.
    #[error("{}", refusal(*.status, .reason, .subject.as_deref()))]
    Refused {
        /// The HTTP status, 4xx or 5xx.
        status: u16,
        /// What the broker gave as the reason, or the status' own words.
        reason: String,
        /// What the request was about, as people call it.
        subject: Option<String>,
        /// The answer itself, null if it wasn't JSON.
        body: Value,
    },
    /// What answered isn't a management API.
    #[error("{0}")]
    Strange(String),
}

impl ApiError {
    /// The same, naming what the request was about (`queue 'orders' in vhost '/'`).
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Self {
        if let Self::Refused { subject, .. } = &mut self {
            *subject = Some(what.into());
        }
        self
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether what was asked for isn't there.
    pub fn is_absent(&self) -> bool {
        self.status() == Some(404)
    }

    pub(super) fn transport(base: &str, error: &ureq::Error) -> Self {
        let what = match error {
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                format!(
                    "nothing listens at {base}: is the broker running (harrier serve), with its \
                     management API there? --url says where to look"
                )
            }
            ureq::Error::HostNotFound => {
                format!("{base}: no such host; is --url right?")
            }
            ureq::Error::Timeout(_) => format!(
                "{base} didn't answer in time ({error}); it may be overloaded or behind a firewall; \
                 --timeout gives it longer"
            ),
            ureq::Error::Rustls(error) => certificate(base, &error.to_string()),
            ureq::Error::Io(error) if error.to_string().contains("certificate") => {
                certificate(base, &error.to_string())
            }
            ureq::Error::Io(error)
                if matches!(error.kind(), ErrorKind::InvalidData)
                    && base.starts_with("https://") =>
            {
                format!("{base} doesn't speak TLS ({error}); is it an http:// address?")
            }
            ureq::Error::Protocol(error) => format!(
                "{base} doesn't speak HTTP ({error}); 5672 is AMQP's port, the management API's \
                 is 15672"
            ),
            _ => format!("cannot ask {base}: {error}"),
        };
        Self::Unreachable(what)
    }

    /// The refusal in an answer with this status.
    pub(super) fn refused(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let told = |key| match body.get(key) {
            Some(Value::String(text)) => Some(text.trim_end().to_owned()),
            Some(Value::Null) | None => None,
            Some(other) => Some(other.to_string()),
        };
        // A missing object has its words under `error` in RabbitMQ.
        let reason = told("reason").or_else(|| told("error"));
        Self::Refused {
            status,
            reason: reason.unwrap_or_else(|| status_words(status).to_owned()),
            subject: None,
            body,
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn certificate(base: &str, why: &str) -> String {
    format!(
        "{base}: {why}; name the authority that signed the broker's certificate with --ca-file, \
         and call the broker by a name that is in it, or trust whoever answers: --insecure"
    )
}

fn refusal(status: u16, reason: &str, subject: Option<&str>) -> String {
    let subject_or = |other: &str| subject.unwrap_or(other).to_owned();
    match status {
        401 if reason.starts_with("Not ") && !reason.starts_with("Not_Authorized") => format!(
            "this user may not do that ({reason}): another --user, or one more tag for this one \
             (harrier users tag)"
        ),
        401 if reason.starts_with("Access refused") => format!(
            "this user has no permission for {}; `harrier permissions list` shows what it may",
            subject_or("that")
        ),
        401 => format!(
            "the broker refused the login or the access ({reason}): check --user and --password"
        ),
        403 => format!("the broker refused ({reason})"),
        404 if reason == "Not Found" => format!("there is no {}", subject_or("such object")),
        404 => format!("there is no {}: {reason}", subject_or("such object")),
        405 => "this broker's management API has no such operation; is it older than this program?"
            .into(),
        503 => format!("the broker isn't ready: {reason}"),
        400 | 409 | 412 | 415 => format!("{}: {reason}", subject_or("refused")),
        _ => format!(
            "{}: the broker answered {status}: {reason}",
            subject_or("failed")
        ),
    }
}

fn status_words(status: u16) -> &'static str {
    match status {
        400 => "bad request",
        401 => "not authorised",
        403 => "forbidden",
        404 => "Not Found",
        405 => "method not allowed",
        409 => "conflict",
        412 => "precondition failed",
        413 => "request too large",
        415 => "unsupported media type",
        429 => "too many requests",
        500 => "internal error; its log says more",
        503 => "service unavailable",
        _ => "no reason given",
    }
}
