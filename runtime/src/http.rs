//! `/metrics`, `/livez` and `/readyz`, on a listener of their own.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

use crate::page::Page;
use crate::service::Health;

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
}

/// Serves metrics and health on a thread of their own, for as long as the process lives. Returns the address listened on.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(address: SocketAddr, page: Page, health: Health) -> Result<SocketAddr, HttpError> {
    let refuse = |source| HttpError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refuse)?;
    listener.set_nonblocking(true).map_err(refuse)?;
    let bound = listener.local_addr().map_err(refuse)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    std::thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async move {
            let served = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => axum::serve(listener, router(page, health)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP listener has ended");
            }
        });
    })?;
    Ok(bound)
}

fn router(page: Page, health: Health) -> Router {
    let ready = health.clone();
    Router::new()
        .route("/metrics", get(move || async move { page.render() }))
        .route("/livez", get(move || async move { answer("live", stuck(&health)) }))
        .route("/readyz", get(move || async move { answer("ready", ready.obstacles()) }))
}

fn stuck(health: &Health) -> Vec<String> {
    if health.is_live() { Vec::new() } else { vec!["a worker is stuck".to_owned()] }
}

/// 200 where all is well, else 503 and why, a line for each reason.
fn answer(well: &'static str, reasons: Vec<String>) -> (StatusCode, String) {
    if reasons.is_empty() {
        (StatusCode::OK, format!("{well}\n"))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n")
    }
}
