//! Checks the rows of touches and milestones: equal to the oracle's, one for each touch that a unit holds, and in the order of their
//! revisions.

use std::collections::{BTreeMap, BTreeSet};

use tributary_attributor::unit::{keys, touchpoint_id};
use tributary_proto::{Account, DecodeError, Message, MilestoneRow, Profile, TouchpointRow};
use tributary_runtime::state::ACTOR_KEY_LEN;
use tributary_runtime::topic::Topic;

use crate::cluster::Cluster;
use crate::oracle::Verdict;
use crate::oracle::rows::face;
use crate::outputs::{Outputs, compare};
use crate::world::World;

/// The published rows of touches, by key.
fn touches(outputs: &Outputs) -> BTreeMap<&str, &TouchpointRow> {
    let mut rows: BTreeMap<&str, &TouchpointRow> =
        outputs.touchpoints.iter().map(|row| (row.touchpoint_id.as_str(), row)).collect();
    rows.retain(|_, row| !row.erased);
    rows
}

/// Every touch has its row, and so has every milestone; there are no other rows, except those that may exist or not.
///
/// # Errors
/// The first differences.
pub fn check(outputs: &Outputs, verdict: &Verdict) -> Result<(), String> {
    let by_face = |row: &TouchpointRow| (format!("{:?}", face(row)), face(row));
    let mut found: BTreeMap<String, TouchpointRow> = touches(outputs).into_values().map(by_face).collect();
    found.retain(|shown, _| verdict.touchpoints.contains_key(shown) || !verdict.forgettable.contains(shown));
    compare("row of a touch", &found, &verdict.touchpoints)?;
    let mut found: BTreeMap<String, MilestoneRow> =
        outputs.milestones.iter().map(|row| (row.milestone_id.clone(), row.clone())).collect();
    found.retain(|_, row| !row.erased);
    for row in found.values_mut() {
        row.revision = 0;
        row.stages.sort_by(|a, b| a.kind.cmp(&b.kind));
    }
    compare("row of a milestone", &found, &verdict.milestones)
}

/// The row with the highest revision of a key is the last one, or equal to it: readers that keep it get the same as readers in order.
///
/// # Errors
/// The first key for which that does not hold.
pub fn revisions(cluster: &Cluster) -> Result<(), String> {
    let mut latest: BTreeMap<(Topic, Vec<u8>), [Numbered; 2]> = BTreeMap::new();
    for topic in [Topic::Touchpoints, Topic::Milestones, Topic::Profiles, Topic::Accounts] {
        for partition in 0..cluster.partitions(topic) {
            for (_, entry) in cluster.committed(topic, partition, 0) {
                let Some(value) = &entry.value else { continue };
                let row =
                    numbered(topic, value).map_err(|error| format!("a record of {} cannot be read: {error}", topic.name()))?;
                let [last, highest] = latest.entry((topic, entry.key.clone())).or_default();
                if row.0 >= highest.0 {
                    highest.clone_from(&row);
                }
                *last = row;
            }
        }
    }
    match latest.into_iter().find(|(_, [last, highest])| last.1 != highest.1 || last.0 == 0) {
        None => Ok(()),
        Some(((topic, key), [(last, _), (highest, _)])) => {
            let key = String::from_utf8_lossy(&key).into_owned();
            Err(format!("{} {key}: the last row has revision {last}, and another one {highest}", topic.name()))
        }
    }
}

/// The revision of a row, and the rest of it.
type Numbered = (u64, Vec<u8>);

fn numbered(topic: Topic, value: &[u8]) -> Result<Numbered, DecodeError> {
    Ok(match topic {
        Topic::Touchpoints => {
            let row = TouchpointRow::decode(value)?;
            (row.revision, TouchpointRow { revision: 0, ..row }.encode_to_vec())
        }
        Topic::Profiles => {
            let row = Profile::decode(value)?;
            (row.revision, Profile { revision: 0, ..row }.encode_to_vec())
        }
        Topic::Accounts => {
            let row = Account::decode(value)?;
            (row.revision, Account { revision: 0, ..row }.encode_to_vec())
        }
        _ => {
            let row = MilestoneRow::decode(value)?;
            (row.revision, MilestoneRow { revision: 0, ..row }.encode_to_vec())
        }
    })
}

/// Every touch that a unit stores has a row, and every row belongs to such a touch.
///
/// # Errors
/// The first exception.
pub fn are_of_stored_touches(world: &World, outputs: &Outputs, on: bool) -> Result<(), String> {
    let mut stored: BTreeSet<String> = BTreeSet::new();
    for (_, _, store) in world.stores().into_iter().filter(|(log, ..)| log.stage == tributary_attributor::LOG.stage) {
        for (key, value) in store.content().values {
            let sub = key.get(ACTOR_KEY_LEN..).unwrap_or_default();
            if key.first() == Some(&keys::TAG) && sub.first() == Some(&keys::TOUCH) {
                let by = keys::identifier(sub).ok_or("a stored touch without an identifier")?;
                stored.insert(touchpoint_id(&by, &value).map_err(|error| format!("a stored touch: {error}"))?);
            }
        }
    }
    if !on {
        stored.clear();
    }
    let rows = touches(outputs);
    if let Some(id) = stored.iter().find(|id| !rows.contains_key(id.as_str())) {
        return Err(format!("the touch {id} has no row"));
    }
    rows.keys().find(|id| !stored.contains(**id)).map_or(Ok(()), |id| Err(format!("the row {id} is of no touch that is there")))
}
