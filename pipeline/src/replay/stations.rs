//! The stages of a replay: one after the other, or each on a thread of its own.
//!
//! A chunk of records goes through the stages, and each stage works until it has no message left before the next one begins. So the results are
//! the same on one thread and on several: these only work on different chunks at the same time.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tributary_runtime::log::{BatchLimits, MemoryLog, MemorySession, Routed};
use tributary_runtime::state::State;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

use super::ReplayError;
use super::intake::OutputSender;
use super::threads::{Thread, join, spawn};
use crate::stages::{Pipeline, StageName};

/// Chunks that wait for a stage, at most: bounds the memory.
const WAITING_MAX: usize = 1;

/// Records for a stage.
pub(super) type Chunk = Vec<Routed>;

/// A stage over a log of its own.
pub(super) struct Station {
    stage: StageName,
    log: MemoryLog,
    worker: Worker<MemorySession>,
    /// What the next stage reads.
    next: &'static [Topic],
}

impl Station {
    /// The stages, in their order.
    pub fn all(pipeline: &Pipeline, partitions: u32, limits: BatchLimits) -> Vec<Self> {
        let inputs = |stage: StageName| stage.log().inputs;
        let next = StageName::ALL.into_iter().skip(1).map(inputs).chain([&[][..]]);
        let station = |(stage, next): (StageName, &'static [Topic])| {
            let (log, options) = (MemoryLog::new(partitions), WorkerOptions::in_memory(limits));
            let worker = Worker::new(log.session(stage.log()), stage.log(), pipeline.build(stage), options);
            Self { stage, log, worker, next }
        };
        StageName::ALL.into_iter().zip(next).map(station).collect()
    }

    /// Its name.
    pub fn stage(&self) -> &'static str {
        self.stage.log().stage
    }

    /// The state of a partition.
    pub fn state(&mut self, partition: u32) -> Option<&mut dyn State> {
        self.worker.state(partition)
    }

    /// Works on a chunk until no message is left; returns what the next stage is to read.
    ///
    /// # Errors
    /// When the stage fails.
    pub fn work(&mut self, chunk: Chunk, outputs: &OutputSender) -> Result<Chunk, ReplayError> {
        self.log.extend(chunk);
        while self.worker.step()? > 0 {}
        outputs.send(self.stage, &self.log);
        Ok(self.next.iter().flat_map(|topic| self.log.take(*topic)).collect())
    }

    /// Works on the chunks that come, until there are no more, or the next stage has failed.
    fn work_on_all(
        &mut self,
        from: &Receiver<Chunk>,
        to: Option<&SyncSender<Chunk>>,
        outputs: &OutputSender,
    ) -> Result<(), ReplayError> {
        for chunk in from {
            let messages = self.work(chunk, outputs)?;
            if to.is_some_and(|to| to.send(messages).is_err()) {
                break;
            }
        }
        Ok(())
    }
}

/// Stages that work at the same time, each on the chunks that the one before has done.
pub(super) struct Line {
    sender: SyncSender<Chunk>,
    threads: Vec<Thread<Station>>,
}

impl Line {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(stations: Vec<Station>, outputs: &OutputSender) -> Result<Self, ReplayError> {
        let (sender, mut receiver) = sync_channel(WAITING_MAX);
        let mut threads = Vec::new();
        for mut station in stations {
            let (to, behind) = sync_channel(WAITING_MAX);
            let (name, from, outputs) = (station.stage(), mem::replace(&mut receiver, behind), outputs.clone());
            let to = (!station.next.is_empty()).then_some(to);
            let work = move || station.work_on_all(&from, to.as_ref(), &outputs).map(|()| station);
            threads.push(spawn(name, work)?);
        }
        Ok(Self { sender, threads })
    }

    /// Has a chunk worked on; waits while others wait already. False if a stage has failed: [`Self::end`] says why.
    pub fn send(&self, chunk: Chunk) -> bool {
        self.sender.send(chunk).is_ok()
    }

    /// Waits until everything was worked on, and gives the stages back.
    ///
    /// # Errors
    /// When a stage has failed.
    pub fn end(self) -> Result<Vec<Station>, ReplayError> {
        drop(self.sender);
        let ended: Vec<_> = self.threads.into_iter().map(join).collect();
        ended.into_iter().collect()
    }
}
