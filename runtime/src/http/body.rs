//! A request body with a minimum rate.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::Pace;
use super::meter::Meter;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It was sent too slowly.
    #[error("the body comes too slowly")]
    Slow,
    /// It was cut off, or is malformed.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

impl BodyError {
    /// Whether an error was caused by this.
    pub fn is_slow(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(cause) = next {
            if matches!(cause.downcast_ref(), Some(Self::Slow)) {
                return true;
            }
            next = cause.source();
        }
        false
    }
}

/// See the module. No timer is used if all of it is available at once.
pub(super) struct Paced {
    body: Incoming,
    meter: Arc<Meter>,
    pace: Pace,
    /// The end of the window.
    window: Option<Pin<Box<Sleep>>>,
    /// Bytes received in the window, and in all.
    in_window: usize,
    in_all: u64,
}

impl Paced {
    pub(super) fn new(body: Incoming, meter: Arc<Meter>, pace: Pace) -> Self {
        Self { body, meter, pace, window: None, in_window: 0, in_all: 0 }
    }

    /// Ready when the body is too slow.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.meter.waits(self.in_all);
        let Pace { window: time, bytes } = self.pace;
        let window = self.window.get_or_insert_with(|| Box::pin(sleep(time)));
        loop {
            ready!(window.as_mut().poll(cx));
            if self.in_window < bytes {
                return Poll::Ready(());
            }
            self.in_window = 0;
            window.as_mut().reset(Instant::now() + time);
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.wait(cx).map(|()| Some(Err(BodyError::Slow))),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.in_window += bytes;
                self.in_all += bytes as u64;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Ready(None) => {
                self.meter.has_body();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        self.meter.has_body();
    }
}
