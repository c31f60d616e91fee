//! The oracle: profiles and credit, computed from the whole set of events at once.
//!
//! It is naive on purpose. All events are in one list; there are no partitions, no messages, no epochs and nothing incremental. It shares
//! only message types and settings with the cores, so the same misreading of a rule would have to be made twice.
//!
//! | what | where |
//! |---|---|
//! | what counts for nothing | [`void`] |
//! | what the events say, as sets | [`facts`], [`statements`] |
//! | people and accounts | [`cluster`], [`people`] |
//! | which accounts are above others | [`hierarchy`] |
//! | whose account a person's touch is | [`timeline`] |
//! | milestones, from all their versions | [`milestones`] |
//! | who is in which deal | [`contacts`] |
//! | journeys and models | [`journey`], [`models`] |
//! | the credit table | [`credit`] |
//! | the rows of touches and milestones | [`rows`] |
//! | what may be forgotten | [`horizon`] |

pub mod cluster;
pub mod contacts;
pub mod credit;
pub mod existence;
pub mod facts;
pub mod hierarchy;
pub mod horizon;
pub mod journey;
pub mod milestones;
pub mod models;
pub mod name;
pub mod people;
pub mod placed;
pub mod rates;
pub mod rows;
pub mod statements;
pub mod timeline;
pub mod void;

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Account, Event, MilestoneRow, Profile, StoredTouch, Touch, TouchpointRow};

use contacts::Contacts;
use credit::CreditTable;
use facts::{Facts, Name};
use people::People;
use placed::{Brought, Reached};
use void::Void;

/// The settings of identity and attribution.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The kinds in force.
    pub kinds: Kinds,
    /// Of identity.
    pub identity: tributary_identity::Settings,
    /// Of the attributor.
    pub attribution: tributary_attributor::settings::Settings,
}

/// The expected result once everything has been processed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// The live profiles, by id.
    pub profiles: BTreeMap<String, Profile>,
    /// The live accounts, by id.
    pub accounts: BTreeMap<String, Account>,
    /// The credit table.
    pub credits: CreditTable,
    /// The rows of touches that must exist, by their content.
    pub touchpoints: BTreeMap<String, TouchpointRow>,
    /// Content of rows of touches that may exist or not.
    pub forgettable: BTreeSet<String>,
    /// The rows of milestones, by id.
    pub milestones: BTreeMap<String, MilestoneRow>,
    /// Milestones beyond the horizon: they may miss touches.
    pub beyond: BTreeSet<String>,
    /// The ids of touches that must be stored, because a milestone within the horizon can see them.
    pub kept: BTreeSet<String>,
    /// The ids of touches that may be dropped.
    pub droppable: BTreeSet<String>,
}

/// The verdict on a set of events. Their order and duplicates do not matter.
pub fn judge(events: &[Event], rules: &Rules) -> Verdict {
    let void = Void::of(events);
    let facts = Facts::of(events, &void, &rules.identity);
    let newest = horizon::newest(events);
    let people = People::of(&facts, &rules.identity, rules.kinds.custom_identifiers());
    let mut verdict = Verdict { profiles: people.profiles(), accounts: people.accounts(), ..Verdict::default() };
    let mut touches = Vec::new();
    for event in events.iter().filter(|event| !void.is_void_touch(event)) {
        if let (Some(Body::Touch(touch)), Some(primary)) = (&event.body, horizon::bringer(event)) {
            let newest_ms = newest.get(&primary).copied().unwrap_or(event.time_ms);
            let droppable = horizon::may_be_dropped(event.time_ms, newest_ms, &rules.attribution);
            let ids = if droppable { &mut verdict.droppable } else { &mut verdict.kept };
            ids.insert(event.event_id.clone());
            let touch_there = brought(event, touch, &primary, &people);
            if rules.attribution.outputs.touchpoints {
                let row = rows::of_touch(&touch_there, &touch.origin.clone().unwrap_or_default());
                let shown = format!("{row:?}");
                if droppable {
                    verdict.forgettable.insert(shown);
                } else {
                    verdict.touchpoints.insert(shown, row);
                }
            }
            touches.push(touch_there);
        }
    }
    let reached: Vec<Reached> = milestones::of(events, &void, &rules.identity)
        .into_iter()
        .filter_map(|(anchor, milestone)| Some(Reached { home: people.home(&anchor?, milestone.time_ms), milestone }))
        .collect();
    let newest_of_units = horizon::newest_of_units(events, &newest, &people);
    let newest_of = |of: &Reached| newest_of_units.get(&of.home.unit).copied();
    let beyond = reached.iter().filter(|of| horizon::is_beyond(of, newest_of(of), &rules.attribution));
    verdict.beyond = beyond.map(|of| of.milestone.milestone_id.clone()).collect();
    let contacts = Contacts::of(events, &void, &people);
    if rules.attribution.outputs.milestones {
        verdict.milestones = rows::of_milestones(&reached, &contacts, &rules.attribution);
    }
    verdict.credits = credit::table_with(&touches, &reached, &contacts, &rules.attribution);
    verdict
}

/// A touch with the unit it belongs to.
fn brought(event: &Event, touch: &Touch, primary: &Name, people: &People<'_>) -> Brought {
    let named = |kind: &str| event.identifiers.iter().find(|identifier| identifier.kind == kind).map(Name::of);
    let device = named("anonymous_id").or(named("device_id"));
    let noted = device.as_ref().filter(|_| touch.digital).map_or(0, Name::short);
    let touch = StoredTouch {
        event_id: event.event_id.clone(),
        time_ms: event.time_ms,
        touch: Some(Touch { device: noted, origin: None, ..touch.clone() }),
        ..StoredTouch::default()
    };
    let device = if noted == 0 { primary.short() } else { noted };
    Brought { touch, home: people.home(primary, event.time_ms), device }
}
