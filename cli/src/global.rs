//! Options of all commands.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tributary_pipeline::settings::Settings;
use tributary_runtime::config::{ConfigErrors, Loaded, Sources, load, load_with_values};

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file (TOML); may be repeated, later files override earlier ones
    #[arg(long, global = true, value_name = "FILE", env = "TRIBUTARY_CONFIG", value_delimiter = ',')]
    pub config: Vec<PathBuf>,
    /// Set one key, overriding files and environment
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// The least severe log level on standard error
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<Level>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Global {
    /// Loads the configuration from all layers.
    ///
    /// # Errors
    /// All errors in it.
    pub fn settings(&self) -> Result<Settings, ConfigErrors> {
        load(&self.sources())
    }

    /// The same, with the values of all keys, so that two loads can be compared.
    ///
    /// # Errors
    /// All errors in it.
    pub fn loaded(&self) -> Result<Loaded<Settings>, ConfigErrors> {
        load_with_values(&self.sources())
    }

    /// The sources of the configuration.
    pub fn sources(&self) -> Sources {
        let mut flags = self.set.clone();
        flags.extend(self.log_level.map(|level| format!("log.level={}", level.name())));
        Sources::of_process(self.config.clone(), flags)
    }
}
