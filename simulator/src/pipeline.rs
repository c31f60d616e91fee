//! The real pipeline, with what only a simulation changes.

use std::sync::{Arc, OnceLock};

use tributary_ingest::{Decoder, Settings as IngestSettings};
use tributary_pipeline::stages::Pipeline;
use tributary_proto::kind::Kinds;
use tributary_runtime::config::Section;

use crate::oracle;

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
) -> Result<Pipeline, String> {
    let mut identity = rules.identity.compiled(&rules.kinds).map_err(|problems| problems.to_string())?;
    let mut plan = rules.attribution.compiled(&rules.kinds).map_err(|problems| problems.to_string())?;
    if let Some(bytes_max) = part_bytes_max {
        identity.part_bytes_max = bytes_max;
        plan.message_bytes_max = bytes_max;
    }
    plan.rest_after = rest_after.unwrap_or(plan.rest_after);
    Ok(Pipeline::of(decoder(ingest, &rules.kinds)?, identity, plan))
}

/// Compiling the channel rules takes longer than many a seed: equal settings share a decoder.
fn decoder(settings: &IngestSettings, kinds: &Kinds) -> Result<Arc<Decoder>, String> {
    static KNOWN: OnceLock<(IngestSettings, Kinds, Arc<Decoder>)> = OnceLock::new();
    if let Some((of, with, decoder)) = KNOWN.get()
        && (of, with) == (settings, kinds)
    {
        return Ok(Arc::clone(decoder));
    }
    let decoder = Arc::new(Decoder::new(settings, kinds).map_err(|problems| problems.to_string())?);
    Ok(Arc::clone(&KNOWN.get_or_init(|| (settings.clone(), kinds.clone(), decoder.clone())).2))
}
