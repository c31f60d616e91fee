//! Writes standard error: logs and the final error of a command, as text for people or as JSON for programs. It must never contain personal
//! data.
//!
//! The log [begins](begin) before anything can fail. The settings then set its [level](start), and may change it [later](set_level). In
//! JSON every line is an object with `timestamp`, `level` and `message`.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tributary_runtime::config::settings::{LogFormat, LogLevel, LogSettings};

use crate::visible::{Visible, visible};

/// The log after it was started.
struct Log {
    format: LogFormat,
    set_filter: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Starts the log in this format, at level `info`. A second call changes nothing.
pub fn begin(format: LogFormat) {
    LOG.get_or_init(|| {
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter(LogLevel::Info)).with_writer(Lines).log_internal_errors(false);
        // Only a test may have started it before; its subscriber and filter stay.
        let set_filter: Box<dyn Fn(EnvFilter) + Send + Sync> = match format {
            LogFormat::Json => {
                let builder = builder.json().flatten_event(true).with_filter_reloading();
                let handle = builder.reload_handle();
                drop(builder.try_init());
                Box::new(move |filter| drop(handle.reload(filter)))
            }
            LogFormat::Text => {
                let ansi = io::stderr().is_terminal();
                let builder = builder.with_ansi(ansi).with_target(false).with_filter_reloading();
                let handle = builder.reload_handle();
                drop(builder.try_init());
                Box::new(move |filter| drop(handle.reload(filter)))
            }
        };
        Log { format, set_filter }
    });
}

/// Applies the settings from now on. The format stays that of the start.
pub fn start(settings: &LogSettings) {
    begin(settings.format);
    set_level(settings.level);
}

/// Sets the least severe level that is logged.
pub fn set_level(level: LogLevel) {
    if let Some(log) = LOG.get() {
        (log.set_filter)(filter(level));
    }
}

/// The format of standard error.
pub fn format() -> LogFormat {
    LOG.get().map_or(LogFormat::Text, |log| log.format)
}

/// Writes a line of text that is not a log line, if standard error is for people.
pub fn line(text: Arguments<'_>) {
    let _ = writeln!(Lines, "{}", visible(&text.to_string()));
}

/// From now on, a panic is one log line with its location. Its message is left out, because it may contain a value.
pub fn report_panics() {
    std::panic::set_hook(Box::new(report_panic));
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(place, thread, %backtrace, "panicked; this is a defect");
    } else {
        tracing::error!(place, thread, "panicked; this is a defect (RUST_BACKTRACE=1 shows the way to it)");
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    // The Kafka client's own log lines matter only for debugging.
    EnvFilter::new(format!("{},librdkafka=warn,rdkafka=warn", level.name()))
}

/// Standard error, line by line. If nobody reads it, lines are lost, and nothing else happens.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Colour sequences are let through; the worst a value can do with them is to be coloured.
        let mut out = if io::stderr().is_terminal() { Visible::styled(io::stderr()) } else { Visible::new(io::stderr()) };
        let _ = out.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
