//! `tributary metrics`: lists all metrics.

use clap::Args;
use serde::Serialize;
use tributary_pipeline::catalogue::GROUPS;

use crate::global::Global;
use crate::stdout::outln;
use crate::table;

const AFTER_HELP: &str = "\
A running process serves them on http.listen, /metrics; docs/metrics.md has the same list.

Example:
  tributary metrics
  tributary metrics --json | jq -r '.[] | select(.type == \"counter\").name'";

/// The arguments of `metrics`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct MetricsArgs {}

/// A metric, for programs.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    r#type: &'static str,
    unit: &'static str,
    told_by: &'static str,
    help: &'static str,
}

/// Runs `metrics`.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(_: &MetricsArgs, global: &Global) -> anyhow::Result<()> {
    if global.json {
        let listed = GROUPS.iter().flat_map(|group| {
            group.metrics.iter().map(|metric| Listed {
                name: metric.name,
                r#type: metric.kind.name(),
                unit: metric.unit(),
                told_by: group.title,
                help: metric.help,
            })
        });
        return Ok(table::print_json(&listed.collect::<Vec<_>>())?);
    }
    for group in GROUPS {
        outln!("{}", group.title)?;
        let mut rows = table::wrapped(&["metric", "type", "unit", "what it says"]);
        for metric in group.metrics {
            rows.add_row([metric.name, metric.kind.name(), metric.unit(), metric.help]);
        }
        table::print(&rows)?;
    }
    Ok(())
}
