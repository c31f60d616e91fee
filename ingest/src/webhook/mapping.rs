//! Providers that an operator describes: a mapping says, for each event in a body, where the fields of a native record stand.

mod exact;
pub mod settings;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;
use tributary_runtime::stage::Rejection;

use exact::exact;
use settings::{EventMapping, FieldMapping, Source, TextForm};

use super::records::{Record, Records, time_text};
use super::settings::WebhookSettings;
use crate::decoder::{Decoded, Decoder};
use crate::limits::ELEMENTS_MAX;
use crate::native::{KINDS, is_field, is_list};
use crate::normalise::IdentifierRules;
use crate::normalise::text::clean;
use crate::reason;

/// Providers that are built in.
const BUILT_IN: [&str; 5] = ["native", "wechat", "wecom", "hubspot", "salesforce"];

/// The compiled mappings by provider.
#[derive(Debug, Default)]
pub(crate) struct Mappings(BTreeMap<String, Vec<Event>>);

#[derive(Debug)]
struct Event {
    each: JpQuery,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: String,
    is_trait: bool,
    is_list: bool,
    from: From,
    source: Source,
}

#[derive(Debug)]
enum From {
    Event(JpQuery),
    Root(JpQuery),
    Constant,
}

/// What is wrong, by the setting below the webhook's.
type Problems = Vec<(String, String)>;

impl Mappings {
    /// Compiles mappings.
    pub(crate) fn new(
        settings: &WebhookSettings,
        rules: &IdentifierRules,
        milestone_kinds: &[String],
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut compiled = BTreeMap::new();
        for (provider, events) in &settings.mappings {
            let place = format!("mappings.{provider}");
            if BUILT_IN.contains(&provider.as_str()) {
                problems.push((place.clone(), "is a built-in provider".into()));
            }
            let mut compiler = Compiler { rules, milestone_kinds, problems: &mut problems };
            let events = events.iter().filter_map(|(name, event)| compiler.event(&format!("{place}.{name}"), event)).collect();
            compiled.insert(provider.clone(), events);
        }
        if problems.is_empty() { Ok(Self(compiled)) } else { Err(problems) }
    }

    /// Whether a provider is mapped.
    pub(super) fn has(&self, provider: &str) -> bool {
        self.0.contains_key(provider)
    }
}

struct Compiler<'a> {
    rules: &'a IdentifierRules,
    milestone_kinds: &'a [String],
    problems: &'a mut Problems,
}

impl Compiler<'_> {
    fn problem<T>(&mut self, place: impl Into<String>, problem: impl Into<String>) -> Option<T> {
        self.problems.push((place.into(), problem.into()));
        None
    }

    fn event(&mut self, place: &str, event: &EventMapping) -> Option<Event> {
        let each = self.path(&format!("{place}.each"), &event.each);
        if !event.fields.contains_key("timestamp") {
            self.problem::<()>(format!("{place}.fields"), "needs a timestamp: every event has its time");
        }
        let fields = event.fields.iter().map(|(name, field)| (name, field, false));
        let traits = event.traits.iter().map(|(name, field)| (name, field, true));
        let mut compiled = Vec::new();
        for (name, field, is_trait) in fields.chain(traits) {
            let at = format!("{place}.{}.{name}", if is_trait { "traits" } else { "fields" });
            compiled.extend(self.field(&at, name, field, is_trait));
        }
        Some(Event { each: each?, fields: compiled })
    }

    fn field(&mut self, place: &str, name: &str, field: &FieldMapping, is_trait: bool) -> Option<Field> {
        let is_list = !is_trait && is_list(name, self.rules);
        if !is_trait && !is_list && (name == "traits" || !is_field(name)) {
            return self.problem(place, "is neither a field of the native record nor a kind of identifier");
        }
        let source = match field {
            FieldMapping::Text(text) if text.starts_with('$') => Source { path: text.clone(), ..Source::default() },
            FieldMapping::Text(text) => Source { value: text.clone(), ..Source::default() },
            FieldMapping::Source(source) => source.clone(),
        };
        if !is_trait {
            self.check_constants(place, name, &source);
        }
        let from = match (source.path.as_str(), source.root.as_str(), source.value.as_str()) {
            (path, "", "") if !path.is_empty() => From::Event(self.path(place, path)?),
            ("", root, "") if !root.is_empty() => From::Root(self.path(place, root)?),
            ("", "", value) if !value.is_empty() => From::Constant,
            _ => return self.problem(place, "needs one of path, root and value"),
        };
        Some(Field { name: name.to_owned(), is_trait, is_list, from, source })
    }

    fn path(&mut self, place: &str, path: &str) -> Option<JpQuery> {
        match parse_json_path(path) {
            Ok(query) => Some(query),
            Err(_) => self.problem(place, format!("`{path}` is not a JSONPath (RFC 9535) such as $.data[*].id")),
        }
    }

    /// Kinds that the mapping itself names must exist.
    fn check_constants(&mut self, place: &str, name: &str, source: &Source) {
        let known: Vec<&str> = match name {
            "kind" => KINDS.to_vec(),
            "milestone" => self.milestone_kinds.iter().map(String::as_str).collect(),
            _ => return,
        };
        for text in source.map.values().chain([&source.default, &source.value]) {
            if !text.is_empty() && !known.contains(&text.as_str()) {
                self.problem::<()>(place, format!("`{text}` is none of {}", known.join(", ")));
            }
        }
    }
}

/// Decodes a body by its provider's mapping; each event stands or falls alone.
///
/// # Errors
/// When the body is not JSON, or holds more than [`ELEMENTS_MAX`] events.
pub(super) fn decode(
    decoder: &Decoder,
    provider: &str,
    json: &str,
    received_ms: Option<i64>,
    out: &mut Decoded,
) -> Result<(), Rejection> {
    let body = exact(json)?;
    let mut found = Vec::new();
    for event in decoder.mappings.0.get(provider).into_iter().flatten() {
        found.extend(nodes(&event.each, &body).into_iter().map(|node| (event, node)));
    }
    if found.len() > ELEMENTS_MAX {
        let detail = format!("the body has {} events, at most {ELEMENTS_MAX} are read; send fewer at once", found.len());
        return Err(Rejection::new(reason::RECORD_TOO_LARGE, "body", detail));
    }
    if found.is_empty() {
        out.without_event += 1;
    }
    for (index, (event, node)) in (0u32..).zip(found) {
        let mut records = Records::new(decoder, received_ms, out, index, String::new());
        match event.record(node, &body) {
            Ok(Some(record)) => records.add(&record),
            Ok(None) => records.nothing(),
            Err(rejection) => records.refuse(rejection),
        }
    }
    Ok(())
}

impl Event {
    /// The native record of an event; `None` where its kind or milestone becomes nothing.
    fn record(&self, event: &Value, body: &Value) -> Result<Option<Record>, Rejection> {
        let mut record = Record::default();
        for field in &self.fields {
            let texts = field.texts(event, body)?;
            match (texts.as_slice(), field.is_list) {
                ([], _) if matches!(field.name.as_str(), "kind" | "milestone") => return Ok(None),
                ([], _) => {}
                (texts, true) => record.set_list(&field.name, texts),
                ([text], _) if field.is_trait => record.set_trait(&field.name, text),
                ([text], _) => record.set(&field.name, text),
                _ => return Err(field.refuse("the path finds several values, and the field has one")),
            }
        }
        Ok(Some(record))
    }
}

impl Field {
    fn texts(&self, event: &Value, body: &Value) -> Result<Vec<String>, Rejection> {
        let found = match &self.from {
            From::Event(path) => nodes(path, event),
            From::Root(path) => nodes(path, body),
            From::Constant => return Ok(vec![self.source.value.clone()]),
        };
        let mut texts = Vec::new();
        for node in found {
            // A list is its elements.
            let several = node.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(node));
            for value in several {
                texts.extend(self.text(value)?);
            }
        }
        if texts.is_empty() && !self.source.default.is_empty() {
            texts.push(self.source.default.clone());
        }
        Ok(texts)
    }

    fn text(&self, value: &Value) -> Result<Option<String>, Rejection> {
        let text: Cow<'_, str> = match value {
            Value::String(text) => clean(text),
            Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Value::Null => Cow::Borrowed(""),
            _ => return Err(self.refuse("the path finds an object or a list of lists, and not text")),
        };
        let text = if self.source.map.is_empty() {
            text
        } else {
            Cow::Borrowed(self.source.map.get(&*text).map_or("", String::as_str))
        };
        if text.is_empty() {
            return Ok(None);
        }
        let time = |unit: i64| {
            let ms = text.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).filter(|ms| *ms >= 0).map(time_text);
            ms.filter(|text| !text.is_empty()).ok_or_else(|| {
                Rejection::new(reason::TIMESTAMP_INVALID, self.name.clone(), "expected a whole number since 1970-01-01 UTC")
            })
        };
        let text = match self.source.form {
            TextForm::Text => text.into_owned(),
            TextForm::UnixSeconds => time(1000)?,
            TextForm::UnixMillis => time(1)?,
        };
        Ok(Some(format!("{}{text}", self.source.prefix)))
    }

    fn refuse(&self, detail: &str) -> Rejection {
        Rejection::new(reason::VALUE_INVALID, self.name.clone(), detail)
    }
}

/// What a path finds. A query that was compiled cannot fail.
fn nodes<'a>(path: &JpQuery, value: &'a Value) -> Vec<&'a Value> {
    js_path_process(path, value).map(|found| found.into_iter().map(|node| node.val()).collect()).unwrap_or_default()
}
