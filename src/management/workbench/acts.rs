//! Doing something about a queue's messages over HTTP, and the record of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::account::Account;
use super::job::{About, Job, Status};
use super::task::{Bench, Task};
use super::{readable, transfer};
use crate::broker::access::Permission;
use crate::management::access::{Acting, InVhost, Monitor, Peer, Viewer};
use crate::management::api::Api;
use crate::management::audit::Deed;
use crate::management::body::Body;
use crate::management::path::Path;
use crate::management::query::Query;
use crate::management::reply::{ApiError, Reply, found};
use crate::management::routes::Routes;

/// The longest somebody may wait for a job to end, seconds.
const WAIT_MAX: u64 = 60;
/// Acts of the audit log that are listed, unless told otherwise, and at most.
const ACTS: usize = 100;
const ACTS_MAX: usize = 1000;

pub(super) fn routes() -> Routes {
    Router::new()
        .route(
            "/harrier/queues/{vhost}/{queue}/messages/replay",
            post(replay),
        )
        .route(
            "/harrier/queues/{vhost}/{queue}/messages/drop",
            post(drop_some),
        )
        .route(
            "/harrier/queues/{vhost}/{queue}/messages/import",
            post(import),
        )
        .route("/harrier/jobs", get(jobs))
        .route("/harrier/jobs/{id}", get(job).delete(cancel))
        .route("/harrier/jobs/{id}/resume", post(resume))
        .route("/harrier/audit", get(audit))
}

type Names = Path<(String, String)>;

async fn replay(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Extension(peer): Extension<Peer>,
    Path((_, queue)): Names,
    body: Body,
) -> Reply {
    act(api, asked, peer, Deed::Replay, &queue, body, String::new()).await
}

async fn drop_some(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Extension(peer): Extension<Peer>,
    Path((_, queue)): Names,
    body: Body,
) -> Reply {
    act(api, asked, peer, Deed::Drop, &queue, body, String::new()).await
}

/// Begins a job, or says what it would do. One that goes on has its `id` already.
async fn act(
    api: Arc<Api>,
    asked: InVhost,
    peer: Peer,
    deed: Deed,
    name: &str,
    body: Body,
    id: String,
) -> Reply {
    let (queue, grants) = readable(&api, &asked, name)?;
    let task = Task::parse(deed, &body)?;
    let bench = Bench {
        api: Arc::clone(&api),
        vhost: Arc::clone(&asked.vhost),
        queue: Arc::clone(&queue),
        grants,
    };
    if body.flag("dry_run")?.unwrap_or(false) {
        return found(bench.rehearse(task).await?);
    }
    let job = api.jobs.begin(About {
        id,
        deed,
        vhost: Arc::clone(asked.vhost.name()),
        queue: Arc::clone(queue.name()),
        user: Arc::clone(asked.acting.name()),
        from: peer.0.to_string(),
        request: Value::Object(body.0),
        started: api.shared.now().unix_ms,
    })?;
    record(&api, &job, "started").await;
    let (running, kept) = (Arc::clone(&job), Arc::clone(&api));
    tokio::spawn(async move {
        let work = bench.run(task, Arc::clone(&running));
        let status = running.outcome(work).await;
        // Who sees that it has ended finds it on record.
        record(&kept, &running, status.name()).await;
        running.end(status, kept.shared.now().unix_ms);
    });
    let at = format!("/api/harrier/jobs/{}", job.about.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, at)], Json(job.shown())).into_response())
}

/// Writes down what a job is about, and what came of it.
async fn record(api: &Arc<Api>, job: &Job, outcome: &'static str) {
    let about = &job.about;
    let mut told = json!({ "job": about.id, "vhost": &*about.vhost, "queue": &*about.queue });
    let done = job.progress.lock().done;
    if outcome == "started" {
        told["request"] = about.request.clone();
    }
    let account = Account {
        deed: about.deed,
        user: Arc::clone(&about.user),
        from: about.from.clone(),
        about: told,
    };
    account.write(api, done, outcome).await;
}

async fn import(
    State(api): State<Arc<Api>>,
    asked: InVhost,
    Extension(peer): Extension<Peer>,
    Path((_, name)): Names,
    lines: Bytes,
) -> Reply {
    let found_queue = asked.vhost.queue(&name, api.shared.next_connection());
    let queue = found_queue?;
    let mut grants = asked.acting.grants(&asked.vhost);
    grants.check_exchange(Permission::Write, "")?;
    let (count, batch) = transfer::import(&api.shared, &asked.vhost, &queue, &lines)?;
    api.synced(batch).await;
    let account = Account {
        deed: Deed::Import,
        user: Arc::clone(asked.acting.name()),
        from: peer.0.to_string(),
        about: json!({ "vhost": &**asked.vhost.name(), "queue": name }),
    };
    account.write(&api, count, "done").await;
    found(json!({ "imported": count }))
}

/// Whether somebody may see a job: those of others are for monitors.
fn may_see(acting: &Acting, job: &Job) -> bool {
    acting.is_monitor() || *job.about.user == **acting.name()
}

fn visible(api: &Api, acting: &Acting, id: &str) -> Result<Arc<Job>, ApiError> {
    let job = api.jobs.get(id)?;
    match may_see(acting, &job) {
        true => Ok(job),
        false => Err(ApiError::missing(format!("there is no job {id}"))),
    }
}

async fn jobs(State(api): State<Arc<Api>>, Viewer(acting): Viewer) -> Reply {
    let all = api.jobs.all().into_iter();
    let all = all.filter(|job| may_see(&acting, job));
    found(all.map(|job| job.shown()).collect())
}

async fn job(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(id): Path<String>,
    query: Query,
) -> Reply {
    let job = visible(&api, &acting, &id)?;
    if let Some(seconds) = query.number::<u64>("wait") {
        job.ended(Duration::from_secs(seconds.min(WAIT_MAX))).await;
    }
    found(job.shown())
}

/// Whether somebody may end or resume a job: their own, or an administrator.
fn own(api: &Api, acting: &Acting, id: &str) -> Result<Arc<Job>, ApiError> {
    let job = visible(api, acting, id)?;
    if acting.is_administrator() || *job.about.user == **acting.name() {
        return Ok(job);
    }
    Err(ApiError::not_authorised("Not administrator user"))
}

async fn cancel(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Path(id): Path<String>,
) -> Reply {
    let job = own(&api, &acting, &id)?;
    job.cancel();
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn resume(
    State(api): State<Arc<Api>>,
    Viewer(acting): Viewer,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
) -> Reply {
    let job = own(&api, &acting, &id)?;
    if matches!(job.status(), Status::Running | Status::Done) {
        let status = job.status().name();
        let text = format!("job {id} is {status}: there is nothing to resume");
        return Err(ApiError::bad_request(text));
    }
    let about = &job.about;
    let vhost = api.shared.vhosts.get(&about.vhost);
    let vhost = vhost.filter(|vhost| acting.may_enter(vhost));
    let vhost = vhost.ok_or_else(ApiError::hidden)?;
    let Value::Object(request) = about.request.clone() else {
        let text = format!("job {id} is known no more in full: begin another one");
        return Err(ApiError::bad_request(text));
    };
    let (name, id) = (Arc::clone(&about.queue), about.id.clone());
    let asked = InVhost { acting, vhost };
    act(api, asked, peer, about.deed, &name, Body(request), id).await
}

async fn audit(State(api): State<Arc<Api>>, _: Monitor, query: Query) -> Reply {
    let most = query.number("limit").unwrap_or(ACTS).min(ACTS_MAX);
    let read = spawn_blocking(move || api.audit.last(most)).await;
    let acts = read
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    found(acts.into())
}
