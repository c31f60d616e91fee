//! `tributary fit`: fits the parameters of models from paths.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use tributary_learn::fit::{Options, RESAMPLES_MAX, fit, steps};
use tributary_learn::parameters::{Label, ModelKind, ParameterSet};
use tributary_pipeline::paths::Training;
use tributary_pipeline::settings::Settings;
use tributary_proto::vocabulary::{MODELS, find};

use crate::fit::show::{self, Change};
use crate::fit::source::{self, FitRequest, Happened};
use crate::global::Global;
use crate::logging;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::stdout::outln;
use crate::table;

const AFTER_HELP: &str = "\
Paths come from files of paths (CSV with the columns path, converting, null; NDJSON with the same fields), from raw files, which are
replayed, or else from the state of the configured service. With --topics they come from the topics touchpoints and milestones: on Kafka
from all partitions, committed records up to the end at the start. All of these give the same paths. A journey without a milestone of the
target counts as not converting if its last touch is old enough; younger ones are left out.

Writes a parameter set for every model that needs one; the name of the file contains a hash of its content. The same paths, options and
seed give the same bytes. To use one, set in the configuration:
[attribution.parameters] won = \"FILE\", and in a model: type = \"markov\", parameters = \"won\".

Examples:
  tributary fit --target closed_won --out sets --set state.path=/var/lib/tributary
  tributary fit --target closed_won --out sets --topics --set kafka.brokers=kafka:9092
  tributary fit --paths paths.csv --models markov,spm --order 2 --resamples 0 --out sets
  tributary fit --sdk history/sdk.ndjson --utm history/utm.ndjson --webhook history/webhook.ndjson \\
      --offline history/offline.ndjson --offline history/offline.csv --patience-days 90 --out sets";

/// The arguments of `fit`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct FitArgs {
    /// The kind of milestone that journeys lead to
    #[arg(long, value_name = "KIND", default_value = "closed_won")]
    target: String,
    /// Files of paths, CSV or NDJSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sdk", "utm", "webhook", "offline", "topics"])]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    happened: Happened,
    /// Leave out everything later, RFC 3339; default: nothing
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// A journey counts as not converting this many days after its last touch; default: the window
    #[arg(long, value_name = "DAYS")]
    patience_days: Option<u32>,
    /// Which field of a touch is its channel
    #[arg(long, value_enum, default_value_t = LabelArg::Channel)]
    label: LabelArg,
    /// Which models, by any of their names; default: all that learn
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    models: Vec<String>,
    /// How many touches a state of the Markov chain has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    order: u8,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of resamples for the intervals; 0 for none
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=i64::from(RESAMPLES_MAX)))]
    resamples: u32,
    /// Folder for the parameter sets; created if missing. Without it, nothing is written
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// An earlier parameter set to compare with
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LabelArg {
    Channel,
    ChannelSource,
    Campaign,
}

#[derive(Serialize)]
struct Fitted<'a> {
    name: String,
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<Vec<Change>>,
    set: &'a ParameterSet,
}

/// Runs `fit`.
///
/// # Errors
/// When paths cannot be read, nothing can be learnt from them, or a file cannot be written.
pub fn run(args: &FitArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let models = models(args)?;
    let old = args.compare.as_deref().map(read_set).transpose()?;
    let Training { paths, about, .. } = training(args, &settings)?;
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = Options { models, seed: args.seed, resamples: args.resamples, threads };
    let counted = paths.counted();
    let progress = Mutex::new(Progress::new("fit", Some(steps(&counted, &options))));
    let tick = |done| progress.lock().unwrap_or_else(PoisonError::into_inner).add(done);
    let sets = fit(&counted, &about, &options, &tick)?;
    drop(progress);
    let fitted = sets.iter().map(|set| written(set, args, old.as_ref())).collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(old) = &old
        && fitted.iter().all(|one| one.compared.is_none())
    {
        return Err(Usage(format!("--compare: the set is of {}, which is not fitted here", show::title(old))).into());
    }
    show::warnings(&sets);
    print(&fitted, &sets, global)
}

fn print(fitted: &[Fitted<'_>], sets: &[ParameterSet], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(&fitted)?);
    }
    show::shares(sets)?;
    for one in fitted {
        if let Some(changes) = &one.compared {
            show::changes(&show::title(one.set), changes)?;
        }
        if let Some(file) = &one.file {
            outln!("{}", file.display())?;
        }
    }
    Ok(())
}

fn training(args: &FitArgs, settings: &Settings) -> anyhow::Result<Training> {
    let request = FitRequest {
        target: &args.target,
        label: match args.label {
            LabelArg::Channel => Label::Channel,
            LabelArg::ChannelSource => Label::ChannelSource,
            LabelArg::Campaign => Label::Campaign,
        },
        until_ms: args.until.map(Timestamp::as_millisecond),
        patience_days: args.patience_days,
    };
    if !args.paths.is_empty() {
        source::of_tables(&args.paths, &request)
    } else {
        source::of_journeys(&args.happened, &request, settings)
    }
}

fn models(args: &FitArgs) -> Result<Vec<ModelKind>, Usage> {
    let all = ModelKind::all(args.order);
    if args.models.is_empty() {
        return Ok(all.to_vec());
    }
    let kind = |name: &String| {
        let term = find(&MODELS, name);
        term.and_then(|term| all.into_iter().find(|kind| kind.name() == term.name)).ok_or_else(|| {
            let known = all.map(ModelKind::name).join(", ");
            Usage(format!("--models: {name:?} is no model that learns; those are {known}"))
        })
    };
    args.models.iter().map(kind).collect()
}

fn read_set(file: &std::path::Path) -> anyhow::Result<ParameterSet> {
    let text = fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    Ok(ParameterSet::parse(&text).map_err(|error| Usage(format!("{}: {error}", file.display())))?)
}

/// The set, after it was written to its file, if requested; one without parameters is not written.
fn written<'a>(set: &'a ParameterSet, args: &FitArgs, old: Option<&ParameterSet>) -> anyhow::Result<Fitted<'a>> {
    let name = set.name()?;
    let compared = old.filter(|old| old.kind() == set.kind()).map(|old| show::compare(old, set));
    let needed = set.kind() != ModelKind::Shapley;
    let file = match args.out.as_ref().filter(|_| needed) {
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
            let file = folder.join(format!("{name}.json"));
            fs::write(&file, set.text()?).with_context(|| format!("{}: cannot be written", file.display()))?;
            Some(file)
        }
        None => None,
    };
    Ok(Fitted { name, file, compared, set })
}
