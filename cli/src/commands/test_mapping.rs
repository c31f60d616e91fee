//! `tributary test-mapping`: shows what example payloads of a webhook become.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tributary_ingest::{Decoded, Decoder, PROVIDERS, as_native};
use tributary_pipeline::time::now_ms;
use tributary_proto::{Event, Source};
use tributary_runtime::reason::Reason;
use tributary_runtime::stage::Rejection;

use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::stdout::outln;
use crate::{logging, table};

/// Largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;

const AFTER_HELP: &str = "\
The file contains one record of the webhook topic ({\"provider\": ..., \"body\": ...}), or one per line; with --provider, a body as that
provider sends it, JSON or XML. Nothing is sent. Exit code 1: something is refused.

Example:
  tributary test-mapping won.json --provider mycrm --config tributary.toml";

/// The arguments of `test-mapping`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TestMappingArgs {
    /// The payloads
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(long, value_name = "NAME", help = provider_help())]
    provider: Option<String>,
}

fn provider_help() -> String {
    let names: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
    format!("The file is a body of this provider: one of ingest.webhook.mappings, or of {}", names.join(", "))
}

#[derive(Default, Serialize)]
struct Report {
    events: Vec<Shown>,
    refused: Vec<Refused>,
    /// Fields that cannot be read: their events count without them.
    ignored: Vec<Refused>,
    /// Parts of the records without an event: stages that are not a milestone, objects that are not used.
    without_event: u64,
    blocked: u64,
    stages_without_rule: Vec<WithoutRule>,
}

/// A stage without a rule, which changes nothing.
#[derive(Serialize)]
struct WithoutRule {
    line: usize,
    stage: String,
    /// The setting in which a rule would be.
    setting: String,
}

/// An event, as the equivalent native record.
#[derive(Serialize)]
struct Shown {
    line: usize,
    event: Value,
}

#[derive(Serialize)]
struct Refused {
    line: usize,
    field: String,
    reason: Reason,
    detail: String,
}

/// Runs `test-mapping`.
///
/// # Errors
/// When the file cannot be read, or something is refused.
pub fn run(args: &TestMappingArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let decoder = Decoder::new(&settings.ingest, &settings.kinds.kinds())?;
    let text = read(&args.file)?;
    let mut report = Report::default();
    for (line, record) in records(&text, args.provider.as_deref()) {
        decode(&decoder, line, &record, &mut report);
    }
    verdict(report.refused.is_empty(), print(&report, global))
}

fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let length = fs::metadata(path).with_context(|| format!("{shown}: cannot be read"))?.len();
    if length > FILE_BYTES_MAX {
        return Err(Usage(format!("{shown}: is larger than {FILE_BYTES_MAX} bytes")).into());
    }
    let bytes = fs::read(path).with_context(|| format!("{shown}: cannot be read"))?;
    String::from_utf8(bytes).map_err(|_| Usage(format!("{shown}: is not UTF-8")).into())
}

/// The records in a file, each with its line.
fn records(text: &str, provider: Option<&str>) -> Vec<(usize, String)> {
    if let Some(provider) = provider {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        let body = if is_json { text.to_owned() } else { Value::from(text).to_string() };
        return vec![(1, format!(r#"{{"provider":{},"body":{body}}}"#, Value::from(provider)))];
    }
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return vec![(1, text.to_owned())];
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| (at + 1, line.to_owned())).collect()
}

fn decode(decoder: &Decoder, line: usize, record: &str, report: &mut Report) {
    let mut decoded = Decoded::default();
    let refused = decoder.decode(Source::Webhook, record.as_bytes(), Some(now_ms()), &mut decoded).err();
    let shown = |event: &Event| Shown { line, event: as_native(event) };
    report.events.extend(decoded.events.iter().map(shown));
    let refused = refused.into_iter().chain(decoded.rejections);
    report.refused.extend(refused.map(|Rejection { reason, field, detail, .. }| Refused { line, field, reason, detail }));
    let ignored = decoded.ignored.iter().map(|left_out| left_out.why.clone());
    report.ignored.extend(ignored.map(|Rejection { reason, field, detail, .. }| Refused { line, field, reason, detail }));
    report.stages_without_rule.extend(decoded.stages_without_rule.into_iter().map(|unknown| WithoutRule {
        line,
        stage: unknown.stage,
        setting: format!("ingest.webhook.{}.stages", unknown.setting),
    }));
    report.without_event += decoded.without_event;
    report.blocked += decoded.blocked;
}

fn print(report: &Report, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(report)?);
    }
    if !report.events.is_empty() {
        let mut rows = table::table(&["line", "kind", "time", "event id", "says"]);
        for Shown { line, event } in &report.events {
            let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            rows.add_row([line.to_string(), text("kind"), text("timestamp"), text("event_id"), says(event)]);
        }
        table::print(&rows)?;
    }
    print_refused(&report.refused, "refused because")?;
    print_refused(&report.ignored, "left out because")?;
    if !report.stages_without_rule.is_empty() {
        let mut rows = table::table(&["line", "stage", "changes nothing until it is named in"]);
        for WithoutRule { line, stage, setting } in &report.stages_without_rule {
            rows.add_row([line.to_string(), stage.clone(), setting.clone()]);
        }
        table::print(&rows)?;
    }
    outln!(
        "{} events, {} refused, {} fields left out, {} without an event, {} blocked identifiers",
        report.events.len(),
        report.refused.len(),
        report.ignored.len(),
        report.without_event,
        report.blocked
    )?;
    Ok(())
}

fn print_refused(refused: &[Refused], why: &str) -> anyhow::Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut rows = table::table(&["line", "field", "reason", why]);
    for Refused { line, field, reason, detail } in refused {
        rows.add_row([line.to_string(), field.clone(), reason.to_string(), detail.clone()]);
    }
    Ok(table::print(&rows)?)
}

/// All other fields.
fn says(event: &Value) -> String {
    let fields = event.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !matches!(name.as_str(), "kind" | "timestamp" | "event_id"));
    let said = fields.map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    said.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_record_or_lines_of_records_or_a_body() {
        assert_eq!(records("{\n}", None), [(1, "{\n}".to_owned())]);
        assert_eq!(records("{}\n\n{}", None), [(1, "{}".to_owned()), (3, "{}".to_owned())]);
        assert_eq!(records("[1]", Some("x")), [(1, r#"{"provider":"x","body":[1]}"#.to_owned())]);
        assert_eq!(records("<xml/>", Some("wecom")), [(1, r#"{"provider":"wecom","body":"<xml/>"}"#.to_owned())]);
    }
}
