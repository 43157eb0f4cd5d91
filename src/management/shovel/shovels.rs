//! The shovels of a broker, one for each parameter of the component `shovel`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::definition::Definition;
use super::progress::{Progress, Status};
use super::worker::{End, Worker};
use crate::broker::parameters::{Parameter, ParameterKey};
use crate::server::shared::Shared;

/// The component whose parameters are shovels.
pub const COMPONENT: &str = "shovel";

/// Who clears the parameter of a shovel that is done.
const DONE_BY: &str = "shovel";

/// Virtual host and name.
type Key = (Arc<str>, Arc<str>);

/// The shovels of a broker.
pub struct Shovels {
    shared: Arc<Shared>,
    /// Where they work, once they do.
    runtime: OnceLock<Handle>,
    running: Mutex<BTreeMap<Key, Shovel>>,
    /// None is started any more.
    stopped: AtomicBool,
}

struct Shovel {
    definition: Arc<Definition>,
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Shovels {
    /// None, until they are started.
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            runtime: OnceLock::new(),
            running: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Starts those that there are parameters for, and from then on follows the
    /// parameters. Has to be called within the runtime that they are to work in.
    pub fn start(self: &Arc<Self>) {
        let runtime = self.runtime.get_or_init(Handle::current);
        let mut changes = self.shared.parameter_changes();
        let following = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(shovels) = following.upgrade() {
                shovels.follow();
                drop(shovels);
                if changes.changed().await.is_err() {
                    break;
                }
            }
        });
    }

    /// Makes the shovels those that there are parameters for. One that is
    /// already at work on the same goes on.
    fn follow(self: &Arc<Self>) {
        let parameters = self.shared.vhosts.parameters().of(COMPONENT);
        let wanted: BTreeMap<Key, Definition> = parameters.iter().filter_map(wanted).collect();
        let mut running = self.running.lock();
        if self.stopped.load(Ordering::Acquire) {
            return;
        }
        running.retain(|key, shovel| {
            let stays = wanted.contains_key(key);
            if !stays {
                shovel.stop.send_replace(true);
            }
            stays
        });
        for (key, definition) in wanted {
            let known = running.get(&key);
            if known.is_none_or(|known| *known.definition != definition) {
                self.begin(&mut running, key, Arc::new(definition));
            }
        }
    }

    /// Has a shovel connect anew; whether there is one.
    pub fn restart(self: &Arc<Self>, vhost: &str, name: &str) -> bool {
        let key: Key = (vhost.into(), name.into());
        let mut running = self.running.lock();
        let found = running
            .get(&key)
            .map(|shovel| Arc::clone(&shovel.definition));
        let Some(definition) = found else {
            return false;
        };
        self.begin(&mut running, key, definition);
        true
    }

    /// The shovels of one virtual host, or of all, by name.
    pub fn list(&self, vhost: Option<&str>) -> Vec<Status> {
        let running = self.running.lock();
        let node = self.shared.vhosts.herald().node();
        running
            .iter()
            .filter(|((own, _), _)| vhost.is_none_or(|vhost| **own == *vhost))
            .map(|((vhost, name), shovel)| {
                let of = (&**vhost, &**name);
                shovel.progress.status(of, node, &shovel.definition)
            })
            .collect()
    }

    /// Ends all of them, and waits until what was on its way has arrived or
    /// gone back.
    pub async fn stop(&self) {
        let all = {
            let mut running = self.running.lock();
            self.stopped.store(true, Ordering::Release);
            std::mem::take(&mut *running)
        };
        for shovel in all.values() {
            shovel.stop.send_replace(true);
        }
        for (_, shovel) in all {
            // One that panicked has stopped as well.
            let _ended = shovel.task.await;
        }
    }

    /// Starts a shovel once the one before it has ended, so that no message
    /// is in the hands of both.
    fn begin(
        self: &Arc<Self>,
        running: &mut BTreeMap<Key, Shovel>,
        key: Key,
        definition: Arc<Definition>,
    ) {
        let Some(runtime) = self.runtime.get() else {
            return;
        };
        let before = running.remove(&key);
        let (stop, stopped) = watch::channel(false);
        let progress = Arc::new(Progress::new(self.shared.now()));
        let worker = Worker {
            shared: Arc::clone(&self.shared),
            vhost: Arc::clone(&key.0),
            name: Arc::clone(&key.1),
            definition: Arc::clone(&definition),
            progress: Arc::clone(&progress),
            stop: stopped,
        };
        let (own, all) = (Arc::clone(&progress), Arc::clone(self));
        let of = key.clone();
        let task = runtime.spawn(async move {
            if let Some(before) = before {
                before.stop.send_replace(true);
                let _ended = before.task.await;
            }
            if worker.run().await == End::Done {
                all.end(&of, &own);
            }
        });
        let shovel = Shovel {
            definition,
            progress,
            stop,
            task,
        };
        running.insert(key, shovel);
    }

    /// Forgets a shovel that is done, unless another has taken its place.
    fn end(&self, key: &Key, progress: &Arc<Progress>) {
        let mut running = self.running.lock();
        let own = |shovel: &Shovel| Arc::ptr_eq(&shovel.progress, progress);
        if !running.get(key).is_some_and(own) {
            return;
        }
        running.remove(key);
        drop(running);
        let (vhost, name) = (&*key.0, &*key.1);
        tracing::info!(vhost, name, "shovel is done");
        self.shared.clear_parameter(&parameter_key(key), DONE_BY);
    }
}

/// What a parameter of the component stands for. One that an earlier version
/// has let in, or that came with the data directory of one, may stand for nothing.
fn wanted(parameter: &Parameter) -> Option<(Key, Definition)> {
    let (name, vhost) = (parameter.key.name(), parameter.key.vhost()?);
    let value = serde_json::from_str(&parameter.value).unwrap_or_default();
    match Definition::parse(name, &value) {
        Ok(definition) => Some(((Arc::clone(vhost), Arc::clone(name)), definition)),
        Err(why) => {
            tracing::warn!(vhost = &**vhost, name = &**name, why, "this is no shovel");
            None
        }
    }
}

fn parameter_key((vhost, name): &Key) -> ParameterKey {
    ParameterKey::Of {
        component: COMPONENT.into(),
        vhost: Arc::clone(vhost),
        name: Arc::clone(name),
    }
}

impl fmt::Debug for Shovels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shovels").finish_non_exhaustive()
    }
}
