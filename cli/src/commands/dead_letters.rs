//! `tributary dead-letters`: shows refused records and their reasons, and sends them again.

mod accept;

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::json;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::time::minute;
use tributary_pipeline::time::now_ms;
use tributary_proto::DeadLetter;
use tributary_runtime::reason::Reason;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

use crate::dead_letters::{Fate, Letter, Letters, Place, mark, raw_topic, visit};
use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::progress::Progress;
use crate::stdout::outln;
use crate::{logging, sink, stdout, table};

const AFTER_HELP: &str = "\
On the embedded log `retry` needs the service to be stopped; `list` and `show` do not.

Example: list the reasons, show one dead letter completely, and retry all with one reason after its cause was repaired:
  tributary dead-letters list
  tributary dead-letters show 0:17
  tributary dead-letters retry --reason milestone_unknown";

/// The arguments of `dead-letters`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the dead letters, without their payloads
    #[command(after_help = "Example:\n  tributary dead-letters list --topic webhook --json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Also list those that were sent again
        #[arg(long)]
        all: bool,
        /// List at most this many
        #[arg(long, value_name = "N", default_value_t = 50)]
        max: usize,
    },
    /// Show a dead letter with its payload, which may contain personal data
    #[command(after_help = "Example:\n  tributary dead-letters show 0:17 --json")]
    Show {
        /// Its position, as in `list`
        #[arg(value_name = "PARTITION:OFFSET")]
        place: Place,
    },
    /// Resume a stopped partition: accept refusals among its current records
    #[command(after_help = "\
Refused records go to the dead letters as usual, and no longer stop the partition, up to its current last record. Run it on any
machine while the service runs (on the embedded log: on its machine). It also applies to processes that are started later.

Example: an upload to the topic offline was junk, and partition 0 has stopped:
  tributary dead-letters accept offline/0")]
    Accept {
        /// The partition of an input, as in /readyz: offline/0
        #[arg(value_name = "TOPIC/PARTITION")]
        input: accept::Input,
    },
    /// Send refused records to their topics again, each unchanged
    #[command(after_help = "\
Skips records that were already sent again or refused too often, so that no record is retried forever. A record that was already
processed has no further effect.

Example: look first, then send:
  tributary dead-letters retry --topic sdk --dry-run
  tributary dead-letters retry --topic sdk")]
    Retry {
        /// Only these dead letters
        #[arg(value_name = "PARTITION:OFFSET")]
        places: Vec<Place>,
        #[command(flatten)]
        filter: Filter,
        /// Skip records that were refused this often
        #[arg(long, value_name = "TIMES", default_value_t = 3)]
        max_refusals: usize,
        /// Show what would be sent, and send nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Default, Args)]
struct Filter {
    /// Only those with this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only those about records of this topic: sdk, utm, webhook, offline, or an inbox
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

impl Filter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.reason, &letter.reason) && is(&self.topic, &letter.topic)
    }
}

/// Runs `dead-letters`.
///
/// # Errors
/// When the topic cannot be read, or records cannot be sent.
pub fn run(args: &DeadLettersArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    if let Action::Accept { input } = &args.action {
        return accept::accept(*input, &settings, global);
    }
    let letters = Letters::read(&settings)?;
    match &args.action {
        Action::Accept { .. } => Ok(()),
        Action::List { filter, all, max } => list(&letters, filter, *all, *max, global.json),
        Action::Show { place } => show(&letters, &settings, *place, global.json),
        Action::Retry { places, filter, max_refusals, dry_run } => {
            if !places.iter().all(|place| letters.get(*place).is_some()) {
                return Err(no_letter().into());
            }
            let takes = |place, letter: &DeadLetter| (places.is_empty() || places.contains(&place)) && filter.takes(letter);
            retry(&letters, &settings, &takes, *max_refusals, *dry_run, global.json)
        }
    }
}

fn no_letter() -> Usage {
    Usage("no dead letter there; `tributary dead-letters list --all` shows their positions".into())
}

fn list(letters: &Letters, filter: &Filter, all: bool, max: usize, json: bool) -> anyhow::Result<()> {
    let wanted = |(place, letter): &(Place, &Letter)| {
        filter.takes(&letter.header) && (all || letters.fate(*place, letter) != Fate::Retried)
    };
    let found: Vec<_> = letters.iter().filter(wanted).collect();
    if json {
        let mut out = io::BufWriter::new(stdout::text());
        for (place, letter) in &found {
            writeln!(out, "{}", describe(letters, *place, letter))?;
        }
        return Ok(out.flush()?);
    }
    let mut rows = table::table(&["letter", "from", "reason", "field", "refused", "fate"]);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (place, letter)) in found.iter().enumerate() {
        let header = &letter.header;
        *reasons.entry(&header.reason).or_default() += 1;
        if at < max {
            rows.add_row([
                place.to_string(),
                format!("{} {}:{}", header.topic, header.partition, header.offset),
                header.reason.clone(),
                header.field.clone(),
                letters.times(letter).to_string(),
                letters.fate(*place, letter).name().to_owned(),
            ]);
        }
    }
    table::print(&rows)?;
    if found.len() > max {
        outln!("{} more: --max {}", found.len() - max, found.len())?;
    }
    outln!("{} letters", found.len())?;
    for (reason, count) in reasons {
        outln!("{count:>8}  {reason}")?;
    }
    Ok(())
}

/// A dead letter without its payload, as JSON.
fn describe(letters: &Letters, place: Place, letter: &Letter) -> serde_json::Value {
    let header = &letter.header;
    json!({
        "letter": place.to_string(),
        "reason": header.reason,
        "detail": header.detail,
        "field": header.field,
        "stage": header.stage,
        "topic": header.topic,
        "partition": header.partition,
        "offset": header.offset,
        "index": header.index,
        "timestamp": header.timestamp,
        "payload_bytes": letter.payload_bytes,
        "refused": letters.times(letter),
        "fate": letters.fate(place, letter),
    })
}

fn show(letters: &Letters, settings: &Settings, place: Place, json: bool) -> anyhow::Result<()> {
    let known = letters.get(place).ok_or_else(no_letter)?;
    let mut whole = None;
    visit(settings, &mut |at, letter| {
        if at == place {
            whole = Some(letter);
        }
        Ok(())
    })?;
    let letter = whole.ok_or_else(no_letter)?;
    if json {
        return Ok(table::print_json(&letter)?);
    }
    let mut rows = table::table(&["", ""]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\u{1f}', "|");
    // Another version may have other reasons.
    let known_reason = Reason::find(&letter.reason);
    for (name, value) in [
        ("reason", letter.reason.clone()),
        ("meaning", known_reason.map_or("", Reason::meaning).to_owned()),
        ("what to do", known_reason.map_or("", Reason::remedy).to_owned()),
        ("detail", letter.detail.clone()),
        ("field", letter.field.clone()),
        ("refused by", letter.stage.clone()),
        ("record", format!("{} {}:{}", letter.topic, letter.partition, letter.offset)),
        ("event in it", letter.index.to_string()),
        ("received", minute(letter.timestamp)),
        ("refused", format!("{} times", letters.times(known))),
        ("fate", letters.fate(place, known).name().to_owned()),
        ("key", text(&letter.key)),
    ] {
        rows.add_row([name.to_owned(), value]);
    }
    table::print(&rows)?;
    outln!("{}", text(&letter.payload))?;
    Ok(())
}

fn retry(
    letters: &Letters,
    settings: &Settings,
    takes: &dyn Fn(Place, &DeadLetter) -> bool,
    max_refusals: usize,
    dry_run: bool,
    json: bool,
) -> anyhow::Result<()> {
    let open =
        letters.iter().filter(|(place, letter)| takes(*place, &letter.header) && letters.fate(*place, letter) == Fate::Open);
    let (chosen, given_up): (Vec<_>, Vec<_>) = open.partition(|(_, letter)| letters.times(letter) < max_refusals);
    let resends = letters.resend(&chosen);
    if !dry_run {
        resend(letters, settings, &resends)?;
    }
    let (records, kept) = (resends.len(), given_up.len());
    let printed = if json {
        table::print_json(&json!({"records": records, "letters": chosen.len(), "given_up": kept, "dry_run": dry_run}))
    } else {
        let verb = if dry_run { "would be sent" } else { "were sent" };
        let advice = if kept == 0 {
            String::new()
        } else {
            format!(
                "\n{kept} letters are of records refused {max_refusals} times or more: repair their cause, then raise --max-refusals"
            )
        };
        outln!("{records} records ({} letters) {verb} again{advice}", chosen.len())
    };
    verdict(kept == 0 || records > 0, printed.map_err(Into::into))
}

/// Sends the records of these dead letters again, and marks all dead letters about them.
fn resend(letters: &Letters, settings: &Settings, resends: &BTreeMap<Place, Vec<Place>>) -> anyhow::Result<()> {
    let mut records = Vec::with_capacity(resends.len());
    visit(settings, &mut |place, letter| {
        if resends.contains_key(&place) {
            records.push(letter);
        }
        Ok(())
    })?;
    let mut sink = sink::open(settings)?;
    let mut progress = Progress::new("retry", u64::try_from(records.len()).ok());
    for letter in &records {
        if let Some(topic) = raw_topic(letter) {
            sink.send(topic, &letter.key, &letter.payload, letter.timestamp)?;
            progress.add(1);
        }
    }
    // Marked only after it is stored: a record sent twice does no harm, but one that is marked and was not sent is lost.
    sink.flush()?;
    let as_json = settings.worker.formats.is_json(Topic::DeadLetters);
    for place in resends.values().flatten() {
        let Some(letter) = letters.get(*place) else { continue };
        let marked = Output::dead_letter(&mark(*place, &letter.header), as_json);
        sink.send(Topic::DeadLetters, &marked.key, marked.value.as_deref().unwrap_or_default(), now_ms())?;
    }
    sink.flush()?;
    progress.finish();
    Ok(())
}
