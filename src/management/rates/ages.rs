//! How far back somebody wants to see.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::management::query::Query;
use crate::management::reply::ApiError;

/// The most samples of one counter that are given.
const SAMPLES_MAX: u64 = 1000;

/// The farthest back that anybody can ask for, seconds: nothing is kept as long.
const AGE_MAX: u64 = 7 * 86_400;

/// How far back, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How far back.
    pub age: Duration,
    /// How far apart.
    pub step: Duration,
}

/// How far back each kind of counters is wanted; none has no samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ages {
    /// Messages that pass.
    pub messages: Option<Span>,
    /// Messages that are there.
    pub lengths: Option<Span>,
    /// Octets that pass.
    pub data: Option<Span>,
    /// What is of the whole node.
    pub node: Option<Span>,
}

impl Ages {
    /// What a query asks for.
    pub fn of(query: &Query) -> Self {
        let span = |kind: &str| {
            let age: u64 = query.number(&format!("{kind}_age"))?;
            let age = age.min(AGE_MAX);
            let step: u64 = query.number(&format!("{kind}_incr"))?;
            let step = step.min(AGE_MAX);
            // Farther apart than asked rather than too many.
            let least = age.div_ceil(SAMPLES_MAX);
            (step > 0).then(|| Span {
                age: Duration::from_secs(age),
                step: Duration::from_secs(step.max(least)),
            })
        };
        Self {
            messages: span("msg_rates"),
            lengths: span("lengths"),
            data: span("data_rates"),
            node: span("node_stats"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ages {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await?;
        Ok(Self::of(&query))
    }
}
