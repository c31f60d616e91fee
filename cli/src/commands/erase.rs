//! `tributary erase`: makes void what events say of somebody, and shows what is still kept.

use clap::Args;
use serde_json::json;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::minute;
use tributary_runtime::stage::Erasure;

use crate::args::Global;
use crate::forget::{self, Held};
use crate::outcome::{Usage, verdict};
use crate::statement::{Statement, statement};
use crate::stdout::outln;
use crate::table::{align_right, grouped, table};
use crate::{logging, table};

const AFTER_HELP: &str = "\
Every event that names one of the identifiers and happened at or before the time becomes void, wherever it is and whenever it comes; credit
is given anew without it. ARCHITECTURE.md says what stays. This cannot be undone, and other identifiers of the same person are not erased by
it: `tributary profile IDENTIFIER` shows them. On the embedded log the service must be stopped meanwhile; once it has run again, its records
are dropped and its files hold nothing of the person within a minute. On Kafka topics are their operator's: they keep what they have for their
retention (docs/erasure.md).

--verify looks for the identifiers in all topics, of Kafka also in what is not committed or was aborted, in changelogs and dead letters; on
the embedded log also in the states and the files. It says until when what it finds may stay. Exit code 1: something is still held.

Example:
  tributary erase email:zhang@b-corp.example phone:+8613800001111 --yes
  tributary erase --verify email:zhang@b-corp.example phone:+8613800001111";

/// The arguments of `erase`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct EraseArgs {
    /// Identifiers of the person, kind:value or kind|scope|value
    #[arg(value_name = "IDENTIFIER", required = true)]
    identifiers: Vec<String>,
    /// Up to when events become void (default: now)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Do it; without, only say what would be done
    #[arg(long)]
    yes: bool,
    /// Look for what is still kept that names them, of what happened up to then, and until when
    #[arg(long, conflicts_with = "yes")]
    verify: bool,
}

/// Runs `erase`.
///
/// # Errors
/// When an identifier cannot be read or the statement not be sent; with `--verify`, when something is still held.
pub fn run(args: &EraseArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    let erase = statement("erase", &args.identifiers, args.until.as_deref(), &pipeline)?;
    if args.verify {
        return verify(&erase, &settings, &pipeline, global);
    }
    if args.yes {
        erase.send(&settings)?;
    }
    let (count, until_ms) = (erase.event.identifiers.len(), erase.event.time_ms);
    if global.json {
        return Ok(table::print_json(&json!({"identifiers": count, "until_ms": until_ms, "sent": args.yes}))?);
    }
    let what = format!("an erasure of {count} identifiers, of all up to {}", minute(until_ms));
    if args.yes {
        outln!("sent: {what}")?;
    } else {
        outln!("would send: {what}; --yes does it, and cannot be undone")?;
    }
    Ok(())
}

fn verify(erase: &Statement, settings: &Settings, pipeline: &Pipeline, global: &Global) -> anyhow::Result<()> {
    let until_ms = erase.event.time_ms;
    let erased: Vec<Erasure> = erase.event.identifiers.iter().map(|of| Erasure { of: of.clone(), until_ms }).collect();
    let found = forget::search(settings, pipeline, &erased)?;
    let held: u64 = found.iter().map(|held| held.held).sum();
    verdict(held == 0, print(&found, held, global))
}

fn print(found: &[Held], held: u64, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(&json!({"held": held, "places": found}))?);
    }
    let mut rows = table(&["", "searched", "held", "newest", "may stay until", "because"]);
    for of in found {
        let time = |time_ms: Option<i64>| time_ms.map(minute).unwrap_or_default();
        let until = if of.held > 0 && of.until_ms.is_none() { "no end is set".to_owned() } else { time(of.until_ms) };
        let because = if of.held > 0 { of.because.clone() } else { String::new() };
        let [searched, held] = [of.searched, of.held].map(|count| grouped(&count.to_string()));
        rows.add_row([of.what.clone(), searched, held, time(of.newest_ms), until, because]);
    }
    align_right(&mut rows, 1..3);
    table::print(&rows)?;
    match held {
        0 => outln!("Nothing that was searched names them. Backups and archives were not searched.")?,
        1 => outln!("1 thing still names them.")?,
        _ => outln!("{held} things still name them.")?,
    }
    Ok(())
}
