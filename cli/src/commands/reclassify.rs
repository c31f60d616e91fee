//! `tributary reclassify`: shows how changed channel rules would classify the stored touches.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tributary_attributor::read::channels::Renaming;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::units::renaming;

use crate::global::Global;
use crate::outcome::Usage;
use crate::raw_files::RawFiles;
use crate::stdout::outln;
use crate::table::{align_right, table};
use crate::whole::{Whole, look_at};
use crate::{logging, table};

const AFTER_HELP: &str = "\
Changes nothing. Starting the service with changed channel rules classifies all stored touches again. This shows which channels would gain or
lose how many touches; `tributary check` shows how many milestones would be recomputed. Without --in-force, a touch is compared with the
channel it got when it was received: the same as the current one, unless the rules have changed since. Touches stored by early versions lack
the input of their classification (URL, referring site, the sender's fields), and stay as they are until they are replayed.

Example: compare new rules in next.toml with the running configuration, before a restart:
  tributary reclassify --in-force tributary.toml --config next.toml";

/// The arguments of `reclassify`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ReclassifyArgs {
    #[command(flatten)]
    files: RawFiles,
    /// The configuration in force: files as for --config. --set and the environment apply to both. Required with raw files
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    in_force: Vec<PathBuf>,
}

/// The result.
#[derive(Debug, Serialize)]
struct Told {
    /// The number of touches.
    touches: u64,
    /// Touches that keep their channel, source, medium, campaign, content and term.
    same: u64,
    /// Touches that keep only their channel.
    refined: u64,
    /// Touches without the input of their classification.
    unknown: u64,
    /// Touches that change their channel.
    moved: Vec<Moved>,
}

/// Touches that change their channel.
#[derive(Debug, Serialize)]
struct Moved {
    from: String,
    to: String,
    touches: u64,
}

/// Runs `reclassify`.
///
/// # Errors
/// When the state cannot be read.
pub fn run(args: &ReclassifyArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let in_force = in_force(args, global)?;
    if in_force.is_none() && args.files.list().is_ok() {
        return Err(Usage("raw files have no channels: give the configuration in force (--in-force FILE)".into()).into());
    }
    let found = look_at(&args.files, &settings, |whole| {
        let mut progress = whole.progress("units");
        let Whole { snapshot, units, pipeline } = whole;
        Ok(renaming(snapshot, units, in_force.as_ref().map(Pipeline::plan), pipeline.plan(), &mut || progress.add(1))?)
    })?;
    let told = told(found);
    if global.json {
        return Ok(table::print_json(&told)?);
    }
    print(&told)
}

/// The configuration in force, if given.
fn in_force(args: &ReclassifyArgs, global: &Global) -> anyhow::Result<Option<Pipeline>> {
    if args.in_force.is_empty() {
        return Ok(None);
    }
    let settings = Global { config: args.in_force.clone(), ..global.clone() }.settings()?;
    Ok(Some(Pipeline::compile(&settings).map_err(Usage::from)?))
}

fn told(found: Renaming) -> Told {
    let touches = found.touches();
    let Renaming { same, moved, refined, unknown } = found;
    let mut moved: Vec<Moved> = moved.into_iter().map(|((from, to), touches)| Moved { from, to, touches }).collect();
    moved.sort_by_key(|moved| std::cmp::Reverse(moved.touches));
    Told { touches, same, refined, unknown, moved }
}

fn print(told: &Told) -> anyhow::Result<()> {
    if !told.moved.is_empty() {
        let mut rows = table(&["from", "to", "touches"]);
        for Moved { from, to, touches } in &told.moved {
            rows.add_row([from.clone(), to.clone(), touches.to_string()]);
        }
        align_right(&mut rows, 2..);
        table::print(&rows)?;
    }
    let moved: u64 = told.moved.iter().map(|moved| moved.touches).sum();
    outln!(
        "Of {} touches {moved} change their channel, {} only their source, medium, campaign, content or term, {} nothing.",
        told.touches,
        told.refined,
        told.same
    )?;
    if told.unknown > 0 {
        outln!("{} were stored without the input of their classification, and stay as they are.", told.unknown)?;
    }
    Ok(())
}
