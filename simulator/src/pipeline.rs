//! The real pipeline, with the parts that a simulation replaces.

use std::sync::{Arc, Mutex, PoisonError};

use tributary_ingest::{Decoder, Settings as IngestSettings};
use tributary_pipeline::stages::Pipeline;
use tributary_proto::kind::Kinds;
use tributary_runtime::config::Section;

use crate::oracle;

/// Settings and their decoder.
type Known = (IngestSettings, Kinds, Arc<Decoder>);

/// Most decoders in the cache.
const DECODERS_MAX: usize = 16;

/// Compiles settings. If `part_bytes_max` is given, messages in parts are at most about that long; units and roots are throttled after work
/// that costs more than `rest_after`.
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
    identity.rest_after = rest_after.unwrap_or(identity.rest_after);
    Ok(Pipeline::of(decoder(ingest, &rules.kinds)?, identity, plan))
}

/// Compiling the channel rules takes longer than many a seed, so equal settings share a decoder.
fn decoder(settings: &IngestSettings, kinds: &Kinds) -> Result<Arc<Decoder>, String> {
    static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, _, decoder)) = known.iter().find(|(of, with, _)| (of, with) == (settings, kinds)) {
        return Ok(Arc::clone(decoder));
    }
    let decoder = Arc::new(Decoder::new(settings, kinds).map_err(|problems| problems.to_string())?);
    known.truncate(DECODERS_MAX - 1);
    known.insert(0, (settings.clone(), kinds.clone(), Arc::clone(&decoder)));
    Ok(decoder)
}
