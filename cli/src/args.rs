//! The command line: global options, and the list of commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tributary_pipeline::settings::Settings;
use tributary_runtime::config::peek;
use tributary_runtime::config::settings::LogFormat;

use crate::commands::{
    audit, check, classify, collect, completions, dead_letters, demo, erase, explain, export, fit, generate, import, man,
    metrics, names, plan, profile, propose_window, quality, reclassify, replay, report, run, send, state, tail, test_mapping,
    topics, unlink,
};
use crate::global::Global;

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

/// Options of [`Global`] that may be repeated.
const MANY: [&str; 2] = ["--config", "--set"];

impl Cli {
    /// Reads the arguments of a process.
    ///
    /// # Errors
    /// The error in them; also help and version, if requested.
    pub fn of(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(in_front(arguments).concat())
    }
}

/// Moves all `--config` and `--set` before the command, because `clap` drops those before it if there are some after it. Returns these and
/// the other arguments.
fn in_front(args: Vec<OsString>) -> [Vec<OsString>; 2] {
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
    rest.extend(args);
    [front, rest]
}

/// The configured format of log lines, as far as it can be determined: errors in arguments or in other keys are already written in this
/// format.
pub fn wished_format(arguments: &[OsString]) -> LogFormat {
    let [front, _] = in_front(arguments.to_vec());
    let mut global = Global::default();
    let mut options = front.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(option) = options.next() {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.into_owned(), options.next().map(Into::into)),
        };
        match value {
            Some(set) if name == "--set" => global.set.push(set),
            Some(files) => global.config.extend(files.split(',').map(PathBuf::from)),
            None => {}
        }
    }
    if global.config.is_empty() {
        let files = std::env::var("TRIBUTARY_CONFIG").unwrap_or_default();
        global.config.extend(files.split(',').filter(|file| !file.is_empty()).map(PathBuf::from));
    }
    peek::<Settings, _>(&global.sources(), "log.format").unwrap_or(LogFormat::Text)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the pipeline's stages, on Kafka or on the embedded log
    Run(run::RunArgs),
    /// Collect events over HTTP: SDKs, landing hits, webhooks
    Collect(collect::CollectArgs),
    /// Run a sample journey and a generated history through the whole pipeline, and show the credit
    Demo(demo::DemoArgs),
    /// Run the whole pipeline over files, without a broker
    Replay(replay::ReplayArgs),
    /// Compare the profiles of a replay with the truth of a generated history
    Quality(quality::QualityArgs),
    /// Check the configuration, then brokers, topics and the state folder
    Check(check::CheckArgs),
    /// Show which settings are in force, or accept others
    Plan(plan::PlanArgs),
    /// Show which topics are missing or different, or create the missing ones
    Topics(topics::TopicsArgs),
    /// Write a seeded, invented B2B history in the four raw formats
    Generate(generate::GenerateArgs),
    /// Fit the models that learn from journeys: Markov, Shapley, SPM, logistic regression, Apriori
    Fit(fit::FitArgs),
    /// Propose a look-back window from the lengths of journeys
    ProposeWindow(propose_window::ProposeWindowArgs),
    /// Send files to the raw topics
    Send(send::SendArgs),
    /// Check the rows of a file (CSV, XLSX, NDJSON) and send them to the offline topic
    Import(import::ImportArgs),
    /// Show which channel a landing URL and a referrer give, and why
    Classify(classify::ClassifyArgs),
    /// Show how changed channel rules would classify the stored touches
    Reclassify(reclassify::ReclassifyArgs),
    /// Show the names of models, milestones, roles and channels, in English and Chinese
    Names(names::NamesArgs),
    /// List all metrics: type, unit, meaning, and when to look at them
    Metrics(metrics::MetricsArgs),
    /// Show why a milestone has the credit it has
    Explain(explain::ExplainArgs),
    /// Show an identifier's profile: what joined it and what it brought
    Profile(profile::ProfileArgs),
    /// Reports over the stored journeys
    Report(report::ReportArgs),
    /// Write the outputs as Parquet files, for any warehouse
    Export(export::ExportArgs),
    /// Account for every record, and check that the credit adds up
    Audit(audit::AuditArgs),
    /// Erase somebody's data: the events that name them become void
    Erase(erase::EraseArgs),
    /// State that two identifiers are not one person (or account)
    Unlink(unlink::UnlinkArgs),
    /// Show what was refused and why, or send it again
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Show, verify, back up and restore the state on this machine
    State(state::StateArgs),
    /// Print the records of a topic as JSON lines
    Tail(tail::TailArgs),
    /// Show what ingest makes of example payloads of a webhook
    TestMapping(test_mapping::TestMappingArgs),
    /// Print the shell completions of these commands
    Completions(completions::CompletionsArgs),
    /// Print the manual, or write its pages
    Man(man::ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(line: &str) -> Vec<String> {
        let args = line.split(' ').map(OsString::from).collect();
        Cli::of(args).map_or_else(|error| vec![error.kind().to_string()], |cli| cli.global.set)
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
    fn format(line: &str) -> LogFormat {
        wished_format(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_log_format_is_read_whatever_else_is_wrong() {
        assert_eq!(format("tributary run"), LogFormat::Text);
        assert_eq!(format("tributary run --set log.format=json"), LogFormat::Json);
        assert_eq!(format("tributary rnu --sat x --set=log.format=json --set topics.partitions=x"), LogFormat::Json);
        assert_eq!(format("tributary run --set log.format=json --set log.format=text"), LogFormat::Text);
        assert_eq!(format("tributary run --set log.format=xml --set"), LogFormat::Text);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        std::fs::write(&file, "[log]\nformat = \"json\"\nlevl = 3\n[kafka\n").unwrap();
        assert_eq!(format(&format!("tributary run --config none.toml,{}", file.display())), LogFormat::Json);
    }
}
