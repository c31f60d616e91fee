//! `tributary check`: would it run here?

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use console::{Style, pad_str};
use serde::Serialize;
use tributary_runtime::kafka_admin::{AdminError, Cluster, KafkaAdmin};
use tributary_runtime::topics_plan::{PlannedTopic, Verdict};

use super::topics;
use crate::args::Global;
use crate::outcome::NotWell;
use crate::settings::Settings;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Checks the configuration first (exit code 2 when it is at fault), then whether brokers answer, topics are as they should be, the
state folder can be written and the addresses can be listened on (exit code 1). Beside a running service those are in use.

Example:
  tributary check --config tributary.toml";

/// The arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CheckArgs {
    /// How long to wait for the brokers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    timeout: u32,
}

/// A thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Checked {
    what: &'static str,
    ok: bool,
    detail: String,
}

impl Checked {
    fn new(what: &'static str, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        Self { what, ok, detail: result.unwrap_or_else(|problem| problem) }
    }
}

/// Runs `check`.
///
/// # Errors
/// When the configuration is at fault, or something is not well.
pub fn run(args: &CheckArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let mut checked = vec![Checked::new("configuration", Ok(layers(global)))];
    if settings.kafka.is_embedded() {
        checked.push(Checked::new("log", Ok("embedded: kafka.brokers is empty".into())));
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        checked.extend(runtime.block_on(check_kafka(&settings, Duration::from_secs(args.timeout.into()))));
    }
    checked.push(Checked::new("state folder", check_folder(&settings.state.folder_of_process())));
    checked.push(Checked::new("metrics", check_address(settings.http.listen, "http.listen")));
    checked.push(Checked::new("collector", check_collector(&settings.collector)));
    print(&checked, global)?;
    if checked.iter().all(|checked| checked.ok) { Ok(()) } else { Err(NotWell.into()) }
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

/// Whether the folder, or the nearest one above it that exists, can be written.
fn check_folder(folder: &Path) -> Result<String, String> {
    let existing = folder.ancestors().find(|path| path.is_dir()).unwrap_or_else(|| Path::new("."));
    let probe = existing.join(format!(".tributary-check-{}", std::process::id()));
    let written = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    match written {
        Ok(()) if existing == folder => Ok(format!("{} can be written", folder.display())),
        Ok(()) => Ok(format!("{} will be made", folder.display())),
        Err(error) => Err(format!("{} cannot be written: {error}; set state.path", folder.display())),
    }
}

/// Who may send, and whether the address is free. A service without a collector needs neither.
fn check_collector(collector: &tributary_collect::Settings) -> Result<String, String> {
    let (keys, webhooks) = (collector.write_keys.len(), collector.webhooks.len());
    if keys + webhooks == 0 {
        return Ok("not used: there are no write keys and no webhooks".to_owned());
    }
    let address = check_address(collector.listen, "collector.listen")?;
    Ok(format!("{address}; write keys: {keys}, webhooks: {webhooks}"))
}

fn check_address(address: SocketAddr, setting: &str) -> Result<String, String> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) => Err(format!("{address} cannot be listened on: {error}; set {setting}")),
    }
}

fn print(checked: &[Checked], global: &Global) -> io::Result<()> {
    if global.json {
        return table::print_json(&checked);
    }
    let mut out = io::stdout().lock();
    let coloured = out.is_terminal();
    for Checked { what, ok, detail } in checked {
        let (mark, style) = if *ok { ("ok", Style::new().green()) } else { ("FAILED", Style::new().red().bold()) };
        let mark = style.force_styling(coloured).apply_to(pad_str(mark, 6, console::Alignment::Left, None));
        writeln!(out, "{mark}  {}  {detail}", pad_str(what, 13, console::Alignment::Left, None))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_free_or_in_use() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let problem = check_address(taken.local_addr().unwrap(), "http.listen").unwrap_err();
        assert!(problem.ends_with("set http.listen"), "{problem}");
        assert!(check_address("127.0.0.1:0".parse().unwrap(), "http.listen").is_ok());
    }

    #[test]
    fn a_collector_is_only_looked_at_where_somebody_may_send() {
        let mut collector = tributary_collect::Settings { listen: "127.0.0.1:0".parse().unwrap(), ..Default::default() };
        assert!(check_collector(&collector).unwrap().starts_with("not used"));
        collector.webhooks.insert("hubspot".into(), Default::default());
        assert_eq!(check_collector(&collector).unwrap(), "127.0.0.1:0 is free; write keys: 0, webhooks: 1");
    }

    #[test]
    fn a_folder_that_can_be_made_is_fine_and_one_below_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_folder(folder.path()).unwrap().ends_with("can be written"));
        assert!(check_folder(&folder.path().join("a/b")).unwrap().ends_with("will be made"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
