//! Dimensions of the operator's own: the region of a company, the product that it looks at, the team that talks to it.

use serde_json::{Map, Value};

use super::draw::pick;
use super::scene::Scene;
use super::step::Kind;

/// The field of a record with own dimensions.
const FIELD: &str = "dimensions";
const REGIONS: [&str; 4] = ["east", "south", "north", "华中"];
const PRODUCTS: [&str; 3] = ["crm", "mes", "analytics"];
const TEAMS: [&str; 2] = ["inside-sales", "field-sales"];

/// Adds the dimensions that its sender knows to a record.
pub(super) fn give(scene: &Scene<'_>, record: &mut Vec<u8>) {
    let company = u32::try_from(scene.company.index % 12).unwrap_or_default();
    let region = ("region", pick(&REGIONS, company));
    let product = ("product", pick(&PRODUCTS, company / 4));
    let team = ("team", pick(&TEAMS, scene.choose(60, 2)));
    let given = match scene.step.kind {
        Kind::Landing { .. } | Kind::Form { .. } | Kind::Webinar => vec![product],
        Kind::Booth => vec![region],
        Kind::Call => vec![region, team],
        // Sometimes a deal changes its team.
        Kind::Milestone(_) if scene.choose(61, 3) > 0 => vec![region, product, team],
        Kind::Milestone(_) => vec![region],
        _ => return,
    };
    // Records that must be refused need not be JSON.
    let Ok(mut whole) = serde_json::from_slice::<Value>(record) else { return };
    let values: Map<String, Value> = given.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    if let Some(place) = place(&mut whole) {
        place.insert(FIELD.to_owned(), values.into());
        *record = whole.to_string().into_bytes();
    }
}

/// The object in a record for dimensions: the context of a message, the body of a push, or the record itself.
fn place(whole: &mut Value) -> Option<&mut Map<String, Value>> {
    let record = whole.as_object_mut()?;
    for part in ["context", "body"] {
        if record.contains_key(part) {
            let inner = record.get_mut(part)?;
            return if inner.is_array() { inner.get_mut(0)?.as_object_mut() } else { inner.as_object_mut() };
        }
    }
    Some(record)
}
