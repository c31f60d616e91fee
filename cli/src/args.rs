//! The arguments that all commands share, and the list of commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tributary_runtime::config::{ConfigErrors, Sources, load};

use crate::commands::{
    audit, check, classify, collect, dead_letters, demo, erase, explain, generate, import, profile, quality, replay, run, send,
    state, tail, test_mapping, topics, unlink,
};
use crate::settings::Settings;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration.

Example: a history of 1,000 people, into the raw topics:
  tributary generate --out history --people 1000 --seed 7
  tributary send --sdk history/sdk.ndjson --utm history/utm.ndjson \\
      --webhook history/webhook.ndjson --offline history/offline.ndjson --offline history/offline.csv";

/// Streams of events become people, people become journeys, journeys become credit.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub global: Global,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Command,
}

/// Options of [`Global`] that may be given many times.
const MANY: [&str; 2] = ["--config", "--set"];

impl Cli {
    /// The arguments of this process; says what is wrong with them and ends it.
    pub fn of_process() -> Self {
        Self::parse_from(in_front(std::env::args_os().collect()))
    }
}

/// Puts all `--config` and `--set` in front of the command: `clap` forgets those before it where there are some behind it.
fn in_front(args: Vec<OsString>) -> Vec<OsString> {
    let (mut front, mut rest) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    front.extend(args.next());
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            rest.push(arg);
            break;
        }
        if MANY.contains(&&*text)
            && let Some(value) = args.next()
        {
            front.extend([arg, value]);
        } else if text.split_once('=').is_some_and(|(name, _)| MANY.contains(&name)) {
            front.push(arg);
        } else {
            rest.push(arg);
        }
    }
    front.extend(rest);
    front.extend(args);
    front
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file (TOML); several are read in order, and a later one wins
    #[arg(long, global = true, value_name = "FILE", env = "TRIBUTARY_CONFIG", value_delimiter = ',')]
    pub config: Vec<PathBuf>,
    /// Sets one key over files and environment
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// The least severe log level that is written to standard error
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<Level>,
    /// Results as JSON, for programs
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
    /// Everything that is wrong with it.
    pub fn settings(&self) -> Result<Settings, ConfigErrors> {
        let mut flags = self.set.clone();
        flags.extend(self.log_level.map(|level| format!("log.level={}", level.name())));
        load(&Sources::of_process(self.config.clone(), flags))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the pipeline's stages, on Kafka or on the embedded log
    Run(run::RunArgs),
    /// Take events over HTTP: SDKs, landing hits, webhooks
    Collect(collect::CollectArgs),
    /// Run a sample journey and an invented history through the whole pipeline, and show the credit
    Demo(demo::DemoArgs),
    /// Run the whole pipeline over files, without a broker
    Replay(replay::ReplayArgs),
    /// Compare the profiles of a replay with the truth behind a generated history
    Quality(quality::QualityArgs),
    /// Check the configuration, then brokers, topics and the state folder
    Check(check::CheckArgs),
    /// Show which topics are missing or different, or create the missing ones
    Topics(topics::TopicsArgs),
    /// Write a seeded, invented B2B history in the four raw formats
    Generate(generate::GenerateArgs),
    /// Send files to the raw topics
    Send(send::SendArgs),
    /// Check the rows of a file (CSV, XLSX, NDJSON) and send them to the offline topic
    Import(import::ImportArgs),
    /// Show which channel a landing URL and a referrer give, and why
    Classify(classify::ClassifyArgs),
    /// Show why a milestone has the credit it has
    Explain(explain::ExplainArgs),
    /// Show what is known of an identifier: its profile, what joined it, what it brought
    Profile(profile::ProfileArgs),
    /// Account for every record, and check that the credit adds up
    Audit(audit::AuditArgs),
    /// Make void what events say of somebody
    Erase(erase::EraseArgs),
    /// State that two identifiers are not one person, or not one account
    Unlink(unlink::UnlinkArgs),
    /// Show what was refused and why, or send it again
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Look at the state of this machine, check it, copy it, put it back
    State(state::StateArgs),
    /// Print the records of a topic as JSON lines
    Tail(tail::TailArgs),
    /// Show what example payloads of a webhook become
    TestMapping(test_mapping::TestMappingArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(line: &str) -> Vec<String> {
        let args = line.split(' ').map(OsString::from).collect();
        Cli::try_parse_from(in_front(args)).map_or_else(|error| vec![error.kind().to_string()], |cli| cli.global.set)
    }

    #[test]
    fn settings_before_and_behind_a_command_all_count_in_their_order() {
        assert_eq!(sets("tributary --set a=1 topics --set=b=2 create --set c=3"), ["a=1", "b=2", "c=3"]);
        assert_eq!(sets("tributary check"), Vec::<String>::new());
    }

    #[test]
    fn an_option_without_its_value_is_an_error() {
        assert_eq!(sets("tributary check --set"), [clap::error::ErrorKind::InvalidValue.to_string()]);
    }
}
