//! The values of all keys, for a comparison with those of another time. They contain secrets and never display them.

use std::fmt;

use serde_json::Value;

/// The values of all keys. They can only be compared, because they may be secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Values(Value);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Values(***)")
    }
}

impl Values {
    pub(super) fn new(tree: Value) -> Self {
        Self(tree)
    }

    /// The dotted keys whose values differ, in order. A list counts as one value.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use tributary_runtime::config::{Problems, Settings, Shapes, Sources, load_with_values};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # #[serde(default)]
    /// # struct Example { level: String }
    /// # impl Settings for Example {
    /// #     fn shapes() -> Shapes { Shapes::default() }
    /// #     fn check(&self, _: &mut Problems) {}
    /// # }
    /// let of = |flag: &str| {
    ///     let sources = Sources { flags: vec![flag.to_owned()], ..Sources::default() };
    ///     load_with_values::<Example>(&sources).unwrap().values
    /// };
    /// assert_eq!(of("level=info").changed(&of("level=debug")), ["level"]);
    /// assert!(of("level=info").changed(&of("level=info")).is_empty());
    /// ```
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare(Some(&self.0), Some(&other.0), "", &mut found);
        found
    }

    /// Copies the values of the keys that `taken` accepts.
    pub fn adopt(&mut self, other: &Self, taken: impl Fn(&str) -> bool) {
        for key in self.changed(other).into_iter().filter(|key| taken(key)) {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let value = path.iter().try_fold(&other.0, |at, key| at.get(key)).cloned().unwrap_or(Value::Null);
            super::value::set(&mut self.0, &path, value);
        }
    }
}

fn compare(one: Option<&Value>, other: Option<&Value>, path: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let added = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(added) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(left.get(key), right.get(key), &path, found);
            }
        }
        (one, other) if one != other => found.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_differ_are_named_and_no_value_is_shown() {
        let one =
            Values::new(json!({"log": {"level": "info"}, "kafka": {"password": "s3cret", "client": {"x": 1}}, "models": [1]}));
        let other =
            Values::new(json!({"log": {"level": "info"}, "kafka": {"password": "other", "client": {"y": 1}}, "models": [2]}));
        let mut changed = one.changed(&other);
        changed.sort();
        assert_eq!(changed, ["kafka.client.x", "kafka.client.y", "kafka.password", "models"]);
        assert!(!format!("{one:?}").contains("s3cret"));
    }

    #[test]
    fn what_was_taken_over_differs_no_more() {
        let mut running = Values::new(json!({"log": {"level": "info"}, "topics": {"partitions": 1}}));
        let new = Values::new(json!({"log": {"level": "debug"}, "topics": {"partitions": 2}}));
        running.adopt(&new, |key| key.starts_with("log."));
        assert_eq!(running.changed(&new), ["topics.partitions"]);
    }
}
