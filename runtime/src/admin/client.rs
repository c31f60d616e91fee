//! Queries the admin listener of another process.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::config::Secret;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(35);
/// The largest answer, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why a process gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// There is no connection.
    #[error("{address} cannot be reached: {why}")]
    Connect {
        /// Where.
        address: String,
        /// The error of the system.
        why: String,
    },
    /// The process refused the request.
    #[error("{address} answers {status}: {why}")]
    Refused {
        /// Its address.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The reason it gave.
        why: String,
    },
    /// The answer was cut off, too late, or malformed.
    #[error("{address} gave no usable answer: {why}")]
    Broken {
        /// The address of the process.
        address: String,
        /// The reason.
        why: String,
    },
}

/// A connection to the admin listener of a process. Each call waits for its answer.
pub struct Client {
    address: String,
    token: Secret,
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn connect(address: &str, token: &Secret) -> Result<Self, AskError> {
        let refuse = |why: String| AskError::Connect { address: address.to_owned(), why };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| refuse(error.to_string()))?;
        let sender = runtime.block_on(connect(address)).map_err(refuse)?;
        Ok(Self { address: address.to_owned(), token: token.clone(), runtime, sender })
    }

    /// The address it is connected to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a request and waits for the answer's body. If the connection was closed meanwhile, it is opened again.
    ///
    /// # Errors
    /// When there is no answer, or it is an error.
    pub fn call(&mut self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes, AskError> {
        let Self { address, token, runtime, sender } = self;
        let address: &str = address;
        let broken = |why: String| AskError::Broken { address: address.to_owned(), why };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, address);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| broken(error.to_string()))?;
        let exchange = async {
            if sender.ready().await.is_err() {
                *sender = connect(address).await?;
            }
            let answer = match sender.send_request(request.clone()).await {
                // The connection was closed since the last request; that shows only now.
                Err(error) if error.is_canceled() || error.is_closed() || error.is_incomplete_message() => {
                    *sender = connect(address).await?;
                    sender.send_request(request).await
                }
                answered => answered,
            };
            let answer = answer.map_err(|error| error.to_string())?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((status, body.to_bytes()))
        };
        let answered = runtime.block_on(async { timeout(ANSWER, exchange).await });
        let (status, body) = answered.map_err(|_| broken(format!("none within {} s", ANSWER.as_secs())))?.map_err(broken)?;
        if status.is_success() {
            return Ok(body);
        }
        let why = match status {
            StatusCode::NOT_FOUND => "it does not support the request: another program, or another version".into(),
            _ => String::from_utf8_lossy(&body).into_owned(),
        };
        Err(AskError::Refused { address: address.to_owned(), status: status.as_u16(), why })
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = timeout(CONNECT, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| format!("no answer within {} s", CONNECT.as_secs()))?.map_err(|error| error.to_string())?;
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // The task ends with the connection. Its errors reach the caller that waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
