//! The metrics page: recorded values, fresh gauges, and values that are looked up on request.

use std::path::{Path, PathBuf};

use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::fresh::FreshGauges;
use crate::metric::{Metric, MetricKind};
use crate::metrics::{BUILD_INFO, DISK_FREE_BYTES};

/// Buckets for durations, seconds: from a fast commit to a slow restore.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Buckets for counts.
const COUNTS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// Metrics cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be recorded: {0}")]
pub struct PageError(#[from] BuildError);

/// See the module.
#[derive(Clone)]
pub struct Page {
    recorder: PrometheusHandle,
    gauges: FreshGauges,
    process: metrics_process::Collector,
    /// The folder of the state, whose file system is measured; it need not exist yet.
    state: PathBuf,
}

impl Page {
    /// Installs the metrics recorder of this process, with a description for each metric. `state` is the folder of the state.
    ///
    /// # Errors
    /// When a recorder is installed already.
    pub fn install(known: impl Iterator<Item = &'static Metric>, state: PathBuf) -> Result<Self, PageError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .and_then(|builder| builder.set_buckets(&COUNTS))
            .and_then(PrometheusBuilder::install_recorder)?;
        for metric in known {
            match metric.kind {
                MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
                MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
                MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
            }
        }
        let process = metrics_process::Collector::default();
        process.describe();
        gauge!(BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION"), "rustc" => env!("TRIBUTARY_RUSTC")).set(1.0);
        Ok(Self { recorder, gauges: FreshGauges::default(), process, state })
    }

    /// The gauges whose values expire.
    pub fn gauges(&self) -> FreshGauges {
        self.gauges.clone()
    }

    /// The metrics, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.process.collect();
        // If it cannot be measured, the gauge keeps its last value: a disk does not go away.
        if let Some(bytes) = free_bytes(&self.state) {
            gauge!(DISK_FREE_BYTES.name).set(bytes as f64);
        }
        self.recorder.run_upkeep();
        self.recorder.render() + &self.gauges.render()
    }
}

/// Free bytes for unprivileged processes on the file system of this folder, or where it will be.
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = folder.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        rustix::fs::statvfs(folder).ok()
    })?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_measured_also_for_folders_not_created_yet() {
        let folder = tempfile::tempdir().unwrap();
        let there = free_bytes(folder.path()).unwrap();
        let not_there = free_bytes(&folder.path().join("a/b")).unwrap();
        assert!(there > 0 && not_there > 0);
        assert!(free_bytes(Path::new("surely-not-here")).is_some());
    }
}
