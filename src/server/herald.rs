//! The task that publishes events and traces, which nothing else waits for.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::shared::Shared;
use crate::broker::dead_lettering::see_to_effects;
use crate::broker::effects::Effects;
use crate::broker::subscriber::Wake;

/// How many are published before it is another task's turn.
const BUDGET: usize = 256;

/// Rung when there is something to publish.
#[derive(Debug, Default)]
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Publishes what is announced for as long as it is polled.
pub async fn announce(shared: Arc<Shared>) {
    let bell = Arc::new(Bell::default());
    let herald = shared.vhosts.herald();
    herald.listen(Arc::clone(&bell) as Arc<dyn Wake>);
    let mut effects = Effects::default();
    loop {
        effects.set_now(shared.now());
        let more = publish_events(&shared, &mut effects) | publish_copies(&shared, &mut effects);
        effects.wake_all();
        if more {
            yield_now().await;
        } else {
            bell.0.notified().await;
        }
    }
}

/// Publishes events; whether there may be more.
fn publish_events(shared: &Shared, effects: &mut Effects) -> bool {
    let events = shared.vhosts.herald().take(BUDGET);
    for event in &events {
        // A virtual host that is gone takes what is told of it along.
        if let Some(vhost) = shared.vhosts.get(event.vhost()) {
            vhost.announce(event, effects);
            see_to_effects(&vhost, effects);
        }
    }
    events.len() == BUDGET
}

/// Publishes what the firehoses have copied; whether there may be more.
fn publish_copies(shared: &Shared, effects: &mut Effects) -> bool {
    let mut more = false;
    for vhost in shared.vhosts.all() {
        more |= vhost.publish_copies(BUDGET, effects) == BUDGET;
        see_to_effects(&vhost, effects);
    }
    more
}
