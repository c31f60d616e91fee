//! Metrics as constants, and the observations of a batch.

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// The latest value.
    Gauge,
    /// A distribution, over the buckets of its unit.
    Histogram,
}

impl MetricKind {
    /// Its name, as Prometheus has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric: a constant, with its unit in the name and a description.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The Prometheus name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// The name of its label beside `stage`; empty for none. For a counter with [`Detail`]s, the names of all its labels, separated by
    /// commas.
    pub label: &'static str,
    /// The values of that label; empty if it has none, or if they depend on the settings or the stage.
    pub values: &'static [&'static str],
    /// What it measures, and which value needs attention.
    pub help: &'static str,
}

impl Metric {
    /// The unit of its values: the last word of the name that is a unit.
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        match name {
            _ if name.ends_with("_timestamp_seconds") || name.ends_with("_start_time_seconds") => "Unix time, s",
            _ if name.ends_with("_seconds") => "s",
            _ if name.ends_with("_bytes") => "bytes",
            _ if name.ends_with("_nano") => "billionths",
            _ if name.ends_with("_minor") => "minor units",
            _ => "1",
        }
    }
}

/// The values of a counter's labels, in the order of [`Metric::label`], each from a bounded set. Such counters have too many series to
/// begin at 0: a series exists once it has counted.
pub type Detail = [&'static str; 3];

/// Observations of a batch. Published when the batch is committed; those of an aborted batch are dropped.
#[derive(Debug, Default)]
pub struct Observations {
    counts: Vec<(&'static Metric, &'static str, u64)>,
    samples: Vec<(&'static Metric, u64)>,
    details: Vec<(&'static Metric, Detail, u64)>,
}

impl Observations {
    /// Adds to a counter, sets a gauge, or samples a histogram.
    pub fn add(&mut self, metric: &'static Metric, label: &'static str, value: u64) {
        if metric.kind == MetricKind::Histogram {
            self.samples.push((metric, value));
            return;
        }
        let known = self.counts.iter_mut().find(|(known, of, _)| std::ptr::eq(*known, metric) && *of == label);
        match known {
            Some((_, _, sum)) if metric.kind == MetricKind::Counter => *sum += value,
            Some((_, _, latest)) => *latest = value,
            None => self.counts.push((metric, label, value)),
        }
    }

    /// Adds to a counter of several labels.
    pub fn add_detail(&mut self, metric: &'static Metric, labels: Detail, value: u64) {
        match self.details.iter_mut().find(|(known, of, _)| std::ptr::eq(*known, metric) && *of == labels) {
            Some((_, _, sum)) => *sum += value,
            None => self.details.push((metric, labels, value)),
        }
    }

    /// Counters of several labels, with their values.
    pub fn details(&self) -> &[(&'static Metric, Detail, u64)] {
        &self.details
    }

    /// Counters and gauges with their labels and values.
    pub fn counts(&self) -> &[(&'static Metric, &'static str, u64)] {
        &self.counts
    }

    /// Samples of histograms.
    pub fn samples(&self) -> &[(&'static Metric, u64)] {
        &self.samples
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.samples.clear();
        self.details.clear();
    }
}
