//! What a job is to do, and the doing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::destination::{Destination, Wanted};
use super::edits::{Edits, Sender, is_stamped_by};
use super::filter::Filter;
use super::job::{Job, Status};
use super::letter::Letter;
use super::scan::{Scan, absent, find_all};
use crate::base::ids::Batch;
use crate::broker::access::{Grants, Permission};
use crate::broker::dead_lettering::see_to_effects;
use crate::broker::effects::Effects;
use crate::broker::queue::{Cursor, Frontier, Place, Queue, Seen};
use crate::broker::replaying::{Replay, Replayed, drop_chosen, replay};
use crate::broker::routing::RoutingKeys;
use crate::broker::vhost::Vhost;
use crate::management::api::Api;
use crate::management::audit::Deed;
use crate::management::body::{Body, unexpected};
use crate::management::fields;
use crate::management::reply::ApiError;
use crate::wire::Refusal;

/// Messages seen to in one unit.
const TOGETHER: usize = 64;
/// Units a second where messages are sent on at a rate.
const UNITS_A_SECOND: f64 = 10.0;

/// What a job is to do.
#[derive(Debug)]
pub(super) struct Task {
    what: What,
    filter: Filter,
    ids: Option<HashSet<Place>>,
    /// Whether those are passed over that were sent back before.
    skip_replayed: bool,
    /// Messages a second.
    rate: Option<f64>,
    /// Messages at most.
    limit: u64,
}

#[derive(Debug)]
enum What {
    Drop,
    Replay(Wanted, Edits),
}

impl Task {
    /// Reads a request to `replay` or to `drop`.
    ///
    /// # Errors
    /// 400 when it makes no sense, or doesn't say which messages are meant.
    pub(super) fn parse(deed: Deed, body: &Body) -> Result<Self, ApiError> {
        let what = match deed {
            Deed::Drop => What::Drop,
            _ => What::Replay(Wanted::parse(body)?, Edits::parse(body)?),
        };
        let filter = match body.object("filter")? {
            Some(object) => Filter::parse(object)?,
            None => Filter::default(),
        };
        let ids = ids(body)?;
        let all = body.flag("all")?.unwrap_or(false);
        if ids.is_none() && filter.is_empty() && !all {
            return Err(ApiError::bad_request(
                "which messages? expected \"ids\": [..], \"filter\": {..} or \"all\": true",
            ));
        }
        let rate = match body.get("rate") {
            None => None,
            Some(rate) => Some(
                rate.as_f64()
                    .filter(|rate| *rate > 0.0 && rate.is_finite())
                    .ok_or_else(|| unexpected("rate", "messages a second, over 0", rate))?,
            ),
        };
        let limit = body.integer("limit")?.map(u64::try_from);
        let limit = limit.transpose().map_err(|_| {
            ApiError::bad_request("limit is negative: expected how many messages at most")
        })?;
        Ok(Self {
            what,
            filter,
            ids,
            skip_replayed: body.flag("skip_replayed")?.unwrap_or(false),
            rate,
            limit: limit.unwrap_or(u64::MAX),
        })
    }

    /// Whether a message is meant.
    fn takes(&self, letter: &Letter<'_>, now: u64) -> bool {
        let place = letter.seen.place();
        let chosen = self.ids.as_ref().is_none_or(|ids| ids.contains(&place));
        chosen && self.filter.takes(letter, now)
    }

    fn unit(&self) -> usize {
        let unit = self
            .rate
            .map_or(TOGETHER as f64, |rate| rate / UNITS_A_SECOND);
        (unit as usize).clamp(1, TOGETHER)
    }
}

fn ids(body: &Body) -> Result<Option<HashSet<Place>>, ApiError> {
    let ids = match body.get("ids") {
        None => return Ok(None),
        Some(Value::Array(ids)) => ids,
        Some(other) => return Err(unexpected("ids", "a list of ids", other)),
    };
    let place = |id: &Value| match id {
        Value::String(text) => text.parse().map_err(ApiError::bad_request),
        Value::Number(number) => number.to_string().parse().map_err(ApiError::bad_request),
        other => Err(unexpected("ids", "a list of ids", other)),
    };
    ids.iter().map(place).collect::<Result<_, _>>().map(Some)
}

/// What somebody may do with a queue's messages, and where that is done.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) api: Arc<Api>,
    pub(super) vhost: Arc<Vhost>,
    pub(super) queue: Arc<Queue>,
    pub(super) grants: Grants,
}

impl Bench {
    fn now(&self) -> u64 {
        self.api.shared.now().unix_secs()
    }

    /// Does what a job is to do; what came of it.
    pub(super) async fn run(mut self, task: Task, job: Arc<Job>) -> Status {
        match self.carry_out(&task, &job).await {
            Ok(()) if job.is_cancelled() => Status::Cancelled,
            Ok(()) => Status::Done,
            Err(error) => {
                let why = fields::plain(&error.reason);
                job.progress.lock().failure = Some(why);
                Status::Failed
            }
        }
    }

    async fn carry_out(&mut self, task: &Task, job: &Job) -> Result<(), ApiError> {
        let frontier = self.queue.frontier();
        if let Some(ids) = &task.ids {
            return self.carry_out_on(ids, task, job, &frontier).await;
        }
        let mut scan = Scan::new(&self.queue, Cursor::Start);
        while let Some(seen) = scan.next(256).await? {
            for seen in seen.chunks(task.unit()) {
                if !self.work(task, job, seen, &frontier).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn carry_out_on(
        &mut self,
        ids: &HashSet<Place>,
        task: &Task,
        job: &Job,
        until: &Frontier,
    ) -> Result<(), ApiError> {
        let mut ids: Vec<_> = ids.iter().copied().collect();
        ids.sort_unstable();
        for ids in ids.chunks(TOGETHER) {
            let found = find_all(&self.queue, ids).await?;
            let there: HashSet<_> = found.iter().map(Seen::place).collect();
            for place in ids.iter().filter(|place| !there.contains(place)) {
                let why = absent(&self.queue, *place);
                job.progress.lock().stays(place.to_string(), why);
            }
            for seen in found.chunks(task.unit()) {
                if !self.work(task, job, seen, until).await {
                    return Ok(());
                }
            }
            if job.is_cancelled() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sees to some messages; whether to go on.
    async fn work(&mut self, task: &Task, job: &Job, seen: &[Seen], until: &Frontier) -> bool {
        if job.is_cancelled() {
            return false;
        }
        let chosen = self.choose(task, job, seen, until);
        let (done, batch) = match &task.what {
            What::Drop => self.drop_all(&chosen, job),
            What::Replay(wanted, edits) => self.send_all(&chosen, wanted, edits, job),
        };
        self.api.synced(batch).await;
        job.progress.lock().done += done;
        if let Some(rate) = task.rate
            && !chosen.is_empty()
        {
            let seconds = chosen.len() as f64 / rate;
            job.pause(Duration::from_secs_f64(seconds)).await;
        }
        job.progress.lock().matched < task.limit && !job.is_cancelled()
    }

    fn choose(&self, task: &Task, job: &Job, seen: &[Seen], until: &Frontier) -> Vec<Seen> {
        let now = self.now();
        let mut progress = job.progress.lock();
        let mut chosen = Vec::new();
        for seen in seen {
            progress.examined += 1;
            let letter = Letter::of(seen);
            // What came since may be what was sent back, and died again.
            if !until.covers(seen.place())
                || progress.matched >= task.limit
                || is_stamped_by(&letter, &job.about.id)
                || !task.takes(&letter, now)
            {
                continue;
            }
            progress.matched += 1;
            if task.skip_replayed && letter.stamp().is_some() {
                progress.skipped += 1;
            } else {
                chosen.push(seen.clone());
            }
        }
        chosen
    }

    fn drop_all(&self, chosen: &[Seen], job: &Job) -> (u64, Option<Batch>) {
        let mut effects = self.effects(job);
        let dropped = drop_chosen(&self.vhost, &self.queue, chosen, &mut effects);
        let mut progress = job.progress.lock();
        for (seen, _) in chosen
            .iter()
            .zip(&dropped)
            .filter(|(_, dropped)| !**dropped)
        {
            let place = seen.place();
            progress.stays(place.to_string(), absent(&self.queue, place));
        }
        let done = dropped.iter().filter(|dropped| **dropped).count() as u64;
        (done, self.finish(effects))
    }

    fn send_all(
        &mut self,
        chosen: &[Seen],
        wanted: &Wanted,
        edits: &Edits,
        job: &Job,
    ) -> (u64, Option<Batch>) {
        let sender = Sender {
            queue: Arc::clone(self.queue.name()),
            by: Arc::clone(&job.about.user),
            job: job.about.id.clone(),
        };
        let now = self.now();
        let mut replays = Vec::with_capacity(chosen.len());
        for seen in chosen {
            let letter = Letter::of(seen);
            match self.destination(&letter, wanted) {
                Ok(to) => replays.push(Replay {
                    properties: edits.properties(&letter, &sender, now),
                    body: edits.body.clone(),
                    seen: seen.clone(),
                    exchange: to.exchange,
                    routing_key: to.routing_key,
                }),
                Err(why) => job.progress.lock().stays(seen.place().to_string(), why),
            }
        }
        let mut effects = self.effects(job);
        let outcomes = replay(&self.vhost, &self.queue, &replays, &mut effects);
        let mut progress = job.progress.lock();
        let mut done = 0;
        for (replay, outcome) in replays.iter().zip(outcomes) {
            match self.problem(replay, outcome) {
                None => done += 1,
                Some(why) => progress.stays(replay.seen.place().to_string(), why),
            }
        }
        drop(progress);
        (done, self.finish(effects))
    }

    /// Where a message goes, if it may.
    fn destination(&mut self, letter: &Letter<'_>, to: &Wanted) -> Result<Destination, String> {
        let to = to.of(letter, &self.vhost)?;
        self.permit(&to).map_err(|refusal| refusal.explanation)?;
        Ok(to)
    }

    fn permit(&mut self, to: &Destination) -> Result<(), Refusal> {
        let exchange = &*to.exchange;
        self.grants.check_exchange(Permission::Write, exchange)?;
        if self.grants.restrict_topics(exchange) && self.vhost.is_topic_exchange(exchange) {
            let key = to.routing_key.as_bytes();
            self.grants.check_topic(Permission::Write, exchange, key)?;
        }
        Ok(())
    }

    /// Why a message stayed, if it did.
    fn problem(&self, replay: &Replay, outcome: Replayed) -> Option<String> {
        let (exchange, key) = (&*replay.exchange, &*replay.routing_key);
        let to = match exchange {
            "" => format!("queue '{key}'"),
            _ => format!("exchange '{exchange}' with routing key '{key}'"),
        };
        Some(match outcome {
            Replayed::Sent(_) => return None,
            Replayed::NotWaiting => absent(&self.queue, replay.seen.place()),
            Replayed::Unroutable if exchange.is_empty() => format!("there is no {to}"),
            Replayed::Unroutable => format!("nothing is bound for it to {to}"),
            Replayed::Full => format!("no room for it at {to}"),
            Replayed::Duplicate => {
                format!("{to} would drop it as a duplicate: remove or change its deduplication id")
            }
            Replayed::Refused(refusal) => refusal.explanation,
        })
    }

    fn effects(&self, job: &Job) -> Effects {
        let mut effects = Effects::default();
        effects.set_actor(Arc::clone(&job.about.user));
        effects.set_now(self.api.shared.now());
        effects
    }

    fn finish(&self, mut effects: Effects) -> Option<Batch> {
        see_to_effects(&self.vhost, &mut effects);
        effects.tell_cancelled();
        effects.wake_all();
        effects.take_batch()
    }

    /// What a job would do: nothing is done.
    ///
    /// # Errors
    /// 500 when the store is closed meanwhile.
    pub(super) async fn rehearse(mut self, task: Task) -> Result<Value, ApiError> {
        let mut tried = Tried::default();
        if let Some(ids) = &task.ids {
            let ids: Vec<_> = ids.iter().copied().collect();
            for ids in ids.chunks(TOGETHER) {
                let found = find_all(&self.queue, ids).await?;
                self.rehearse_all(&task, &found, &mut tried);
            }
            return Ok(tried.shown(true));
        }
        let mut scan = Scan::new(&self.queue, Cursor::Start);
        while let Some(seen) = scan.next(256).await? {
            self.rehearse_all(&task, &seen, &mut tried);
            if tried.examined >= REHEARSED_MAX || tried.matched >= task.limit {
                break;
            }
        }
        Ok(tried.shown(scan.cursor().is_none()))
    }

    fn rehearse_all(&mut self, task: &Task, seen: &[Seen], tried: &mut Tried) {
        let now = self.now();
        for seen in seen {
            tried.examined += 1;
            let letter = Letter::of(seen);
            if tried.matched < task.limit && task.takes(&letter, now) {
                self.rehearse_one(task, &letter, tried);
            }
        }
    }

    fn rehearse_one(&mut self, task: &Task, letter: &Letter<'_>, tried: &mut Tried) {
        tried.matched += 1;
        let replayed = letter.stamp().is_some();
        tried.replayed += u64::from(replayed);
        if task.skip_replayed && replayed {
            return;
        }
        let What::Replay(wanted, _) = &task.what else {
            return;
        };
        match self.destination(letter, wanted) {
            Ok(to) => {
                let routed = tried
                    .targets
                    .entry(to)
                    .or_insert_with_key(|to| (0, route(&self.vhost, to, letter)));
                routed.0 += 1;
            }
            Err(why) => *tried.problems.entry(why).or_default() += 1,
        }
    }
}

/// Messages that are looked at to say what would be done.
const REHEARSED_MAX: u64 = 200_000;

/// What would be done.
#[derive(Debug, Default)]
struct Tried {
    examined: u64,
    matched: u64,
    replayed: u64,
    targets: HashMap<Destination, (u64, Vec<String>)>,
    problems: HashMap<String, u64>,
}

impl Tried {
    fn shown(self, complete: bool) -> Value {
        let mut targets: Vec<_> = self.targets.into_iter().collect();
        targets.sort_by(|(one, a), (other, b)| {
            b.0.cmp(&a.0)
                .then_with(|| one.routing_key.cmp(&other.routing_key))
        });
        let targets = targets.into_iter().map(|(to, (count, queues))| {
            json!({
                "exchange": &*to.exchange,
                "routing_key": &*to.routing_key,
                "why": to.why,
                "count": count,
                "queues": queues,
            })
        });
        let problems = self.problems.into_iter();
        let problems = problems.map(|(why, count)| json!({ "why": why, "count": count }));
        json!({
            "dry_run": true,
            "examined": self.examined,
            "matched": self.matched,
            "replayed_before": self.replayed,
            "targets": targets.collect::<Vec<_>>(),
            "problems": problems.collect::<Vec<_>>(),
            "complete": complete,
        })
    }
}

/// The names of the queues that a message would go to.
fn route(vhost: &Vhost, to: &Destination, letter: &Letter<'_>) -> Vec<String> {
    let mut queues = Vec::new();
    let mut headers = letter.headers.clone();
    let keys = RoutingKeys::one(&*to.routing_key);
    // An exchange that isn't there routes it nowhere.
    let _missing = vhost.route(&to.exchange, keys, &mut headers, &mut queues);
    queues
        .iter()
        .map(|queue| queue.name().to_string())
        .collect()
}
