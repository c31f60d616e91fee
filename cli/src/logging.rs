//! Logs to standard error: text for people, or JSON for programs. No log line may hold personal data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tributary_runtime::config::settings::{LogFormat, LogSettings};

/// Begins to write logs. A second call changes nothing.
pub fn start(settings: &LogSettings) {
    // The Kafka client's own chatter is only of interest to who asks for it.
    let filter = EnvFilter::new(format!("{},librdkafka=warn,rdkafka=warn", settings.level.name()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    // Only a test can have begun before; its subscriber stays.
    drop(started);
}
