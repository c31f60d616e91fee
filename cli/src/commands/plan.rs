//! `tributary plan`: shows the generations of settings, and accepts other settings explicitly.

use clap::{Args, Subcommand};
use serde_json::json;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::minute;
use tributary_runtime::generation::digest_text;

use crate::generations::{accept, known};
use crate::global::Global;
use crate::outcome::Usage;
use crate::stdout::outln;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Settings of identity and attribution have generations: the first process that starts with new settings begins the next generation, and
processes with older settings stop. `tributary check` shows what new settings will recompute.

Example: list the generations; then go back to former settings:
  tributary plan show
  tributary plan accept --config before.toml";

/// The arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct PlanArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Show the generations of settings, newest last
    #[command(after_help = "Example:\n  tributary plan show --json")]
    Show,
    /// Make these settings the newest generation, even if they are former ones or need older touches than those stored
    #[command(after_help = "\
On the embedded log the service must be stopped. Running processes with other settings stop.

Example:
  tributary plan accept --config before.toml")]
    Accept,
}

/// Runs `plan`.
///
/// # Errors
/// When the log cannot be used.
pub fn run(args: &PlanArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    match args.action {
        Action::Show => {
            let known = known(&settings)?;
            let all = known.all();
            let newest = |stage: &str| known.newest(stage).map(|newest| newest.generation);
            if global.json {
                let row = |of: &&tributary_proto::Generation| {
                    json!({
                        "stage": of.stage, "generation": of.generation, "newest": newest(&of.stage) == Some(of.generation),
                        "digest": digest_text(of.digest), "time_ms": of.time_ms, "instance": of.instance,
                        "settings": of.settings.iter().map(|of| (of.key.clone(), of.value.clone())).collect::<std::collections::BTreeMap<_, _>>(),
                    })
                };
                return Ok(table::print_json(&all.iter().map(row).collect::<Vec<_>>())?);
            }
            let mut rows = table::table(&["stage", "generation", "", "since", "by", "digest"]);
            for of in all {
                let mark = if newest(&of.stage) == Some(of.generation) { "newest" } else { "" };
                let (generation, digest) = (of.generation.to_string(), digest_text(of.digest));
                rows.add_row([&of.stage, &generation, mark, &minute(of.time_ms), &of.instance, &digest]);
            }
            Ok(table::print(&rows)?)
        }
        Action::Accept => {
            let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
            let settled = accept(&settings, &pipeline)?;
            if global.json {
                let row = |(stage, generation): &(tributary_pipeline::stages::StageName, u64)| json!({"stage": stage.name(), "generation": generation});
                return Ok(table::print_json(&settled.iter().map(row).collect::<Vec<_>>())?);
            }
            for (stage, generation) in settled {
                outln!("{}: these settings are generation {generation}, the newest", stage.name())?;
            }
            Ok(())
        }
    }
}
