//! What a component means to the world: the profiles (or accounts) of its members and the placement of each.

use std::collections::BTreeMap;

use tributary_proto::{
    Account, AccountIs, Assertion, ConsentFact, Hash128, Identifier, Member, Message, Placement, Profile, Trait, TraitFact,
    kind,
};
use tributary_runtime::topic::Topic;

use crate::cluster::Clustering;
use crate::facts::{merge_assertion, merge_consent, merge_traits};
use crate::settings::Rules;

/// A record of an output topic.
pub struct Record {
    /// profile_id or account_id: the record's key.
    pub id: String,
    /// The record, encoded.
    pub bytes: Vec<u8>,
}

/// See the module.
pub struct View {
    /// Per member, in member order, with epoch 0.
    pub placements: Vec<Placement>,
    /// One a profile or account.
    pub records: Vec<Record>,
    /// Where the records go.
    pub topic: Topic,
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

/// Profiles of a component of people. `answers` are what account identifiers have told, by their hash.
pub fn people(members: &Members, clustering: &Clustering, answers: &BTreeMap<Hash128, AccountIs>, rules: &Rules) -> View {
    let mut view = View::empty(members, Topic::Profiles);
    for positions in &clustering.profiles {
        let group = pick(members, positions);
        let Some(oldest) = oldest(&group) else { continue };
        let profile_id = profile_id(oldest.0);
        let named = account_named(&group, rules);
        let (unit, account_id) = match &named {
            Some((account, _)) => match answers.get(&account.hash()) {
                Some(answer) => (answer.unit.clone(), answer.account_id.clone()),
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
        let profile = Profile { profile_id, account_id, identifiers, traits, revoked, merged_into: String::new() };
        view.records.push(Record { bytes: profile.encode_to_vec(), id: profile.profile_id });
        if let Some((account, by)) = named {
            view.subscriptions.push((account, by.clone()));
        }
    }
    view
}

/// Accounts of a component of account identifiers.
pub fn companies(members: &Members, clustering: &Clustering) -> View {
    let mut view = View::empty(members, Topic::Accounts);
    for positions in &clustering.profiles {
        let group = pick(members, positions);
        let Some(named) = account_identifier(&group) else { continue };
        let (account_id, unit) = (named.value.clone(), account_unit(named));
        view.place(positions, &Placement { unit, account_id: account_id.clone(), ..Placement::default() });
        let account =
            Account { account_id, identifiers: identifiers(&group), traits: traits(&group), merged_into: String::new() };
        view.records.push(Record { bytes: account.encode_to_vec(), id: account.account_id });
    }
    view
}

/// The record that says where a profile or account has gone that is no longer published under its id; `None` where its identifier is
/// not in the component.
pub fn departed(members: &Members, placements: &[Placement], topic: Topic, id: &str) -> Option<Vec<u8>> {
    if topic == Topic::Profiles {
        let at = members.iter().position(|(hash, _)| profile_id(*hash) == id)?;
        let merged_into = placements.get(at)?.profile_id.clone();
        return Some(Profile { profile_id: id.to_owned(), merged_into, ..Profile::default() }.encode_to_vec());
    }
    let at = members.iter().position(|(_, member)| member.identifier.as_ref().is_some_and(|named| named.value == id))?;
    let merged_into = placements.get(at)?.account_id.clone();
    Some(Account { account_id: id.to_owned(), merged_into, ..Account::default() }.encode_to_vec())
}

impl View {
    fn empty(members: &Members, topic: Topic) -> Self {
        Self { placements: vec![Placement::default(); members.len()], records: Vec::new(), topic, subscriptions: Vec::new() }
    }

    fn place(&mut self, positions: &[usize], placement: &Placement) {
        for at in positions {
            if let Some(slot) = self.placements.get_mut(*at) {
                slot.clone_from(placement);
            }
        }
    }
}

type Group<'a> = Vec<(Hash128, &'a Member)>;

fn pick<'a>(members: &'a Members, positions: &[usize]) -> Group<'a> {
    positions.iter().filter_map(|at| members.get(*at)).map(|(hash, member)| (*hash, member)).collect()
}

/// Earliest event time, then smallest hash; those without a time last.
fn age(hash: Hash128, member: &Member) -> (i64, Hash128) {
    (member.earliest_ms.unwrap_or(i64::MAX), hash)
}

fn oldest<'a>(group: &Group<'a>) -> Option<(Hash128, &'a Member)> {
    group.iter().min_by_key(|(hash, member)| age(*hash, member)).copied()
}

/// The account a profile names, and the member that names it: the latest assertion, else the domain of the newest corporate address.
fn account_named<'a>(group: &Group<'a>, rules: &Rules) -> Option<(Identifier, &'a Identifier)> {
    let mut latest: Option<Assertion> = None;
    let mut by = None;
    for (_, member) in group {
        if merge_assertion(&mut latest, member.assertion.as_ref()) {
            by = member.identifier.as_ref();
        }
    }
    if let (Some(account), Some(by)) = (latest.and_then(|assertion| assertion.account), by) {
        return Some((account, by));
    }
    let corporate = group.iter().filter_map(|(hash, member)| {
        let identifier = member.identifier.as_ref()?;
        Some(((member.earliest_ms, *hash), rules.corporate_domain(identifier)?, identifier))
    });
    corporate.max_by_key(|(age, _, _)| *age).map(|(_, account, by)| (account, by))
}

/// The identifier an account is called by: its CRM id, else its oldest domain.
fn account_identifier<'a>(group: &Group<'a>) -> Option<&'a Identifier> {
    let named = group.iter().filter_map(|(hash, member)| {
        let identifier = member.identifier.as_ref()?;
        Some(((identifier.kind != kind::CRM_ACCOUNT, age(*hash, member)), identifier))
    });
    named.min_by_key(|(rank, _)| *rank).map(|(_, identifier)| identifier)
}

fn identifiers(group: &Group<'_>) -> Vec<Identifier> {
    let mut all: Vec<Identifier> = group.iter().filter_map(|(_, member)| member.identifier.clone()).collect();
    all.sort_by_cached_key(Identifier::key);
    all
}

fn traits(group: &Group<'_>) -> Vec<Trait> {
    let mut latest: Vec<TraitFact> = Vec::new();
    for (_, member) in group {
        merge_traits(&mut latest, &member.traits);
    }
    latest.into_iter().filter_map(|fact| fact.r#trait).collect()
}

fn revoked(group: &Group<'_>) -> bool {
    let mut latest: Option<ConsentFact> = None;
    for (_, member) in group {
        merge_consent(&mut latest, member.consent.as_ref());
    }
    latest.is_some_and(|consent| !consent.granted)
}
