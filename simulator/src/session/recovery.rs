//! Recovery after a failed transaction.

use std::collections::BTreeMap;

use tributary_runtime::exactly_once::{Inputs, Recovery};
use tributary_runtime::log::LogError;

use super::SimSession;
use crate::surroundings::SimProducer;

impl Recovery for SimSession {
    type Producer = SimProducer;

    fn slot(&mut self) -> &mut Option<SimProducer> {
        &mut self.producer
    }

    fn replace_consumer(&mut self) -> Result<(), LogError> {
        if self.around.cluster.borrow_mut().group(self.log.stage).is_replaced(&self.instance, self.membership) {
            self.fate.replaced.set(true);
            return Err(LogError::stop("recovering", "another process has the same instance name and took over"));
        }
        Ok(())
    }

    fn new_producer(&mut self) -> Result<SimProducer, LogError> {
        let id = format!("{}-{}", self.log.stage, self.instance);
        let epoch = self.around.cluster.borrow_mut().init_producer(&id);
        let epoch = epoch.map_err(|_| LogError::recover("recovering", "the former transaction is not settled yet"))?;
        Ok(SimProducer { id, epoch })
    }

    fn committed_offsets(&mut self) -> Result<Option<BTreeMap<u32, Inputs>>, LogError> {
        let partitions: Vec<u32> = self.owned.partitions().collect();
        Ok(self.committed(&self.around, &partitions))
    }

    fn begin_again(&mut self, committed: BTreeMap<u32, Inputs>) -> Result<(), LogError> {
        self.reading = None;
        self.fate.stores.borrow_mut().clear();
        self.seek(&committed);
        self.owned.begin_again(committed);
        Ok(())
    }
}
