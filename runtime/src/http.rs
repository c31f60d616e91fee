//! `/metrics`, `/livez` and `/readyz`, on a listener of their own.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::metric::{Metric, MetricKind};
use crate::service::Health;

/// Buckets of durations, seconds: from a fast commit to a slow restore.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Buckets of everything else that is counted.
const COUNTS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// Why metrics are not served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("http.listen = {address}: {source}; is another process there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The thread or its runtime was refused.
    #[error("the thread of the HTTP listener cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// The recorder was refused.
    #[error("metrics cannot be recorded: {0}")]
    Recorder(String),
}

/// Installs the recorder of this process' metrics, with a sentence for each.
///
/// # Errors
/// When there is one already.
pub fn install_recorder(known: &[&'static Metric]) -> Result<PrometheusHandle, HttpError> {
    let refuse = |error: BuildError| HttpError::Recorder(error.to_string());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .and_then(|builder| builder.set_buckets(&COUNTS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(refuse)?;
    for metric in known {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Ok(handle)
}

/// Serves metrics and health on a thread of their own, for as long as the process lives. Returns the address listened on.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(address: SocketAddr, recorder: PrometheusHandle, health: Health) -> Result<SocketAddr, HttpError> {
    let refuse = |source| HttpError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refuse)?;
    listener.set_nonblocking(true).map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    std::thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async move {
            let served = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => axum::serve(listener, router(recorder, health)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP listener has ended");
            }
        });
    })?;
    Ok(bound)
}

fn router(recorder: PrometheusHandle, health: Health) -> Router {
    let ready = health.clone();
    Router::new()
        .route(
            "/metrics",
            get(move || async move {
                recorder.run_upkeep();
                recorder.render()
            }),
        )
        .route("/livez", get(move || async move { answer(health.is_live(), "live", "a worker is stuck") }))
        .route("/readyz", get(move || async move { answer(ready.is_ready(), "ready", "not all workers have their partitions with their state") }))
}

fn answer(good: bool, yes: &'static str, no: &'static str) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) }
}
