//! Restores the state of a partition to its committed offsets: a slice per poll.

use std::collections::BTreeMap;

use tributary_runtime::exactly_once::{Change, Progress, Restore, VERSION};
use tributary_runtime::log::LogError;
use tributary_runtime::topic::Topic;

use super::{SimSession, TOMBSTONES_MS};
use crate::faults::Fault;
use crate::store::LocalStore;
use crate::surroundings::Surroundings;

/// A restore, and how far its changelog was read.
pub(super) struct Reading {
    pub(super) restore: Restore<LocalStore>,
    next: u64,
    stalled_until_ms: u64,
}

impl SimSession {
    /// Works on the first partition that waits for its state.
    pub(super) fn restore_slice(&mut self, around: &Surroundings) -> Result<(), LogError> {
        let (Some(partition), Some(changelog)) = (self.owned.waiting(), self.log.changelog) else { return Ok(()) };
        if self.reading.as_ref().is_none_or(|reading| reading.restore.partition() != partition) {
            let store = self.disk.open(self.log.stage, partition);
            let Some(owned) = self.owned.get_mut(partition) else { return Ok(()) };
            owned.store = Some(store.clone());
            let committed = owned.committed.clone();
            let now_ms = around.cluster.borrow().now_ms;
            let restore = Restore::begin(partition, store, committed, now_ms, TOMBSTONES_MS)?;
            around.note(|| {
                let from = restore.read_from();
                format!("{} {} restores {partition} from {from:?} to {}", self.log.stage, self.instance, restore.committed())
            });
            self.reading = Some(Reading { next: restore.read_from().unwrap_or(0), restore, stalled_until_ms: 0 });
        }
        self.may_crash(around, Fault::CrashInRestore).map_err(|trouble| trouble.error("restoring"))?;
        let now_ms = around.cluster.borrow().now_ms;
        let Some(mut reading) = self.reading.take_if(|reading| reading.stalled_until_ms <= now_ms) else { return Ok(()) };
        if around.strikes(Fault::RestoreStalled) {
            reading.stalled_until_ms = now_ms + around.below(2 * TOMBSTONES_MS as usize) as u64;
            self.reading = Some(reading);
            return Ok(());
        }
        let most = around.below(200) + 1;
        read_changelog(around, changelog, partition, &mut reading, most)?;
        match reading.restore.progress()? {
            Progress::Current => {
                let store = reading.restore.finish(now_ms)?;
                self.fate.stores.borrow_mut().insert(partition, store.clone());
                around.note(|| format!("{} {} has the state of {partition}", self.log.stage, self.instance));
                if let Some(start) = self.owned.ready(partition, store) {
                    self.seek(&BTreeMap::from([(partition, start)]));
                }
                return Ok(());
            }
            Progress::Ahead => {
                if let Some(inputs) = self.committed(around, &[partition]).and_then(|mut all| all.remove(&partition)) {
                    reading.restore.expect(inputs.clone());
                    self.owned.expect(partition, inputs);
                }
            }
            Progress::Outlasted => {
                reading.restore.begin_again(now_ms)?;
                reading.next = 0;
                around.note(|| format!("{} {} restores {partition} again", self.log.stage, self.instance));
            }
            Progress::Going => {}
        }
        self.reading = Some(reading);
        Ok(())
    }
}

/// Gives a restore what can be read, up to a number of records.
fn read_changelog(
    around: &Surroundings,
    changelog: Topic,
    partition: u32,
    reading: &mut Reading,
    most: usize,
) -> Result<(), LogError> {
    let cluster = around.cluster.borrow();
    let mut read = 0;
    for (offset, entry) in cluster.committed(changelog, partition, reading.next).take(most) {
        let change = Change {
            topic: changelog.name(),
            offset,
            written_ms: entry.written_ms,
            key: Some(&entry.key),
            value: entry.value.as_deref(),
            version: Some(VERSION),
        };
        reading.restore.take(&change, cluster.now_ms)?;
        reading.next = offset + 1;
        read += 1;
    }
    if read < most { reading.restore.reached_end(cluster.now_ms) } else { Ok(()) }
}
