//! The jobs there are.
//!
//! What a job has done is in the queues, message by message; here is only what it
//! was asked for and how far it is. After a restart those that hadn't ended are
//! known from the audit log, and can be begun again: what they have done already
//! is passed over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use super::job::{About, Job, Status};
use crate::base::limits::{JOBS_KEPT_MAX, JOBS_RUNNING_MAX};
use crate::management::audit::Deed;
use crate::management::reply::ApiError;
use axum::http::StatusCode;

/// Acts of the audit log among which jobs that didn't end are looked for.
const ACTS_LOOKED_AT: usize = 2000;

/// The jobs there are.
#[derive(Debug, Default)]
pub struct Jobs {
    all: Mutex<BTreeMap<String, Arc<Job>>>,
}

impl Jobs {
    /// Those that an earlier run didn't end, as its last acts tell, the latest
    /// first.
    pub fn restored(acts: &[Value]) -> Self {
        let jobs = Self::default();
        let mut ended = HashMap::new();
        for act in acts.iter().take(ACTS_LOOKED_AT) {
            let Some(about) = about(act) else { continue };
            if act["outcome"] == "started" {
                if !ended.contains_key(&about.id) {
                    let job = Job::new(about, Status::Interrupted);
                    let id = job.about.id.clone();
                    jobs.all.lock().entry(id).or_insert_with(|| Arc::new(job));
                }
            } else {
                ended.insert(about.id, ());
            }
        }
        jobs
    }

    /// Adds a job that begins now.
    ///
    /// # Errors
    /// 409 when another one works on its queue, or there are too many.
    pub(super) fn begin(&self, mut about: About) -> Result<Arc<Job>, ApiError> {
        let mut all = self.all.lock();
        let running = || all.values().filter(|job| job.status() == Status::Running);
        let (queue, vhost) = (&about.queue, &about.vhost);
        if let Some(other) =
            running().find(|job| job.about.queue == *queue && job.about.vhost == *vhost)
        {
            let id = &other.about.id;
            return Err(conflict(format!(
                "job {id} works on queue '{queue}' already: wait for it or cancel it"
            )));
        }
        if running().count() >= JOBS_RUNNING_MAX {
            return Err(conflict(format!("{JOBS_RUNNING_MAX} jobs run already")));
        }
        if about.id.is_empty() {
            let mut number = about.started;
            while all.contains_key(&number.to_string()) {
                number += 1;
            }
            about.id = number.to_string();
        }
        let job = Arc::new(Job::new(about, Status::Running));
        all.insert(job.about.id.clone(), Arc::clone(&job));
        while all.len() > JOBS_KEPT_MAX
            && let Some(old) = all.values().find(|job| job.status() != Status::Running)
        {
            let old = old.about.id.clone();
            all.remove(&old);
        }
        Ok(job)
    }

    /// All of them, the latest first.
    pub(super) fn all(&self) -> Vec<Arc<Job>> {
        self.all.lock().values().rev().cloned().collect()
    }

    /// One by its id.
    ///
    /// # Errors
    /// 404.
    pub(super) fn get(&self, id: &str) -> Result<Arc<Job>, ApiError> {
        let found = self.all.lock().get(id).cloned();
        found.ok_or_else(|| ApiError::missing(format!("there is no job {id}")))
    }
}

/// 409: somebody else is at it.
fn conflict(reason: String) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, "conflict", reason)
}

/// What the job was that an act tells of, if it was one.
fn about(act: &Value) -> Option<About> {
    let about = &act["about"];
    Some(About {
        id: about["job"].as_str()?.to_owned(),
        deed: match act["act"].as_str()? {
            "replay" => Deed::Replay,
            "drop" => Deed::Drop,
            _ => return None,
        },
        vhost: about["vhost"].as_str()?.into(),
        queue: about["queue"].as_str()?.into(),
        user: act["user"].as_str()?.into(),
        from: act["from"].as_str()?.to_owned(),
        request: about["request"].clone(),
        started: act["time"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn act(job: &str, outcome: &str) -> Value {
        json!({
            "time": 5, "act": "replay", "user": "ann", "from": "127.0.0.1:1", "outcome": outcome,
            "about": { "job": job, "vhost": "/", "queue": "dead", "request": { "all": true } },
        })
    }

    #[test]
    fn jobs_that_did_not_end_are_known_after_a_restart() {
        let acts = [act("2", "done"), act("1", "started"), act("2", "started")];
        let jobs = Jobs::restored(&acts);
        let all = jobs.all();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].about.id, "1");
        assert_eq!(all[0].status(), Status::Interrupted);
        assert_eq!(all[0].about.request["all"], true);
    }

    #[test]
    fn one_job_at_a_time_works_on_a_queue() {
        let jobs = Jobs::default();
        let asked = about(&act("", "started")).unwrap();
        let job = jobs.begin(asked.clone()).unwrap();
        let refused = jobs.begin(asked.clone()).unwrap_err();
        assert_eq!(refused.status, StatusCode::CONFLICT);
        job.end(Status::Done, 9);
        let next = jobs.begin(asked).unwrap();
        assert_ne!(next.about.id, job.about.id);
    }
}
