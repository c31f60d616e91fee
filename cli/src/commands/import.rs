//! `tributary import`: a CSV file to the offline topic, with its rows checked first.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tributary_ingest::{Decoded, Decoder};
use tributary_proto::Source;
use tributary_runtime::topic::Topic;

use crate::args::Global;
use crate::clock::now_ms;
use crate::outcome::NotWell;
use crate::progress::Progress;
use crate::rows::{RowProblem, Rows};
use crate::sink;
use crate::{logging, table};

/// The most problems that a table shows; JSON has all.
const SHOWN_MAX: usize = 50;

const AFTER_HELP: &str = "\
The header names the fields of a native record: timestamp, email, phone, crm_contact, account, channel, campaign, traits.NAME, ...
Identifier cells may hold several values, separated by `;`. UTF-8 and GBK are read. Rows that can be used are sent, the others
listed, and the exit code is then 1. A file that is imported twice counts once.

Example:
  tributary import booth-list.csv --dry-run
  tributary import booth-list.csv --set kafka.brokers=localhost:9092";

/// The arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ImportArgs {
    /// The CSV file
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Only check the rows; send nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Report {
    rows: u64,
    sent: u64,
    unknown_columns: Vec<String>,
    problems: Vec<RowProblem>,
}

/// Runs `import`.
///
/// # Errors
/// When the file cannot be read, a record cannot be delivered, or rows cannot be used.
pub fn run(args: &ImportArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let decoder = Decoder::new(&settings.ingest)?;
    let rows = Rows::open(&args.file, &decoder)?;
    let mut sink = if args.dry_run { None } else { Some(sink::open(&settings)?) };
    let unknown_columns = rows.unknown_columns().map(str::to_owned).collect();
    let mut report = Report { rows: 0, sent: 0, unknown_columns, problems: Vec::new() };
    let mut progress = Progress::new("import", None);
    let mut decoded = Decoded::default();
    for row in rows.iter() {
        report.rows += 1;
        progress.add(1);
        let received_ms = now_ms();
        let checked = row.and_then(|(line, record)| {
            decoded.clear();
            let accepted = decoder.decode(Source::Offline, record.as_bytes(), Some(received_ms), &mut decoded);
            let refused = accepted.err().or_else(|| decoded.rejections.pop());
            refused.map_or(Ok(record), |rejection| Err(RowProblem::of(line, rejection)))
        });
        match (checked, &mut sink) {
            (Ok(record), Some(sink)) => {
                sink.send(Topic::Offline, &[], record.as_bytes(), received_ms)?;
                report.sent += 1;
            }
            (Ok(_), None) => {}
            (Err(problem), _) => report.problems.push(problem),
        }
    }
    if let Some(sink) = &mut sink {
        sink.flush()?;
    }
    progress.finish();
    print(&report, args.dry_run, global)?;
    if report.problems.is_empty() { Ok(()) } else { Err(NotWell.into()) }
}

fn print(report: &Report, dry_run: bool, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(report)?);
    }
    if !report.problems.is_empty() {
        let mut rows = table::table(&["line", "column", "reason"]);
        for problem in report.problems.iter().take(SHOWN_MAX) {
            rows.add_row([problem.line.to_string(), problem.column.clone(), problem.reason.clone()]);
        }
        table::print(&rows)?;
        if let Some(more @ 1..) = report.problems.len().checked_sub(SHOWN_MAX) {
            println!("and {more} more (--json has all)");
        }
    }
    for column in &report.unknown_columns {
        println!("the column {column} is not a field of a native record: it is ignored");
    }
    let sent = if dry_run { "none sent (--dry-run)".to_owned() } else { format!("{} sent", report.sent) };
    println!("{} rows, {} cannot be used, {sent}", report.rows, report.problems.len());
    Ok(())
}
