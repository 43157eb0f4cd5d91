//! A migration from its beginning to its end.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::MigrateCommand;
use super::definitions::filter;
use super::endpoint::Endpoint;
use super::plan::{Plan, Queue, is_ours};
use super::progress::{Look, Tally};
use super::report::{self, Ticker};
use crate::cli::Failure;
use crate::cli::api::{Access, Api, ApiError, path};
use crate::cli::format::print;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long shovels have to end.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// What of queues is asked for; the totals cost the old broker next to nothing.
const TOTALS: [(&str, &str); 3] = [
    ("disable_stats", "true"),
    ("enable_queue_totals", "true"),
    ("columns", COLUMNS),
];
const COLUMNS: &str =
    "vhost,name,type,messages,durable,exclusive,auto_delete,internal,owner_pid_details";
/// What shovels say they are when they connect.
const SHOVEL_PRODUCT: &str = "Harrier shovel";

/// Both brokers, and what is to be moved.
struct Migration<'a> {
    command: &'a MigrateCommand,
    from: Endpoint,
    source: Api,
    here: Api,
    plan: Plan,
}

/// Does what `command` says.
///
/// # Errors
/// [`Failure`] as [`MigrateCommand::run`].
pub(super) fn migrate(command: &MigrateCommand) -> Result<(), Failure> {
    let from = Endpoint::parse(&command.from)?;
    // A login in the address is the one that is meant.
    let is_named = command.management.contains('@');
    let login = from.login().filter(|_| !is_named);
    let (user, password) = login.unzip();
    let source = Access {
        url: Some(command.management.clone()),
        user,
        password,
        password_file: None,
        ..command.access.clone()
    };
    let mut here = command.access.clone();
    here.url = command.to.clone().or(here.url);
    let (source, here) = (source.open()?, here.open()?);
    if command.stop {
        return stop(&here);
    }
    let listed = of_source(&source, source.get_with("/queues", &TOTALS))?;
    let migration = Migration {
        command,
        plan: Plan::of(&listed, &command.vhosts),
        from,
        source,
        here,
    };
    migration.carry_out()
}

fn of_source<T>(source: &Api, asked: Result<T, ApiError>) -> Result<T, Failure> {
    asked.map_err(|error| Failure::Failed(format!("the old broker {}: {error}", source.base())))
}

fn of_here<T>(here: &Api, asked: Result<T, ApiError>) -> Result<T, Failure> {
    asked.map_err(|error| Failure::Failed(format!("the new broker {}: {error}", here.base())))
}

/// Takes away the shovels of earlier runs.
fn stop(here: &Api) -> Result<(), Failure> {
    let ours = ours(&of_here(here, here.get("/shovels"))?);
    for (vhost, name) in &ours {
        here.delete(&path(&["parameters", "shovel", vhost, name]), &[])?;
    }
    print(&format!("{} shovels taken away", ours.len())).map(drop)
}

/// The shovels of migrations among those listed.
fn ours(shovels: &Value) -> BTreeSet<(String, String)> {
    let rows = shovels.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |row: &Value, key: &str| Some(row.get(key)?.as_str()?.to_owned());
    rows.iter()
        .filter_map(|row| Some((text(row, "vhost")?, text(row, "name")?)))
        .filter(|(_, name)| is_ours(name))
        .collect()
}

impl Migration<'_> {
    fn carry_out(&self) -> Result<(), Failure> {
        print(&report::plan(&self.plan))?;
        let definitions = match self.command.no_definitions {
            true => None,
            false => Some(self.definitions()?),
        };
        if self.command.dry_run {
            let queues = self.plan.moved().count();
            return print(&format!(
                "{queues} queues would be moved; nothing was done (--dry-run)"
            ))
            .map(drop);
        }
        if let Some(definitions) = definitions {
            of_here(&self.here, self.here.post("/definitions", &definitions))?;
            print("definitions imported")?;
        }
        let mut tally = Tally::default();
        self.watch(&mut tally)?;
        self.clear_up(&mut tally)?;
        self.conclude(&tally)
    }

    /// The old broker's definitions, less what isn't to come along.
    fn definitions(&self) -> Result<Value, Failure> {
        let asked = self.source.get("/definitions");
        let mut definitions = of_source(&self.source, asked)?;
        let vhosts = &self.command.vhosts;
        let left_out = filter(&mut definitions, &self.plan, vhosts, self.here.user());
        if !left_out.is_empty() {
            print(&report::list("definitions left out:", &left_out))?;
        }
        Ok(definitions)
    }

    fn look(&self) -> Result<Look, Failure> {
        let asked = self.source.get_with("/queues", &TOTALS);
        let queues = of_source(&self.source, asked)?;
        let shovels = of_here(&self.here, self.here.get("/shovels"))?;
        Ok(Look::of(&queues, &shovels))
    }

    /// Keeps shovels at work until nothing has come for long enough.
    fn watch(&self, tally: &mut Tally) -> Result<(), Failure> {
        let began = Instant::now();
        let quiet_for = Duration::from_secs(self.command.quiet_for);
        let mut ticker = Ticker::stderr();
        let mut last = (0, Instant::now());
        let mut rate = Rate::default();
        let mut told = BTreeSet::new();
        loop {
            let look = self.look()?;
            tally.note(&look);
            self.set_shovels(&look)?;
            let moved = tally.total();
            let left: u64 = self.plan.moved().map(|queue| look.left_of(queue)).sum();
            let busy = self.plan.moved().filter(|queue| look.left_of(queue) > 0);
            let (at, busy) = (began.elapsed(), busy.count());
            ticker.say(at, moved, left, rate.note(moved, at), busy);
            self.tell_troubles(&look, &mut told, &ticker);
            let pending: u64 = look.shovels.values().map(|shovel| shovel.pending).sum();
            if moved != last.0 || left > 0 || pending > 0 {
                last = (moved, Instant::now());
            }
            let enough = |queue| tally.moved(queue) >= queue.messages || look.left_of(queue) == 0;
            let is_over = match self.command.once {
                true => self.plan.moved().all(enough),
                false => last.1.elapsed() >= quiet_for,
            };
            if is_over {
                ticker.end();
                return Ok(());
            }
            pause();
        }
    }

    /// Has a shovel for as many queues as may be moved at once, those with
    /// messages first. One whose queue is empty makes room if others wait.
    fn set_shovels(&self, look: &Look) -> Result<(), Failure> {
        let most = usize::from(self.command.at_once);
        let has_none = |queue: &&Queue| look.shovel_of(queue).is_none();
        let mut waiting: Vec<_> = self.plan.moved().filter(has_none).collect();
        waiting.sort_by_key(|queue| Reverse(look.left_of(queue)));
        let wanting = waiting.iter().filter(|queue| look.left_of(queue) > 0);
        let mut room = most.saturating_sub(look.shovels.len());
        let short = wanting.count().saturating_sub(room);
        let idle = self.plan.moved().filter(|queue| {
            let shovel = look.shovel_of(queue);
            shovel.is_some_and(|shovel| shovel.pending == 0) && look.left_of(queue) == 0
        });
        for queue in idle.take(short) {
            self.clear(queue)?;
            room += 1;
        }
        for queue in waiting.into_iter().take(room) {
            let shovel = path(&["parameters", "shovel", &queue.vhost, &queue.shovel()]);
            let set = self.here.put(&shovel, &queue.parameter(&self.from));
            set.map_err(|error| error.about(format!("the shovel of queue '{}'", queue.name)))?;
        }
        Ok(())
    }

    /// Takes a shovel away; one that is gone already is as good.
    fn clear(&self, queue: &Queue) -> Result<(), Failure> {
        let shovel = path(&["parameters", "shovel", &queue.vhost, &queue.shovel()]);
        match self.here.delete(&shovel, &[]) {
            Err(error) if !error.is_absent() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says once of each trouble what it is.
    fn tell_troubles(&self, look: &Look, told: &mut BTreeSet<String>, ticker: &Ticker) {
        for queue in self.plan.moved() {
            let shovel = look.shovel_of(queue);
            let Some(reason) = shovel.and_then(|shovel| shovel.reason.as_ref()) else {
                continue;
            };
            let line = format!(
                "queue '{}' in vhost '{}': {reason}",
                queue.name, queue.vhost
            );
            if told.insert(line.clone()) {
                ticker.end();
                eprintln!("{}; it is tried again", crate::cli::table::harmless(&line));
            }
        }
    }

    /// Takes the shovels away and waits until they have ended, so that what is
    /// counted then is final.
    fn clear_up(&self, tally: &mut Tally) -> Result<(), Failure> {
        for queue in self.plan.moved() {
            if self.look_here(queue)? {
                self.clear(queue)?;
            }
        }
        let began = Instant::now();
        while began.elapsed() < END_PATIENCE {
            let look = Look::of(
                &Value::Null,
                &of_here(&self.here, self.here.get("/shovels"))?,
            );
            tally.note(&look);
            let mut left = self
                .plan
                .moved()
                .filter(|queue| look.shovel_of(queue).is_some());
            if left.next().is_none() {
                break;
            }
            pause();
        }
        Ok(())
    }

    fn look_here(&self, queue: &Queue) -> Result<bool, Failure> {
        let shovel = path(&["parameters", "shovel", &queue.vhost, &queue.shovel()]);
        match self.here.get(&shovel) {
            Ok(_) => Ok(true),
            Err(error) if error.is_absent() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Counts once more and says how it came out.
    fn conclude(&self, tally: &Tally) -> Result<(), Failure> {
        let look = self.look()?;
        let queues = self.here.get_with("/queues", &TOTALS);
        let here = Look::of(&of_here(&self.here, queues)?, &Value::Null);
        print(&report::outcome(&self.plan, tally, &look, &here))?;
        let clients = self.clients_left()?;
        if !clients.is_empty() {
            print(&report::list(
                "still connected to the old broker:",
                &clients,
            ))?;
        }
        let left = self.plan.moved().filter(|queue| look.left_of(queue) > 0);
        match left.count() {
            0 => Ok(()),
            _ if self.command.once => Ok(()),
            count => Err(Failure::Failed(format!(
                "{count} queues of the old broker aren't empty: run this again to go on"
            ))),
        }
    }

    /// Whoever is connected to the old broker and isn't a shovel.
    fn clients_left(&self) -> Result<Vec<String>, Failure> {
        let asked = self.source.get("/connections");
        let connections = of_source(&self.source, asked)?;
        let rows = connections.as_array().cloned().unwrap_or_default();
        let text = |row: &Value, pointer: &str| {
            let text = row.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        let clients = rows.iter().filter_map(|row| {
            let product = text(row, "/client_properties/product");
            if product.as_deref() == Some(SHOVEL_PRODUCT) {
                return None;
            }
            let name = text(row, "/user_provided_name").or_else(|| text(row, "/name"))?;
            let user = text(row, "/user").unwrap_or_default();
            let vhost = text(row, "/vhost").unwrap_or_default();
            let vhosts = &self.command.vhosts;
            let is_meant = vhosts.is_empty() || vhosts.contains(&vhost);
            is_meant.then(|| format!("{name}, user '{user}', vhost '{vhost}'"))
        });
        Ok(clients.collect())
    }
}

/// Waits before another look.
#[allow(
    clippy::disallowed_methods,
    reason = "the only thread there is has nothing else to do"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Messages a second, over the last few looks.
#[derive(Debug, Default)]
struct Rate {
    looks: VecDeque<(u64, Duration)>,
}

impl Rate {
    /// The rate at another look.
    fn note(&mut self, moved: u64, at: Duration) -> f64 {
        const LOOKS: usize = 10;
        self.looks.push_back((moved, at));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        let Some((before, then)) = self.looks.front() else {
            return 0.0;
        };
        let seconds = at.saturating_sub(*then).as_secs_f64();
        if seconds <= 0.0 {
            return 0.0;
        }
        moved.saturating_sub(*before) as f64 / seconds
    }
}
