//! The listener.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http};
use prost::Message;
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::Holdings;
use super::views::{ViewError, Views};
use super::wire::{HOLDINGS, Holder, Reads, VIEW, VIEWS};
use crate::config::Secret;
use crate::config::admin::AdminSettings;
use crate::http::{Limits, named, serve_on_thread};

/// Most connections at a time; a further one replaces the one idle for longest.
const CONNECTIONS_MAX: usize = 32;
/// Longest time for a request.
const REQUEST: Duration = Duration::from_secs(30);
/// Largest head of a request, bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Largest body of a request, bytes.
const BODY_BYTES_MAX: usize = 2 << 20;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("admin.listen = {address}: {source}; is another process there? Port 0 takes any that is free")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// The error of the system.
    pub source: io::Error,
}

/// A bound listener that does not serve yet.
pub struct Listener {
    listener: std::net::TcpListener,
    door: Door,
    holdings: Holdings,
    who: (String, String),
}

/// Which requests are let in.
struct Door {
    token: Secret,
    /// The accepted values of the header `Host`. A web page that reaches loopback through a browser sends another one (DNS rebinding).
    hosts: [String; 2],
}

impl Listener {
    /// Binds the address, as the process `instance` of the groups with `group_prefix`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(settings: &AdminSettings, group_prefix: &str, instance: &str) -> Result<Self, ListenError> {
        let refuse = |source| ListenError { address: settings.listen, source };
        let listener = std::net::TcpListener::bind(settings.listen).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let bound = listener.local_addr().map_err(refuse)?.to_string();
        let advertised = if settings.advertise.is_empty() { bound.clone() } else { settings.advertise.clone() };
        let door = Door { token: settings.token.clone(), hosts: [advertised, bound] };
        Ok(Self { listener, door, holdings: Holdings::default(), who: (group_prefix.to_owned(), instance.to_owned()) })
    }

    /// The address that other processes are given.
    pub fn advertised(&self) -> &str {
        let [advertised, _] = &self.door.hosts;
        advertised
    }

    /// What is served; sessions keep it up to date.
    pub fn holdings(&self) -> Holdings {
        self.holdings.clone()
    }

    /// Serves on a thread of its own, until the process ends; `more` are further routes with the same access check. Every answer names the
    /// `service`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn serve(self, more: Router, service: &str) -> io::Result<()> {
        let Self { listener, door, holdings, who: (group_prefix, instance) } = self;
        let desk = Desk { holdings, views: Views::default(), group_prefix, instance };
        let router = router(Arc::new(desk)).merge(more).layer(from_fn_with_state(Arc::new(door), guard));
        let router = named(router, service);
        let limits = Limits {
            connections: CONNECTIONS_MAX,
            of_address: CONNECTIONS_MAX,
            head_bytes: HEAD_BYTES_MAX,
            ..Limits::default()
        };
        serve_on_thread("admin.listen", listener, router, limits)
    }
}

struct Desk {
    holdings: Holdings,
    views: Views,
    group_prefix: String,
    instance: String,
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route(HOLDINGS, get(holdings))
        .route(&format!("{VIEWS}/{{stage}}"), post(open))
        .route(&format!("{VIEW}/{{view}}"), post(read).delete(close))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk)
}

async fn holdings(State(desk): State<Arc<Desk>>) -> Response {
    json(&Holder { group_prefix: desk.group_prefix.clone(), instance: desk.instance.clone(), partitions: desk.holdings.list() })
}

async fn open(State(desk): State<Arc<Desk>>, Path(stage): Path<String>) -> Response {
    match desk.views.open(&desk.holdings, &stage).await {
        Ok(opened) => json(&opened),
        Err(refusal) => refused(&refusal),
    }
}

async fn read(State(desk): State<Arc<Desk>>, Path(view): Path<u64>, body: Bytes) -> Response {
    let Ok(reads) = Reads::decode(body) else { return (StatusCode::BAD_REQUEST, "not Reads").into_response() };
    match desk.views.read(view, reads).await {
        Ok(pages) => pages.encode_to_vec().into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn close(State(desk): State<Arc<Desk>>, Path(view): Path<u64>) -> StatusCode {
    desk.views.close(view);
    StatusCode::NO_CONTENT
}

fn json(answer: &impl Serialize) -> Response {
    match serde_json::to_string(answer) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn refused(refusal: &ViewError) -> Response {
    let status = match refusal {
        ViewError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ViewError::Gone => StatusCode::GONE,
        ViewError::NotHere(_) | ViewError::Malformed => StatusCode::BAD_REQUEST,
        ViewError::Store(_) | ViewError::State(_) | ViewError::Thread(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, refusal.to_string()).into_response()
}

/// Lets a request in if it has the token; without a configured token, if it has the right `Host`. Limits its duration.
async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    if let Err(refused) = door.admits(request.headers()) {
        return refused.into_response();
    }
    let answered = tokio::time::timeout(REQUEST, next.run(request)).await;
    answered.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

impl Door {
    fn admits(&self, headers: &http::HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let said = |name| headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
        if self.token.is_empty() {
            let known = self.hosts.iter().any(|host| said(header::HOST) == host.as_bytes());
            return if known {
                Ok(())
            } else {
                Err((StatusCode::MISDIRECTED_REQUEST, "the Host header is not that of this listener"))
            };
        }
        let wanted = format!("Bearer {}", self.token.expose());
        let same: bool = said(header::AUTHORIZATION).ct_eq(wanted.as_bytes()).into();
        if same { Ok(()) } else { Err((StatusCode::UNAUTHORIZED, "the token is not the admin.token of this process")) }
    }
}
