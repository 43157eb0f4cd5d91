//! The task that publishes events and traces, which nothing else waits for.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::shared::Shared;
use crate::broker::announcements::Announcement;
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
        let mut all = herald.take();
        if all.is_empty() {
            bell.0.notified().await;
            continue;
        }
        while !all.is_empty() {
            effects.set_now(shared.now());
            for announcement in all.drain(..all.len().min(BUDGET)) {
                publish(&shared, &announcement, &mut effects);
            }
            effects.wake_all();
            yield_now().await;
        }
    }
}

fn publish(shared: &Shared, announcement: &Announcement, effects: &mut Effects) {
    // A virtual host that is gone takes what is told of it along.
    if let Some(vhost) = shared.vhosts.get(announcement.vhost()) {
        vhost.announce(announcement, effects);
        see_to_effects(&vhost, effects);
    }
}
