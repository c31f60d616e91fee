//! Divides threads and memory between the stages of a process, by the settings.

use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::config::memory::MemoryBudget;

/// The number of workers of a stage.
pub fn threads(settings: &Settings, stage: StageName) -> u32 {
    let threads = settings.worker.threads;
    match stage {
        StageName::Ingest => threads.ingest,
        StageName::Identity => threads.identity,
        StageName::Attributor => threads.attributor,
    }
}

/// The memory budget of the workers of these stages.
pub fn memory(settings: &Settings, stages: &[StageName]) -> MemoryBudget {
    let workers = |keeping: bool| {
        let counted = stages.iter().filter(|stage| !keeping || stage.log().changelog.is_some());
        counted.map(|stage| threads(settings, *stage) as usize).sum()
    };
    // The memory of a collector is subtracted.
    let of_collector = if settings.collects() { settings.collector.queue_mb } else { 0 };
    MemoryBudget::of(settings.worker.process_mb().saturating_sub(of_collector), workers(false), workers(true))
}
