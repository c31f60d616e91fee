//! The states of all partitions, read together: an explanation needs several of them.

use std::collections::BTreeMap;

use super::{Base, Overlay, State, StateError};

/// The states of a pipeline's partitions as of one moment, for reading: writes to them are lost.
///
/// ```
/// use tributary_proto::Hash128;
/// use tributary_runtime::state::{ActorKey, Committed, EmptyBase, Snapshot, StateError};
///
/// // Four partitions of each stage, all of them empty.
/// let mut states = Committed::new(4, Box::new(|_stage, _partition| Ok(Box::new(EmptyBase))));
/// let state = states.owner_of("attributor", b"001B")?;
/// assert_eq!(state.get(&ActorKey::new(b'u', Hash128::of(b"001B")), b"head")?, None);
/// # Ok::<(), StateError>(())
/// ```
pub trait Snapshot {
    /// The number of partitions of a stage.
    fn partitions(&self, stage: &str) -> u32;

    /// The state of one partition of a stage.
    ///
    /// # Errors
    /// When it is not available or cannot be read.
    fn state(&mut self, stage: &'static str, partition: u32) -> Result<&mut dyn State, StateError>;

    /// The state of the partition that owns the actor with this key.
    ///
    /// # Errors
    /// When it is not available or cannot be read.
    fn owner_of(&mut self, stage: &'static str, key: &[u8]) -> Result<&mut dyn State, StateError> {
        let partition = tributary_proto::partition::of(key, self.partitions(stage));
        self.state(stage, partition)
    }
}

/// Opens the committed state of one partition of a stage.
pub type OpenBase = Box<dyn FnMut(&'static str, u32) -> Result<Box<dyn Base + Send>, StateError>>;

/// A snapshot of committed states, each opened when first needed.
pub struct Committed {
    partitions: u32,
    open: OpenBase,
    states: BTreeMap<(&'static str, u32), Overlay<Box<dyn Base + Send>>>,
}

impl Committed {
    /// States of stages that all have this many partitions.
    pub fn new(partitions: u32, open: OpenBase) -> Self {
        Self { partitions, open, states: BTreeMap::new() }
    }
}

impl Committed {
    /// Frees the memory of what was read.
    pub fn shrink(&mut self) {
        self.states.values_mut().for_each(Overlay::discard);
    }
}

impl Snapshot for Committed {
    fn partitions(&self, _: &str) -> u32 {
        self.partitions
    }

    fn state(&mut self, stage: &'static str, partition: u32) -> Result<&mut dyn State, StateError> {
        if !self.states.contains_key(&(stage, partition)) {
            let base = (self.open)(stage, partition)?;
            self.states.insert((stage, partition), Overlay::new(base));
        }
        let missing = || StateError::Read(format!("partition {partition} of {stage} is not open"));
        self.states.get_mut(&(stage, partition)).map(|state| state as &mut dyn State).ok_or_else(missing)
    }
}
