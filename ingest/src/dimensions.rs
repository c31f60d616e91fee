//! The operator's own dimensions: `dimensions.NAME` of touches, milestones and spend, by the names that the configuration declares.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tributary_runtime::config::Problems;
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;
use crate::lenient::Part;
use crate::limits::{DIMENSION_NAME_BYTES_MAX, DIMENSIONS_MAX};
use crate::normalise::text::clean;
use crate::reason;
use crate::scalar::{Scalar, json_rejection};
use crate::traits::RawTraits;
use crate::webhook::settings::EventMapping;

/// The field of a record with own dimensions.
pub(crate) const FIELD: &str = "dimensions";
/// Prefix of the flat form: `dimensions.team`.
pub(crate) const PREFIX: &str = "dimensions.";

/// Values by name. An empty value clears the dimension; only milestones have those.
pub(crate) type Dimensions = BTreeMap<String, String>;

/// The declared names.
#[derive(Debug, Default)]
pub(crate) struct DimensionRules(Vec<String>);

/// The dimensions of a record, not yet read.
#[derive(Debug, Default)]
pub(crate) struct RawDimensions<'a> {
    pub(crate) given: RawTraits<'a>,
    /// The field is not an object.
    pub(crate) wrong: bool,
}

impl<'a> RawDimensions<'a> {
    /// From a part of a message.
    pub(crate) fn of(part: Part<RawTraits<'a>>) -> Self {
        let mut dimensions = Self::default();
        dimensions.add(part);
        dimensions
    }

    /// Adds the field's own content to that of the flat form.
    pub(crate) fn add(&mut self, part: Part<RawTraits<'a>>) {
        match part {
            Part::Read(RawTraits(given)) => self.given.0.extend(given),
            Part::Absent => {}
            Part::Wrong | Part::Twice => self.wrong = true,
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.0.is_empty() && !self.wrong
    }
}

impl DimensionRules {
    /// Checks the declared names.
    pub(crate) fn new(names: &[String], problems: &mut Problems) -> Self {
        if names.len() > DIMENSIONS_MAX {
            problems.at(FIELD, format!("declares {} dimensions, at most {DIMENSIONS_MAX} are possible", names.len()));
        }
        for (at, name) in names.iter().enumerate() {
            let place = format!("{FIELD}[{at}]");
            if !is_name(name) {
                problems.at(
                    place,
                    format!("must be at most {DIMENSION_NAME_BYTES_MAX} of a-z, 0-9 and _, and begin with a letter"),
                );
            } else if names.iter().take(at).any(|before| before == name) {
                problems.at(place, "stands there twice");
            }
        }
        Self(names.to_vec())
    }

    /// Checks that the mappings of providers use declared names only.
    pub(crate) fn check(&self, mappings: &BTreeMap<String, BTreeMap<String, EventMapping>>, problems: &mut Problems) {
        for (provider, events) in mappings {
            for (event, name) in
                events.iter().flat_map(|(event, mapping)| mapping.dimensions.keys().map(move |name| (event, name)))
            {
                if !self.0.contains(name) {
                    let place = format!("webhook.mappings.{provider}.{event}.{FIELD}.{name}");
                    problems.at(place, "is not declared in `ingest.dimensions`");
                }
            }
        }
    }

    /// Whether no dimension is declared.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The dimensions of a touch or a cost; null is the same as absent.
    pub(crate) fn read(&self, raw: RawDimensions<'_>, ignored: &mut Ignored) -> Dimensions {
        let mut dimensions = self.said(raw, ignored);
        dimensions.retain(|_, value| !value.is_empty());
        dimensions
    }

    /// The dimensions of a milestone's version; null clears one.
    pub(crate) fn said(&self, raw: RawDimensions<'_>, ignored: &mut Ignored) -> Dimensions {
        let mut dimensions = Dimensions::new();
        if raw.wrong {
            ignored.note(Rejection::new(reason::VALUE_INVALID, FIELD, "expected an object"));
        }
        let mut twice = Vec::new();
        for (name, value) in raw.given.0 {
            let name = clean(&name);
            let Some(name) = self.0.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
                let detail = "a dimension of this name is not declared in `ingest.dimensions`";
                ignored.note(Rejection::new(reason::DIMENSION_UNKNOWN, FIELD, detail));
                continue;
            };
            if let Some(Some(value)) = ignored.read(value_of(value))
                && dimensions.insert(name.clone(), value).is_some()
            {
                twice.push(name);
            }
        }
        for name in twice {
            // It is unclear which of the two is meant.
            ignored.note(Rejection::new(reason::KEY_DUPLICATE, FIELD, "a dimension occurs twice in its record"));
            dimensions.remove(name);
        }
        dimensions
    }
}

/// The text of a value: empty for null; `None` if blank.
fn value_of(raw: &RawValue) -> Result<Option<String>, Rejection> {
    match serde_json::from_str::<Scalar<'_>>(raw.get()).map_err(|error| json_rejection(&error))? {
        Scalar::Null => Ok(Some(String::new())),
        value => Ok(value.text(FIELD)?.map(std::borrow::Cow::into_owned)),
    }
}

/// Whether a dimension may have this name. Columns of databases get the same name.
fn is_name(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= DIMENSION_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = Vec<(String, String)>;
    type Counted = Vec<(&'static str, u64)>;

    fn said(names: &[&str], json: &str) -> (Said, Counted) {
        let rules = DimensionRules(names.iter().map(|name| (*name).to_owned()).collect());
        let raw = RawDimensions { given: serde_json::from_str(json).unwrap(), wrong: false };
        let mut ignored = Ignored::default();
        let said = rules.said(raw, &mut ignored).into_iter().collect();
        (said, ignored.iter().map(|field| (field.why.reason.code(), field.count)).collect())
    }

    fn pairs(expected: &[(&str, &str)]) -> Said {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn those_that_are_declared_are_read_and_all_else_is_counted() {
        let names = ["team", "region"];
        assert_eq!(said(&names, r#"{"Team": " field ", "region": 7}"#), (pairs(&[("region", "7"), ("team", "field")]), vec![]));
        assert_eq!(said(&names, r#"{"tema": "x", "floor": 1}"#), (vec![], vec![("dimension_unknown", 2)]));
        assert_eq!(said(&names, r#"{"team": null, "region": ""}"#), (pairs(&[("team", "")]), vec![]));
        assert_eq!(said(&names, r#"{"team": "a", "TEAM": "b", "region": "c"}"#).0, pairs(&[("region", "c")]));
        assert_eq!(said(&names, r#"{"team": {"a": 1}}"#), (vec![], vec![("value_invalid", 1)]));
        assert_eq!(said(&names, &format!(r#"{{"team": "{}"}}"#, "x".repeat(9_000))).1, [("field_too_large", 1)]);
        assert_eq!(said(&[], r#"{"team": "a"}"#), (vec![], vec![("dimension_unknown", 1)]));
    }

    #[test]
    fn names_are_names_of_columns() {
        let problems = |names: &[&str]| {
            let mut problems = Problems::default();
            DimensionRules::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &mut problems);
            problems.0.len()
        };
        assert_eq!(problems(&["team", "sales_region2"]), 0);
        for wrong in ["", "Team", "2nd", "a b", "区域", "a-b", &"x".repeat(41)] {
            assert_eq!(problems(&[wrong]), 1, "{wrong}");
        }
        assert_eq!(problems(&["team", "region", "team"]), 1);
        assert_eq!(
            problems(
                &(0..17)
                    .map(|at| ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"][at])
                    .collect::<Vec<_>>()
            ),
            1
        );
    }
}
