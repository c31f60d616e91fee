//! The answers, in the shape that `--json` prints. Times are milliseconds since 1970-01-01 UTC, values minor units of `currency`, weights
//! billionths, identifiers `kind|scope|value`.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_proto::AccountPerson;

use super::freshness::Freshness;

/// Why a milestone has the credit it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// The milestone.
    pub milestone: MilestoneAnswer,
    /// Every touch of the unit (the account, or the profile while it has none), in order.
    pub touches: Vec<TouchRow>,
    /// The stages that models use, as far as they were reached by then.
    pub stages: Vec<StageReached>,
    /// Every row of credit as last emitted, by model, then touch.
    pub credit: Vec<Credit>,
    /// The profiles (and accounts) of the identifiers that brought the touches, and of the anchor.
    pub owners: Vec<Owner>,
    /// Whether the emitted rows are those that follow from the current state. If not, messages are still on their way, or the rows were
    /// emitted under other settings.
    pub current: bool,
    /// How current the answer is; `null` over files.
    pub freshness: Option<Freshness>,
}

/// A milestone.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MilestoneAnswer {
    /// `kind:object_id`.
    pub milestone_id: String,
    /// The stage reached.
    pub kind: String,
    /// When it was reached.
    pub time_ms: i64,
    /// Its value.
    pub value_minor: i64,
    /// ISO 4217; empty without a value.
    pub currency: String,
    /// Whether it is withdrawn, and so has no credit.
    pub withdrawn: bool,
    /// Whether any event reports that it was reached. If not, `time_ms` and the value mean nothing.
    pub reached: bool,
    /// Whether all its reports are void because of an erasure.
    pub erased: bool,
    /// The time up to which its reports are void because somebody they name was erased; `null` if nobody was.
    pub erased_until_ms: Option<i64>,
    /// The identifier that anchors it: the account, else the person, named last.
    pub anchor: Option<String>,
    /// Its account; empty while none is known.
    pub account_id: String,
    /// The start of its window: touches from here on are in the journey; `null` while no unit tracks it.
    pub window_start_ms: Option<i64>,
    /// Whether it is older than `attribution.horizon_days`, relative to the newest touch in its unit: touches may have been dropped.
    pub beyond_horizon: bool,
    /// Its reports, earliest first.
    pub versions: Vec<Version>,
}

/// One report of a milestone.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Version {
    /// The event's id.
    pub event_id: String,
    /// When it was reported.
    pub time_ms: i64,
    /// When the milestone was reached, as it states.
    pub occurred_at_ms: Option<i64>,
    /// Its value, in major units; `none` if it states that there is none.
    pub value: Option<String>,
    /// Its currency; empty for none.
    pub currency: String,
    /// The refund it states, in major units.
    pub refund: Option<String>,
    /// Whether it withdraws the milestone.
    pub withdrawn: bool,
    /// Whether it only changes a milestone that another version reports.
    pub amends: bool,
    /// The own dimensions it states; an empty value clears one. Left out if it states none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// Whether the event is public: it counts only if no trusted one reports the milestone.
    pub public: bool,
    /// The identifiers it names.
    pub identifiers: Vec<String>,
}

/// A touch of the unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TouchRow {
    /// Its place in this list, from 1.
    pub number: usize,
    /// The event's id.
    pub touch_id: String,
    /// When it happened.
    pub time_ms: i64,
    /// Its channel.
    pub channel: String,
    /// Its source.
    pub source: String,
    /// Its medium.
    pub medium: String,
    /// Its campaign.
    pub campaign: String,
    /// Its own dimensions; left out if it has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// The profile it belongs to; empty for a touch of the account itself.
    pub profile_id: String,
    /// The identifier that brought it.
    pub identifier: String,
    /// The account of its profile at that time; empty while none was known.
    pub account_id: String,
    /// The assertion behind that account: the one that begins the span of time; `null` for a touch of the account itself.
    pub account_why: Option<AccountWhy>,
    /// Whether its event is public, so that anybody could have sent it.
    pub public: bool,
    /// Whether it is in the journey.
    pub in_journey: bool,
    /// `in_journey`, `before_window`, `after_milestone`, `revoked`, `duplicate`, `visit` or `overlong`.
    pub standing: &'static str,
    /// The same in words.
    pub why: String,
}

/// A stage that models use.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StageReached {
    /// The kind of milestone, or `close`.
    pub stage: String,
    /// When it was reached.
    pub time_ms: i64,
    /// The touch that is its anchor; `null` if the journey has none up to then.
    pub touch_id: Option<String>,
}

/// A row of the credit table, with the reason for its weight.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Credit {
    /// The model.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// The touch; `unattributed` for an empty journey.
    pub touch_id: String,
    /// The touch's number; `null` if the unit does not store it (any more).
    pub touch: Option<usize>,
    /// Its channel.
    pub channel: String,
    /// Its weight.
    pub weight_nano: u64,
    /// Its share of the value.
    pub value_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// The anchors that the touch holds in this model.
    pub anchors: Vec<String>,
    /// The reason for the weight.
    pub reason: String,
    /// Whether the current state gives the same row.
    pub current: bool,
}

/// A profile (or an account) whose identifiers brought touches.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Owner {
    /// The profile; empty for an account itself.
    pub profile_id: String,
    /// Its account when the milestone was reached; empty while none is known.
    pub account_id: String,
    /// The person's role.
    pub role: String,
    /// Why it has that account.
    pub account_why: Option<AccountWhy>,
    /// The accounts it has belonged to, by time, if there are several: its touches count for the account of their time.
    pub memberships: Vec<MembershipWhy>,
    /// Whether the latest consent is a revocation.
    pub revoked: bool,
    /// Whether the cluster is over the limit, so that its links join nobody.
    pub quarantined: bool,
    /// For each identifier that brought a touch or anchors the milestone, how it belongs to the profile.
    pub identifiers: Vec<Via>,
    /// Links of its identifiers that were refused.
    pub refused: Vec<RefusedLink>,
}

/// How an identifier belongs to its profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Via {
    /// The identifier.
    pub identifier: String,
    /// Links from it to the identifier that names the profile (or account); empty if it is that one.
    pub path: Vec<LinkUsed>,
}

/// Why a profile belongs to its account.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AccountWhy {
    /// `asserted` by an event, or the `email_domain` of a corporate address.
    pub how: &'static str,
    /// The identifier of the profile that states the account.
    pub by: String,
    /// The account identifier it states.
    pub names: String,
    /// When it was asserted, or the address first seen.
    pub time_ms: Option<i64>,
    /// Links from that account identifier to the one that names the account; empty if it is the same.
    pub path: Vec<LinkUsed>,
}

/// A span of time in which a person belongs to an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MembershipWhy {
    /// Since when; `null` for the first: since the beginning.
    pub from_ms: Option<i64>,
    /// The account.
    pub account_id: String,
    /// Why.
    pub why: Option<AccountWhy>,
}

/// A link that is in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LinkUsed {
    /// One end.
    pub a: String,
    /// The other.
    pub b: String,
    /// -1 for an explicit link, else the weaker rank of the two kinds; lower is stronger.
    pub class: i64,
    /// `explicit`, or the weaker of the two kinds.
    pub class_name: String,
    /// Earliest event that names both.
    pub earliest_ms: Option<i64>,
    /// When an explicit link or unlink of the two was last stated.
    pub stated_ms: Option<i64>,
    /// Whether all its evidence is public.
    pub public: bool,
    /// Whether it was needed: no stronger link had united the two.
    pub joins: bool,
}

/// A link that was refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RefusedLink {
    /// The link.
    #[serde(flatten)]
    pub link: LinkUsed,
    /// `limit`, `never_join`, `shared`, `quarantined`, `crowded` or `public`.
    pub rule: &'static str,
    /// The same in words.
    pub why: String,
}

/// Everything about the profile of an identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Profile {
    /// The question.
    pub asked: String,
    /// The profile; empty for an account.
    pub profile_id: String,
    /// The account, or the profile's; empty while none is known.
    pub account_id: String,
    /// The key of its unit, where the attributor stores its touches.
    pub unit: String,
    /// Why it has that account; `null` for an account.
    pub account_why: Option<AccountWhy>,
    /// The accounts it has belonged to, by time, if there are several.
    pub memberships: Vec<MembershipWhy>,
    /// For an account, its parent; empty if there is none.
    pub parent_id: String,
    /// For an account, the top of its hierarchy.
    pub root_id: String,
    /// For an account, the people who belong or belonged to it, as in topic `accounts`.
    pub people: Vec<AccountPerson>,
    /// The number of all these people, listed or not.
    pub people_count: u32,
    /// Its identifiers. The first one names it: the oldest; for an account the oldest CRM id, if there is one.
    pub identifiers: Vec<Identified>,
    /// The links between them, strongest first.
    pub links: Vec<LinkUsed>,
    /// The links that were refused.
    pub refused: Vec<RefusedLink>,
    /// Its traits, by name.
    pub traits: Vec<TraitAnswer>,
    /// The role, for weights by role.
    pub role: String,
    /// The latest consent; `null` if none was stated.
    pub consent: Option<Consent>,
    /// Whether the cluster is over the limit, so that its links join nobody.
    pub quarantined: bool,
    /// Former ids of its parts, in the order of its events.
    pub former: Vec<Former>,
    /// The time up to which the identifier in question is erased.
    pub erased_until_ms: Option<i64>,
    /// Whether any event that counts names the identifier. Of an erased one, only later events count.
    pub present: bool,
    /// Whether its units have received this. If not, messages are still on their way, or the settings have changed since.
    pub current: bool,
    /// How current the answer is; `null` over files.
    pub freshness: Option<Freshness>,
}

/// An identifier of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Identified {
    /// The identifier.
    pub identifier: String,
    /// When it was first seen.
    pub earliest_ms: Option<i64>,
    /// Whether it is shared: linked to too many others, so it joins nobody.
    pub shared: bool,
    /// What it brought.
    pub brought: Brought,
}

/// What an identifier brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Brought {
    /// The number of touches.
    pub touches: usize,
    /// The time of the first.
    pub first_ms: Option<i64>,
    /// The time of the last.
    pub last_ms: Option<i64>,
    /// The milestones that it anchors.
    pub milestones: Vec<Anchor>,
}

/// A milestone that an identifier anchors.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Anchor {
    /// `kind:object_id`.
    pub milestone_id: String,
    /// When it was reached.
    pub time_ms: i64,
    /// Whether it is withdrawn, and so has no credit.
    pub withdrawn: bool,
}

/// A trait.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TraitAnswer {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// When it was stated.
    pub time_ms: i64,
}

/// A consent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Consent {
    /// Given (true) or revoked.
    pub granted: bool,
    /// When.
    pub time_ms: i64,
}

/// A former id of a part of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Former {
    /// The id.
    pub id: String,
    /// Since when: the first event of its oldest identifier.
    pub from_ms: i64,
    /// Until when: the event that joined it to an older part.
    pub until_ms: i64,
}
