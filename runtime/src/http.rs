//! `/metrics`, `/livez` and `/readyz` on one listener; health alone on another, for callers that may not see the metrics. Also how all
//! listeners serve connections: [`serve_connections`].

mod body;
mod connection;
mod limits;
mod meter;
mod serve;

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use metrics::gauge;
use tokio::sync::watch;

use crate::metrics::HTTP_CONNECTIONS;
use crate::page::Page;
use crate::service::Health;

pub use body::BodyError;
pub use connection::Peer;
pub use limits::{Limits, Pace, block};
pub use serve::{FILES_BEYOND, Name, serve as serve_connections};

/// The header with the name of the service.
pub const SERVICE: &str = "tributary-service";

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("{setting} = {address}: {source}; is another process there?")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The thread or its runtime could not be started.
    #[error("the thread of the HTTP listener cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// Serves metrics and health on a thread of their own, until the process ends. Every answer names the service in the header [`SERVICE`].
/// Returns the listening address.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(address: SocketAddr, page: Page, health: Health, service: &str) -> Result<SocketAddr, HttpError> {
    let metrics = move || async move { page.render() };
    listen("http.listen", address, named(probes(health).route("/metrics", get(metrics)), service))
}

/// Serves health only, for orchestrators; metrics are not served here.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve_probes(address: SocketAddr, health: Health, service: &str) -> Result<SocketAddr, HttpError> {
    listen("http.probes", address, named(probes(health), service))
}

/// Adds the header [`SERVICE`] to all answers.
pub fn named(router: Router, service: &str) -> Router {
    let name = HeaderValue::from_str(service).ok();
    router.layer(map_response(move |mut response: Response| {
        if let Some(name) = &name {
            response.headers_mut().insert(SERVICE, name.clone());
        }
        std::future::ready(response)
    }))
}

fn listen(setting: &'static str, address: SocketAddr, router: Router) -> Result<SocketAddr, HttpError> {
    let refuse = |source| HttpError::Listen { setting, address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refuse)?;
    listener.set_nonblocking(true).map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    serve_on_thread(setting, listener, router, Limits::default())?;
    Ok(bound)
}

/// Serves a non-blocking listener on a thread of its own, until the process ends. `listener` is the setting of its address.
///
/// # Errors
/// When the thread cannot be started.
pub fn serve_on_thread(
    setting: &'static str,
    listener: std::net::TcpListener,
    router: Router,
    limits: Limits,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    std::thread::Builder::new().name(setting.into()).spawn(move || {
        runtime.block_on(async move {
            let (_never, stopping) = watch::channel(false);
            let name = Name { listener: setting, connections: gauge!(HTTP_CONNECTIONS.name, "listener" => setting) };
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve_connections(listener, router, limits, name, stopping).await,
                Err(error) => tracing::error!(%error, setting, "an HTTP listener has ended"),
            }
        });
    })?;
    Ok(())
}

fn probes(health: Health) -> Router {
    let ready = health.clone();
    Router::new()
        .route("/livez", get(move || async move { answer("live", stuck(&health), Vec::new()) }))
        .route("/readyz", get(move || async move { answer("ready", ready.obstacles(), ready.mentions()) }))
}

fn stuck(health: &Health) -> Vec<String> {
    if health.is_live() { Vec::new() } else { vec!["a worker is stuck".to_owned()] }
}

/// 200 if there are no reasons; else 503 with one line per reason; then further lines.
fn answer(well: &'static str, mut reasons: Vec<String>, more: Vec<String>) -> (StatusCode, String) {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if reasons.is_empty() {
        reasons.push(well.to_owned());
    }
    reasons.extend(more);
    (status, reasons.join("\n") + "\n")
}
