//! `dead-letters accept`: accepts refusals among the records that an input partition holds now.

use std::str::FromStr;

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::embedded::{self, EmbeddedLog};
use tributary_runtime::kafka::{ConnectionErrors, accepted_group};
use tributary_runtime::topic::Topic;

use crate::global::Global;
use crate::outcome::Usage;
use crate::source::{self, METADATA_TIMEOUT};
use crate::stdout::outln;
use crate::table;

/// A partition of an input of a stage, as in `/readyz` and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    stage: StageName,
    topic: Topic,
    partition: u32,
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.split_once('/').and_then(|(name, number)| {
            let named = |topic: &Topic| topic.name() == name;
            let reads = |stage: StageName| stage.log().inputs.iter().copied().find(named).map(|topic| (stage, topic));
            let (stage, topic) = StageName::ALL.into_iter().find_map(reads)?;
            Some(Self { stage, topic, partition: number.parse().ok()? })
        });
        found.ok_or_else(|| {
            "a partition of an input, like offline/0: sdk, utm, webhook, offline or an inbox, and its number".to_owned()
        })
    }
}

/// Accepts the refusal of the records now in the partition, and prints which they are.
///
/// # Errors
/// When there is no such partition, or the log cannot be read or written.
pub(super) fn accept(input: Input, settings: &Settings, global: &Global) -> anyhow::Result<()> {
    let until = if settings.kafka.is_embedded() { accept_embedded(input, settings)? } else { accept_kafka(input, settings)? };
    let known = source::committed(settings, input.stage.log())?;
    let from = known.get(&(input.topic, input.partition)).copied().unwrap_or(0);
    let (topic, partition, records) = (input.topic.name(), input.partition, until.saturating_sub(from));
    if global.json {
        return Ok(table::print_json(
            &json!({"topic": topic, "partition": partition, "from": from, "until": until, "records": records}),
        )?);
    }
    Ok(outln!(
        "{topic}/{partition}: refusals among the {records} records from offset {from} to before {until} are accepted. A running service \
         continues with them within seconds, and so does one that is started later. Refusals after them are counted from 0 again."
    )?)
}

fn no_partition(input: Input, partitions: usize) -> Usage {
    let (name, last) = (input.topic.name(), partitions.saturating_sub(1));
    Usage(format!("{name} has the partitions 0 to {last}, and no {}", input.partition))
}

fn accept_embedded(input: Input, settings: &Settings) -> anyhow::Result<u64> {
    let path = settings.state.folder_of_log();
    let log = EmbeddedLog::open_read_only(&path)?;
    if input.partition >= log.partitions() {
        return Err(no_partition(input, log.partitions() as usize).into());
    }
    let until = log.end(input.topic, input.partition);
    embedded::accept(&path, input.topic, input.partition, until)?;
    Ok(until)
}

/// Stores the end offset in a group without members, where the owner of the partition reads it.
fn accept_kafka(input: Input, settings: &Settings) -> anyhow::Result<u64> {
    let group = accepted_group(&settings.kafka.group_prefix);
    let mut config: ClientConfig = settings.kafka.properties().into_iter().collect();
    config.set("group.id", &group).set("enable.auto.commit", "false").set("allow.auto.create.topics", "false");
    let consumer: BaseConsumer<ConnectionErrors> = config.create_with_context(ConnectionErrors::of(&config))?;
    let name = settings.topics.name(input.topic);
    let partitions = source::ask(&consumer, &name)?.topics().first().map_or(0, |found| found.partitions().len());
    if partitions <= input.partition as usize {
        return Err(no_partition(input, partitions).into());
    }
    let number = i32::try_from(input.partition)?;
    let (_, end) = consumer.fetch_watermarks(&name, number, METADATA_TIMEOUT)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&name, number, Offset::Offset(end))?;
    consumer
        .commit(&list, CommitMode::Sync)
        .with_context(|| format!("the offset cannot be committed for group {group}; grant this login Read on the group"))?;
    Ok(u64::try_from(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_accepted_by_the_name_in_the_message() {
        let read = |text: &str| text.parse::<Input>().map(|input| (input.stage, input.topic, input.partition));
        assert_eq!(read("offline/0"), Ok((StageName::Ingest, Topic::Offline, 0)));
        assert_eq!(read("identity-inbox/11"), Ok((StageName::Identity, Topic::IdentityInbox, 11)));
        for wrong in ["offline", "offline/x", "credits/0", "/0", "offline/-1", "offline/0/1"] {
            assert!(read(wrong).unwrap_err().contains("offline/0"), "{wrong}");
        }
    }
}
