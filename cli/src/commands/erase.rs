//! `tributary erase`: voids what events state about a person, and shows what is still kept.

use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use tributary_pipeline::explain::profile;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::minute;
use tributary_runtime::stage::Erasure;

use super::explain::as_far_as;
use crate::ask;
use crate::forget::{self, Held};
use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::requests::{self, Who};
use crate::sink;
use crate::statement::{Statement, erasures};
use crate::stdout::outln;
use crate::table::{align_right, grouped, table};
use crate::{logging, table};

const AFTER_HELP: &str = "\
Voids every event that names one of the identifiers and happened at or before the time, including events that arrive later. Credit is
recomputed without it. ARCHITECTURE.md lists what stays. This cannot be undone. Other identifiers of the same person are not erased, unless
--person is given: then all identifiers that are joined with these now are erased, as `tributary profile IDENTIFIER` shows them. Check the
list before --yes: identifiers joined only by public events are marked, and may be somebody else's. On the embedded log the service must be
stopped meanwhile; within a minute after it runs again, the raw records are deleted, and its files contain no data of the person. On Kafka
the topics keep their records for their retention (docs/erasure.md).

--requests executes open requests of HubSpot's contact.privacyDeletion. The contact itself was erased at once, and `tributary run` erases the
rest of the person within a minute, except identifiers joined only by public events. These, and all requests if worker.expand_erasures
is false, wait for this command.

--verify searches all topics for the identifiers, including changelogs, dead letters, and on Kafka uncommitted and aborted records; on the
embedded log also the states and the files. It shows until when each finding may be kept. Exit code 1: there are findings.

Example:
  tributary erase email:zhang@b-corp.example phone:+8613800001111 --yes
  tributary erase --person email:zhang@b-corp.example
  tributary erase --requests
  tributary erase --verify email:zhang@b-corp.example phone:+8613800001111";

/// The mark of an identifier that only public events have joined.
const BY_PUBLIC_EVENTS: &str = "  (joined by public events alone: is it the same person?)";

/// The arguments of `erase`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct EraseArgs {
    /// Identifiers of the person, kind:value or kind|scope|value
    #[arg(value_name = "IDENTIFIER", required_unless_present = "requests")]
    identifiers: Vec<String>,
    /// Erase events up to this time (default: now)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Erase the person: all identifiers now joined with these
    #[arg(long)]
    person: bool,
    /// Execute open erasure requests of a CRM (topic erasure-requests)
    #[arg(long, conflicts_with_all = ["identifiers", "until", "person", "verify"])]
    requests: bool,
    /// Do it; without this, only show what would be done
    #[arg(long)]
    yes: bool,
    /// Search for data up to that time that still names them, and show until when it may be kept
    #[arg(long, conflicts_with = "yes")]
    verify: bool,
}

/// Runs `erase`.
///
/// # Errors
/// When an identifier cannot be read or the statement cannot be sent; with `--verify`, when data is still held.
pub fn run(args: &EraseArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    if args.requests {
        return requested(args.yes, &settings, &pipeline, global);
    }
    let joined = if args.person { joined_with(&args.identifiers, &settings, &pipeline)? } else { Vec::new() };
    let named: BTreeSet<&str> = joined.iter().map(|of| of.identifier.as_str()).collect();
    let about: Vec<String> =
        if args.person { named.into_iter().map(str::to_owned).collect() } else { args.identifiers.clone() };
    let erasures = erasures(&about, args.until.as_deref(), &pipeline)?;
    if args.verify {
        return verify(&erasures, &settings, &pipeline, global);
    }
    if args.yes {
        let mut sink = sink::open(&settings)?;
        erasures.iter().try_for_each(|erasure| erasure.send_to(&mut *sink))?;
        sink.flush()?;
    }
    let count: usize = erasures.iter().map(|erasure| erasure.event.identifiers.len()).sum();
    let until_ms = erasures.first().map_or(0, |erasure| erasure.event.time_ms);
    if global.json {
        let shown = json!({"identifiers": count, "until_ms": until_ms, "sent": args.yes, "person": joined});
        return Ok(table::print_json(&shown)?);
    }
    for of in &joined {
        let mark = if of.by_public_events { BY_PUBLIC_EVENTS } else { "" };
        outln!("  {}{mark}", of.identifier)?;
    }
    let what = format!("the erasure of {count} identifiers, for events up to {}", minute(until_ms));
    if args.yes {
        outln!("sent: {what}")?;
    } else {
        outln!("would send: {what}; --yes does it, and cannot be undone")?;
    }
    Ok(())
}

/// An identifier of the person to be erased.
#[derive(Debug, Serialize)]
struct Joined {
    /// As `kind|scope|value`.
    identifier: String,
    /// Whether only public events join it.
    by_public_events: bool,
}

/// All identifiers now joined with these.
fn joined_with(identifiers: &[String], settings: &Settings, pipeline: &Pipeline) -> anyhow::Result<Vec<Joined>> {
    let mut states = ask::open(settings)?;
    let mut all: Vec<Joined> = Vec::new();
    for identifier in identifiers {
        let found = profile(&mut states, pipeline, identifier);
        let freshness = states.freshness(settings);
        let found = found.map_err(|error| as_far_as(&freshness, error))?;
        for known in &found.identifiers {
            let mut links = found.links.iter().filter(|link| [&link.a, &link.b].contains(&&known.identifier)).peekable();
            let by_public_events = links.peek().is_some() && links.all(|link| link.public);
            if all.iter().all(|of| of.identifier != known.identifier) {
                all.push(Joined { identifier: known.identifier.clone(), by_public_events });
            }
        }
        if all.iter().all(|of| of.identifier != found.asked) {
            all.push(Joined { identifier: found.asked, by_public_events: false });
        }
    }
    Ok(all)
}

/// Erases the people that a CRM has requested, including identifiers joined only by public events: whoever passes --yes has seen the list.
fn requested(yes: bool, settings: &Settings, pipeline: &Pipeline, global: &Global) -> anyhow::Result<()> {
    let open = requests::open(&mut *requests::reader(settings)?)?;
    if yes && !open.is_empty() {
        let mut sink = sink::open(settings)?;
        for request in &open {
            requests::fulfil(request, Who::All, &mut *sink, pipeline)?;
        }
    }
    if global.json {
        return Ok(table::print_json(&json!({"requests": open, "sent": yes}))?);
    }
    for request in &open {
        outln!("{}, for events up to {}", request.request_id, minute(request.until))?;
        for (identifiers, mark) in [(&request.identifiers, ""), (&request.doubtful, BY_PUBLIC_EVENTS)] {
            for identifier in identifiers {
                outln!("  {}{mark}", identifier.display())?;
            }
        }
    }
    match (open.len(), yes) {
        (0, _) => outln!("No request is open.")?,
        (count, true) => outln!("sent: the erasures of {count} requests")?,
        (count, false) => outln!("would send: the erasures of {count} requests; --yes does it, and cannot be undone")?,
    }
    Ok(())
}

fn verify(erasures: &[Statement], settings: &Settings, pipeline: &Pipeline, global: &Global) -> anyhow::Result<()> {
    let named = erasures.iter().map(|erasure| &erasure.event);
    let erased: Vec<Erasure> = named
        .flat_map(|event| event.identifiers.iter().map(|of| Erasure { of: of.clone(), until_ms: event.time_ms }))
        .collect();
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
        1 => outln!("1 finding still names them.")?,
        _ => outln!("{held} findings still name them.")?,
    }
    Ok(())
}
