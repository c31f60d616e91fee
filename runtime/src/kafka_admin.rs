//! Admin requests to the brokers: listing topics, and creating missing ones.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use crate::config::kafka::KafkaSettings;
use crate::kafka::{ConnectionErrors, explain};
use crate::topics_plan::{FoundTopic, TopicSpec};

/// Time between checks whether new topics are listed.
const SHOWN_WAIT: Duration = Duration::from_millis(100);

/// Why a request to the brokers failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The client refused its configuration.
    #[error("the Kafka client cannot be configured: {0}; see [kafka] in the configuration")]
    Configure(#[source] KafkaError),
    /// No broker answered.
    #[error("no answer from the brokers at {brokers}: {why}; check kafka.brokers and [kafka.security]")]
    Unreachable {
        /// The bootstrap brokers.
        brokers: String,
        /// The error of the client.
        why: String,
    },
    /// This login may not even list topics.
    #[error("this login may not describe topic {0}: grant it Describe, Read and Write on the topics and Read on the groups")]
    Forbidden(String),
    /// The brokers refused to describe or create topics.
    #[error("the brokers refused: {0}; check the rights of this login")]
    Refused(#[source] KafkaError),
    /// A topic could not be created.
    #[error("topic {name} could not be created: {code}")]
    Create {
        /// Its name.
        name: String,
        /// The error of the broker.
        code: RDKafkaErrorCode,
    },
    /// A topic was created, but the brokers do not list it yet.
    #[error("topic {0} was created, but the brokers do not show it yet; look again with `tributary topics plan`")]
    NotShown(String),
    /// A number does not fit Kafka's protocol.
    #[error("topic {name}: {partitions} partitions with {replication_factor} replicas are more than Kafka can have")]
    TooMany {
        /// Its name.
        name: String,
        /// Wanted partitions.
        partitions: u32,
        /// Wanted replicas.
        replication_factor: u32,
    },
}

/// A connection for administration.
pub struct KafkaAdmin {
    client: AdminClient<DefaultClientContext>,
    /// For metadata: unlike that of the admin client, its log can be read.
    asker: BaseConsumer<ConnectionErrors>,
    brokers: String,
    timeout: Duration,
}

/// The brokers that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// How many brokers there are.
    pub brokers: usize,
    /// Partitions and replicas of every topic, by name.
    pub topics: BTreeMap<String, FoundTopic>,
}

impl KafkaAdmin {
    /// A client for the brokers in the settings. Nothing is sent yet; each later call has this `timeout`.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(settings: &KafkaSettings, timeout: Duration) -> Result<Self, AdminError> {
        let config: ClientConfig = settings.properties().into_iter().collect();
        let client = config.create().map_err(AdminError::Configure)?;
        let asker = config.create_with_context(ConnectionErrors::of(&config)).map_err(AdminError::Configure)?;
        Ok(Self { client, asker, brokers: settings.brokers.clone(), timeout })
    }

    /// Requests the brokers and topics.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn cluster(&self) -> Result<Cluster, AdminError> {
        let metadata = self.asker.fetch_metadata(None, self.timeout).map_err(|error| self.unreachable(&error))?;
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let found = metadata.topics().iter().map(|topic| {
            let replicas = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
            let found = FoundTopic {
                partitions: count(topic.partitions().len()),
                replication_factor: count(replicas),
                config: BTreeMap::new(),
            };
            (topic.name().to_owned(), found)
        });
        Ok(Cluster { brokers: metadata.brokers().len(), topics: found.collect() })
    }

    /// The topics among `names` that exist, with their settings.
    ///
    /// Those of `names` that exist, with their settings.
    /// When no broker answers, or it refuses to describe topics.
    pub async fn find(&self, names: &[String]) -> Result<BTreeMap<String, FoundTopic>, AdminError> {
        let mut found = self.cluster()?.topics;
        found.retain(|name, _| names.contains(name));
        self.check_rights(names.iter().find(|name| !found.contains_key(*name)))?;
        let resources: Vec<_> = found.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        if resources.is_empty() {
            return Ok(found);
        }
        let described = self.client.describe_configs(&resources, &self.options()).await.map_err(AdminError::Refused)?;
        let mut configs: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for resource in described {
            let resource = resource.map_err(|code| AdminError::Refused(KafkaError::AdminOp(code)))?;
            if let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = resource.specifier {
                let entries = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
                configs.insert(name, entries.collect());
            }
        }
        for (name, topic) in &mut found {
            topic.config = configs.remove(name).unwrap_or_default();
        }
        Ok(found)
    }

    /// A topic that is not listed may exist without being visible to this login.
    fn check_rights(&self, missing: Option<&String>) -> Result<(), AdminError> {
        let Some(name) = missing else { return Ok(()) };
        let asked = self.asker.fetch_metadata(Some(name), self.timeout);
        let metadata = asked.map_err(|error| self.unreachable(&error))?;
        let forbidden = Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        if metadata.topics().iter().any(|topic| topic.error() == forbidden) {
            return Err(AdminError::Forbidden(name.clone()));
        }
        Ok(())
    }

    fn unreachable(&self, error: &KafkaError) -> AdminError {
        let why = explain(&self.asker, self.asker.context(), error);
        AdminError::Unreachable { brokers: self.brokers.clone(), why }
    }

    /// Creates topics, and waits until the brokers list them. A topic that exists meanwhile is left unchanged.
    ///
    /// # Errors
    /// The first topic that could not be created; the others were tried.
    pub async fn create(&self, specs: &[&TopicSpec]) -> Result<(), AdminError> {
        let topics = specs.iter().map(|spec| new_topic(spec)).collect::<Result<Vec<_>, _>>()?;
        if topics.is_empty() {
            return Ok(());
        }
        let results = self.client.create_topics(&topics, &self.options()).await.map_err(AdminError::Refused)?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(AdminError::Create { name, code }),
            }
        }
        self.await_topics(specs).await
    }

    /// The controller answers before all brokers know the topics.
    async fn await_topics(&self, specs: &[&TopicSpec]) -> Result<(), AdminError> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        loop {
            let shown = self.cluster()?.topics;
            match specs.iter().find(|spec| !shown.contains_key(&spec.name)) {
                None => return Ok(()),
                Some(spec) if tokio::time::Instant::now() >= deadline => return Err(AdminError::NotShown(spec.name.clone())),
                Some(_) => tokio::time::sleep(SHOWN_WAIT).await,
            }
        }
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(self.timeout)).request_timeout(Some(self.timeout))
    }
}

fn new_topic(spec: &TopicSpec) -> Result<NewTopic<'_>, AdminError> {
    match (i32::try_from(spec.partitions), i32::try_from(spec.replication_factor)) {
        (Ok(partitions), Ok(replicas)) => {
            let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(replicas));
            Ok(spec.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value)))
        }
        _ => Err(AdminError::TooMany {
            name: spec.name.clone(),
            partitions: spec.partitions,
            replication_factor: spec.replication_factor,
        }),
    }
}
