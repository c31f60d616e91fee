//! Reads the states of a pipeline: from running processes, or from the disk of this machine.
//!
//! The state of a partition is read as of one moment. The moments of several partitions differ by the duration of the requests. Messages
//! between two of them are then in neither state, and an answer whose parts do not fit says so (`current`).
//!
//! | what | where |
//! |---|---|
//! | which processes there are, and who holds what | `survey` |
//! | how much is newer than what was read | `newer`, `freshness` |

mod freshness;
mod newer;
mod survey;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_pipeline::time::now_ms;
use tributary_runtime::admin::{RemoteBase, RemoteView};
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::exactly_once::Inputs;
use tributary_runtime::state::{Base, Committed, RocksStore, Snapshot, State, StateError, StoreBudget, store_folder};

use crate::state::{KEEPERS, stores};

pub use newer::{Newer, count as count_newer};
use survey::Survey;

/// Memory for reading from disk, bytes.
const READ_CACHE_BYTES: usize = 32 << 20;

/// A stage and one of its partitions.
pub type PartitionOf = (&'static str, u32);

/// Where the state of a partition can be read.
#[derive(Clone)]
pub enum Place {
    /// In a view of a running process.
    Process {
        /// The name of the process.
        instance: String,
        /// The view.
        view: Arc<RemoteView>,
        /// The input offsets that the state includes.
        inputs: Inputs,
        /// As of when, milliseconds since 1970-01-01 UTC.
        as_of_ms: i64,
    },
    /// On the disk of this machine, as last flushed.
    Disk {
        /// The folder.
        path: PathBuf,
        /// Why no process was asked.
        why: String,
    },
    /// Nowhere within reach of this machine.
    Nowhere {
        /// The reason.
        why: String,
    },
}

impl Place {
    /// The reason if it cannot be read; `None` if it can.
    pub fn absent(&self) -> Option<&str> {
        match self {
            Self::Nowhere { why } => Some(why),
            Self::Process { .. } | Self::Disk { .. } => None,
        }
    }
}

/// Where the states of all partitions can be read.
pub struct Places {
    /// The number of partitions of the stages.
    pub partitions: u32,
    /// By stage and partition.
    pub places: BTreeMap<PartitionOf, Place>,
    /// Why the brokers could not be asked; empty if they answered.
    pub brokers_failed: String,
}

impl Places {
    /// Finds the states of a pipeline on Kafka: asks running processes to open a view of each stage. The attributor's views come first: so
    /// everything that identity has sent on is in these views, or in the attributor's inbox after their offsets.
    pub fn find(settings: &Settings) -> Self {
        let local: BTreeMap<PartitionOf, PathBuf> =
            stores(settings).into_iter().map(|store| ((store.stage, store.partition), store.path)).collect();
        let (survey, brokers_failed) = match Survey::of(settings, &|of| local.contains_key(&of)) {
            Ok(survey) => (survey, String::new()),
            Err(why) => (Survey::default(), why),
        };
        // A folder with a higher number shows that the topics have more partitions than the settings say now.
        let found = local.keys().map(|(_, partition)| partition + 1).max().unwrap_or(0);
        let partitions = if survey.partitions > 0 { survey.partitions } else { found.max(settings.topics.partitions) };
        let mut places = survey.views;
        for stage in KEEPERS.map(|stage| stage.log().stage) {
            for partition in 0..partitions {
                places.entry((stage, partition)).or_insert_with(|| {
                    let reason = survey.reasons.get(&(stage, partition)).cloned();
                    let why =
                        reason.unwrap_or_else(|| format!("the brokers could not be asked who holds it ({brokers_failed})"));
                    match local.get(&(stage, partition)) {
                        Some(path) => Place::Disk { path: path.clone(), why },
                        None => Place::Nowhere { why: nowhere(settings, stage, partition, &why) },
                    }
                });
            }
        }
        Self { partitions, places, brokers_failed }
    }

    /// Whether no state can be read.
    pub fn are_nowhere(&self) -> bool {
        self.places.values().all(|place| place.absent().is_some())
    }
}

fn nowhere(settings: &Settings, stage: &str, partition: u32, why: &str) -> String {
    let folder = store_folder(&settings.state.folder_of_process(), stage, partition);
    format!("partition {partition} of {stage}: {why}; and its state is not on this machine ({} is not there)", folder.display())
}

/// A state that was read, and as of when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    of: PartitionOf,
    /// The process that answered; `None` for the disk.
    instance: Option<String>,
    /// Why no process was asked.
    why: String,
    inputs: Inputs,
    /// Milliseconds since 1970-01-01 UTC; `None` for an empty store.
    as_of_ms: Option<i64>,
}

/// The states of all partitions, each opened when first needed.
pub struct States {
    committed: Committed,
    origin: Origin,
}

enum Origin {
    Log(EmbeddedLog),
    Kafka { read: Arc<Mutex<Vec<Read>>>, brokers_failed: String },
}

impl Snapshot for States {
    fn partitions(&self, stage: &str) -> u32 {
        self.committed.partitions(stage)
    }

    fn state(&mut self, stage: &'static str, partition: u32) -> Result<&mut dyn State, StateError> {
        self.committed.state(stage, partition)
    }
}

/// Opens the states of the pipeline in the settings.
///
/// # Errors
/// When no state is within reach of this machine.
pub fn open(settings: &Settings) -> anyhow::Result<States> {
    if settings.kafka.is_embedded() {
        let log = open_log(settings)?;
        return Ok(States { committed: log.states(), origin: Origin::Log(log) });
    }
    let places = Places::find(settings);
    if places.are_nowhere() {
        let why = match places.places.into_values().next() {
            Some(Place::Nowhere { why }) => why,
            _ => "there are no partitions".to_owned(),
        };
        anyhow::bail!("no state can be read, from no running process and not from state.path: {why}");
    }
    let Places { partitions, places, brokers_failed } = places;
    let read = Arc::new(Mutex::new(Vec::new()));
    let (noted, budget) = (read.clone(), StoreBudget::new(READ_CACHE_BYTES));
    let open = move |stage: &'static str, partition: u32| -> Result<Box<dyn Base + Send>, StateError> {
        let (base, opened) = open_place((stage, partition), places.get(&(stage, partition)), &budget)?;
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
        Ok(base)
    };
    Ok(States { committed: Committed::new(partitions, Box::new(open)), origin: Origin::Kafka { read, brokers_failed } })
}

/// Opens the embedded log in the settings for reading.
///
/// # Errors
/// When there is none.
pub fn open_log(settings: &Settings) -> anyhow::Result<EmbeddedLog> {
    let path = settings.state.folder_of_log();
    if !path.is_dir() {
        let folder = settings.state.folder_of_process();
        anyhow::bail!("there is no state in {}; set state.path to the folder of the service", folder.display());
    }
    Ok(EmbeddedLog::open_read_only(&path)?)
}

type Opened = (Box<dyn Base + Send>, Read);

fn open_place(of: PartitionOf, place: Option<&Place>, budget: &StoreBudget) -> Result<Opened, StateError> {
    match place {
        Some(Place::Process { instance, view, inputs, as_of_ms }) => {
            let read = Read {
                of,
                instance: Some(instance.clone()),
                why: String::new(),
                inputs: inputs.clone(),
                as_of_ms: Some(*as_of_ms),
            };
            Ok((Box::new(RemoteBase { view: view.clone(), partition: of.1 }), read))
        }
        Some(Place::Disk { path, why }) => {
            let failed = |error: tributary_runtime::state::StoreError| StateError::Read(error.to_string());
            let store = RocksStore::open_read_only(path, budget).map_err(failed)?;
            let inputs = store.inputs().map_err(failed)?.unwrap_or_default();
            let position = store.position().map_err(failed)?;
            let as_of_ms = position.map(|position| i64::try_from(position.as_of_ms).unwrap_or(i64::MAX));
            Ok((Box::new(store), Read { of, instance: None, why: why.clone(), inputs, as_of_ms }))
        }
        Some(Place::Nowhere { why }) => Err(StateError::Read(why.clone())),
        None => Err(StateError::Read(format!("there is no partition {} of {}", of.1, of.0))),
    }
}

/// The stage with this name.
pub(crate) fn stage_of(name: &str) -> Option<StageName> {
    StageName::ALL.into_iter().find(|stage| stage.log().stage == name)
}
