//! `tributary check`: checks whether the service can run here.

mod plans;
mod ports;
mod stages;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use console::{Style, pad_str};
use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::embedded::{EmbeddedError, EmbeddedLog};
use tributary_runtime::kafka_admin::{AdminError, Cluster, KafkaAdmin};
use tributary_runtime::topics_plan::{PlannedTopic, Verdict};

use self::ports::Port;
use super::topics;
use crate::global::Global;
use crate::modes::open_to_others;
use crate::outcome::verdict;
use crate::visible::Visible;
use crate::{descriptors, logging, stdout, table};

const AFTER_HELP: &str = "\
Checks the configuration first (exit code 2 if it is invalid), then whether brokers answer, topics are as they should be, the state
folder can be written to, the limit of open files suffices and the addresses can be listened on (exit code 1). Resources in use by a
running service with the same configuration are fine; for a running service it also shows the CRM stages without a rule. For new
settings it shows what they would recompute: new, changed and removed models, the number of units and milestones, and the settings that
differ from the current ones. It also shows whether they would be refused, as former settings or because they need older touches
than those stored.

Example, and what a changed configuration would do before it is started:
  tributary check --config tributary.toml
  tributary check --config next.toml --json";

/// The arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CheckArgs {
    /// How long to wait for the brokers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    timeout: u32,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Checked {
    what: &'static str,
    ok: bool,
    detail: String,
    /// The check of the settings against those in force.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    plan: Option<plans::Verdict>,
}

impl Checked {
    fn new(what: &'static str, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        Self { what, ok, detail: result.unwrap_or_else(|problem| problem), plan: None }
    }
}

/// Runs `check`.
///
/// # Errors
/// When the configuration is invalid, or a check has failed.
pub fn run(args: &CheckArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let mut checked = vec![Checked::new("configuration", Ok(layers(global)))];
    let ports = Ports::look(&settings);
    if settings.kafka.is_embedded() {
        checked.push(Checked::new("log", check_log(&settings, ports.running())));
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        checked.extend(runtime.block_on(check_kafka(&settings, Duration::from_secs(args.timeout.into()))));
    }
    if checked.iter().all(|checked| checked.ok) {
        checked.extend(plans::check(&settings));
    }
    checked.push(Checked::new("state folder", check_folder(&settings.state.folder_of_process())));
    checked.push(Checked::new("open files", descriptors::tell(&settings)));
    checked.extend(ports.check(&settings));
    let running = matches!(ports.metrics, Port::Own(_)).then(|| ports::metrics(settings.http.listen));
    if let Some(metrics) = &running {
        checked.push(Checked::new("stages", Ok(stages::tell(metrics))));
    }
    checked.extend(check_currency(&settings, running.as_deref()).map(|told| Checked::new("currency", told)));
    verdict(checked.iter().all(|checked| checked.ok), print(&checked, global).map_err(Into::into))
}

/// What listens on the addresses in the settings.
struct Ports {
    metrics: Port,
    probes: Option<Port>,
    /// `None` on the embedded log, which needs no such listener.
    admin: Option<Port>,
    /// `None` without write keys and webhooks: then no collector runs.
    collector: Option<Port>,
}

impl Ports {
    fn look(settings: &Settings) -> Self {
        let service = settings.service_name();
        let collector = &settings.collector;
        Self {
            metrics: Port::look(settings.http.listen, &service),
            probes: settings.http.probes.map(|address| Port::look(address, &service)),
            admin: (!settings.kafka.is_embedded()).then(|| Port::look(settings.admin.listen, &service).named_alone()),
            collector: settings.collects().then(|| Port::look(collector.listen, &service)),
        }
    }

    /// Whether the service is running, as far as can be seen.
    fn running(&self) -> bool {
        let ports = [Some(&self.metrics), self.probes.as_ref(), self.admin.as_ref(), self.collector.as_ref()];
        ports.into_iter().flatten().any(|port| matches!(port, Port::Own(_)))
    }

    fn check(&self, settings: &Settings) -> Vec<Checked> {
        let collector = &settings.collector;
        let collects = match &self.collector {
            None => Ok("not used: there are no write keys and no webhooks".to_owned()),
            Some(port) => port.tell(collector.listen, "collector.listen").map(|told| {
                format!("{told}; write keys: {}, webhooks: {}", collector.write_keys.len(), collector.webhooks.len())
            }),
        };
        let mut checked = vec![Checked::new("metrics", self.metrics.tell(settings.http.listen, "http.listen"))];
        if let (Some(port), Some(address)) = (&self.probes, settings.http.probes) {
            checked.push(Checked::new("probes", port.tell(address, "http.probes")));
        }
        if let Some(port) = &self.admin {
            checked.push(Checked::new("admin", port.tell(settings.admin.listen, "admin.listen")));
        }
        checked.push(Checked::new("collector", collects));
        checked
    }
}

/// The known rates to the reporting currency, and whether the running service misses any; `None` without a reporting currency.
fn check_currency(settings: &Settings, metrics: Option<&str>) -> Option<Result<String, String>> {
    let pipeline = Pipeline::compile(settings).ok()?;
    let rates = pipeline.plan().rates.as_ref()?;
    let known: Vec<String> = rates.known().map(|(of, from, to)| format!("{of} {from} to {to}")).collect();
    let name = tributary_attributor::metrics::RATES_MISSING.name;
    let lines = metrics.into_iter().flat_map(str::lines).filter(|line| line.starts_with(name));
    let missed: f64 = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    let told = format!("all credit is also in {}; rates: {}", rates.reporting(), known.join(", "));
    if missed > 0.0 {
        return Some(Err(format!(
            "{told}; {missed} times a milestone had no rate of its day: add it to {}",
            settings.currency.rates
        )));
    }
    Some(Ok(told))
}

/// Checks that the embedded log can be opened: no other process has it, and it has this number of partitions.
fn check_log(settings: &Settings, running: bool) -> Result<String, String> {
    let path = settings.state.folder_of_log();
    if !EmbeddedLog::is_in(&path) {
        return Ok("embedded: kafka.brokers is empty; it will be created".to_owned());
    }
    let held = EmbeddedLog::is_held(&path).map_err(|error| format!("{} cannot be looked at: {error}", path.display()))?;
    if held && !running {
        return Err(EmbeddedError::InUse { path }.to_string());
    }
    let found = EmbeddedLog::open_read_only(&path).map_err(|error| error.to_string())?.partitions();
    let wanted = settings.topics.partitions;
    if found != wanted {
        return Err(EmbeddedError::Partitions { path, found, wanted }.to_string());
    }
    let whose = if held { "in use by this service, which is running" } else { "present, not in use" };
    Ok(format!("embedded: {whose}"))
}

fn layers(global: &Global) -> String {
    match &global.config[..] {
        [] => "no file: built-in defaults, environment and flags".to_owned(),
        files => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

async fn check_kafka(settings: &Settings, timeout: Duration) -> Vec<Checked> {
    let cluster = KafkaAdmin::new(&settings.kafka, timeout).and_then(|admin| admin.cluster().map(|cluster| (admin, cluster)));
    let (admin, Cluster { brokers, .. }) = match cluster {
        Ok(found) => found,
        Err(error) => return vec![Checked::new("brokers", Err(error.to_string()))],
    };
    let answered = Checked::new("brokers", Ok(format!("{brokers} at {}", settings.kafka.brokers)));
    vec![answered, Checked::new("topics", check_topics(topics::find(&admin, settings).await))]
}

fn check_topics(planned: Result<Vec<PlannedTopic>, AdminError>) -> Result<String, String> {
    let planned = planned.map_err(|error| error.to_string())?;
    let names = |verdict| {
        let matching = planned.iter().filter(|topic| topic.verdict == verdict).map(|topic| topic.spec.name.as_str());
        matching.collect::<Vec<_>>().join(", ")
    };
    let (missing, wrong, differing) = (names(Verdict::Missing), names(Verdict::Wrong), names(Verdict::Differs));
    if !wrong.is_empty() {
        return Err(format!("not usable: {wrong} (`tributary topics plan` shows why)"));
    }
    if !missing.is_empty() {
        return Err(format!("missing: {missing} (`tributary topics create` makes them)"));
    }
    let note = if differing.is_empty() { String::new() } else { format!("; different, and usable: {differing}") };
    Ok(format!("all {} there{note}", planned.len()))
}

/// Checks that the folder, or the nearest existing one above it, can be written to.
fn check_folder(folder: &Path) -> Result<String, String> {
    let existing = folder.ancestors().find(|path| path.is_dir()).unwrap_or_else(|| Path::new("."));
    let probe = existing.join(format!(".tributary-check-{}", std::process::id()));
    let written = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    match written {
        Ok(()) if existing == folder => {
            let open: Vec<String> = open_to_others(folder).iter().map(|folder| folder.display().to_string()).collect();
            let note = match open.is_empty() {
                true => String::new(),
                false => format!("; open to other users, until it is next opened: {}", open.join(", ")),
            };
            Ok(format!("{} can be written{note}", folder.display()))
        }
        Ok(()) => Ok(format!("{} will be made", folder.display())),
        Err(error) => Err(format!("{} cannot be written: {error}; set state.path", folder.display())),
    }
}

fn print(checked: &[Checked], global: &Global) -> io::Result<()> {
    if global.json {
        return table::print_json(&checked);
    }
    // The colours come from this program.
    let mut out = Visible::styled(stdout::out());
    let coloured = stdout::is_terminal();
    for Checked { what, ok, detail, .. } in checked {
        let (mark, style) = if *ok { ("ok", Style::new().green()) } else { ("FAILED", Style::new().red().bold()) };
        let mark = style.force_styling(coloured).apply_to(pad_str(mark, 6, console::Alignment::Left, None));
        writeln!(out, "{mark}  {}  {detail}", pad_str(what, 13, console::Alignment::Left, None))?;
    }
    for table in checked.iter().filter_map(|checked| checked.plan.as_ref()?.table()) {
        writeln!(out, "{table}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_only_looked_at_where_somebody_may_send() {
        let mut settings = Settings::default();
        settings.http.listen = "127.0.0.1:0".parse().unwrap();
        settings.collector.listen = "127.0.0.1:0".parse().unwrap();
        let told = |settings: &Settings| Ports::look(settings).check(settings).pop().unwrap().detail;
        assert!(told(&settings).starts_with("not used"));
        settings.collector.webhooks.insert("hubspot".into(), Default::default());
        assert_eq!(told(&settings), "127.0.0.1:0 is free; write keys: 0, webhooks: 1");
    }

    #[test]
    fn a_folder_that_can_be_made_is_fine_and_one_below_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_folder(folder.path()).unwrap().contains("can be written"));
        assert!(check_folder(&folder.path().join("a/b")).unwrap().ends_with("will be made"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
