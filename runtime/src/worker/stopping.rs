//! Stopping partitions with too many refusals, and resuming them after they were accepted or the limits were changed.

use super::{Worker, WorkerError};
use crate::dead_letter_limit::LimitExceeded;
use crate::log::{Batch, LogError, Session, Transaction};
use crate::metrics;
use crate::stage::Record;
use crate::stopped::{Place, Stop};

impl<S: Session> Worker<S> {
    /// The stopped partitions that are ours: reports them, and resumes those that may continue.
    pub(super) fn review_stopped(&mut self) -> Result<(), LogError> {
        self.limits = self.options.refusals.get();
        for place @ (topic, partition) in self.stops.places() {
            let ours = self.session.is_stopped(topic, partition);
            metrics::stopped(self.log.stage, topic, partition, ours);
            let accepted = if ours { self.session.accepted(topic, partition) } else { None };
            if self.stops.other_limits(place, &self.limits) || accepted.is_some_and(|until| self.stops.accept(place, until)) {
                self.session.resume_input(topic, partition)?;
                self.stops.remove(place);
                metrics::stopped(self.log.stage, topic, partition, false);
                let (stage, topic) = (self.log.stage, topic.name());
                match accepted {
                    Some(until) => {
                        tracing::info!(stage, topic, partition, until, "resumed: refusals below this offset are accepted")
                    }
                    None => tracing::info!(stage, topic, partition, "resumed: the limits of refusals were changed"),
                }
            } else if ours {
                self.stops.say(self.log.stage, place);
            }
        }
        Ok(())
    }

    /// A partition of an input stands still from now on: the batch is forgotten, and the others go on from what was committed.
    pub(super) fn stop_partition(&mut self, place: Place, stop: Stop) -> Result<(), WorkerError> {
        self.discard();
        self.session.stop_input(place.0, place.1).map_err(|source| self.log_error(source))?;
        self.stops.add(place, stop);
        self.stops.say(self.log.stage, place);
        metrics::stopped(self.log.stage, place.0, place.1, true);
        self.recovering = Some(format!("{}/{} was stopped", place.0.name(), place.1));
        Ok(())
    }

    /// Why the partition of `record`, which was one too many, has to stop.
    pub(super) fn stop(&self, record: &Record<'_>, excess: LimitExceeded, batch: &Batch, transaction: &Transaction) -> Stop {
        let same = |of: &Record<'_>| of.topic == record.topic && of.partition == record.partition;
        Stop {
            excess,
            reason: transaction.dead_letters.last().map_or(String::new(), |letter| letter.reason.clone()),
            offset: record.offset,
            first: batch.records().find(same).map_or(record.offset, |first| first.offset),
            limits: self.limits,
        }
    }
}
