//! Exchanges and virtual hosts.

use super::page::{Labels, Page};
use crate::server::shared::Shared;

/// What was published to each exchange, and what of it went on.
pub fn traffic(page: &mut Page, shared: &Shared) {
    let (mut published, mut routed) = (Vec::new(), Vec::new());
    for vhost in shared.vhosts.all() {
        for exchange in vhost.exchanges() {
            if let Some(traffic) = vhost.exchange_traffic(&exchange.name) {
                let pairs = [("vhost", &**vhost.name()), ("exchange", &*exchange.name)];
                let labels = Labels::of(&pairs);
                published.push((labels.clone(), traffic.published() as f64));
                routed.push((labels, traffic.routed() as f64));
            }
        }
    }
    let help = "Messages published to an exchange";
    page.counter("exchange_messages_published_total", help, &published);
    let help = "Messages that queues got of those, one that went to two counted twice";
    page.counter("exchange_messages_routed_total", help, &routed);
}

/// Which exchanges there are.
pub fn names(page: &mut Page, shared: &Shared) {
    let mut samples = Vec::new();
    for vhost in shared.vhosts.all() {
        for exchange in vhost.exchanges() {
            let labels = Labels::of(&[
                ("vhost", vhost.name()),
                ("exchange", &exchange.name),
                ("type", &exchange.kind),
            ]);
            samples.push((labels, 1.0));
        }
    }
    page.gauge("exchange_name", "1 for each exchange", &samples);
}

/// How many bindings lead away from each exchange.
pub fn bindings(page: &mut Page, shared: &Shared) {
    let mut samples = Vec::new();
    for vhost in shared.vhosts.all() {
        for exchange in vhost.exchanges() {
            let count = vhost.bindings_from(&exchange.name).len();
            let labels = Labels::of(&[
                ("vhost", vhost.name()),
                ("exchange", &exchange.name),
                ("type", &exchange.kind),
            ]);
            samples.push((labels, count as f64));
        }
    }
    page.gauge("exchange_bindings", "Bindings from an exchange", &samples);
}

/// Virtual hosts are up whenever their node is.
pub fn vhosts(page: &mut Page, shared: &Shared) {
    let all = shared.vhosts.all();
    let samples = all
        .iter()
        .map(|vhost| (Labels::of(&[("vhost", vhost.name())]), 1.0));
    let samples: Vec<_> = samples.collect();
    page.gauge("vhost_status", "1 while a virtual host is up", &samples);
}
