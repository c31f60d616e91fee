//! Listens, and serves connections until it is told to stop; then finishes what it has begun.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::timeout::TimeoutLayer;
use tributary_runtime::obstacle::Obstacle;
use tributary_runtime::service::Pulse;

use crate::collector::{self, Collector};
use crate::metrics::CONNECTIONS;
use crate::settings::Settings;

/// How long a sender has for the head of a request, and may rest between two.
const HEAD: Duration = Duration::from_secs(60);
/// How long a sender has for a body.
const BODY: Duration = Duration::from_secs(30);
/// The largest head of a request, bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How often the stop flag and the log are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The wait after the system refused to accept a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long a browser may remember what it may send.
const CORS_AGE: Duration = Duration::from_secs(3_600);

/// Why the collector does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("collector.listen = {address}: {source}; is another process there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The threads were refused.
    #[error("the collector's threads cannot be started: {0}")]
    Threads(#[source] io::Error),
}

/// A collector that listens, and does not serve yet.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
    collector: Arc<Collector>,
    router: Router,
    connections_max: usize,
    drain: Duration,
}

impl Server {
    /// Listens.
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
        let router = router(settings, collector.clone(), BODY + ack);
        let connections_max = settings.connections_max as usize;
        Ok(Self { runtime, listener, address, collector, router, connections_max, drain: BODY + ack })
    }

    /// Serves until the pulse says to stop, then finishes the requests that have begun.
    pub fn run(self, pulse: &Pulse) {
        let Self { runtime, listener, collector, router, connections_max, drain, .. } = self;
        let (stop, stopping) = watch::channel(false);
        let serving = runtime.spawn(accept(listener, router, connections_max, stopping));
        while !pulse.stopping() {
            let records = collector.log().look();
            pulse.report(if collector.log().is_away() { vec![Obstacle::LogAway] } else { Vec::new() });
            pulse.turn(usize::try_from(records).unwrap_or(usize::MAX));
            std::thread::sleep(LOOK);
        }
        stop.send_replace(true);
        let finished = runtime.block_on(async { tokio::time::timeout(drain, serving).await.is_ok() });
        if !finished {
            tracing::warn!("requests that did not end in time were broken off");
        }
        runtime.shutdown_background();
        collector.log().close();
    }
}

fn router(settings: &Settings, collector: Arc<Collector>, limit: Duration) -> Router {
    let router = Router::new()
        .route("/v1/{call}", post(collector::segment))
        .route("/utm", post(collector::utm))
        .route("/utm.gif", get(collector::pixel))
        .route("/webhooks/{name}", get(collector::webhook).post(collector::webhook))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limit))
        .with_state(collector);
    if settings.cors_origins.is_empty() { router } else { router.layer(cors(&settings.cors_origins)) }
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

/// Accepts connections until it is told to stop, and returns once the last of them has ended.
async fn accept(listener: TcpListener, router: Router, connections_max: usize, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(connections_max));
    let told = stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        gauge!(CONNECTIONS.name).set(connections.len() as f64);
        tokio::select! {
            _ = stopping.changed() => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = next(&listener, &places) => match (place, accepted) {
                (Some(place), Ok(stream)) => {
                    connections.spawn(serve(stream, router.clone(), told.clone(), place));
                }
                (_, Err(error)) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
                (None, Ok(_)) => break,
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, io::Result<TcpStream>) {
    let place = places.clone().acquire_owned().await.ok();
    (place, listener.accept().await.map(|(stream, _)| stream))
}

async fn serve(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>, place: OwnedSemaphorePermit) {
    // Answers are small: they are not to wait for more.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let mut told = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection has ended early");
                }
                break;
            }
            _ = stopping.changed(), if !told => {
                connection.as_mut().graceful_shutdown();
                told = true;
            }
        }
    }
    drop(place);
}
