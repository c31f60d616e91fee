//! SIGINT and SIGTERM stop a service, SIGHUP reloads its configuration. From the start none of them kills it directly.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The action on SIGHUP.
#[derive(Default)]
struct Hangup {
    act: Option<Box<dyn FnMut() + Send>>,
    /// Whether one arrived before the action was set.
    waits: bool,
}

/// Handles the signals of this process, on a thread of its own.
pub struct Signals {
    hangup: Arc<Mutex<Hangup>>,
}

impl Signals {
    /// Sets the flag on SIGINT and SIGTERM; a second signal ends the process at once.
    ///
    /// # Errors
    /// When a handler or the thread cannot be installed.
    pub fn watch(stop: Arc<AtomicBool>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let hangup = Arc::new(Mutex::new(Hangup::default()));
        let signals = {
            let _in_runtime = runtime.enter();
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
        };
        let [interrupt, terminate, hung_up] = signals;
        let (interrupt, terminate, hung_up) = (interrupt?, terminate?, hung_up?);
        let act = hangup.clone();
        let watching = async move { watch(interrupt, terminate, hung_up, &stop, &act).await };
        std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(watching))?;
        Ok(Self { hangup })
    }

    /// Sets the action on SIGHUP. If one has arrived already, the action runs now.
    pub fn on_hangup(&self, act: impl FnMut() + Send + 'static) {
        let mut hangup = lock(&self.hangup);
        hangup.act = Some(Box::new(act));
        if std::mem::take(&mut hangup.waits) {
            hang_up(&mut hangup);
        }
    }
}

async fn watch(mut interrupt: Signal, mut terminate: Signal, mut hung_up: Signal, stop: &AtomicBool, hangup: &Mutex<Hangup>) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => asked_to_stop(stop),
            _ = terminate.recv() => asked_to_stop(stop),
            _ = hung_up.recv() => hang_up(&mut lock(hangup)),
        }
    }
}

fn asked_to_stop(stop: &AtomicBool) {
    if stop.swap(true, Ordering::Relaxed) {
        tracing::warn!("asked to stop again: ending at once; what was open is aborted");
        std::process::exit(1);
    }
    tracing::info!("asked to stop: finishing the open transactions");
}

fn hang_up(hangup: &mut Hangup) {
    match &mut hangup.act {
        Some(act) => act(),
        None => hangup.waits = true,
    }
}

fn lock(hangup: &Mutex<Hangup>) -> MutexGuard<'_, Hangup> {
    hangup.lock().unwrap_or_else(PoisonError::into_inner)
}
