//! Read-only queries: what the attributor knows, and why.
//!
//! Nothing is decided here. The journey and the credit of a milestone come from the functions that units use.

pub mod channels;
mod journey;
pub mod paths;
pub mod rows;
mod size;

use std::collections::{BTreeMap, BTreeSet};

pub use size::{Size, size};
use tributary_proto::{
    Hash128, Identifier, LedgerRow, LedgerState, Message, Milestone, ModelRevision, ResidentState, StoredTouch, StoredTrack,
};
use tributary_runtime::mailbox::Mailbox;
use tributary_runtime::stage::{Outbox, PartitionSlice};
use tributary_runtime::state::{self, ActorKey, State, StateError};

use crate::ledger;
use crate::models::Rationale;
use crate::plan::Plan;
use crate::unit::keys::{self, IdentifierHash};
use crate::unit::{Effects, Scratch, Unit, corrupt, name_of};
use crate::view::TouchView;
use journey::UnitJourney;

/// How a touch relates to the journey to a milestone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inclusion {
    /// It is part of it.
    InJourney,
    /// Its person has revoked consent.
    Revoked,
    /// Before the window begins.
    BeforeWindow,
    /// After the milestone.
    AfterMilestone,
    /// A copy of the event of the touch at this position.
    Duplicate(usize),
    /// A later hit of the visit that the touch at this position began.
    Visit(usize),
    /// Of a person whom the deal does not name, if only named people count.
    Unnamed,
    /// Left out because the journey is longer than `max_journey`: it is neither new enough nor singled out by a model.
    Overlong,
}

/// A touch of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitTouch {
    /// The touch; for the first hit of a visit in the journey, the whole visit.
    pub touch: StoredTouch,
    /// The number of hits; 1 if it is not a visit, or not in the journey.
    pub hits: usize,
    /// The profile it belongs to; empty for a touch of the account itself.
    pub profile_id: String,
    /// The person's role in the deal; if there is none, the general one.
    pub role: String,
    /// The identifier that brought it; `None` if its name is not known.
    pub by: Option<Identifier>,
    /// How it relates to the journey.
    pub inclusion: Inclusion,
}

/// A stage that models use, as seen from a milestone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The kind of milestone, or `close`.
    pub kind: String,
    /// When it was reached, milliseconds since 1970-01-01 UTC.
    pub moment_ms: i64,
    /// The position of its anchor; `None` if no touch of the journey is.
    pub touch: Option<usize>,
}

/// The credit of a touch under a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion {
    /// The position of the touch; `None` for the only row of an empty journey.
    pub touch: Option<usize>,
    /// Billionths.
    pub weight_nano: u64,
    /// Minor units.
    pub value_minor: i64,
    /// The reason for the weight.
    pub rationale: Rationale,
}

/// A milestone in the unit that tracks it, with all the touches of the unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The milestone as the unit tracks it.
    pub milestone: Milestone,
    /// Its stamp.
    pub stamp: u64,
    /// The account of the unit; empty for a profile's unit.
    pub account_id: String,
    /// The earliest time of a touch in the journey, milliseconds since 1970-01-01 UTC.
    pub window_start_ms: i64,
    /// Whether it is beyond the horizon: touches of its journey may have been dropped.
    pub beyond_horizon: bool,
    /// All touches of the unit, in the order of journeys.
    pub touches: Vec<UnitTouch>,
    /// The stages reached up to the milestone.
    pub stages: Vec<Stage>,
    /// For each model: name, version, and the credit of each touch.
    pub models: Vec<(String, String, Vec<Portion>)>,
}

/// Whether a touch is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    Here,
    /// It is not stored, and is so old that it may have been dropped.
    Dropped,
    /// It is not stored.
    Missing,
}

/// What an identifier has brought to its unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brought {
    /// The number of touches; several versions of an event count once.
    pub touches: usize,
    /// The first, milliseconds since 1970-01-01 UTC.
    pub first_ms: Option<i64>,
    /// The last, milliseconds since 1970-01-01 UTC.
    pub last_ms: Option<i64>,
    /// The milestones it anchors.
    pub milestones: Vec<Milestone>,
}

/// What was last emitted for a milestone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Emitted {
    /// Milestone, account and stamp of the rows.
    pub head: LedgerState,
    /// Every row under every model.
    pub rows: Vec<EmittedRow>,
}

/// A row of the credit table, as last emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct EmittedRow {
    /// The model, its version, and its latest revision.
    pub model: ModelRevision,
    /// The touch.
    pub touch: StoredTouch,
    /// The touch's profile.
    pub profile_id: String,
    /// Billionths.
    pub weight_nano: u64,
    /// Minor units.
    pub value_minor: i64,
}

/// What was last emitted for a milestone; `None` if nothing was. `state` is that of the partition of its ledger.
///
/// # Errors
/// When the state cannot be read.
pub fn emitted(state: &mut dyn State, milestone_id: &str) -> Result<Option<Emitted>, StateError> {
    let actor = ledger::actor(milestone_id.as_bytes());
    let Some(head) = state::get_message::<LedgerState>(state, &actor, &ledger::HEAD)? else { return Ok(None) };
    let mut rows = Vec::new();
    for (sub, row) in state::scan_messages::<LedgerRow>(state, &actor, &[ledger::ROW])? {
        let touch = StoredTouch::decode(row.touch.as_slice()).map_err(|_| corrupt(&actor, &sub))?;
        for share in &row.credits {
            let model = usize::try_from(share.model).ok().and_then(|at| head.revisions.get(at)).cloned().unwrap_or_default();
            let (touch, profile_id) = (touch.clone(), row.profile_id.clone());
            rows.push(EmittedRow { model, touch, profile_id, weight_nano: share.weight_nano, value_minor: share.value_minor });
        }
    }
    Ok(Some(Emitted { head, rows }))
}

/// What an identifier has brought to the unit with this key. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn brought(state: &mut dyn State, unit: &str, identifier: &IdentifierHash) -> Result<Brought, StateError> {
    let actor = keys::actor(unit.as_bytes());
    let mut found = Brought::default();
    let prefix = keys::of_identifier(keys::TOUCH, identifier);
    // An event that arrived in two versions is stored twice.
    let mut events = BTreeSet::new();
    state.scan(&actor, &prefix, &state::prefix_end(&prefix), &mut |sub, raw| {
        events.extend(TouchView::parse(raw).ok().map(|touch| Hash128::of(touch.event_id.as_bytes())));
        found.first_ms = found.first_ms.or(keys::time_ms(sub));
        found.last_ms = keys::time_ms(sub).or(found.last_ms);
        true
    })?;
    found.touches = events.len();
    let tracks = state::scan_messages::<StoredTrack>(state, &actor, &keys::of_identifier(keys::TRACK, identifier))?;
    found.milestones = tracks.into_iter().filter_map(|(_, track)| track.milestone).collect();
    found.milestones.sort_by(|a, b| (a.time_ms, &a.milestone_id).cmp(&(b.time_ms, &b.milestone_id)));
    Ok(found)
}

/// Whether a touch of an event is stored in the unit with this key, under the identifier that brought it. `state` is that of the unit's
/// partition.
///
/// # Errors
/// When the state cannot be read.
pub fn find_touch(
    state: &mut dyn State,
    (unit, by): (&str, &IdentifierHash),
    (time_ms, event_id): (i64, &str),
    plan: &Plan,
) -> Result<Kept, StateError> {
    let actor = keys::actor(unit.as_bytes());
    let mut found = false;
    let (from, to) = (keys::touches_from(by, time_ms), keys::touches_from(by, time_ms.saturating_add(1)));
    state.scan(&actor, &from, &to, &mut |_, raw| {
        found |= TouchView::parse(raw).is_ok_and(|touch| touch.event_id == event_id);
        !found
    })?;
    if found {
        return Ok(Kept::Here);
    }
    let resident: Option<ResidentState> = state::get_message(state, &actor, &keys::of_identifier(keys::RESIDENT, by))?;
    let extent = resident.and_then(|resident| resident.extent);
    let dropped = extent.is_some_and(|extent| time_ms < plan.out_of_reach_ms(extent.newest_ms));
    Ok(if dropped { Kept::Dropped } else { Kept::Missing })
}

/// The milestones that the unit with this key tracks. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn milestones(state: &mut dyn State, unit: &str, plan: &Plan) -> Result<Vec<Milestone>, StateError> {
    reading(state, unit, plan, |unit| Ok(unit.tracked()?.into_iter().map(|one| one.milestone).collect()))
}

/// The units of a partition that one step of a walk covers.
#[derive(Debug, Default)]
pub struct Units {
    /// Their keys.
    pub keys: Vec<String>,
    /// The actor after which the next step begins; `None` if the walk is done.
    pub behind: Option<ActorKey>,
}

/// The units of a partition after an actor: those that hold anything, whether their profiles and accounts have rows or not. The company of
/// an erased person may have no row and still have deals. Looks at no more than `max` actors.
///
/// # Errors
/// When the state cannot be read.
pub fn units(state: &mut dyn State, behind: Option<&ActorKey>, max: usize) -> Result<Units, StateError> {
    let actors = state.actors(keys::TAG, behind, max)?;
    let mut units = Units { keys: Vec::new(), behind: actors.last().copied() };
    for actor in &actors {
        if let Some(key) = name_of(state, actor, true)? {
            units.keys.push(String::from_utf8(key).map_err(|_| corrupt(actor, &[keys::RESIDENT]))?);
        }
    }
    Ok(units)
}

/// A milestone in the unit with this key; `None` if the unit does not track it. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn milestone(state: &mut dyn State, unit: &str, milestone_id: &str, plan: &Plan) -> Result<Option<Explained>, StateError> {
    reading(state, unit, plan, |unit| {
        let residents = unit.residents()?;
        let tracked = unit.tracked()?;
        let Some(one) = tracked.iter().find(|one| one.milestone.milestone_id == milestone_id) else { return Ok(None) };
        let mut stored = Vec::new();
        for (owner, resident) in residents.iter().enumerate() {
            unit.scan_faces(&resident.hash, i64::MIN, i64::MAX, &mut |face| stored.push((face.to_vec(), owner)))?;
        }
        let actor = unit.actor;
        UnitJourney { actor, one, tracked: &tracked, residents: &residents, plan }.explain(&stored).map(Some)
    })
}

/// Reads a unit. Messages it would send are dropped.
fn reading<T>(
    state: &mut dyn State,
    unit: &str,
    plan: &Plan,
    read: impl FnOnce(&mut Unit<'_, '_>) -> Result<T, StateError>,
) -> Result<T, StateError> {
    let (mut outbox, mut dirty) = (Outbox::default(), BTreeMap::new());
    let mut mail = Mailbox::new(PartitionSlice { partition: 0, partitions: 1 });
    let mut scratch = Scratch::default();
    let mut effects = Effects { mail: &mut mail, outbox: &mut outbox, scratch: &mut scratch };
    let (actor, key) = (keys::actor(unit.as_bytes()), unit.as_bytes());
    read(&mut Unit { actor, key, plan, state, effects: &mut effects, dirty: &mut dirty })
}
