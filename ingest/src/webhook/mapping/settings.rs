//! The configuration format of a mapping.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The mapping of one sort of event in the bodies of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventMapping {
    /// JSONPath (RFC 9535) of the events. Numbers are compared as text: `$.data[?@.status == '5']`.
    pub each: String,
    /// Fields of the native record.
    pub fields: BTreeMap<String, FieldMapping>,
    /// Traits.
    pub traits: BTreeMap<String, FieldMapping>,
    /// Own dimensions, as declared in `ingest.dimensions`.
    pub dimensions: BTreeMap<String, FieldMapping>,
}

impl Default for EventMapping {
    fn default() -> Self {
        Self { each: "$".into(), fields: BTreeMap::new(), traits: BTreeMap::new(), dimensions: BTreeMap::new() }
    }
}

/// Where a field comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected text, or a table of path, root, value, map, default, prefix and form")]
pub enum FieldMapping {
    /// A text that begins with `$` is a path in the event; any other text is a constant.
    Text(String),
    /// The full form.
    Source(Source),
}

/// Where a field's value comes from, and how it is converted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// JSONPath in the event. Exactly one of `path`, `root` and `value` is given.
    pub path: String,
    /// JSONPath in the whole body.
    pub root: String,
    /// A constant.
    pub value: String,
    /// Converts texts; a text that is not listed becomes `default`. If a milestone or kind becomes empty, there is no event.
    pub map: BTreeMap<String, String>,
    /// The value if there is none, or if it is not listed in `map`.
    pub default: String,
    /// Put before the text, for example the scope of an OpenID.
    pub prefix: String,
    /// How the text is written.
    pub form: TextForm,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// As in the native record.
    #[default]
    Text,
    /// A time: seconds since 1970-01-01 UTC.
    UnixSeconds,
    /// A time: milliseconds since 1970-01-01 UTC.
    UnixMillis,
}
