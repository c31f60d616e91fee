//! `tributary audit`: checks that every record is accounted for.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::now_ms;

use crate::audit::{self, Account, Credits, Records, Verdict};
use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::stdout::outln;
use crate::table::{align_right, table};
use crate::{logging, table};

const AFTER_HELP: &str = "\
Counts from the records themselves, not from counters: it reads all raw records, dead letters, credit updates and states. The service may
be running: on Kafka its processes are asked for their states (admin.listen); if none runs, the disk of this machine is read. Events that
are still in the inboxes count as newer, and records that ingest has not read yet as waiting: neither is missing. The last line is the
result. Exit code 1: something is missing, surplus, or does not add up, or a state cannot be read.

Example:
  tributary audit --config tributary.toml --metrics /var/lib/node_exporter/tributary.prom";

/// The arguments of `audit`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct AuditArgs {
    /// Check only the credit: needs neither the raw records nor the state
    #[arg(long)]
    credits: bool,
    /// Also write the result as Prometheus metrics, for the textfile collector of the node exporter
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
}

/// Runs `audit`.
///
/// # Errors
/// When something cannot be read, or is not accounted for.
pub fn run(args: &AuditArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    let records = if args.credits { None } else { Some(audit::records(&settings, &pipeline)?) };
    let credits = audit::credits(&settings)?;
    if let Some(file) = &args.metrics {
        audit::write_metrics(file, records.as_ref(), &credits, now_ms())
            .with_context(|| format!("the metrics cannot be written to {}", file.display()))?;
    }
    let found = Verdict::of(records.as_ref(), &credits);
    verdict(found.adds_up, print(records.as_ref(), &credits, &found, global))
}

fn print(records: Option<&Records>, credits: &Credits, verdict: &Verdict, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return print_json(records, credits, verdict);
    }
    if let Some(records) = records {
        print_records(records)?;
    }
    print_credits(credits)?;
    Ok(outln!("{}", verdict.text)?)
}

fn print_json(records: Option<&Records>, credits: &Credits, verdict: &Verdict) -> anyhow::Result<()> {
    let accounts = records.map(|records| {
        let account = |((topic, partition), account): (&(_, u32), &Account)| {
            let topic: &tributary_runtime::topic::Topic = topic;
            json!({"topic": topic.name(), "partition": partition, "account": account, "balanced": account.is_balanced()})
        };
        records.accounts.iter().map(account).collect::<Vec<_>>()
    });
    let wrong = records.map(|records| &records.wrong);
    Ok(table::print_json(&json!({"records": accounts, "wrong": wrong, "credits": credits, "verdict": verdict}))?)
}

fn print_records(records: &Records) -> anyhow::Result<()> {
    let outcomes = Account::default().outcomes().map(|(outcome, _)| outcome);
    // Only the embedded log counts the records it has dropped.
    let gone = records.accounts.values().any(|account| account.expired + account.forgotten > 0);
    let dropped: &[&str] = if gone { &["expired", "forgotten"] } else { &[] };
    let mut rows = table(&[&["topic", "partition", "records"][..], dropped, &["produced"], &outcomes].concat());
    for ((topic, partition), account) in &records.accounts {
        let mut counts = vec![account.records];
        counts.extend(gone.then_some([account.expired, account.forgotten]).into_iter().flatten());
        counts.push(account.produced);
        counts.extend(account.outcomes().map(|(_, count)| count));
        let named = [topic.name().to_owned(), partition.to_string()];
        rows.add_row(named.into_iter().chain(counts.iter().map(ToString::to_string)));
    }
    align_right(&mut rows, 1..);
    table::print(&rows)?;
    for place in &records.wrong {
        outln!("not accounted for: {} {}:{}", place.topic, place.partition, place.offset)?;
    }
    Ok(())
}

fn print_credits(credits: &Credits) -> anyhow::Result<()> {
    let Credits { updates, milestones, rows, imbalances, .. } = credits;
    outln!("{updates} credit updates of {milestones} milestones make {rows} rows")?;
    for found in imbalances.iter().take(20) {
        outln!("{} {}: {}", found.milestone_id, found.model, found.what)?;
    }
    Ok(())
}
