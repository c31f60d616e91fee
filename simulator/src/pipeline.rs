//! The real stages, put together as the command line does.

use std::sync::{Arc, OnceLock};

use tributary_attributor::plan::Plan;
use tributary_attributor::stage::AttributorStage;
use tributary_identity::{IdentityStage, Rules};
use tributary_ingest::{Decoder, IngestStage, Settings as IngestSettings};
use tributary_runtime::log::StageLog;
use tributary_runtime::stage::{Share, Stage};
use tributary_runtime::worker::BuildStage;

use crate::oracle;

/// What the stages read and keep, in the order of the data path.
pub const LOGS: [StageLog; 3] = [tributary_ingest::LOG, tributary_identity::LOG, tributary_attributor::LOG];

/// The stages' settings, compiled.
#[derive(Clone)]
pub struct Pipeline {
    decoder: Arc<Decoder>,
    rules: Arc<Rules>,
    plan: Arc<Plan>,
}

impl Pipeline {
    /// Compiles settings. What is sent in parts is cut below `part_bytes_max`, where that is given, and units rest after what costs more than
    /// `rest_after`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn compile(
        ingest: &IngestSettings,
        rules: &oracle::Rules,
        part_bytes_max: Option<usize>,
        rest_after: Option<u64>,
    ) -> Result<Self, String> {
        let mut identity = rules.identity.compile().map_err(|errors| format!("{errors:?}"))?;
        let mut plan = Plan::compile(&rules.attribution).map_err(|error| error.to_string())?;
        if let Some(bytes_max) = part_bytes_max {
            identity.part_bytes_max = bytes_max;
            plan.message_bytes_max = bytes_max;
        }
        plan.rest_after = rest_after.unwrap_or(plan.rest_after);
        Ok(Self { decoder: decoder(ingest)?, rules: Arc::new(identity), plan: Arc::new(plan) })
    }

    /// The decoder of raw records.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// What makes the stage of a partition.
    pub fn build(&self, stage: &'static str) -> BuildStage {
        let Self { decoder, rules, plan } = self.clone();
        Box::new(move |share: Share| -> Box<dyn Stage> {
            match stage {
                "ingest" => Box::new(IngestStage::new(decoder.clone())),
                "identity" => Box::new(IdentityStage::new(rules.clone(), share)),
                _ => Box::new(AttributorStage::new(plan.clone(), share)),
            }
        })
    }
}

/// Compiling the channel rules takes longer than many a seed: equal settings share a decoder.
fn decoder(settings: &IngestSettings) -> Result<Arc<Decoder>, String> {
    static KNOWN: OnceLock<(IngestSettings, Arc<Decoder>)> = OnceLock::new();
    if let Some((of, decoder)) = KNOWN.get()
        && of == settings
    {
        return Ok(Arc::clone(decoder));
    }
    let decoder = Arc::new(Decoder::new(settings).map_err(|error| error.to_string())?);
    Ok(Arc::clone(&KNOWN.get_or_init(|| (settings.clone(), decoder.clone())).1))
}
