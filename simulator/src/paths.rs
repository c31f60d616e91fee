//! Checks the input of models that learn: the paths from the rows of the topics equal those from the stores.

use std::collections::{BTreeMap, BTreeSet};

use tributary_attributor::read::paths::Wanted;
use tributary_attributor::read::rows::Rows;
use tributary_learn::parameters::{About, Label};
use tributary_learn::paths::Counted;
use tributary_pipeline::paths::{PathsError, Training, collect, collect_rows, newest_ms, take, topics};
use tributary_pipeline::units::units;
use tributary_proto::Hash128;
use tributary_runtime::state::{Committed, StateError};
use tributary_runtime::topic::Topic;

use crate::oracle::Rules;
use crate::outputs::Outputs;
use crate::store::LocalStore;
use crate::world::World;

const DAY_MS: i64 = 86_400_000;

/// See the module. Checks nothing unless both topics are written.
///
/// # Errors
/// What differs.
pub fn check(world: &World, outputs: &Outputs, rules: &Rules) -> Result<(), String> {
    let on = rules.attribution.outputs;
    if !on.touchpoints || !on.milestones {
        return Ok(());
    }
    let rows = rows(world, rules)?;
    let mut states = states(world);
    let units = units(&mut states).map_err(|error| error.to_string())?;
    let plan = world.pipeline().plan();
    let failed = |error: PathsError| format!("paths: {error}");
    let newest = newest_ms(&mut states, &units, plan).map_err(|error| error.to_string())?;
    if rows.newest_ms() != newest {
        return Err(format!("the newest touch is at {newest:?} by the stores, and by the rows at {:?}", rows.newest_ms()));
    }
    let kinds: BTreeSet<&String> = outputs.milestones.iter().map(|row| &row.milestone_kind).collect();
    for target in kinds.into_iter().filter(|kind| !kind.is_empty()) {
        // Half of the end times are before the newest touch, and so cut journeys and visits.
        let back_days = (Hash128::of(target.as_bytes()).head() % 8) as i64 - 4;
        let until_ms = newest.unwrap_or_default() - back_days.max(0) * DAY_MS;
        let wanted = Wanted { target: target.clone(), label: Label::Campaign, until_ms };
        let by_stores = collect(&mut states, &units, plan, &wanted, DAY_MS, &mut || {}).map_err(failed)?;
        let by_rows = collect_rows(&rows, plan, &wanted, DAY_MS, &mut || {}).map_err(failed)?;
        let (by_stores, by_rows) = (shown(by_stores), shown(by_rows));
        if by_stores != by_rows {
            return Err(format!("the paths to {target} are by the stores\n{by_stores:#?}\nand by the rows\n{by_rows:#?}"));
        }
    }
    Ok(())
}

fn shown(training: Training) -> (Counted, About, Vec<i64>) {
    (training.paths.counted(), training.about, training.cycles_ms)
}

fn rows(world: &World, rules: &Rules) -> Result<Rows, String> {
    let cluster = world.around.cluster.borrow();
    let mut rows = Rows::default();
    for topic in topics(rules.attribution.account_level) {
        for partition in 0..cluster.partitions(topic) {
            for (_, entry) in cluster.committed(topic, partition, 0) {
                take(&mut rows, topic, &entry.key, entry.value.as_deref()).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(rows)
}

/// The attributor's stores.
fn states(world: &World) -> Committed {
    let stage = tributary_attributor::LOG.stage;
    let stores = world.stores().into_iter().filter(|(log, ..)| log.stage == stage);
    let stores: BTreeMap<u32, LocalStore> = stores.map(|(_, at, store)| (at, store)).collect();
    let partitions = world.around.cluster.borrow().partitions(Topic::AttributorInbox);
    Committed::new(
        partitions,
        Box::new(move |_, at| {
            let store = stores.get(&at).cloned().ok_or_else(|| StateError::Read(format!("nobody has partition {at}")))?;
            Ok(Box::new(store))
        }),
    )
}
