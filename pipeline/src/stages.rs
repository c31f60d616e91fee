//! The three stages, built from settings: the same for `run`, `replay`, `demo` and tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tributary_attributor::classifier::Classifier;
use tributary_attributor::plan::Plan;
use tributary_attributor::stage::AttributorStage;
use tributary_identity::{IdentityStage, Rules};
use tributary_ingest::{Decoder, IngestStage};
use tributary_proto::kind::Kinds;
use tributary_proto::{Origin, Touch};
use tributary_runtime::config::memory::MemoryBudget;
use tributary_runtime::config::{Given, Problems, Section};
use tributary_runtime::dead_letter_limit::LiveLimits;
use tributary_runtime::log::{BatchLimits, StageLog};
use tributary_runtime::metrics::Counted;
use tributary_runtime::reason;
use tributary_runtime::stage::{PartitionSlice, Stage};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{BuildStage, WorkerOptions};

use crate::settings::Settings;

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageName {
    /// Raw records to events.
    Ingest,
    /// Identifiers to profiles and accounts.
    Identity,
    /// Touches and milestones to credit.
    Attributor,
}

impl StageName {
    /// All, in the order of the data path.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Identity, Self::Attributor];

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.log().stage
    }

    /// What it does.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Ingest => "Raw records to events",
            Self::Identity => "Identifiers to profiles and accounts",
            Self::Attributor => "Touches and milestones to credit",
        }
    }

    /// What the stage may count.
    pub fn counted(self) -> Counted {
        let (reasons, observed): (_, &[_]) = match self {
            Self::Ingest => (reason::OF_RAW_RECORDS, &tributary_ingest::metrics::ALL),
            Self::Identity => (reason::OF_INTERNAL_RECORDS, &tributary_identity::metrics::ALL),
            Self::Attributor => (reason::OF_INTERNAL_RECORDS, &tributary_attributor::metrics::ALL),
        };
        Counted { log: self.log(), reasons, observed }
    }

    /// What the stage reads and keeps.
    pub const fn log(self) -> StageLog {
        match self {
            Self::Ingest => tributary_ingest::LOG,
            Self::Identity => tributary_identity::LOG,
            Self::Attributor => tributary_attributor::LOG,
        }
    }
}

/// The generation of the settings of each stage, set before the stages are made; 0 if generations are not counted, as in a replay.
/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LiveGenerations(Arc<Mutex<BTreeMap<StageName, u64>>>);

impl LiveGenerations {
    /// That of a stage.
    pub fn of(&self, stage: StageName) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&stage).copied().unwrap_or_default()
    }

    /// Sets that of a stage.
    pub fn set(&self, stage: StageName, generation: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, generation);
    }
}

/// The stages' settings, compiled. Clones share them.
#[derive(Clone)]
pub struct Pipeline {
    decoder: Arc<Decoder>,
    rules: Arc<Rules>,
    plan: Arc<Plan>,
    limits: LiveLimits,
    generations: LiveGenerations,
}

impl Pipeline {
    /// Compiles the sections of the three stages.
    ///
    /// # Errors
    /// Everything that is wrong with them. Settings that were loaded have been through this.
    pub fn compile(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let built_in = Kinds::default();
        let kinds = settings.kinds.compile_in(&Given::new(&built_in), &mut problems).unwrap_or_default();
        let given = Given::new(&kinds);
        let decoder = settings.ingest.compile_in(&given, &mut problems);
        let mut identity = settings.identity.clone();
        // One that is none is told of where it stands, as ingest's.
        if let Ok(currency) = tributary_ingest::money::currency(&settings.ingest.currency) {
            currency.code().clone_into(&mut identity.currency);
        }
        identity.account_level = settings.attribution.account_level;
        let rules = identity.compile_in(&given, &mut problems);
        let zoned = Given { time_zone: &settings.ingest.time_zone, ..given };
        let mut attribution = settings.attribution.clone();
        attribution.currency.clone_from(&settings.currency);
        attribution.outputs = settings.outputs;
        let plan = attribution.compile_in(&zoned, &mut problems);
        match (decoder, rules, plan) {
            (Some(decoder), Some(rules), Some(plan)) if problems.is_empty() => {
                let limits = LiveLimits::new(settings.worker.dead_letters);
                Ok(Self { limits, ..Self::of(Arc::new(decoder), rules, plan) })
            }
            _ => Err(problems),
        }
    }

    /// Of what was compiled already, with the usual limits of what may be refused.
    pub fn of(decoder: Arc<Decoder>, rules: Rules, plan: Plan) -> Self {
        let (limits, generations) = (LiveLimits::default(), LiveGenerations::default());
        let plan = plan.with_classifier(Arc::new(ByDecoder(decoder.clone())));
        Self { decoder, rules: Arc::new(rules), plan: Arc::new(plan), limits, generations }
    }

    /// The decoder of raw records.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The rules of identity.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The plan of attribution.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How much of a partition may be refused: running workers look at it before each batch.
    pub fn limits(&self) -> &LiveLimits {
        &self.limits
    }

    /// The generations of the settings. They are set before the stages are made.
    pub fn generations(&self) -> &LiveGenerations {
        &self.generations
    }

    /// What makes the stage of a partition.
    pub fn build(&self, stage: StageName) -> BuildStage {
        let Self { decoder, rules, plan, generations, .. } = self.clone();
        Box::new(move |slice: PartitionSlice| -> Box<dyn Stage> {
            match stage {
                StageName::Ingest => Box::new(IngestStage::new(decoder.clone())),
                StageName::Identity => Box::new(IdentityStage::new(rules.clone(), slice).of_generation(generations.of(stage))),
                StageName::Attributor => {
                    Box::new(AttributorStage::new(plan.clone(), slice).of_generation(generations.of(stage)))
                }
            }
        })
    }
}

/// The channel rules of ingest, for the attributor.
#[derive(Debug)]
struct ByDecoder(Arc<Decoder>);

impl Classifier for ByDecoder {
    fn rules(&self) -> u32 {
        self.0.channel_rules()
    }

    fn reclassified(&self, touch: &Touch, origin: &Origin) -> Touch {
        self.0.reclassified(touch, origin)
    }
}

/// Credit is late, and what it waits for is a backlog, when a record was received so long ago.
const BEHIND_MS: i64 = 5_000;

/// How workers work, by the settings, their shares of the memory, and the limits of what may be refused.
pub fn worker_options(settings: &Settings, shares: &MemoryBudget, limits: &LiveLimits) -> WorkerOptions {
    WorkerOptions {
        limits: BatchLimits {
            records_max: settings.worker.batch_records as usize,
            bytes_max: shares.transaction,
            wait_ms: 100,
            gather_ms: u64::from(settings.worker.batch_ms),
        },
        transaction_bytes: shares.transaction,
        cache_bytes: shares.values,
        refusals: limits.clone(),
        unlimited: settings.collector.public_topics(),
        behind_ms: Some(BEHIND_MS),
        logs_refusals: true,
        json: Topic::public().filter(|topic| settings.worker.formats.is_json(*topic)).collect(),
    }
}
