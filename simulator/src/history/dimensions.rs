//! The operator's own dimensions, given to the touches and milestones of a history.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tributary_proto::event::Body;
use tributary_proto::{Dimensions, Event};

use super::{History, Said};
use crate::draw::Draw;

/// The declared dimensions; senders also use an undeclared one.
const DECLARED: [&str; 2] = ["region", "team"];
const UNDECLARED: &str = "floor";

/// Declares dimensions, and adds them to some of the records.
pub(super) fn give(draw: &mut Draw, history: &mut History) {
    if draw.percent(25) {
        return;
    }
    history.ingest.dimensions = DECLARED.map(str::to_owned).to_vec();
    for raw in &mut history.records {
        match &mut raw.said {
            Said::Event(event) => give_event(draw, event),
            Said::Text(text) => give_record(draw, text),
        }
    }
}

/// The same for a decoded event.
pub(super) fn give_event(draw: &mut Draw, event: &mut Event) {
    match &mut event.body {
        Some(Body::Touch(touch)) => {
            let values = values(draw, false);
            touch.dimensions = (!values.is_empty()).then_some(Dimensions { values });
        }
        Some(Body::Milestone(version)) => version.dimensions = values(draw, true),
        _ => {}
    }
}

/// Values of some of the declared dimensions; milestones clear some.
fn values(draw: &mut Draw, clears: bool) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for name in DECLARED {
        if draw.percent(35) {
            let cleared = clears && draw.percent(20);
            values.insert(name.to_owned(), if cleared { "" } else { draw.pick(&["x", "y"]) }.to_owned());
        }
    }
    values
}

/// The same for a record, or for a push with several.
fn give_record(draw: &mut Draw, text: &mut String) {
    let Ok(Value::Object(mut record)) = serde_json::from_str(text) else { return };
    match record.get_mut("body") {
        Some(Value::Array(records)) => {
            records.iter_mut().filter_map(Value::as_object_mut).for_each(|record| give_object(draw, record))
        }
        _ => give_object(draw, &mut record),
    }
    *text = Value::Object(record).to_string();
}

fn give_object(draw: &mut Draw, record: &mut Map<String, Value>) {
    let is_milestone = match record.get("kind").and_then(Value::as_str) {
        None => false,
        Some("milestone") => true,
        Some(_) => return,
    };
    let given = values(draw, is_milestone);
    if draw.percent(30) {
        // In the form of a table's row.
        record.extend(
            given
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (format!("dimensions.{name}"), json!(value))),
        );
        return;
    }
    let shown = |value: String| if value.is_empty() { Value::Null } else { json!(value) };
    let mut shown: Map<String, Value> = given.into_iter().map(|(name, value)| (name, shown(value))).collect();
    if draw.percent(10) {
        shown.insert(UNDECLARED.to_owned(), json!("x"));
    }
    if !shown.is_empty() {
        record.insert("dimensions".to_owned(), Value::Object(shown));
    }
}
