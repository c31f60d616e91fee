//! Listens, and serves connections until it is stopped; then finishes the requests in progress.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::routing::{get, post};
use metrics::gauge;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tributary_runtime::http::{self, Limits, Name, serve_connections};
use tributary_runtime::obstacle::Obstacle;
use tributary_runtime::service::Pulse;

use crate::collector::{self, Collector};
use crate::metrics::CONNECTIONS;
use crate::settings::Settings;

/// How long requests in progress may take when the server stops, beside the log's timeout. If the log has failed: in all.
const DRAIN: Duration = Duration::from_secs(10);
const DRAIN_FAILED: Duration = Duration::from_secs(1);
/// How often the stop flag and the log are checked.
const LOOK: Duration = Duration::from_millis(200);
/// How long a browser may cache the answer to a preflight request.
const CORS_AGE: Duration = Duration::from_secs(3_600);

/// Why the collector cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("collector.listen = {address}: {source}; is another process there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The threads could not be started.
    #[error("the collector's threads cannot be started: {0}")]
    Threads(#[source] io::Error),
    /// The log has failed permanently.
    #[error("{0}")]
    Log(String),
}

/// A collector with a bound listener that does not serve yet.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    /// The listening address.
    pub address: SocketAddr,
    collector: Arc<Collector>,
    router: Router,
    limits: Limits,
    drain: Duration,
}

impl Server {
    /// Binds the address.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(settings: &Settings, collector: Collector) -> Result<Self, ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(settings.threads as usize)
            .thread_name("collector-http")
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServeError::Threads)?;
        let refuse = |source| ServeError::Listen { address: settings.listen, source };
        let listener = runtime.block_on(TcpListener::bind(settings.listen)).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let collector = Arc::new(collector);
        let ack = Duration::from_millis(settings.ack_ms.into());
        let router = router(settings, collector.clone());
        Ok(Self { runtime, listener, address, collector, router, limits: limits(settings), drain: DRAIN + ack })
    }

    /// The limits on connections.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// With at most this many connections; an address gets its configured share of them.
    #[must_use]
    pub fn at_most(mut self, connections: u64) -> Self {
        let before = self.limits.connections.max(1);
        let connections = usize::try_from(connections).unwrap_or(usize::MAX).min(before);
        self.limits.of_address = (self.limits.of_address * connections).div_ceil(before).max(1);
        self.limits.connections = connections;
        self
    }

    /// With other limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Serves `/readyz`, which says whether the log accepts records, and names this service.
    pub fn named(mut self, service: &str) -> Self {
        let collector = self.collector.clone();
        let ready = move || std::future::ready(ready(collector.log().is_away()));
        let probe = http::named(Router::new().route("/readyz", get(ready)), service);
        self.router = self.router.merge(probe);
        self
    }

    /// Serves until it is stopped, then finishes the requests in progress.
    ///
    /// # Errors
    /// When the log has failed permanently.
    pub fn run(self, pulse: &Pulse) -> Result<(), ServeError> {
        let Self { runtime, listener, collector, router, limits, drain, .. } = self;
        let (stop, stopping) = watch::channel(false);
        let name = Name { listener: "collector.listen", connections: gauge!(CONNECTIONS.name) };
        let serving = runtime.spawn(serve_connections(listener, router, limits, name, stopping));
        let log = collector.log();
        while !pulse.stopping() && log.failure().is_none() {
            let records = log.look();
            pulse.report(if log.is_away() { vec![Obstacle::LogAway] } else { Vec::new() });
            pulse.turn(usize::try_from(records).unwrap_or(usize::MAX));
            std::thread::sleep(LOOK);
        }
        stop.send_replace(true);
        let drain = if log.failure().is_some() { DRAIN_FAILED } else { drain };
        let finished = runtime.block_on(async { tokio::time::timeout(drain, serving).await.is_ok() });
        if !finished {
            tracing::warn!("requests that did not finish in time were aborted");
        }
        runtime.shutdown_background();
        log.close();
        log.failure().map_or(Ok(()), |why| Err(ServeError::Log(why)))
    }
}

/// The limits on connections, from the settings.
fn limits(settings: &Settings) -> Limits {
    let connections = settings.connections_max as usize;
    let of_address = (connections * settings.address_percent as usize).div_ceil(100);
    let exempt = settings.proxies.iter().map(IpAddr::to_canonical).collect();
    let heads_bytes = (settings.queue_mb as usize) << 20 >> 2;
    Limits { connections, of_address, exempt, heads_bytes, ..Limits::default() }
}

fn router(settings: &Settings, collector: Arc<Collector>) -> Router {
    // With or without a slash at the end: people type URLs, and proxies add one.
    let router = ["", "/"].into_iter().fold(Router::new(), |router, end| {
        router
            .route(&format!("/v1/{{call}}{end}"), post(collector::segment))
            .route(&format!("/utm{end}"), post(collector::utm))
            .route(&format!("/utm.gif{end}"), get(collector::pixel))
            .route(&format!("/webhooks/{{name}}{end}"), get(collector::webhook).post(collector::webhook))
    });
    let router = router.with_state(collector);
    if settings.cors_origins.is_empty() { router } else { router.layer(cors(&settings.cors_origins)) }
}

fn ready(log_is_away: bool) -> (StatusCode, &'static str) {
    if log_is_away { (StatusCode::SERVICE_UNAVAILABLE, "the log does not answer\n") } else { (StatusCode::OK, "ready\n") }
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::CONTENT_ENCODING])
        .max_age(CORS_AGE)
}
