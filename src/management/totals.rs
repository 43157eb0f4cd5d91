//! Messages in many queues, added up.

use std::sync::Arc;

use crate::broker::vhost::Vhost;

/// Messages in many queues, and those who take them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Queues.
    pub queues: u64,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages handed out and not settled yet.
    pub unacknowledged: u64,
    /// Consumers.
    pub consumers: u64,
}

impl Totals {
    /// Those of some virtual hosts.
    pub fn of<'a>(vhosts: impl IntoIterator<Item = &'a Arc<Vhost>>) -> Self {
        let mut totals = Self::default();
        for queue in vhosts.into_iter().flat_map(|vhost| vhost.queues()) {
            let counts = queue.counts();
            totals.queues += 1;
            totals.ready += counts.ready;
            totals.unacknowledged += counts.unacked;
            totals.consumers += counts.consumers;
        }
        totals
    }
}
