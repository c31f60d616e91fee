//! The configuration format of a mapping.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One sort of event in the bodies of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventMapping {
    /// JSONPath (RFC 9535) of what is an event each. Numbers are seen as text: `$.data[?@.status == '5']`.
    pub each: String,
    /// Fields of the native record.
    pub fields: BTreeMap<String, FieldMapping>,
    /// Traits.
    pub traits: BTreeMap<String, FieldMapping>,
    /// Own dimensions, of those that `ingest.dimensions` declares.
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
    /// Text that begins with `$`: a path in the event. Other text: a constant.
    Text(String),
    /// Anything more.
    Source(Source),
}

/// Where a field comes from, and what becomes of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// JSONPath in the event. One of `path`, `root` and `value` is given.
    pub path: String,
    /// JSONPath in the whole body.
    pub root: String,
    /// A constant.
    pub value: String,
    /// What each text becomes; one that is not listed becomes `default`. A milestone or kind that becomes nothing is no event.
    pub map: BTreeMap<String, String>,
    /// What stands for nothing, and for what is not listed in `map`.
    pub default: String,
    /// What is put before the text: the scope of an OpenID.
    pub prefix: String,
    /// How the text is written.
    pub form: TextForm,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    /// As the native record has it.
    #[default]
    Text,
    /// A time: seconds since 1970-01-01 UTC.
    UnixSeconds,
    /// A time: milliseconds since 1970-01-01 UTC.
    UnixMillis,
}
