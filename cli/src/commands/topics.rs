//! `tributary topics`: shows missing or different topics, and creates missing ones.

use std::time::Duration;

use clap::{Args, Subcommand};
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use tributary_pipeline::settings::Settings;
use tributary_runtime::kafka::{ConnectionErrors, group_name, spread_of};
use tributary_runtime::kafka_admin::{AdminError, KafkaAdmin};
use tributary_runtime::topic::Topic;
use tributary_runtime::topics_plan::{PlannedTopic, Verdict, plan, wanted};

use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::source::METADATA_TIMEOUT;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Existing topics are never changed: differences are only shown, and their owner decides.

Example:
  tributary topics plan --set kafka.brokers=localhost:9092
  tributary topics create --set kafka.brokers=localhost:9092 --set topics.partitions=12 --set topics.replication_factor=3";

/// The arguments of `topics`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TopicsArgs {
    #[command(subcommand)]
    action: Action,
    /// How long to wait for the brokers, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, global = true, value_parser = clap::value_parser!(u32).range(1..=600))]
    timeout: u32,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Action {
    /// Show what is missing or different
    #[command(after_help = "Example:\n  tributary topics plan --set kafka.brokers=localhost:9092 --json")]
    Plan,
    /// Create what is missing
    #[command(after_help = "Example:\n  tributary topics create --set kafka.brokers=localhost:9092 --set topics.partitions=12")]
    Create,
}

/// Runs `topics`.
///
/// # Errors
/// When the brokers do not answer or refuse, or a topic differs so much that the pipeline must not run with it.
pub fn run(args: &TopicsArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    if settings.kafka.is_embedded() {
        return Err(Usage("kafka.brokers is empty: the embedded log needs no topics".into()).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let timeout = Duration::from_secs(args.timeout.into());
    let planned = runtime.block_on(async {
        let admin = KafkaAdmin::new(&settings.kafka, timeout)?;
        let planned = find(&admin, &settings).await?;
        match args.action {
            Action::Plan => Ok(planned),
            Action::Create => create(&admin, &settings, planned).await,
        }
    })?;
    verdict(planned.iter().all(|topic| topic.verdict != Verdict::Wrong), print(&planned, global))
}

/// Compares the existing topics with those that the settings need.
///
/// # Errors
/// When the brokers do not answer.
pub async fn find(admin: &KafkaAdmin, settings: &Settings) -> Result<Vec<PlannedTopic>, AdminError> {
    let wanted = wanted(&settings.topics);
    let names: Vec<String> = wanted.iter().map(|spec| spec.name.clone()).collect();
    let found = admin.find(&names).await?;
    let spread = Topic::inboxes().filter_map(|(inbox, reader)| {
        let partitions = found.get(&settings.topics.name(inbox))?.partitions;
        Some((inbox, spread(settings, inbox, reader, partitions)?))
    });
    Ok(plan(wanted, &found, &spread.collect()))
}

/// The number of partitions over which the keys of a processed inbox are spread; `None` also if this login may not read that.
fn spread(settings: &Settings, inbox: Topic, reader: &str, partitions: u32) -> Option<u32> {
    let mut config: ClientConfig = settings.kafka.properties().into_iter().collect();
    config.set("group.id", group_name(&settings.kafka.group_prefix, reader));
    let asker: BaseConsumer<ConnectionErrors> = config.create_with_context(ConnectionErrors::of(&config)).ok()?;
    spread_of(&asker, &settings.topics.name(inbox), partitions, METADATA_TIMEOUT).ok()?
}

async fn create(admin: &KafkaAdmin, settings: &Settings, planned: Vec<PlannedTopic>) -> Result<Vec<PlannedTopic>, AdminError> {
    let missing: Vec<_> = planned.iter().filter(|topic| topic.verdict == Verdict::Missing).map(|topic| &topic.spec).collect();
    admin.create(&missing).await?;
    for spec in missing {
        tracing::info!(topic = spec.name, partitions = spec.partitions, "created");
    }
    find(admin, settings).await
}

fn print(planned: &[PlannedTopic], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(&planned)?);
    }
    let mut rows = table::table(&["topic", "partitions", "cleanup", "retention", "state", "differences (is / should be)"]);
    for topic in planned {
        let config = |key| topic.spec.config.get(key).cloned().unwrap_or_default();
        let differences: Vec<String> =
            topic.differences.iter().map(|one| format!("{}: {} / {}", one.what, one.found, one.wanted)).collect();
        rows.add_row([
            topic.spec.name.clone(),
            topic.spec.partitions.to_string(),
            config("cleanup.policy"),
            retention(&config("retention.ms")),
            state(topic.verdict).to_owned(),
            differences.join("\n"),
        ]);
    }
    Ok(table::print(&rows)?)
}

fn state(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fine => "fine",
        Verdict::Missing => "missing",
        Verdict::Differs => "differs",
        Verdict::Wrong => "WRONG",
    }
}

fn retention(milliseconds: &str) -> String {
    match milliseconds.parse::<i64>() {
        Ok(-1) => "for ever".to_owned(),
        Ok(milliseconds) => format!("{} days", milliseconds / 86_400_000),
        Err(_) => String::new(),
    }
}
