//! Discovery: which processes exist, and the address of each.
//!
//! Every process is a member of an additional consumer group, `{group_prefix}-processes`, which reads nothing. The client id,
//! `instance@address`, can be read in the group's description. A dead member disappears with its session. The groups of the stages cannot
//! carry the address: their members are static, and the broker keeps the client id that a static member had when it first joined, even for
//! the process that replaces it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use super::options::{KafkaOptions, RefusedSetting, group_name};
use crate::topic::Topic;

/// The group's name after the prefix.
const PROCESSES: &str = "processes";
/// A process without a heartbeat for longer is no longer listed, milliseconds.
const SESSION_MS: &str = "10000";
/// How often the stop flag is checked.
const LOOK: Duration = Duration::from_millis(100);

/// Why a process cannot be listed in the group.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// A setting of the client is refused.
    #[error(transparent)]
    Setting(#[from] RefusedSetting),
    /// The client refused its configuration.
    #[error("the Kafka consumer of the group of processes cannot be configured: {0}; see [kafka]")]
    Configure(#[from] KafkaError),
    /// The thread could not be started.
    #[error("no thread for the group of processes: {0}")]
    Thread(#[from] std::io::Error),
}

/// A process and the address of its admin listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// `kafka.instance`.
    pub instance: String,
    /// The address of its admin listener.
    pub address: String,
}

/// Lists this process in the group until `stop` is set.
///
/// # Errors
/// When the client refuses its configuration, or the thread cannot be started. Unreachable brokers are retried for ever.
pub fn announce(options: &KafkaOptions, address: &str, stop: Arc<AtomicBool>) -> Result<(), PresenceError> {
    let mut config = ClientConfig::new();
    for (key, value) in options.client_settings()? {
        config.set(key, value);
    }
    config
        .set("bootstrap.servers", &options.brokers)
        .set("client.id", format!("{}@{address}", options.instance))
        .set("group.id", group_name(&options.group_prefix, PROCESSES))
        .set("session.timeout.ms", SESSION_MS)
        .set("enable.auto.commit", "false")
        .set("enable.metrics.push", "false")
        .set("allow.auto.create.topics", "false");
    let topic = options.topics.of(Topic::IdentityInbox).to_owned();
    let consumer: BaseConsumer<ReadsNothing> = config.create_with_context(ReadsNothing)?;
    consumer.subscribe(&[topic.as_str()])?;
    std::thread::Builder::new().name("presence".into()).spawn(move || {
        let mut told = false;
        while !stop.load(Ordering::Relaxed) {
            if let Some(Err(error)) = consumer.poll(LOOK) {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(%error, "this process has not joined the group of processes yet: other processes cannot query it");
                }
                tracing::debug!(%error, "group of processes");
            }
        }
    })?;
    Ok(())
}

/// A member that takes no partitions.
struct ReadsNothing;

impl ClientContext for ReadsNothing {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // Connection errors are reported by the sessions.
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "group of processes");
    }
}

impl ConsumerContext for ReadsNothing {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, _: &mut TopicPartitionList) {
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => consumer.assign(&TopicPartitionList::new()),
            _ => consumer.unassign(),
        };
        if let Err(error) = done {
            tracing::debug!(%error, "group of processes");
        }
    }
}

/// The processes that are members of the group now. One that has just died may still be listed.
///
/// # Errors
/// When the brokers do not answer.
pub fn processes<C: ConsumerContext>(asker: &BaseConsumer<C>, group_prefix: &str, wait: Duration) -> KafkaResult<Vec<Process>> {
    let groups = asker.fetch_group_list(Some(&group_name(group_prefix, PROCESSES)), wait)?;
    let members = groups.groups().iter().flat_map(|group| group.members());
    let mut found: Vec<Process> = members.filter_map(|member| process(member.client_id())).collect();
    found.sort_unstable_by(|a, b| (&a.instance, &a.address).cmp(&(&b.instance, &b.address)));
    found.dedup();
    Ok(found)
}

fn process(client_id: &str) -> Option<Process> {
    let (instance, address) = client_id.rsplit_once('@')?;
    Some(Process { instance: instance.to_owned(), address: address.to_owned() })
}

/// Which instance owns each partition of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// Whether the group is stable: no members are joining or leaving.
    pub settled: bool,
    /// Instances by partition.
    pub of: BTreeMap<u32, String>,
}

/// Which instance the group of a stage has assigned each partition of `topic`.
///
/// # Errors
/// When the brokers do not answer.
pub fn owners<C: ConsumerContext>(
    asker: &BaseConsumer<C>,
    group_prefix: &str,
    (stage, topic): (&str, &str),
    wait: Duration,
) -> KafkaResult<Owners> {
    let group = group_name(group_prefix, stage);
    let groups = asker.fetch_group_list(Some(&group), wait)?;
    let settled = groups.groups().iter().all(|group| matches!(group.state(), "Stable" | "Empty" | "Dead"));
    let mut owners = Owners { settled, of: BTreeMap::new() };
    for member in groups.groups().iter().flat_map(|group| group.members()) {
        let Some(instance) = instance_of(member.client_id(), &group) else { continue };
        for partition in assigned(member.assignment().unwrap_or_default(), topic).unwrap_or_default() {
            owners.of.insert(partition, instance.to_owned());
        }
    }
    Ok(owners)
}

/// The instance in the client id of a worker: see [`KafkaOptions`].
fn instance_of<'a>(client_id: &'a str, group: &str) -> Option<&'a str> {
    let rest = client_id.strip_prefix(group)?.strip_prefix('-')?;
    Some(rest.rsplit_once('-')?.0)
}

/// The partitions of a topic in the assignment of a member. Its format (big-endian): version (2 bytes), number of topics (4); for each
/// topic the length of its name (2), the name, the number of partitions (4), and the partitions (4 each).
///
/// Source: `ConsumerProtocolAssignment.json` of Apache Kafka.
fn assigned(mut bytes: &[u8], topic: &str) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    take::<2>(&mut bytes)?;
    for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
        let length = usize::try_from(i16::from_be_bytes(take(&mut bytes)?)).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        for _ in 0..i32::from_be_bytes(take(&mut bytes)?) {
            let partition = u32::try_from(i32::from_be_bytes(take(&mut bytes)?)).ok()?;
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let expected = Process { instance: "tributary-0@a".into(), address: "10.0.0.7:9465".into() };
        assert_eq!(process("tributary-0@a@10.0.0.7:9465"), Some(expected));
        assert_eq!(process("rdkafka"), None);
        assert_eq!(instance_of("p-identity-host-a-3", "p-identity"), Some("host-a"));
        assert_eq!(instance_of("other", "p-identity"), None);
    }

    #[test]
    fn an_assignment_is_read_and_half_of_one_is_not() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (name, partitions) in [("a", &[7u8][..]), ("b.c", &[0, 3])] {
            bytes.extend([0, name.len() as u8]);
            bytes.extend(name.bytes());
            bytes.extend([0, 0, 0, partitions.len() as u8]);
            partitions.iter().for_each(|partition| bytes.extend([0, 0, 0, *partition]));
        }
        bytes.extend([0xff; 4]);
        assert_eq!(assigned(&bytes, "b.c"), Some(vec![0, 3]));
        assert_eq!(assigned(&bytes, "a"), Some(vec![7]));
        assert_eq!(assigned(&bytes, "c"), Some(Vec::new()));
        for length in 0..bytes.len() - 4 {
            assert_eq!(assigned(&bytes[..length], "a"), None, "{length}");
        }
    }
}
