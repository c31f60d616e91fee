//! SIGHUP: reads the configuration again from the same sources, and applies the values that can change while a service runs.
//!
//! A configuration with errors changes nothing. Log lines say what was applied, and what needs a restart.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tributary_collect::Rate;
use tributary_pipeline::settings::Settings;
use tributary_runtime::config::settings::LogLevel;
use tributary_runtime::config::{ConfigErrors, Loaded, Values};
use tributary_runtime::dead_letter_limit::LiveLimits;

use crate::global::Global;
use crate::logging;

/// Keys that take effect without a restart, with all keys below them.
const LIVE: [&str; 4] = ["log.level", "worker.dead_letters", "collector.rate", "collector.rate_kb"];

/// Length and modification time of a file; `None` if it cannot be read.
type Look = Option<(u64, SystemTime)>;

/// The parts of a running service that can change.
#[derive(Default)]
pub struct Live {
    /// The rate limit; `None` without a collector.
    pub rate: Option<Rate>,
    /// The limits for refused records; `None` without workers.
    pub limits: Option<LiveLimits>,
}

/// See the module.
pub struct Reload {
    global: Global,
    live: Live,
    /// The values that the service runs with.
    running: Values,
    /// Files named by keys, as they were when the service read them.
    files: Vec<(&'static str, PathBuf, Look)>,
}

impl Reload {
    /// For a service that will start with these settings; call right after they were loaded.
    pub fn new(global: Global, loaded: &Loaded<Settings>) -> Self {
        let named = files(&loaded.settings).into_iter().filter(|(_, path)| !path.as_os_str().is_empty());
        let files = named.map(|(key, path)| (key, path.to_owned(), look(path))).collect();
        Self { global, live: Live::default(), running: loaded.values.clone(), files }
    }

    /// For these parts of the service, after it has started.
    pub fn of(self, live: Live) -> Self {
        Self { live, ..self }
    }

    /// Loads the configuration again, and applies what can be applied.
    pub fn again(&mut self) {
        match self.global.loaded() {
            Ok(loaded) => self.apply(&loaded),
            Err(ConfigErrors(errors)) => {
                for error in &errors {
                    tracing::error!(key = error.key, origin = %error.origin, "{error}");
                }
                tracing::error!(problems = errors.len(), "SIGHUP: the configuration cannot be used; everything stays as it is");
            }
        }
    }

    fn apply(&mut self, Loaded { settings, values }: &Loaded<Settings>) {
        let (applied, mut waiting): (Vec<String>, Vec<String>) =
            self.running.changed(values).into_iter().partition(|key| is_live(key));
        waiting.extend(self.changed_files());
        if let Some(rate) = &self.live.rate {
            rate.set(settings.collector.rate, settings.collector.rate_kb);
        }
        if let Some(limits) = &self.live.limits {
            limits.set(settings.worker.dead_letters);
        }
        self.running.adopt(values, is_live);
        // Logged in any case, so that the operator sees the result, even if the new level is less verbose.
        let level = settings.log.level;
        logging::set_level(if matches!(level, LogLevel::Error | LogLevel::Warn) { LogLevel::Info } else { level });
        if applied.is_empty() && waiting.is_empty() {
            tracing::info!("SIGHUP: the configuration is unchanged");
        }
        if !applied.is_empty() {
            tracing::info!(keys = applied.join(", "), "SIGHUP: applied");
        }
        if !waiting.is_empty() {
            tracing::warn!(keys = waiting.join(", "), "SIGHUP: changed, and takes effect at a restart");
        }
        logging::set_level(level);
    }

    /// Keys whose files have changed.
    fn changed_files(&self) -> impl Iterator<Item = String> {
        let changed = self.files.iter().filter(|(_, path, before)| look(path) != *before);
        changed.map(|(key, _, _)| format!("{key} (the file)"))
    }
}

fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| key.strip_prefix(live).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn files(settings: &Settings) -> [(&'static str, &Path); 4] {
    let security = &settings.kafka.security;
    [
        ("kafka.security.ca", Path::new(&security.ca)),
        ("kafka.security.certificate", Path::new(&security.certificate)),
        ("kafka.security.key", Path::new(&security.key)),
        ("ingest.channels_file", Path::new(&settings.ingest.channels_file)),
    ]
}

fn look(path: &Path) -> Look {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_live_alone_or_as_a_section() {
        assert!(
            is_live("log.level")
                && is_live("collector.rate")
                && is_live("collector.rate_kb")
                && is_live("worker.dead_letters.in_a_row")
        );
        assert!(!is_live("log.format") && !is_live("log.levels") && !is_live("collector.rates"));
    }
}
