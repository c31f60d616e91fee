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
    /// The stages reached by then, which models look at.
    pub stages: Vec<StageReached>,
    /// Every row of credit as last emitted, by model, then touch.
    pub credit: Vec<Credit>,
    /// The profiles (and accounts) whose identifiers brought the touches, and the anchor's.
    pub owners: Vec<Owner>,
    /// Whether what was emitted is what follows from the state at hand: else messages are on their way, or the settings differ from
    /// those under which it was emitted.
    pub current: bool,
    /// How fresh it is; `null` over files.
    pub freshness: Option<Freshness>,
}

/// A milestone.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MilestoneAnswer {
    /// `kind:object_id`.
    pub milestone_id: String,
    /// The stage reached.
    pub kind: String,
    /// When.
    pub time_ms: i64,
    /// Its value.
    pub value_minor: i64,
    /// ISO 4217; empty without a value.
    pub currency: String,
    /// Whether it counts for nothing.
    pub withdrawn: bool,
    /// Whether any event reports that it was reached: else none of `time_ms` and the value says anything.
    pub reached: bool,
    /// Whether all that reported it is void because of an erasure.
    pub erased: bool,
    /// Up to when what named somebody of it is void; `null` where nobody was erased.
    pub erased_until_ms: Option<i64>,
    /// The identifier it goes by: the account, else the person, of its latest version that names one.
    pub anchor: Option<String>,
    /// Its account; empty while none is known.
    pub account_id: String,
    /// Touches from here on are in the journey; `null` while no unit tracks it.
    pub window_start_ms: Option<i64>,
    /// Whether it lies further back than `attribution.horizon_days`, seen from the newest touch in its unit: touches may be gone.
    pub beyond_horizon: bool,
    /// What reported it, the earliest first.
    pub versions: Vec<Version>,
}

/// One report of a milestone.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Version {
    /// The event's id.
    pub event_id: String,
    /// When it was reported.
    pub time_ms: i64,
    /// When it says that the milestone was reached.
    pub occurred_at_ms: Option<i64>,
    /// The value it gives, in major units; `none` where it says that there is none.
    pub value: Option<String>,
    /// The currency it gives; empty for none.
    pub currency: String,
    /// What it says is paid back, in major units.
    pub refund: Option<String>,
    /// Whether it withdraws the milestone.
    pub withdrawn: bool,
    /// Whether it only changes a milestone that another version reports.
    pub amends: bool,
    /// The own dimensions that it gives; an empty value clears one. Left out where it says nothing of any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// Whether the event is public: it counts only where no trusted one reports the milestone.
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
    /// Its own dimensions; left out where it has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// The profile it belongs to; empty for a touch of the account itself.
    pub profile_id: String,
    /// The identifier that brought it.
    pub identifier: String,
    /// Whose it was when it happened: the account of its profile at that time; empty while none was known.
    pub account_id: String,
    /// By which assertion that was its account: the one that begins the span of time; `null` for a touch of the account itself.
    pub account_why: Option<AccountWhy>,
    /// Whether its event is public: anybody could have sent it.
    pub public: bool,
    /// Whether it is in the journey.
    pub in_journey: bool,
    /// `in_journey`, `before_window`, `after_milestone`, `revoked`, `duplicate`, `visit` or `overlong`.
    pub standing: &'static str,
    /// The same in words.
    pub why: String,
}

/// A stage that a model may look at.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StageReached {
    /// The kind of milestone, or `close`.
    pub stage: String,
    /// When it was reached.
    pub time_ms: i64,
    /// The touch that brought it about; `null` where the journey has none up to then.
    pub touch_id: Option<String>,
}

/// A row of the credit table, with its reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Credit {
    /// The model.
    pub model: String,
    /// Its version.
    pub model_version: String,
    /// The touch; `unattributed` for an empty journey.
    pub touch_id: String,
    /// The touch's number; `null` where the unit does not hold it (any more).
    pub touch: Option<usize>,
    /// Its channel.
    pub channel: String,
    /// Its weight.
    pub weight_nano: u64,
    /// Its part of the value.
    pub value_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// The anchors that the touch holds in this model.
    pub anchors: Vec<String>,
    /// Why.
    pub reason: String,
    /// Whether the state at hand gives the same row.
    pub current: bool,
}

/// A profile (or an account) that touches come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Owner {
    /// The profile; empty for an account itself.
    pub profile_id: String,
    /// Its account when the milestone was reached; empty while none is known.
    pub account_id: String,
    /// The person's role.
    pub role: String,
    /// Why that account.
    pub account_why: Option<AccountWhy>,
    /// The accounts it has belonged to, by time, where these are several: what it did while it belonged to another one counts there.
    pub memberships: Vec<MembershipWhy>,
    /// Whether the latest consent is a revocation.
    pub revoked: bool,
    /// Whether the cluster is over the limit, so that no link joins anybody.
    pub quarantined: bool,
    /// How each identifier that brought a touch (or anchors the milestone) belongs to it.
    pub identifiers: Vec<Via>,
    /// Links of its identifiers that join nobody.
    pub refused: Vec<RefusedLink>,
}

/// How an identifier belongs to its profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Via {
    /// The identifier.
    pub identifier: String,
    /// Links from it to the identifier that the profile (or account) is called after; none where it is that one.
    pub path: Vec<LinkUsed>,
}

/// Why a profile is of its account.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AccountWhy {
    /// `asserted` by an event, or the `email_domain` of a corporate address.
    pub how: &'static str,
    /// The identifier of the profile that names the account.
    pub by: String,
    /// The account identifier named.
    pub names: String,
    /// When it was asserted, or the address first seen.
    pub time_ms: Option<i64>,
    /// Links from the account identifier named to the one that the account is called by; none where it is the same.
    pub path: Vec<LinkUsed>,
}

/// A span of time in which a person belongs to an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MembershipWhy {
    /// Since when; `null` for the first: since ever.
    pub from_ms: Option<i64>,
    /// The account.
    pub account_id: String,
    /// Why.
    pub why: Option<AccountWhy>,
}

/// A link that holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LinkUsed {
    /// One end.
    pub a: String,
    /// The other.
    pub b: String,
    /// -1 for an explicit statement, else the weaker rank of the two kinds; lower goes first.
    pub class: i64,
    /// `explicit`, or the weaker of the two kinds.
    pub class_name: String,
    /// Earliest event that names both.
    pub earliest_ms: Option<i64>,
    /// When it was stated last that they are one, or not.
    pub stated_ms: Option<i64>,
    /// Whether only public events have seen both.
    pub public: bool,
    /// Whether it was needed: nothing surer had united the two.
    pub joins: bool,
}

/// A link that joins nobody.
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

/// What is known of an identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Profile {
    /// What was asked for.
    pub asked: String,
    /// The profile; empty for an account.
    pub profile_id: String,
    /// The account, or the profile's; empty while none is known.
    pub account_id: String,
    /// Where what its identifiers bring is kept: the key of the attributor's actor.
    pub unit: String,
    /// Why that account; `null` for an account.
    pub account_why: Option<AccountWhy>,
    /// The accounts it has belonged to, by time, where these are several.
    pub memberships: Vec<MembershipWhy>,
    /// Of an account, the account right above it; empty where none is.
    pub parent_id: String,
    /// And the one at the top.
    pub root_id: String,
    /// Of an account, the people who belong or belonged to it, as topic `accounts` has them.
    pub people: Vec<AccountPerson>,
    /// How many people these are in all, listed or not.
    pub people_count: u32,
    /// Its identifiers; it is called after the first: the oldest, of an account the oldest of its CRM.
    pub identifiers: Vec<Identified>,
    /// The links between them, the surest first.
    pub links: Vec<LinkUsed>,
    /// The links that join nobody.
    pub refused: Vec<RefusedLink>,
    /// Its traits, by name.
    pub traits: Vec<TraitAnswer>,
    /// The role, for weights by role.
    pub role: String,
    /// The latest consent; `null` where nothing was said.
    pub consent: Option<Consent>,
    /// Whether the cluster is over the limit, so that no link joins anybody.
    pub quarantined: bool,
    /// Ids that parts of it had, as its events happened.
    pub former: Vec<Former>,
    /// Up to when the identifier asked for is erased.
    pub erased_until_ms: Option<i64>,
    /// Whether anything that counts names the identifier asked for: of one that is erased only what happened since.
    pub present: bool,
    /// Whether this is what its units have been told: else messages are on their way, or the settings are others since.
    pub current: bool,
    /// How fresh it is; `null` over files.
    pub freshness: Option<Freshness>,
}

/// An identifier of a profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Identified {
    /// The identifier.
    pub identifier: String,
    /// When it was first seen.
    pub earliest_ms: Option<i64>,
    /// Whether it joins nobody, because too many claim it.
    pub shared: bool,
    /// What it brought.
    pub brought: Brought,
}

/// What an identifier brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Brought {
    /// How many touches.
    pub touches: usize,
    /// The first.
    pub first_ms: Option<i64>,
    /// The last.
    pub last_ms: Option<i64>,
    /// The milestones that go by it.
    pub milestones: Vec<Anchor>,
}

/// A milestone that goes by an identifier.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Anchor {
    /// `kind:object_id`.
    pub milestone_id: String,
    /// When it was reached.
    pub time_ms: i64,
    /// Whether it counts for nothing.
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
    /// Given, or taken back.
    pub granted: bool,
    /// When.
    pub time_ms: i64,
}

/// An id that a part of a profile had.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Former {
    /// The id.
    pub id: String,
    /// Since when: the first event of its oldest identifier.
    pub from_ms: i64,
    /// Until when: the event that joined it to an older part.
    pub until_ms: i64,
}
