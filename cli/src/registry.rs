//! The Schema Registry: the schemas of framed topics are registered when a service starts.

use std::time::Duration;

use anyhow::Context;
use schema_registry_converter::blocking::schema_registry::{SrSettings, get_schema_by_subject};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SubjectNameStrategy, SuppliedSchema};
use tributary_pipeline::settings::Settings;
use tributary_runtime::config::settings::{Framing as Setting, RegistrySettings};
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::framing::{Framing, can_be_framed};
use tributary_runtime::topic::schema;

/// The framing of each topic's rows, by these settings: registers every schema that the registry does not have yet.
///
/// # Errors
/// When the registry cannot be reached, or refuses a schema.
pub fn framing(settings: &Settings) -> anyhow::Result<Framing> {
    let mut framing = Framing::default();
    if settings.topics.framing == Setting::Plain || settings.kafka.is_embedded() {
        return Ok(framing);
    }
    let client = client(&settings.topics.registry).context("topics.registry: the client cannot be configured")?;
    for topic in Topic::ALL.into_iter().filter(|topic| can_be_framed(*topic)) {
        let (name, json) = (settings.topics.name(topic), settings.worker.formats.is_json(topic));
        let id =
            register(&client, topic, &name, json).map_err(|error| explained(&error, &settings.topics.registry.url, &name))?;
        framing.set(topic, id, json);
    }
    tracing::info!(registry = settings.topics.registry.url, "the schemas of the outputs are registered");
    Ok(framing)
}

fn client(settings: &RegistrySettings) -> Result<SrSettings, SRCError> {
    let mut urls = settings.urls().map(|url| url.trim_end_matches('/').to_owned());
    let mut builder = SrSettings::new_builder(urls.next().unwrap_or_default());
    for url in urls {
        builder.add_url(url);
    }
    if !settings.username.is_empty() {
        let password = Some(settings.password.expose()).filter(|password| !password.is_empty());
        builder.set_basic_authorization(&settings.username, password);
    }
    builder.set_timeout(Duration::from_millis(settings.timeout_ms.into())).build()
}

/// Registers a topic's schema under the subject `TOPIC-value`, and returns its id.
fn register(client: &SrSettings, topic: Topic, name: &str, json: bool) -> Result<u32, SRCError> {
    let Some(schema) = schema::of(topic, json) else {
        return Err(SRCError::new("the topic has no rows", None, false));
    };
    let kind = if schema.is_json { SchemaType::Json } else { SchemaType::Protobuf };
    let supplied = SuppliedSchema::new(Some(schema.name), kind, schema.text);
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema(name.to_owned(), false, supplied);
    Ok(get_schema_by_subject(client, &strategy)?.id)
}

/// The error, and what to do.
fn explained(error: &SRCError, url: &str, topic: &str) -> anyhow::Error {
    let cause = error.cause.as_deref().unwrap_or(&error.error);
    anyhow::anyhow!(
        "the schema of {topic} cannot be registered at {url} (topics.registry): {cause}; start again when the registry answers, or set \
         topics.framing = \"plain\""
    )
}
