//! The text that Prometheus reads: its exposition format 0.0.4, or OpenMetrics 1.0.

use std::fmt::Write;

use super::format::Format;
use crate::base::histogram::Counted;

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only goes up, until the broker is started again.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One number about each `T`, of which there may be many.
#[derive(Debug)]
pub struct Metric<T> {
    /// Its name, without what all names on a page begin with.
    pub name: &'static str,
    /// The family that it is asked for by.
    pub family: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What it is, for people.
    pub help: &'static str,
    /// The number.
    pub value: fn(&T) -> f64,
}

/// Names and values of labels, as they are written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// Labels in the order given.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        Self(text)
    }
}

/// A page being written.
#[derive(Debug)]
pub struct Page {
    text: String,
    prefix: &'static str,
    format: Format,
}

impl Page {
    /// An empty page on which names begin with `prefix`.
    pub fn new(prefix: &'static str, format: Format) -> Self {
        Self {
            text: String::new(),
            prefix,
            format,
        }
    }

    /// Has names begin with something else from now on.
    pub fn prefix(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    /// What was written.
    pub fn into_text(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let prefix = self.prefix;
        // There the counter is one thing, and its total a sample of it.
        let name = match self.format {
            Format::OpenMetrics if kind == "counter" => name.trim_end_matches("_total"),
            _ => name,
        };
        self.text.push_str("# HELP ");
        // Writing to a String doesn't fail.
        let _ = writeln!(self.text, "{prefix}{name} {help}");
        let _ = writeln!(self.text, "# TYPE {prefix}{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels, value: f64) {
        let (prefix, labels) = (self.prefix, &labels.0);
        let _ = if labels.is_empty() {
            writeln!(self.text, "{prefix}{name} {value}")
        } else {
            writeln!(self.text, "{prefix}{name}{{{labels}}} {value}")
        };
    }

    /// A gauge with some values.
    pub fn gauge(&mut self, name: &str, help: &str, samples: &[(Labels, f64)]) {
        self.put(name, Kind::Gauge, help, samples);
    }

    /// A counter with some values.
    pub fn counter(&mut self, name: &str, help: &str, samples: &[(Labels, f64)]) {
        self.put(name, Kind::Counter, help, samples);
    }

    fn put(&mut self, name: &str, kind: Kind, help: &str, samples: &[(Labels, f64)]) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, labels, *value);
        }
    }

    /// Those of `metrics` that are `wanted`, of each row; with `sum` one value
    /// each, for all rows together.
    pub fn table<T>(
        &mut self,
        metrics: &[Metric<T>],
        rows: &[(Labels, T)],
        sum: bool,
        wanted: impl Fn(&str) -> bool,
    ) {
        for metric in metrics.iter().filter(|metric| wanted(metric.family)) {
            let values = rows
                .iter()
                .map(|(labels, row)| (labels, (metric.value)(row)));
            let samples: Vec<_> = if sum {
                vec![(Labels::default(), values.map(|(_, value)| value).sum())]
            } else {
                values
                    .map(|(labels, value)| (labels.clone(), value))
                    .collect()
            };
            self.put(metric.name, metric.kind, metric.help, &samples);
        }
    }

    /// What values add up to and how many there are, each with its labels.
    pub fn summary(&mut self, name: &str, help: &str, samples: &[(Labels, f64, u64)]) {
        self.head(name, "summary", help);
        for (labels, sum, count) in samples {
            self.sample(&format!("{name}_sum"), labels, *sum);
            self.sample(&format!("{name}_count"), labels, *count as f64);
        }
    }

    /// A histogram of what was counted in parts of which `unit` make one.
    pub fn histogram(&mut self, name: &str, help: &str, counted: &Counted, unit: f64) {
        self.head(name, "histogram", help);
        let bounds = counted.up_to.iter();
        let format = self.format;
        let bounds = bounds.map(|(bound, count)| (bucket(format, *bound as f64 / unit), *count));
        for (bound, count) in bounds.chain([("+Inf".to_owned(), counted.count)]) {
            let labels = Labels::of(&[("le", &bound)]);
            self.sample(&format!("{name}_bucket"), &labels, count as f64);
        }
        let none = Labels::default();
        self.sample(&format!("{name}_sum"), &none, counted.sum as f64 / unit);
        self.sample(&format!("{name}_count"), &none, counted.count as f64);
    }
}

/// The upper end of a bucket. OpenMetrics has it that whole numbers show that they
/// could be others.
fn bucket(format: Format, bound: f64) -> String {
    match format {
        Format::Text => bound.to_string(),
        Format::OpenMetrics => format!("{bound:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::histogram::Histogram;

    #[test]
    fn labels_keep_what_would_end_them() {
        let labels = Labels::of(&[("queue", "a\"b\\c\nd"), ("vhost", "/")]);
        assert_eq!(labels.0, r#"queue="a\"b\\c\nd",vhost="/""#);
    }

    #[test]
    fn buckets_of_a_histogram_hold_those_before_them() {
        let histogram = Histogram::new(&[500, 1000]);
        for value in [100, 800, 800, 3000] {
            histogram.add(value);
        }
        let mut page = Page::new("x_", Format::Text);
        page.histogram("t_seconds", "Time.", &histogram.counted(), 1000.0);
        let expected = "# HELP x_t_seconds Time.\n\
                        # TYPE x_t_seconds histogram\n\
                        x_t_seconds_bucket{le=\"0.5\"} 1\n\
                        x_t_seconds_bucket{le=\"1\"} 3\n\
                        x_t_seconds_bucket{le=\"+Inf\"} 4\n\
                        x_t_seconds_sum 4.7\n\
                        x_t_seconds_count 4\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn open_metrics_names_counters_without_their_total_and_ends() {
        let mut page = Page::new("x_", Format::OpenMetrics);
        page.counter("seen_total", "Seen.", &[(Labels::default(), 2.0)]);
        let histogram = Histogram::new(&[1000]);
        histogram.add(7);
        page.histogram("t_seconds", "Time.", &histogram.counted(), 1000.0);
        let expected = "# HELP x_seen Seen.\n\
                        # TYPE x_seen counter\n\
                        x_seen_total 2\n\
                        # HELP x_t_seconds Time.\n\
                        # TYPE x_t_seconds histogram\n\
                        x_t_seconds_bucket{le=\"1.0\"} 1\n\
                        x_t_seconds_bucket{le=\"+Inf\"} 1\n\
                        x_t_seconds_sum 0.007\n\
                        x_t_seconds_count 1\n\
                        # EOF\n";
        assert_eq!(page.into_text(), expected);
    }
}
