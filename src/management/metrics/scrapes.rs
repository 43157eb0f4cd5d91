//! What scrapes themselves cost.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::format::Format;
use super::node::Endpoint;
use super::page::{Labels, Page};

/// The scrapes there have been, by page and format.
#[derive(Debug, Default)]
pub struct Scrapes(Mutex<BTreeMap<(Endpoint, Format), Spent>>);

/// What scrapes have taken together.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    scrapes: u64,
    time: Duration,
    octets: u64,
}

impl Scrapes {
    /// Counts a page of so many octets that took so long to write.
    pub(super) fn count(&self, endpoint: Endpoint, format: Format, time: Duration, octets: usize) {
        let mut all = self.0.lock();
        let spent = all.entry((endpoint, format)).or_default();
        spent.scrapes += 1;
        spent.time += time;
        spent.octets += octets as u64;
    }

    /// Writes down those before this one, by the names that RabbitMQ's exporter
    /// gives them. Pages are sent as they are, so the last two are the same.
    pub(super) fn put(&self, page: &mut Page) {
        let all = self.0.lock().clone();
        let rows = |encoding: &[(&str, &str)], sum: fn(&Spent) -> f64| -> Vec<_> {
            let row = |((endpoint, format), spent): (&(Endpoint, Format), &Spent)| {
                let mut labels = vec![
                    ("registry", endpoint.registry()),
                    ("content_type", format.content_type()),
                ];
                labels.extend_from_slice(encoding);
                (Labels::of(&labels), sum(spent), spent.scrapes)
            };
            all.iter().map(row).collect()
        };
        let octets = |spent: &Spent| spent.octets as f64;
        page.summary(
            "telemetry_scrape_duration_seconds",
            "Time that it took to write pages of metrics",
            &rows(&[], |spent| spent.time.as_secs_f64()),
        );
        page.summary(
            "telemetry_scrape_size_bytes",
            "Octets of pages of metrics, not encoded",
            &rows(&[], octets),
        );
        page.summary(
            "telemetry_scrape_encoded_size_bytes",
            "Octets of pages of metrics as they were sent",
            &rows(&[("encoding", "identity")], octets),
        );
    }
}
