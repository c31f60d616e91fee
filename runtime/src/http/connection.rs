//! One connection, from its first byte until its socket may be closed.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::body::Paced;
use super::limits::Limits;
use super::meter::{Heads, Meter, Phase};

/// The remote address of a connection, in the extensions of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// How long a connection is still read after the answer, so that the caller can receive it: closing a socket with unread data discards the
/// answer.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes per read then.
const STEP: usize = 8 << 10;

/// The answer to a caller that cannot send a request.
pub(super) fn refusal(status: &str, headers: &str, why: &str) -> Vec<u8> {
    let length = why.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n"
    );
    (head + why).into_bytes()
}

/// Shared by all connections of a server.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) heads: Arc<Heads>,
}

/// Serves a connection until it ends or is cut. When the server stops, requests in progress are finished.
pub(super) async fn serve(
    stream: TcpStream,
    peer: IpAddr,
    meter: Arc<Meter>,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small: send them at once.
    let _ = stream.set_nodelay(true);
    let desk = Desk { tower: TowerToHyperService::new(shared.router.clone()), peer, meter: meter.clone(), shared };
    let connection = http1::Builder::new()
        // The meter has the timeouts: hyper has only one for everything before a request.
        .header_read_timeout(None)
        .max_buf_size(desk.shared.limits.head_bytes.max(HYPER_BYTES_MIN))
        // A caller that has closed its sending side still gets the answer.
        .half_close(true)
        .serve_connection(
            TokioIo::new(Wire { stream: Some(stream), meter: meter.clone() }),
            service_fn(move |request| desk.answer(request)),
        );
    let cut = {
        let mut connection = pin!(connection);
        let mut told = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection has ended early");
                    }
                    break None;
                }
                () = meter.cut.notified() => break Some(meter.phase()),
                _ = stopping.changed(), if !told => {
                    connection.as_mut().graceful_shutdown();
                    told = true;
                }
            }
        }
    };
    let Some(stream) = meter.take() else { return };
    match cut {
        // Its time is over.
        Some(Phase::Head) => drop(stream.try_write(&refusal("408 Request Timeout", "", "the request comes too slowly\n"))),
        Some(_) => {}
        None => {
            if meter.is_preface() {
                let why = "only HTTP/1.1 is supported\n";
                let _ = stream.try_write(&refusal("505 HTTP Version Not Supported", "", why));
            }
            meter.enter(Phase::Leaving);
            tokio::select! {
                () = linger(stream) => {}
                () = meter.cut.notified() => {}
            }
        }
    }
}

/// The smallest limit of hyper's buffer, bytes.
const HYPER_BYTES_MIN: usize = 8 << 10;

/// Closes the sending side, and reads until the other side closes, for a limited time.
pub(super) async fn linger(mut stream: TcpStream) {
    let ended = async {
        if std::future::poll_fn(|cx| Pin::new(&mut stream).poll_shutdown(cx)).await.is_err() {
            return;
        }
        let mut rest = vec![0; STEP];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut rest) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, ended).await;
}

/// Answers the requests of a connection.
struct Desk {
    tower: TowerToHyperService<Router>,
    peer: IpAddr,
    meter: Arc<Meter>,
    shared: Arc<Shared>,
}

impl Desk {
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let meter = self.meter.clone();
        meter.enter(Phase::Busy);
        let head_max = self.shared.limits.head_bytes;
        let large = bytes_of_head(request.uri(), request.headers()) > head_max;
        let pace = self.shared.limits.body;
        let mut request = request.map(|body| Paced::new(body, meter.clone(), pace));
        request.extensions_mut().insert(Peer(self.peer));
        let answer = (!large).then(|| self.tower.call(request));
        async move {
            let answer = match answer {
                Some(answer) => answer.await?,
                None => {
                    let what = format!("the head of a request: at most {head_max} bytes\n");
                    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, what).into_response()
                }
            };
            meter.enter(Phase::Idle);
            Ok(answer)
        }
    }
}

/// The approximate size of a request's head: hyper checks its buffer only while the head is incomplete.
fn bytes_of_head(uri: &Uri, headers: &HeaderMap) -> usize {
    let uri = uri.path_and_query().map_or(0, |path| path.as_str().len());
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() + uri
}

/// A socket that reports traffic to the meter.
struct Wire {
    stream: Option<TcpStream>,
    meter: Arc<Meter>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.meter.leave(self.stream.take());
    }
}

impl Wire {
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn wrote(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.meter.wrote();
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.stream()?.poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() && !self.meter.read(read) {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write(cx, buf);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream()?.poll_write_vectored(cx, bufs);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
