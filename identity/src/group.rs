//! The members of one profile or account: the oldest of them, their combined statements, and what else is known about them.

use std::collections::BTreeMap;

use tributary_proto::{AccountIs, Belongs, ConsentFact, DayAssertion, Hash128, Identifier, Member, Trait, TraitFact, kind};
use tributary_runtime::state::StateError;

use crate::cluster::is_trusted;
use crate::facts::{merge_consent, merge_traits};

/// Members of a component by hash, as [`crate::cluster::cluster`] takes them.
pub type Members = [(Hash128, Member)];

/// The members of one profile or account.
pub type Group<'a> = Vec<(Hash128, &'a Member)>;

/// The assertions of each member.
pub type Assertions = BTreeMap<Hash128, Vec<DayAssertion>>;

/// By account identifier, the messages of persons who belong to it.
pub type People = BTreeMap<Hash128, Vec<Belongs>>;

/// The latest answer of an account identifier, by its hash.
pub type Answers<'a> = dyn FnMut(Hash128) -> Result<Option<AccountIs>, StateError> + 'a;

pub(crate) fn pick<'a>(members: &'a Members, positions: &[usize]) -> Group<'a> {
    positions.iter().filter_map(|at| members.get(*at)).map(|(hash, member)| (*hash, member)).collect()
}

/// When a trusted event first named it, else a public one.
pub fn seen_first_ms(member: &Member) -> Option<i64> {
    member.earliest_ms.or(member.public_ms)
}

/// The sort key of a member's age: see [`age`].
pub(crate) type Age = (bool, bool, i64, Hash128);

/// Order by age: members named by trusted events first, then by earliest event time, then by hash. Members without a time come later, those
/// that no event names last.
pub(crate) fn age(hash: Hash128, member: &Member) -> Age {
    (!member.present, !is_trusted(member), seen_first_ms(member).unwrap_or(i64::MAX), hash)
}

pub(crate) fn oldest<'a>(group: &Group<'a>) -> Option<(Hash128, &'a Member)> {
    group.iter().min_by_key(|(hash, member)| age(*hash, member)).copied()
}

/// The order in which identifiers can name an account.
pub(crate) fn account_age(hash: Hash128, member: &Member) -> (bool, u8, Age) {
    let rank = match member.identifier.as_ref().map(|identifier| identifier.kind.as_str()) {
        Some(kind::CRM_ACCOUNT) => 0,
        Some(kind::COMPANY_NAME) => 2,
        _ => 1,
    };
    (!member.present, rank, age(hash, member))
}

/// The identifier that names an account: its CRM id, else its oldest domain, else its oldest company name.
pub(crate) fn account_identifier<'a>(group: &Group<'a>) -> Option<(Hash128, &'a Identifier)> {
    let named = group.iter().filter_map(|(hash, member)| {
        let identifier = member.identifier.as_ref()?;
        Some((account_age(*hash, member), (*hash, identifier)))
    });
    named.min_by_key(|(rank, _)| *rank).map(|(_, named)| named)
}

pub(crate) fn identifiers(group: &Group<'_>) -> Vec<Identifier> {
    let present = group.iter().filter(|(_, member)| member.present);
    let mut all: Vec<Identifier> = present.filter_map(|(_, member)| member.identifier.clone()).collect();
    all.sort_by_cached_key(Identifier::key);
    all
}

pub(crate) fn traits(group: &Group<'_>) -> Vec<Trait> {
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

/// The latest consent stated by trusted events.
pub(crate) fn trusted_consent(group: &Group<'_>) -> Option<ConsentFact> {
    let mut latest: Option<ConsentFact> = None;
    for (_, member) in group {
        merge_consent(&mut latest, member.consent.as_ref());
    }
    latest
}
