//! What happens at a time of its own: messages expire, others are tried again,
//! queues that nobody uses go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::shared::Shared;
use crate::broker::effects::Effects;
use crate::broker::subscriber::Wake;

/// The longest sleep: the wall clock may be set in the meantime.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Woken when something is due earlier than all there was.
#[derive(Debug, Default)]
struct Sleeper(Notify);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Sees to what is due for as long as it is polled.
pub async fn run(shared: Arc<Shared>) {
    let sleeper = Arc::new(Sleeper::default());
    let timers = shared.vhosts.timers();
    timers.set_sleeper(Arc::clone(&sleeper) as Arc<dyn Wake>);
    let mut effects = Effects::default();
    effects.set_now(shared.now());
    shared.vhosts.resume(&mut effects);
    loop {
        effects.tell_cancelled();
        effects.wake_all();
        effects.set_now(shared.now());
        if shared.vhosts.call_due(&mut effects) {
            // A queue with much to do comes again; others have their turn.
            tokio::task::yield_now().await;
            continue;
        }
        let Some(at) = timers.next() else {
            sleeper.0.notified().await;
            continue;
        };
        let wait = Duration::from_millis(at.saturating_sub(effects.now().unix_ms));
        tokio::select! {
            () = sleep(wait.min(SLEEP_MAX)) => {}
            () = sleeper.0.notified() => {}
        }
    }
}
