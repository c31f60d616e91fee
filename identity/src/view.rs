//! What a cluster means to the world: the profiles (or accounts) of its members and the placement of each.

use tributary_proto::{
    Account, AccountIs, Assertion, ConsentFact, Hash128, Identifier, Member, Message, Placement, Profile, Stamp, Trait,
    TraitFact, kind,
};
use tributary_runtime::stage::Outbox;
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;

use crate::cluster::Clustering;
use crate::facts::{merge_assertion, merge_consent, merge_traits};
use crate::settings::Rules;

/// A row of an output topic.
#[derive(Debug, Clone)]
pub enum Row {
    /// A person.
    Profile(Profile),
    /// A company.
    Account(Account),
}

/// A record of an output topic.
pub struct Record {
    /// profile_id or account_id: the record's key.
    pub id: String,
    /// Hash of the identifier it is called after.
    pub called_after: Hash128,
    /// The row.
    pub row: Row,
}

/// See the module.
pub struct View {
    /// Per member, in member order, with epoch 0.
    pub placements: Vec<Placement>,
    /// One a profile or account.
    pub records: Vec<Record>,
    /// Account identifiers that profiles name, each with the member that named it.
    pub subscriptions: Vec<(Identifier, Identifier)>,
}

/// Members of a component by hash, as [`crate::cluster::cluster`] takes them.
pub type Members = [(Hash128, Member)];

/// The id of the profile whose oldest identifier has this hash.
pub fn profile_id(oldest: Hash128) -> String {
    format!("p_{oldest}")
}

/// The key of a profile's unit while the profile has no account.
pub fn profile_unit(profile_id: &str) -> String {
    format!("p:{profile_id}")
}

/// The key of the unit of the account that this identifier stands for.
pub fn account_unit(account: &Identifier) -> String {
    format!("a:{}:{}", account.kind, account.value)
}

/// The placement of an identifier of which nothing but itself is known.
pub fn lone_placement(identifier: &Identifier, hash: Hash128) -> Placement {
    if kind::is_account(&identifier.kind) {
        let (unit, account_id) = (account_unit(identifier), identifier.value.clone());
        return Placement { unit, account_id, ..Placement::default() };
    }
    let profile_id = profile_id(hash);
    Placement { unit: profile_unit(&profile_id), profile_id, ..Placement::default() }
}

/// What an account identifier has told, by its hash.
pub type Answers<'a> = dyn FnMut(Hash128) -> Result<Option<AccountIs>, StateError> + 'a;

/// The profiles of a cluster of people.
///
/// # Errors
/// When `answers` fails.
pub fn people(
    members: &Members,
    clustering: &Clustering,
    quarantined: bool,
    answers: &mut Answers<'_>,
    rules: &Rules,
) -> Result<View, StateError> {
    let mut view = View::empty(members);
    for positions in &clustering.profiles {
        let group = pick(members, positions);
        let Some(oldest) = oldest(&group) else { continue };
        let profile_id = profile_id(oldest.0);
        let named = account_named(&group, rules);
        let (unit, account_id) = match &named {
            Some(Named { account, .. }) => match answers(account.hash())? {
                Some(answer) => (answer.unit, answer.account_id),
                None => (account_unit(account), account.value.clone()),
            },
            None => (profile_unit(&profile_id), String::new()),
        };
        let traits = traits(&group);
        let revoked = revoked(&group);
        let role = traits.iter().find(|named| named.name == "role").map_or(String::new(), |role| role.value.clone());
        view.place(
            positions,
            &Placement { profile_id: profile_id.clone(), unit, account_id: account_id.clone(), role, revoked, epoch: 0 },
        );
        let identifiers = identifiers(&group);
        if identifiers.is_empty() {
            continue;
        }
        let profile = Profile { profile_id, account_id, identifiers, traits, revoked, quarantined, ..Profile::default() };
        view.records.push(Record { id: profile.profile_id.clone(), called_after: oldest.0, row: Row::Profile(profile) });
        if let Some(Named { account, by, .. }) = named {
            view.subscriptions.push((account, by.clone()));
        }
    }
    Ok(view)
}

/// The accounts of a cluster of account identifiers.
pub fn companies(members: &Members, clustering: &Clustering, quarantined: bool) -> View {
    let mut view = View::empty(members);
    for positions in &clustering.profiles {
        let group = pick(members, positions);
        let Some((called_after, named)) = account_identifier(&group) else { continue };
        let (account_id, unit) = (named.value.clone(), account_unit(named));
        view.place(positions, &Placement { unit, account_id: account_id.clone(), ..Placement::default() });
        let identifiers = identifiers(&group);
        if identifiers.is_empty() {
            continue;
        }
        let account = Account { account_id, identifiers, traits: traits(&group), quarantined, ..Account::default() };
        view.records.push(Record { id: account.account_id.clone(), called_after, row: Row::Account(account) });
    }
    view
}

/// Where a component's records go.
pub fn topic(root: &Identifier) -> Topic {
    if kind::is_account(&root.kind) { Topic::Accounts } else { Topic::Profiles }
}

impl Row {
    /// A row of which only the id is known.
    fn bare(topic: Topic, id: &str) -> Self {
        let id = id.to_owned();
        match topic {
            Topic::Accounts => Self::Account(Account { account_id: id, ..Account::default() }),
            _ => Self::Profile(Profile { profile_id: id, ..Profile::default() }),
        }
    }

    /// The row that says where a profile or account has gone that is no longer published under its id.
    pub fn departed(topic: Topic, id: &str, merged_into: &str) -> Self {
        let mut row = Self::bare(topic, id);
        let (Self::Profile(Profile { merged_into: into, .. }) | Self::Account(Account { merged_into: into, .. })) = &mut row;
        merged_into.clone_into(into);
        row
    }

    /// The last row of a profile or account of which all was erased: its id, and that. A tombstone follows it.
    pub fn erased(topic: Topic, id: &str) -> Self {
        let mut row = Self::bare(topic, id);
        let (Self::Profile(Profile { erased, .. }) | Self::Account(Account { erased, .. })) = &mut row;
        *erased = true;
        row
    }

    /// The notice of an un-merge: the same row, and where it was split from.
    pub fn split_off(&self, from: &str) -> Self {
        let mut row = self.clone();
        let (Self::Profile(Profile { split_from, .. }) | Self::Account(Account { split_from, .. })) = &mut row;
        from.clone_into(split_from);
        row
    }

    /// What tells whether it has changed.
    pub fn digest(&self) -> Hash128 {
        Hash128::of(&match self {
            Self::Profile(row) => row.encode_to_vec(),
            Self::Account(row) => row.encode_to_vec(),
        })
    }

    /// Publishes it.
    pub fn publish(&self, outbox: &mut Outbox) {
        match self {
            Self::Profile(row) => outbox.publish(row),
            Self::Account(row) => outbox.publish(row),
        }
    }
}

impl View {
    fn empty(members: &Members) -> Self {
        Self { placements: vec![Placement::default(); members.len()], records: Vec::new(), subscriptions: Vec::new() }
    }

    /// The id of the profile, or for an account identifier of the account, that a placement is in.
    pub fn id_of(placement: &Placement) -> &str {
        if placement.profile_id.is_empty() { &placement.account_id } else { &placement.profile_id }
    }

    fn place(&mut self, positions: &[usize], placement: &Placement) {
        for at in positions {
            if let Some(slot) = self.placements.get_mut(*at) {
                slot.clone_from(placement);
            }
        }
    }
}

/// The members of one profile or account.
pub(crate) type Group<'a> = Vec<(Hash128, &'a Member)>;

pub(crate) fn pick<'a>(members: &'a Members, positions: &[usize]) -> Group<'a> {
    positions.iter().filter_map(|at| members.get(*at)).map(|(hash, member)| (*hash, member)).collect()
}

/// Earliest event time, then smallest hash; those without a time later, and those that no event names last.
pub(crate) fn age(hash: Hash128, member: &Member) -> (bool, i64, Hash128) {
    (!member.present, member.earliest_ms.unwrap_or(i64::MAX), hash)
}

fn oldest<'a>(group: &Group<'a>) -> Option<(Hash128, &'a Member)> {
    group.iter().min_by_key(|(hash, member)| age(*hash, member)).copied()
}

/// The account a profile names.
pub(crate) struct Named<'a> {
    pub account: Identifier,
    /// The member that names it.
    pub by: &'a Identifier,
    /// When it was asserted; `None` where it is the domain of a corporate address.
    pub asserted: Option<Stamp>,
}

/// The account a profile names: the latest assertion, else the domain of the newest corporate address.
pub(crate) fn account_named<'a>(group: &Group<'a>, rules: &Rules) -> Option<Named<'a>> {
    let mut latest: Option<Assertion> = None;
    let mut by = None;
    for (_, member) in group {
        if merge_assertion(&mut latest, member.assertion.as_ref()) {
            by = member.identifier.as_ref();
        }
    }
    if let (Some(Assertion { account: Some(account), at }), Some(by)) = (latest, by) {
        return Some(Named { account, by, asserted: at });
    }
    // Of an address that is erased the links may be there still: nobody is asked on its behalf any more.
    let corporate = group.iter().filter(|(_, member)| member.present).filter_map(|(hash, member)| {
        let identifier = member.identifier.as_ref()?;
        Some(((member.earliest_ms, *hash), rules.corporate_domain(identifier)?, identifier))
    });
    corporate.max_by_key(|(age, _, _)| *age).map(|(_, account, by)| Named { account, by, asserted: None })
}

/// The order in which an account's identifiers may give it its name.
pub(crate) fn account_age(hash: Hash128, member: &Member) -> (bool, bool, (bool, i64, Hash128)) {
    let is_domain = member.identifier.as_ref().is_none_or(|identifier| identifier.kind != kind::CRM_ACCOUNT);
    (!member.present, is_domain, age(hash, member))
}

/// The identifier an account is called by: its CRM id, else its oldest domain.
fn account_identifier<'a>(group: &Group<'a>) -> Option<(Hash128, &'a Identifier)> {
    let named = group.iter().filter_map(|(hash, member)| {
        let identifier = member.identifier.as_ref()?;
        Some((account_age(*hash, member), (*hash, identifier)))
    });
    named.min_by_key(|(rank, _)| *rank).map(|(_, named)| named)
}

fn identifiers(group: &Group<'_>) -> Vec<Identifier> {
    let present = group.iter().filter(|(_, member)| member.present);
    let mut all: Vec<Identifier> = present.filter_map(|(_, member)| member.identifier.clone()).collect();
    all.sort_by_cached_key(Identifier::key);
    all
}

fn traits(group: &Group<'_>) -> Vec<Trait> {
    trait_facts(group).into_iter().filter_map(|fact| fact.r#trait).collect()
}

/// The latest value of every trait, by name.
pub(crate) fn trait_facts(group: &Group<'_>) -> Vec<TraitFact> {
    let mut latest: Vec<TraitFact> = Vec::new();
    for (_, member) in group {
        merge_traits(&mut latest, &member.traits);
    }
    latest
}

fn revoked(group: &Group<'_>) -> bool {
    consent(group).is_some_and(|consent| !consent.granted)
}

/// The latest consent.
pub(crate) fn consent(group: &Group<'_>) -> Option<ConsentFact> {
    let mut latest: Option<ConsentFact> = None;
    for (_, member) in group {
        merge_consent(&mut latest, member.consent.as_ref());
    }
    latest
}
