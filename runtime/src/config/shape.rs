//! The keys that exist. They are derived from the defaults, so there is no list to maintain.

use serde_json::Value;

use super::section::Section;

/// The shape of the keys of all sections, as far as the defaults do not show it.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    open: Vec<(String, bool)>,
    whole: Vec<String>,
    moved: Vec<(String, &'static str)>,
}

/// The kind of place at a path.
#[derive(Debug, PartialEq)]
pub(super) enum Place<'a> {
    /// A value, with its default where there is one.
    Leaf(Option<&'a Value>),
    /// A table with fixed keys.
    Table,
    /// A table whose keys the user chooses.
    Open { dotted: bool },
    /// Inside an entry of an open table: the type of the entry decides.
    Inside,
    /// There is no such key.
    Unknown,
}

impl Shapes {
    /// Adds a section.
    #[must_use]
    pub fn with<S: Section>(mut self) -> Self {
        let key = |below: &str| if below.is_empty() { S::NAME.to_owned() } else { format!("{}.{below}", S::NAME) };
        self.open.extend(S::SHAPE.open.iter().map(|map| (key(map.path), map.dotted)));
        self.whole.extend(S::SHAPE.whole.iter().map(|path| key(path)));
        self.moved.extend(S::SHAPE.moved.iter().map(|(from, to)| (key(from), *to)));
        self
    }

    /// The key that replaces a former one.
    pub(super) fn moved_to(&self, path: &[String]) -> Option<&'static str> {
        let path = path.join(".");
        self.moved.iter().find(|(from, _)| *from == path).map(|(_, to)| *to)
    }

    /// Whether the keys of the open table at `path` have dots; `None` if there is no such table.
    fn open_map(&self, path: &[String]) -> Option<bool> {
        self.open.iter().find(|(map, _)| map.split('.').eq(path.iter().map(String::as_str))).map(|(_, dotted)| *dotted)
    }

    fn is_whole(&self, path: &[String]) -> bool {
        self.whole.iter().any(|pattern| {
            pattern.split('.').count() == path.len() && pattern.split('.').zip(path).all(|(want, is)| want == "*" || want == is)
        })
    }

    /// The kind of place at `path` in the defaults.
    pub(super) fn place<'a>(&self, defaults: &'a Value, path: &[String]) -> Place<'a> {
        let found = path.iter().try_fold(defaults, |at, key| at.get(key));
        if self.is_whole(path) {
            return Place::Leaf(None);
        }
        if let Some(dotted) = self.open_map(path) {
            return Place::Open { dotted };
        }
        let parent_open = (1..path.len()).rev().find_map(|length| path.get(..length).and_then(|part| self.open_map(part)));
        match (found, parent_open) {
            (Some(Value::Object(_)), None) => Place::Table,
            (Some(Value::Object(_)), Some(_)) => Place::Inside,
            (Some(value), _) => Place::Leaf(Some(value)),
            (None, Some(true)) => Place::Leaf(None),
            (None, Some(_)) => Place::Inside,
            (None, None) => Place::Unknown,
        }
    }

    /// How many keys of `path` form a unit that is tried alone: all of them for a plain value, up to the entry inside an open table.
    pub(super) fn unit_length(&self, path: &[String]) -> usize {
        (1..path.len())
            .find(|length| path.get(..*length).is_some_and(|part| self.open_map(part).is_some()))
            .map_or(path.len(), |length| length + 1)
    }

    /// Splits a dotted key. In an open table with dotted keys, the rest is one key.
    pub(super) fn split(&self, dotted: &str) -> Vec<String> {
        for (map, _) in self.open.iter().filter(|(_, dotted)| *dotted) {
            if let Some(rest) = dotted.strip_prefix(map).and_then(|rest| rest.strip_prefix('.')) {
                return map.split('.').chain([rest]).map(str::to_owned).collect();
            }
        }
        dotted.split('.').map(str::to_owned).collect()
    }
}

/// All keys of the defaults, dotted; tables without entries count as keys.
pub(super) fn keys(defaults: &Value) -> Vec<String> {
    fn visit(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    visit(value, &path, found);
                }
            }
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    visit(defaults, "", &mut found);
    found
}

/// Names less similar than this are not suggested.
pub(super) const LIKENESS_MIN: f64 = 0.75;

/// The most similar of these names, and its similarity.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<(f64, &'a str)> {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), other);
    known.iter().map(|other| (likeness(other), *other)).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// The section beside `path` that its author probably meant: the most similar one, if any. `takes` filters the candidates.
pub(super) fn meant(defaults: &Value, path: &[String], takes: impl Fn(&Value) -> bool) -> Option<String> {
    let (name, parent) = path.split_last()?;
    let beside = parent.iter().try_fold(defaults, |at, key| at.get(key))?.as_object()?;
    let likeness = |other: &String| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let near = beside.iter().filter(|(_, value)| takes(value)).map(|(key, _)| (likeness(key), key));
    near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, key)| key.clone())
}

/// A suggestion for an unknown key: the most similar key, by its full path or in the same table.
pub(super) fn advice(shapes: &Shapes, defaults: &Value, path: &[String]) -> String {
    let wanted = path.join(".");
    if let Some(now) = shapes.moved_to(path) {
        return format!("was removed: set `{now}`, which applies to all parts");
    }
    let last = path.last().map(String::as_str).unwrap_or_default();
    let parent = path.get(..path.len().saturating_sub(1)).unwrap_or_default();
    let beside = parent.iter().try_fold(defaults, |at, key| at.get(key)).and_then(Value::as_object);
    let beside = beside.into_iter().flat_map(|table| table.keys()).map(|key| {
        let full = parent.iter().map(String::as_str).chain([key.as_str()]).collect::<Vec<_>>().join(".");
        (strsim::jaro_winkler(last, key), full)
    });
    let anywhere = keys(defaults).into_iter().map(|key| {
        let same_name = key.rsplit('.').next() == Some(last);
        let likeness = strsim::jaro_winkler(&wanted, &key);
        (if same_name { likeness.max(0.9) } else { likeness }, key)
    });
    let nearest = beside.chain(anywhere).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, key)) if likeness >= LIKENESS_MIN => format!("unknown key; did you mean `{key}`?"),
        _ => "unknown key; the reference configuration names every key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shapes() -> Shapes {
        Shapes {
            open: vec![("kafka.client".into(), true), ("models".into(), false)],
            whole: vec!["models.*.window".into()],
            moved: vec![("models.kinds".into(), "kinds.milestones")],
        }
    }

    fn path(dotted: &str) -> Vec<String> {
        shapes().split(dotted)
    }

    #[test]
    fn places() {
        let defaults =
            json!({"kafka": {"brokers": "", "client": {}}, "models": {"linear": {"window": {"days": 1}, "kind": "linear"}}});
        let shapes = shapes();
        let place = |dotted| shapes.place(&defaults, &path(dotted));
        assert_eq!(place("kafka"), Place::Table);
        assert_eq!(place("kafka.brokers"), Place::Leaf(Some(&json!(""))));
        assert_eq!(place("kafka.client"), Place::Open { dotted: true });
        assert_eq!(place("kafka.client.linger.ms"), Place::Leaf(None));
        assert_eq!(place("kafka.broker"), Place::Unknown);
        assert_eq!(place("models.mine.kind"), Place::Inside);
        assert_eq!(place("models.linear"), Place::Inside);
        assert_eq!(place("models.linear.window"), Place::Leaf(None));
        assert_eq!(shapes.unit_length(&path("models.mine.window.days")), 2);
        assert_eq!(shapes.unit_length(&path("kafka.brokers")), 2);
    }

    #[test]
    fn the_section_that_was_meant_is_one_beside_it() {
        let defaults = json!({"kafka": {"security": {}, "brokers": ""}, "topics": {}, "models": []});
        let meant = |dotted, lists: bool| {
            meant(&defaults, &path(dotted), |value| if lists { value.is_array() } else { value.is_object() })
        };
        assert_eq!(meant("kafak", false).as_deref(), Some("kafka"));
        assert_eq!(meant("kafka.securty", false).as_deref(), Some("security"));
        assert_eq!(meant("modles", true).as_deref(), Some("models"));
        assert_eq!(meant("modles", false), None);
        assert_eq!(meant("kafka.brokerz", false), None);
        assert_eq!(meant("nowhere.security", false), None);
    }

    #[test]
    fn the_nearest_key_is_named() {
        let defaults = json!({"kafka": {"brokers": "", "group_prefix": ""}, "http": {"listen": ""}});
        let advice = |dotted| advice(&shapes(), &defaults, &path(dotted));
        assert!(advice("kafka.brokerz").contains("`kafka.brokers`"));
        assert!(advice("kafk.brokers").contains("`kafka.brokers`"));
        assert!(advice("listen").contains("`http.listen`"));
        assert!(!advice("zzz").contains("did you mean"));
        assert!(advice("models.kinds").contains("`kinds.milestones`"));
    }
}
