//! The workbench for dead letters, and for any queue's messages: look at them
//! without consuming any, understand why they are there, send them back.
//!
#![doc = include_str!("../../manual/dead_letters.md")]

mod account;
mod acts;
mod death;
mod destination;
mod edits;
mod filter;
mod job;
mod jobs;
mod letter;
mod looks;
mod payload;
mod scan;
mod summary;
mod task;
mod transfer;

use std::sync::Arc;

use axum::Router;

pub use self::jobs::Jobs;

use super::access::InVhost;
use super::api::Api;
use super::reply::ApiError;
use super::routes::Routes;
use crate::broker::access::{Grants, Permission};
use crate::broker::queue::Queue;

/// `/harrier/queues/{vhost}/{queue}/messages`, `/harrier/jobs`, `/harrier/audit`.
pub fn routes() -> Routes {
    Router::new().merge(looks::routes()).merge(acts::routes())
}

/// The queue of a request, if whoever asks may take messages from it; and what
/// else they may do.
fn readable(api: &Api, asked: &InVhost, name: &str) -> Result<(Arc<Queue>, Grants), ApiError> {
    let found = asked.vhost.queue(name, api.shared.next_connection());
    let queue = found?;
    let mut grants = asked.acting.grants(&asked.vhost);
    grants.check_queue(Permission::Read, name)?;
    Ok((queue, grants))
}
