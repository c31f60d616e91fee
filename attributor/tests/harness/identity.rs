//! What identity knows, and what it tells units of it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::attributor_message::Body;
use tributary_proto::*;

use super::{hash, identifier};

/// The state of the identity stage in the harness, and the messages it sends.
#[derive(Default)]
pub struct Identity {
    pub placements: BTreeMap<String, Placement>,
    /// Encoded `StoredTouch`es by identifier.
    pub touches: BTreeMap<String, Vec<StoredTouch>>,
    pub erasures: BTreeMap<String, Vec<Erasure>>,
    /// Roles in deals by identifier.
    pub roles: BTreeMap<String, Vec<Role>>,
    /// Anchor, stamp, milestone.
    pub milestones: BTreeMap<String, (String, u64, Milestone)>,
    /// Whether it speaks as it did before placements had spans: `Move` to the unit of old.
    pub moves: bool,
    pub(super) said: Vec<(String, String, Body)>,
}

/// Whether an erasure voids a touch.
fn voids(erasure: &Erasure, touch: &StoredTouch) -> bool {
    if erasure.event != 0 {
        return Hash128::of(touch.event_id.as_bytes()).head() == erasure.event;
    }
    (erasure.identifier_set == 0 || erasure.identifier_set == touch.identifier_set) && touch.time_ms <= erasure.until_ms
}

impl Identity {
    fn say(&mut self, name: &str, unit: &str, body: Body) {
        self.said.push((name.to_owned(), unit.to_owned(), body));
    }

    /// The identifier's placement becomes this one, under the next epoch.
    pub fn place(&mut self, name: &str, unit: &str, profile: &str, role: &str, revoked: bool) {
        self.place_by_time(name, &[(i64::MIN, unit)], profile, role, revoked);
    }

    /// The same with several units, each from a time on.
    pub fn place_by_time(&mut self, name: &str, spans: &[(i64, &str)], profile: &str, role: &str, revoked: bool) {
        let before = self.placements.get(name).cloned();
        let account = |unit: &str| unit.strip_prefix("a:crm_account:").unwrap_or_default().to_owned();
        let span = |(from_ms, unit): &(i64, &str)| Span {
            from_ms: *from_ms,
            unit: (*unit).into(),
            account_id: account(unit),
            ..Span::default()
        };
        let unit = spans[0].1;
        let placement = Placement {
            profile_id: profile.into(),
            unit: unit.into(),
            account_id: account(unit),
            role: role.into(),
            revoked,
            epoch: before.as_ref().map_or(0, |before| before.epoch + 1),
            later: spans[1..].iter().map(span).collect(),
            ..Placement::default()
        };
        self.placements.insert(name.to_owned(), placement.clone());
        let before = before.into_iter().flat_map(|before| units(&before)).collect::<BTreeSet<_>>();
        for unit in &before - &units(&placement) {
            if self.moves {
                let message = Move { identifier_hash: hash(name), to: placement.unit.clone(), epoch: placement.epoch };
                self.say(name, &unit, Body::Move(message));
            } else {
                self.arrive(name, &unit);
            }
        }
        self.arrive_all(name);
    }

    /// Tells a unit the identifier's placement and erasures.
    fn arrive(&mut self, name: &str, unit: &str) {
        let erasures = self.erasures.get(name).cloned().unwrap_or_default();
        let roles = self.roles.get(name).cloned().unwrap_or_default();
        let (identifier, placement) = (Some(identifier(name)), self.placements.get(name).cloned());
        let arrive = Arrive { identifier, placement, identifier_hash: hash(name), erasures, roles };
        self.say(name, unit, Body::Arrive(arrive));
    }

    /// Tells all of the identifier's units its placement and erasures.
    pub fn arrive_all(&mut self, name: &str) {
        for unit in units(&self.placements[name]) {
            self.arrive(name, &unit);
        }
    }

    /// What the identifier brought under an identifier set (0: under any) up to a time is void.
    pub fn erase(&mut self, name: &str, identifier_set: u64, until_ms: i64) {
        self.void(name, Erasure { identifier_set, until_ms, event: 0 });
    }

    /// An event of the identifier is taken back.
    pub fn retract(&mut self, name: &str, event_id: &str) {
        self.void(name, Erasure { event: Hash128::of(event_id.as_bytes()).head(), ..Erasure::default() });
    }

    fn void(&mut self, name: &str, erasure: Erasure) {
        let all = self.erasures.entry(name.to_owned()).or_default();
        match all.iter_mut().find(|known| (known.identifier_set, known.event) == (erasure.identifier_set, erasure.event)) {
            Some(known) => known.until_ms = known.until_ms.max(erasure.until_ms),
            None => all.push(erasure),
        }
        self.touches.entry(name.to_owned()).or_default().retain(|touch| !voids(&erasure, touch));
        self.arrive_all(name);
    }

    /// The identifier has these roles, and no others: object and role.
    pub fn cast(&mut self, name: &str, roles: &[(&str, &str)]) {
        let role = |(object_id, role): &(&str, &str)| Role { object_id: (*object_id).into(), role: (*role).into() };
        self.roles.insert(name.to_owned(), roles.iter().map(role).collect());
        self.arrive_all(name);
    }

    fn item(&mut self, name: &str, time_ms: i64, what: item::What) {
        let placement = self.placements[name].clone();
        let item = Item { identifier_hash: hash(name), epoch: placement.epoch, what: Some(what) };
        self.say(name, placement.at(time_ms).0, Body::Item(item));
    }

    pub fn touch(&mut self, name: &str, touch: StoredTouch) {
        // Identity itself refuses what is void when it comes.
        if self.erasures.get(name).is_some_and(|all| all.iter().any(|erasure| voids(erasure, &touch))) {
            return;
        }
        self.item(name, touch.time_ms, item::What::Touch(touch.clone()));
        self.touches.entry(name.to_owned()).or_default().push(touch);
    }

    /// What an identifier tracks, from now on or no longer.
    fn track(&mut self, name: &str, track: StoredTrack) {
        let time_ms = track.milestone.as_ref().map_or(track.at_ms, |milestone| milestone.time_ms);
        self.item(name, time_ms, item::What::Track(track));
    }

    /// The milestone is as given, anchored by this identifier.
    pub fn milestone(&mut self, name: &str, milestone: Milestone) {
        let milestone_id = milestone.milestone_id.clone();
        let before = self.milestones.get(&milestone_id).cloned();
        let stamp = before.as_ref().map_or(1, |(_, stamp, _)| stamp + 1);
        let track = StoredTrack { milestone_id: milestone_id.clone(), stamp, ..StoredTrack::default() };
        if let Some((anchor, _, before)) =
            before.filter(|(anchor, _, before)| anchor != name || before.time_ms != milestone.time_ms)
        {
            self.track(&anchor, StoredTrack { at_ms: before.time_ms, ..track.clone() });
        }
        self.track(name, StoredTrack { milestone: Some(milestone.clone()), ..track });
        self.milestones.insert(milestone_id, (name.to_owned(), stamp, milestone));
    }
}

/// All units of a placement.
fn units(placement: &Placement) -> BTreeSet<String> {
    placement.stays().map(|stay| stay.unit.to_owned()).collect()
}

impl Identity {
    /// All versions of the milestone are void.
    pub fn erase_milestone(&mut self, milestone_id: &str) {
        let (anchor, stamp, milestone) = self.milestones.remove(milestone_id).unwrap();
        let track =
            StoredTrack { milestone_id: milestone_id.to_owned(), stamp: stamp + 1, erased: true, ..StoredTrack::default() };
        self.track(&anchor, StoredTrack { at_ms: milestone.time_ms, ..track.clone() });
        let nothing = Milestone { withdrawn: true, time_ms: 0, value_minor: 0, currency: String::new(), ..milestone };
        self.track(&anchor, StoredTrack { milestone: Some(nothing), ..track });
    }
}
