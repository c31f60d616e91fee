//! Statements of operators about people: an erasure, an unlink. Each is an ordinary native record.

use serde_json::{Map, Value};
use tributary_ingest::limits::IDENTIFIERS_MAX;
use tributary_ingest::{Decoded, TRUST_FIELD, Trust};
use tributary_pipeline::explain::parse_identifier;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::now_ms;
use tributary_proto::{Event, Identifier, Source, kind};
use tributary_runtime::topic::Topic;

use crate::outcome::Usage;
use crate::sink::{self, RawSink, SinkError};

/// A statement, ready to be sent.
#[derive(Debug)]
pub struct Statement {
    record: String,
    /// The event that ingest will make of it.
    pub event: Event,
}

/// A statement of this kind about identifiers, as of a time (RFC 3339, or local in `ingest.time_zone`; default: now).
///
/// # Errors
/// When an identifier or the time cannot be read, or ingest would refuse it. The text never contains a value.
pub fn statement(kind: &str, about: &[String], at: Option<&str>, pipeline: &Pipeline) -> anyhow::Result<Statement> {
    let mut fields: Map<String, Value> = Map::new();
    for text in about {
        let identifier = parse_identifier(text, pipeline).map_err(|error| Usage(error.to_string()))?;
        let (field, value) = field_of(&identifier);
        match fields.entry(field).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(values) => values.push(value.into()),
            other => *other = value.into(),
        }
    }
    fields.insert("kind".into(), kind.into());
    // Whoever can write to this topic has a secret, whatever the default trust of the topic is.
    fields.insert(TRUST_FIELD.into(), Trust::Trusted.name().into());
    fields.insert("timestamp".into(), at.map_or_else(now, str::to_owned).into());
    let record = Value::Object(fields).to_string();
    let mut decoded = Decoded::default();
    let read = pipeline.decoder().decode(Source::Offline, record.as_bytes(), Some(now_ms()), &mut decoded);
    let rejection = read.err().or_else(|| decoded.rejections.pop());
    if let Some(rejection) = rejection {
        return Err(Usage(rejection.detail).into());
    }
    let event = decoded.events.pop().ok_or_else(|| Usage("that names no identifier".into()))?;
    Ok(Statement { record, event })
}

/// Erasures of any number of identifiers: as many statements as needed, because a record has one field per kind. All are checked before any
/// is returned.
///
/// # Errors
/// As [`statement`].
pub fn erasures(about: &[String], at: Option<&str>, pipeline: &Pipeline) -> anyhow::Result<Vec<Statement>> {
    let at = at.map_or_else(now, str::to_owned);
    about.chunks(IDENTIFIERS_MAX).map(|part| statement("erase", part, Some(&at), pipeline)).collect()
}

impl Statement {
    /// Sends it to the offline topic.
    ///
    /// # Errors
    /// When it cannot be delivered.
    pub fn send(&self, settings: &Settings) -> anyhow::Result<()> {
        let mut sink = sink::open(settings)?;
        self.send_to(&mut *sink)?;
        Ok(sink.flush()?)
    }

    /// Sends it to an open sink, without a flush.
    ///
    /// # Errors
    /// When it is refused.
    pub fn send_to(&self, sink: &mut dyn RawSink) -> Result<(), SinkError> {
        sink.send(Topic::Offline, &[], self.record.as_bytes(), now_ms())
    }
}

/// The field of the native record for an identifier, and its value there.
fn field_of(identifier: &Identifier) -> (String, String) {
    let Identifier { kind: of, scope, value } = identifier;
    let field = if of == kind::CRM_ACCOUNT { "account" } else { of };
    (field.to_string(), if scope.is_empty() { value.to_string() } else { format!("{scope}:{value}") })
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
