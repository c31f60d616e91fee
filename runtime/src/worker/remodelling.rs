//! Partitions that are being recomputed after a change of settings: log lines, metrics and `/readyz` lines about them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::metrics;

/// How often the progress of a partition is logged.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Those of a worker.
#[derive(Debug, Default)]
pub(super) struct Remodelling {
    /// By partition: its progress, in thousandths, and when that was logged.
    under_way: BTreeMap<u32, (u32, Instant)>,
}

/// What is to be logged.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Begun(u32),
    Going(u32, u32),
    Done(u32),
}

impl Remodelling {
    /// Takes note of how far partitions are, those that the worker has.
    pub(super) fn note(&mut self, stage: &'static str, found: impl Iterator<Item = (u32, Option<u32>)>) {
        let before = self.under_way.len();
        for news in self.news(&found.collect(), Instant::now()) {
            match news {
                News::Begun(partition) => tracing::info!(stage, partition, "settings have changed: recomputing everything"),
                News::Going(partition, thousandths) => {
                    tracing::info!(stage, partition, percent = thousandths / 10, "recomputing after changed settings");
                }
                News::Done(partition) => tracing::info!(stage, partition, "everything is recomputed with the current settings"),
            }
        }
        if before != self.under_way.len() {
            metrics::remodelling(stage, self.under_way.len() as f64 - before as f64);
        }
    }

    fn news(&mut self, found: &BTreeMap<u32, Option<u32>>, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        // One that is no longer here goes on elsewhere.
        self.under_way.retain(|partition, _| found.contains_key(partition));
        for (partition, thousandths) in found {
            match (self.under_way.get_mut(partition), thousandths) {
                (None, None) => {}
                (None, Some(thousandths)) => {
                    self.under_way.insert(*partition, (*thousandths, now));
                    news.push(News::Begun(*partition));
                }
                (Some(_), None) => {
                    self.under_way.remove(partition);
                    news.push(News::Done(*partition));
                }
                (Some((known, told)), Some(thousandths)) => {
                    *known = *thousandths;
                    if now.saturating_duration_since(*told) >= TELL_EVERY {
                        *told = now;
                        news.push(News::Going(*partition, *thousandths));
                    }
                }
            }
        }
        news
    }

    /// Whether anything is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// What is said of it beside being ready, a line a partition.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(partition, (thousandths, _)): (&u32, &(u32, Instant))| {
            let percent = thousandths / 10;
            format!(
                "partition {partition}: {percent} % recomputed after changed settings; the rest still has rows of the former settings"
            )
        };
        self.under_way.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_ends_and_sometimes_between() {
        let mut told = Remodelling::default();
        let begun = Instant::now();
        let mut at = |seconds, found: &[(u32, Option<u32>)]| {
            told.news(&found.iter().copied().collect(), begun + Duration::from_secs(seconds))
        };
        assert_eq!(at(0, &[(0, None), (1, None)]), []);
        assert_eq!(at(1, &[(0, Some(0)), (1, None)]), [News::Begun(0)]);
        assert_eq!(at(2, &[(0, Some(500)), (1, Some(10))]), [News::Begun(1)]);
        assert_eq!(at(40, &[(0, Some(700)), (1, None)]), [News::Going(0, 700), News::Done(1)]);
        assert_eq!(at(41, &[(0, Some(710))]), [], "not again at once");
        assert_eq!(told.lines().len(), 1);
        assert!(told.lines()[0].starts_with("partition 0: 71 %"), "{:?}", told.lines());
        assert_eq!(told.news(&BTreeMap::new(), begun), [], "of one that is elsewhere nothing is known");
        assert!(told.is_empty());
    }
}
