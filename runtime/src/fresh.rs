//! Gauges with an expiry: a series is shown while its value is fresh, and absent afterwards.
//!
//! The metrics recorder cannot remove a gauge: an old value would be shown forever, as if it were current.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::metric::Metric;
use crate::topic::Topic;

/// The labels of a value: a partition of a stage's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The stage.
    pub stage: &'static str,
    /// The input.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
}

/// Gauges whose values expire. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct FreshGauges(Arc<Mutex<BTreeMap<(&'static str, Place), Sample>>>);

#[derive(Debug)]
struct Sample {
    metric: &'static Metric,
    value: f64,
    until: Instant,
}

impl FreshGauges {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<(&'static str, Place), Sample>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets a gauge to a value that is valid until a time; `None`: the value is unknown.
    pub fn set(&self, metric: &'static Metric, place: Place, value: Option<f64>, until: Instant) {
        self.with(|samples| match value {
            Some(value) => drop(samples.insert((metric.name, place), Sample { metric, value, until })),
            None => drop(samples.remove(&(metric.name, place))),
        });
    }

    /// Removes the values for a partition of all inputs of a stage.
    pub fn forget(&self, stage: &str, partition: u32) {
        self.with(|samples| samples.retain(|(_, place), _| place.stage != stage || place.partition != partition));
    }

    /// Removes all values.
    pub fn forget_all(&self) {
        self.with(BTreeMap::clear);
    }

    /// The valid values, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.render_at(Instant::now())
    }

    fn render_at(&self, now: Instant) -> String {
        self.with(|samples| {
            samples.retain(|_, sample| sample.until > now);
            let (mut text, mut latest) = (String::new(), "");
            for (&(name, place), Sample { metric, value, .. }) in samples.iter() {
                // Writing to a string cannot fail.
                if latest != name {
                    let _ = write!(text, "# HELP {name} {}\n# TYPE {name} gauge\n", metric.help);
                    latest = name;
                }
                let Place { stage, topic, partition } = place;
                let topic = topic.name();
                let _ = writeln!(text, "{name}{{stage=\"{stage}\",topic=\"{topic}\",partition=\"{partition}\"}} {value}");
            }
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{CONSUMER_LAG_RECORDS, HELD_UP_SECONDS};

    #[test]
    fn an_expired_value_is_absent() {
        let gauges = FreshGauges::default();
        let now = Instant::now();
        let at = |partition| Place { stage: "identity", topic: Topic::IdentityInbox, partition };
        let later = |seconds| now + Duration::from_secs(seconds);
        gauges.set(&CONSUMER_LAG_RECORDS, at(0), Some(7.0), later(10));
        gauges.set(&CONSUMER_LAG_RECORDS, at(1), Some(0.0), later(5));
        gauges.set(&HELD_UP_SECONDS, at(1), Some(1.5), later(10));
        let values = |now| -> Vec<String> {
            gauges.render_at(now).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        let place = |partition| format!("{{stage=\"identity\",topic=\"identity-inbox\",partition=\"{partition}\"}}");
        let (lag, held_up) = (CONSUMER_LAG_RECORDS.name, HELD_UP_SECONDS.name);
        let (first, second) = (format!("{lag}{} 7", place(0)), format!("{lag}{} 0", place(1)));
        let third = format!("{held_up}{} 1.5", place(1));
        assert_eq!(values(later(4)), [first.clone(), second, third.clone()]);
        assert_eq!(values(later(6)), [first.clone(), third], "one is too old");
        assert_eq!(gauges.render_at(later(6)).matches("# TYPE").count(), 2);
        gauges.forget("identity", 1);
        assert_eq!(values(later(6)), [first], "one partition is gone");
        gauges.set(&CONSUMER_LAG_RECORDS, at(0), None, later(10));
        assert_eq!(gauges.render_at(later(6)), "");
    }
}
