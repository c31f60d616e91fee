//! Compiled mappings.

use std::collections::BTreeMap;

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use tributary_proto::kind::Kinds;
use tributary_runtime::config::Problems;

use super::super::settings::WebhookSettings;
use super::settings::{EventMapping, FieldMapping, Source};
use crate::dimensions;
use crate::native::kind;
use crate::native::record::{is_field, is_list};
use crate::normalise::IdentifierRules;

/// The compiled mappings by provider.
#[derive(Debug, Default)]
pub(crate) struct Mappings(pub(super) BTreeMap<String, Vec<Event>>);

/// The mapping of one sort of event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) each: JpQuery,
    pub(super) fields: Vec<Field>,
}

/// A field of the native record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) of: Of,
    pub(super) is_list: bool,
    pub(super) from: From,
    pub(super) source: Source,
}

/// The part of a record that a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The record itself.
    Record,
    /// The traits.
    Traits,
    /// The own dimensions.
    Dimensions,
}

impl Of {
    /// The name of the table in a mapping; for the last two also the field of the record.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Record => "fields",
            Self::Traits => "traits",
            Self::Dimensions => dimensions::FIELD,
        }
    }
}

/// Where a field's value comes from.
#[derive(Debug)]
pub(super) enum From {
    Event(JpQuery),
    Root(JpQuery),
    Constant,
}

impl Mappings {
    /// Compiles mappings.
    pub(crate) fn new(settings: &WebhookSettings, rules: &IdentifierRules, kinds: &Kinds, problems: &mut Problems) -> Self {
        let mut compiled = BTreeMap::new();
        for (provider, events) in &settings.mappings {
            let place = format!("mappings.{provider}");
            let mut compiler = Compiler { rules, kinds, problems };
            let events = events.iter().filter_map(|(name, event)| compiler.event(&format!("{place}.{name}"), event)).collect();
            compiled.insert(provider.clone(), events);
        }
        Self(compiled)
    }

    /// Whether a provider has a mapping.
    pub(crate) fn has(&self, provider: &str) -> bool {
        self.0.contains_key(provider)
    }
}

struct Compiler<'a> {
    rules: &'a IdentifierRules,
    kinds: &'a Kinds,
    problems: &'a mut Problems,
}

impl Compiler<'_> {
    fn problem<T>(&mut self, place: impl AsRef<str>, problem: impl Into<String>) -> Option<T> {
        self.problems.at(place, problem);
        None
    }

    fn event(&mut self, place: &str, event: &EventMapping) -> Option<Event> {
        let each = self.path(&format!("{place}.each"), &event.each);
        if !event.fields.contains_key("timestamp") {
            self.problem::<()>(format!("{place}.fields"), "needs a timestamp: every event has its time");
        }
        let parts = [(Of::Record, &event.fields), (Of::Traits, &event.traits), (Of::Dimensions, &event.dimensions)];
        let mut compiled = Vec::new();
        for (of, (name, field)) in parts.into_iter().flat_map(|(of, fields)| fields.iter().map(move |field| (of, field))) {
            compiled.extend(self.field(&format!("{place}.{}.{name}", of.name()), name, field, of));
        }
        Some(Event { each: each?, fields: compiled })
    }

    fn field(&mut self, place: &str, name: &str, field: &FieldMapping, of: Of) -> Option<Field> {
        let own = of == Of::Record;
        let is_list = own && is_list(name, self.rules);
        if own && !is_list && (matches!(name, "traits" | dimensions::FIELD) || !is_field(name)) {
            return self.problem(place, "is neither a field of the native record nor a kind of identifier");
        }
        let source = match field {
            FieldMapping::Text(text) if text.starts_with('$') => Source { path: text.clone(), ..Source::default() },
            FieldMapping::Text(text) => Source { value: text.clone(), ..Source::default() },
            FieldMapping::Source(source) => source.clone(),
        };
        if own {
            self.check_constants(place, name, &source);
        }
        let from = match (source.path.as_str(), source.root.as_str(), source.value.as_str()) {
            (path, "", "") if !path.is_empty() => From::Event(self.path(place, path)?),
            ("", root, "") if !root.is_empty() => From::Root(self.path(place, root)?),
            ("", "", value) if !value.is_empty() => From::Constant,
            _ => return self.problem(place, "needs one of path, root and value"),
        };
        Some(Field { name: name.to_owned(), of, is_list, from, source })
    }

    fn path(&mut self, place: &str, path: &str) -> Option<JpQuery> {
        match parse_json_path(path) {
            Ok(query) => Some(query),
            Err(_) => self.problem(place, format!("`{path}` is not a JSONPath (RFC 9535) such as $.data[*].id")),
        }
    }

    /// Checks that kinds given as constants exist.
    fn check_constants(&mut self, place: &str, name: &str, source: &Source) {
        let known: Vec<&str> = match name {
            "kind" => kind::names(),
            "milestone" => self.kinds.milestones().collect(),
            _ => return,
        };
        for text in source.map.values().chain([&source.default, &source.value]) {
            if !text.is_empty() && !known.iter().any(|known| known.eq_ignore_ascii_case(text)) {
                self.problem::<()>(place, format!("`{text}` is none of {}", known.join(", ")));
            }
        }
    }
}
