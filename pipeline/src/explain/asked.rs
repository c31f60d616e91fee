//! Parses the identifier in a question, in all accepted forms.

use serde_json::{Map, Value};
use tributary_ingest::Decoded;
use tributary_proto::{Hash128, Identifier, Source, kind};
use tributary_runtime::state::Snapshot;

use super::ExplainError;
use crate::stages::Pipeline;
use crate::time::minute;

/// The end of the error for an identifier in an unknown form.
const FORMS: &str = "write it as kind|scope|value (as in profiles.ndjson), kind:value, kind:scope:value for kinds with a scope, or \
                     as the id p_... of a profile";

/// The identifier in a question; for a profile id, the identifier that names the profile.
///
/// # Errors
/// When it is none. The text never contains the value.
pub(super) fn identifier(asked: &str, pipeline: &Pipeline, snapshot: &mut dyn Snapshot) -> Result<Identifier, ExplainError> {
    match asked.trim().strip_prefix("p_") {
        Some(hash) => called_after(hash, snapshot),
        None => parse_identifier(asked, pipeline),
    }
}

/// The identifier in a text. `kind|scope|value` is taken as it is; every other form is normalised as by ingest.
///
/// # Errors
/// When it is none. Never holds the value.
pub fn parse_identifier(text: &str, pipeline: &Pipeline) -> Result<Identifier, ExplainError> {
    let asked = text.trim();
    if let [of, scope, value] = asked.splitn(3, '|').collect::<Vec<_>>()[..] {
        check_kind(of, pipeline)?;
        return Ok(Identifier::new(of, scope, value));
    }
    let (of, value) = match asked.split_once(':') {
        Some(("account", value)) => (kind::CRM_ACCOUNT, value),
        Some((of, value)) => (of, value),
        // An address, or a number in international form, is unambiguous.
        None if asked.contains('@') => ("email", asked),
        None if asked.starts_with('+') => ("phone", asked),
        None => return Err(ExplainError::Usage(format!("no kind of identifier is given; {FORMS}"))),
    };
    check_kind(of, pipeline)?;
    normalised(of, value, pipeline)
}

fn called_after(hex: &str, snapshot: &mut dyn Snapshot) -> Result<Identifier, ExplainError> {
    let hash = u128::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 32).map(Hash128);
    let hash = hash.ok_or_else(|| ExplainError::Usage("a profile's id is p_ and 32 hexadecimal digits".into()))?;
    if let Some(found) = tributary_identity::read::called_after(snapshot, hash)? {
        return Ok(found);
    }
    Err(ExplainError::Unknown(match tributary_identity::read::erased_under(snapshot, hash)? {
        Some(until_ms) => format!(
            "the identifier that named the profile of this id is erased: events that name it up to {} are void, and its name is deleted",
            minute(until_ms)
        ),
        None => "no identifier is known that names a profile of this id".into(),
    }))
}

fn check_kind(of: &str, pipeline: &Pipeline) -> Result<(), ExplainError> {
    let kinds = pipeline.rules().kinds();
    if kinds.rank(of).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = kinds.people().chain(kind::ACCOUNT).chain([kind::COMPANY_NAME]).collect();
    Err(ExplainError::Usage(format!("there is no such kind of identifier; {FORMS}. Kinds are {}", known.join(", "))))
}

/// The value as normalised by ingest: decodes a native record with this one identifier.
fn normalised(of: &str, value: &str, pipeline: &Pipeline) -> Result<Identifier, ExplainError> {
    if of == kind::COMPANY_NAME {
        let name = tributary_ingest::company_name(value);
        let none = || ExplainError::Usage("such a value names no company".to_owned());
        return Ok(Identifier::new(of, "", name.ok_or_else(none)?));
    }
    let field = if of == kind::CRM_ACCOUNT { "account" } else { of };
    let mut record = Map::new();
    record.insert("timestamp".into(), "2000-01-01T00:00:00Z".into());
    record.insert(field.into(), value.into());
    let mut decoded = Decoded::default();
    let text = Value::Object(record).to_string();
    let refused = |why: &str| ExplainError::Usage(format!("that is no {of}: {why}; {FORMS}"));
    pipeline
        .decoder()
        .decode(Source::Offline, text.as_bytes(), None, &mut decoded)
        .map_err(|rejection| refused(&rejection.detail))?;
    let event = decoded.events.into_iter().next();
    let named = event.and_then(|event| event.identifiers.into_iter().chain(event.account_identifiers).next());
    named.ok_or_else(|| refused("such a value identifies nobody"))
}
