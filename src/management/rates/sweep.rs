//! Reading all counters, again and again.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::Subject;
use crate::base::limits::SAMPLE_INTERVAL;
use crate::management::Api;
use crate::management::counters;

/// Reads all counters again and again for as long as it is polled.
pub async fn run(api: Arc<Api>) {
    let mut ticks = interval(SAMPLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let api = Arc::clone(&api);
        // On a thread of its own: ten thousand queues are looked at.
        let swept = spawn_blocking(move || {
            let at = api.shared.now().unix_ms;
            api.rates.record(at, sweep(&api));
        });
        if let Err(error) = swept.await {
            tracing::error!(%error, "cannot sample counters");
        }
    }
}

/// The counters of all there is.
fn sweep(api: &Api) -> Vec<(Subject, Vec<u64>)> {
    let shared = &api.shared;
    let mut all = Vec::new();
    let mut node = vec![0; counters::QUEUE.len()];
    for vhost in shared.vhosts.all() {
        let mut sum = vec![0; counters::QUEUE.len()];
        for queue in vhost.queues() {
            let values = counters::of_queue(&queue.status());
            add(&mut sum, &values);
            all.push((Subject::Queue(queue.id()), values.to_vec()));
        }
        for exchange in vhost.exchanges() {
            let Some(traffic) = vhost.exchange_traffic(&exchange.name) else {
                continue;
            };
            let subject = Subject::Exchange(Arc::clone(vhost.name()), exchange.name);
            all.push((subject, counters::of_exchange(&traffic).to_vec()));
        }
        add(&mut node, &sum);
        all.push((Subject::Vhost(Arc::clone(vhost.name())), sum));
    }
    for connection in shared.roster.connections() {
        let values = counters::of_connection(&connection);
        all.push((Subject::Connection(connection.id), values.to_vec()));
        for channel in connection.channels() {
            let subject = Subject::Channel(connection.id, channel.number);
            all.push((subject, counters::of_channel(&channel.traffic()).to_vec()));
        }
    }
    node.extend(counters::of_node(shared));
    all.push((Subject::Node, node));
    all
}

fn add(sum: &mut [u64], values: &[u64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}
