//! `tributary import`: checks the rows of a file and sends them to the offline topic.

use std::path::PathBuf;

use clap::Args;
use encoding_rs::Encoding;
use tributary_ingest::Decoder;
use tributary_runtime::topic::Topic;

use crate::global::Global;
use crate::import::{Import, Input, Report};
use crate::lines::LineError;
use crate::outcome::{Usage, verdict};
use crate::resume::{Sending, Work};
use crate::rows::{Declared, Format, Mapping, RowProblem};
use crate::stdout::outln;
use crate::{logging, table};

/// Most problems in the printed table; JSON has more.
const SHOWN_MAX: usize = 50;

const AFTER_HELP: &str = "\
Reads CSV (delimiter comma, semicolon, tab or bar; UTF-8, UTF-16, GBK, Big5 or Shift JIS; titles above the header are skipped), XLSX, or
NDJSON, by the file's name. The columns are fields of a native record: timestamp, email, phone, crm_contact, account, channel, campaign,
traits.NAME, ... The columns of GA4's offline events and of Google Ads' click conversions are recognised, too. --format reads cost exports
of advertising platforms (rows of sums are left out), and --mapping assigns other columns to fields:
  [columns]
  \"手机\" = \"phone\"
  \"备注\" = \"\"
  [constants]
  touch_type = \"booth\"

Cells of identifiers may have several values, separated by `;`. Valid rows are sent, without fields that cannot be read, which are listed.
Invalid rows are listed, too, and the exit code is then 1. A file that is imported twice counts once, and so do two equal rows without an
event_id.

After an interruption, the same command continues where it was, and sends no row twice. On Kafka FILE.imported marks an unfinished import, on
the embedded log a file in the state folder.

Example:
  tributary import booth-list.xlsx --mapping booth.toml --dry-run
  tributary import booth-list.csv --set kafka.brokers=localhost:9092";

/// The arguments of `import`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ImportArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check the rows, and show what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Maps columns to fields (TOML)
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The text's encoding (utf-8, utf-16le, gbk, ...), if it should not be detected
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    encoding: Option<&'static Encoding>,
    /// The advertising platform of a cost export: google_ads, meta_ads, linkedin_ads, baidu_ads, tencent_ads or ocean_engine
    #[arg(long, value_name = "NAME", value_parser = Format::find, conflicts_with = "mapping")]
    format: Option<Format>,
    /// The delimiter of cells (one character, or `tab`), if it should not be detected
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The worksheet of a workbook; default: the first with a known header
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
}

fn encoding(name: &str) -> Result<&'static Encoding, String> {
    Encoding::for_label(name.as_bytes()).ok_or_else(|| "no encoding of this name; utf-8, utf-16le and gbk are some".to_owned())
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() || *byte == b'\t' => Ok(*byte),
        _ => Err("expected one character of punctuation, or `tab`".to_owned()),
    }
}

/// Runs `import`.
///
/// # Errors
/// When the file cannot be read, a record cannot be delivered, or rows are refused.
pub fn run(args: &ImportArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let decoder = Decoder::new(&settings.ingest, &settings.kinds.kinds())?;
    let mapping = args.mapping.as_deref().map(Mapping::open).transpose().map_err(Usage)?.unwrap_or_default();
    let declared = Declared {
        encoding: args.encoding,
        delimiter: args.delimiter,
        sheet: args.sheet.clone(),
        mapping,
        format: args.format.clone(),
    };
    let how = format!("import {declared:?}");
    let mut input = Input::open(&args.file, &decoder, declared, settings.topics.record_bytes_max as usize)?;
    if args.dry_run {
        let report = Import::new(&decoder, input.count(), None).run(&mut input)?;
        return verdict(report.refused == 0, print(&report, true, global));
    }
    let files = [(Topic::Offline, args.file.as_path())];
    let unreadable = |(path, source)| LineError { path, line: 0, source };
    let work = Work::of(&files, &how, &settings.log_name(), ".imported").map_err(unreadable)?;
    let mut sending = Sending::begin(&settings, work.as_ref())?;
    let mut report = Report::default();
    sending.attempt(|sending| {
        report = Import::new(&decoder, input.count(), Some(sending)).run(&mut input)?;
        Ok(())
    })?;
    let unfinished = sending.complete()?;
    let printed = print(&report, false, global);
    if let Some(unfinished) = unfinished {
        unfinished.confirm_at_exit();
    }
    verdict(report.refused == 0, printed)
}

fn print(report: &Report, dry_run: bool, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(report)?);
    }
    if dry_run && !report.shown.is_empty() {
        let mut rows = table::table(&["line", "kind", "time", "who", "channel", "what"]);
        for row in &report.shown {
            rows.add_row([row.line.to_string().as_str(), row.kind, &row.time, &row.who, &row.channel, &row.what]);
        }
        table::print(&rows)?;
    }
    print_problems(&report.problems, "refused because")?;
    print_problems(&report.ignored, "left out because")?;
    if !report.found.is_empty() {
        outln!("{}", report.found.join("; "))?;
    }
    for column in &report.unknown_columns {
        outln!("the column {column} is not a field of a native record: it is ignored")?;
    }
    if report.resumed_after > 0 {
        outln!("continued after {} rows of an interrupted import", report.resumed_after)?;
    }
    let kinds: Vec<String> = report.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if !kinds.is_empty() {
        outln!("{}", kinds.join(", "))?;
    }
    let sent = if dry_run { "none sent (--dry-run)".to_owned() } else { format!("{} sent", report.sent) };
    outln!("{} rows, {} cannot be used, {sent}, {} fields left out", report.rows, report.refused, report.fields_ignored)?;
    Ok(())
}

fn print_problems(problems: &[RowProblem], why: &str) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let mut rows = table::table(&["line", "column", why]);
    for problem in problems.iter().take(SHOWN_MAX) {
        rows.add_row([problem.line.to_string(), problem.column.clone(), problem.reason.clone()]);
    }
    table::print(&rows)?;
    if let Some(more @ 1..) = problems.len().checked_sub(SHOWN_MAX) {
        outln!("and {more} more (--json has them)")?;
    }
    Ok(())
}
