//! A milestone in its unit: which touches are in its journey, why the others are not, and what each model gives.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tributary_proto::{Message, Milestone, StoredTouch};
use tributary_runtime::state::{ActorKey, StateError};

use super::{Explained, Inclusion, Portion, Stage, UnitTouch};
use crate::credit;
use crate::funnel;
use crate::journey::{Cast, Fold, Journey, Timeline, Touchpoint, Visit};
use crate::models::Rationale;
use crate::plan::{Plan, PlannedModel};
use crate::unit::keys;
use crate::unit::{Resident, Tracked, cast, corrupt};

/// A unit and the milestone to be explained.
pub(super) struct UnitJourney<'a> {
    pub actor: ActorKey,
    pub one: &'a Tracked,
    pub tracked: &'a [Tracked],
    pub residents: &'a [Resident],
    pub plan: &'a Plan,
}

/// A touch and the resident that brought it.
type Owned<'a> = (Touchpoint<'a>, &'a Resident);

/// Maps a position in the journey to one among all touches.
type Place<'a> = dyn Fn(usize) -> Option<usize> + 'a;

impl UnitJourney<'_> {
    /// Explains the milestone by all touches of the unit, each with the position of the resident that brought it.
    pub fn explain(&self, stored: &[(Vec<u8>, usize)]) -> Result<Explained, StateError> {
        let (of, plan) = (&self.one.milestone, self.plan);
        let tracked = self.tracked.iter().map(|one| &one.milestone);
        let live: Vec<&Milestone> = tracked.filter(|milestone| !milestone.withdrawn).collect();
        let start_ms = plan.window_start_ms(of, &live);
        let all = self.read(stored)?;
        let cast = cast(&of.object_id, self.residents, plan.named_only);
        let counts = |(touch, by): &Owned<'_>| !by.placement.revoked && cast.includes(touch.profile);
        let consented = || all.iter().enumerate().filter(|(_, owned)| counts(owned));
        let sorted: Vec<Touchpoint<'_>> = consented().map(|(_, (touch, _))| *touch).collect();
        let places: BTreeMap<*const Touchpoint<'_>, usize> =
            sorted.iter().map(std::ptr::from_ref).zip(consented().map(|(at, _)| at)).collect();
        let place = |touch: &Touchpoint<'_>| places.get(&std::ptr::from_ref(touch).cast()).copied();

        let mut inclusions: Vec<Inclusion> = all.iter().map(|owned| outside(owned, &cast, start_ms, of.time_ms)).collect();
        let mut folds: Vec<(Option<usize>, Option<Inclusion>)> = Vec::new();
        let journey = Journey::trace(
            &Timeline::of(&sorted, &plan.visits),
            of,
            &live,
            &cast,
            &plan.journey(&of.kind),
            &mut |touch, fold| {
                let inclusion = match fold {
                    Fold::Duplicate(first) => place(first).map(Inclusion::Duplicate),
                    Fold::Visit(first) => place(first).map(Inclusion::Visit),
                    Fold::Overlong => Some(Inclusion::Overlong),
                };
                folds.push((place(touch), inclusion));
            },
        );
        apply(folds, &mut inclusions);
        let in_all = |position: usize| journey.touches.get(position).and_then(|visit| place(visit.first));
        let visits: BTreeMap<usize, &Visit<'_>> =
            journey.touches.iter().filter_map(|visit| Some((place(visit.first)?, visit))).collect();
        let touches = all.iter().zip(inclusions).enumerate();
        let touches = touches.map(|(at, (owned, inclusion))| self.unit_touch(owned, inclusion, visits.get(&at).copied()));
        let newest_ms = all.last().map(|(touch, _)| touch.view.time_ms);
        Ok(Explained {
            milestone: of.clone(),
            stamp: self.one.stamp,
            account_id: self.one.account_id.clone(),
            window_start_ms: start_ms,
            beyond_horizon: of.time_ms < newest_ms.map_or(i64::MIN, |newest_ms| plan.horizon_ms(newest_ms)),
            touches: touches.collect::<Result<_, _>>()?,
            stages: stages(&journey, of, &live, plan, &in_all),
            models: portions(&journey, of, plan, &in_all),
        })
    }

    /// The touches, in the order of journeys.
    fn read<'t>(&'t self, stored: &'t [(Vec<u8>, usize)]) -> Result<Vec<Owned<'t>>, StateError> {
        let mut all = Vec::with_capacity(stored.len());
        for (raw, owner) in stored {
            let Some(by) = self.residents.get(*owner) else { continue };
            let touch = Touchpoint::read(raw, &by.placement.profile_id, &by.placement.role, &by.hash);
            all.push((touch.map_err(|_| corrupt(&self.actor, &[keys::TOUCH]))?, by));
        }
        all.sort_by(|(a, by), (b, other)| a.order(b).then(by.hash.cmp(&other.hash)));
        Ok(all)
    }

    fn unit_touch(
        &self,
        (touch, by): &Owned<'_>,
        inclusion: Inclusion,
        visit: Option<&Visit<'_>>,
    ) -> Result<UnitTouch, StateError> {
        let (raw, hits) = visit.map_or((Cow::Borrowed(touch.raw), 1), |visit| (visit.encoded(), visit.hits));
        let stored = StoredTouch::decode(raw.as_ref()).map_err(|_| corrupt(&self.actor, &[keys::TOUCH]))?;
        let role = visit.map_or(touch.role, |visit| visit.role).to_owned();
        let profile_id = touch.profile.to_owned();
        Ok(UnitTouch { touch: stored, hits, profile_id, role, by: by.identifier.clone(), inclusion })
    }
}

/// Enters which touches are folded.
fn apply(folds: Vec<(Option<usize>, Option<Inclusion>)>, inclusions: &mut [Inclusion]) {
    for (at, inclusion) in folds {
        if let (Some(slot), Some(inclusion)) = (at.and_then(|at| inclusions.get_mut(at)), inclusion) {
            *slot = inclusion;
        }
    }
}

/// How a touch relates to the journey by its time and person alone.
fn outside((touch, by): &Owned<'_>, cast: &Cast<'_>, start_ms: i64, milestone_ms: i64) -> Inclusion {
    if by.placement.revoked {
        Inclusion::Revoked
    } else if touch.view.time_ms < start_ms {
        Inclusion::BeforeWindow
    } else if touch.view.time_ms > milestone_ms {
        Inclusion::AfterMilestone
    } else if !cast.includes(touch.profile) {
        Inclusion::Unnamed
    } else {
        Inclusion::InJourney
    }
}

fn stages(journey: &Journey<'_>, of: &Milestone, live: &[&Milestone], plan: &Plan, place: &Place<'_>) -> Vec<Stage> {
    let reached = plan.stages.iter().enumerate().filter_map(|(at, kind)| {
        let moment_ms = funnel::of_stage(kind, of, live)?;
        Some(Stage { kind: kind.clone(), moment_ms, touch: journey.stage_anchor(at).and_then(place) })
    });
    let close = funnel::is_closing(&of.kind).then(|| Stage {
        kind: "close".to_owned(),
        moment_ms: of.time_ms,
        touch: journey.close_anchor().and_then(place),
    });
    reached.chain(close).collect()
}

/// The credit under every model, by the same function as in the unit.
fn portions(journey: &Journey<'_>, of: &Milestone, plan: &Plan, place: &Place<'_>) -> Vec<(String, String, Vec<Portion>)> {
    let rows = credit::rows(journey, of, plan);
    let positions: BTreeMap<_, usize> = journey.touches.iter().enumerate().map(|(at, visit)| (visit.encoded(), at)).collect();
    let of_model = |(number, model): (u32, &PlannedModel)| {
        let mut portions = Vec::new();
        for row in &rows {
            let at = positions.get(row.touch.as_slice()).copied();
            let rationale = match at {
                Some(at) => model.rationale(journey, of, at),
                None => Rationale { anchors: Vec::new(), words: "no touch in the journey".to_owned() },
            };
            portions.extend(row.credits.iter().filter(|share| share.model == number).map(|share| Portion {
                touch: at.and_then(place),
                weight_nano: share.weight_nano,
                value_minor: share.value_minor,
                rationale: rationale.clone(),
            }));
        }
        (model.name.clone(), model.version.clone(), portions)
    };
    let withdrawn = of.withdrawn;
    (0u32..).zip(plan.models_of(&of.kind)).filter(|_| !withdrawn).map(of_model).collect()
}
