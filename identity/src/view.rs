//! What follows from a cluster: the profiles (or accounts) of its members and the placement of each.

use std::collections::BTreeSet;

use prost::encoding::uint64;
use tributary_proto::placement::Stay;
use tributary_proto::{Account, ConsentFact, Hash128, Identifier, Member, Membership, Placement, Profile, encode};
use tributary_runtime::stage::Outbox;
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::Row as _;

use crate::cluster::{Clustering, is_trusted};
use crate::group::{
    Answers, Assertions, Members, People, account_identifier, identifiers, oldest, pick, traits, trusted_consent,
};
use crate::hierarchy::Above;
use crate::names::{account_unit, profile_id, profile_unit};
use crate::people;
use crate::settings::Rules;
use crate::timeline;

/// A row of an output topic.
#[derive(Debug, Clone)]
pub enum Row {
    /// A person.
    Profile(Profile),
    /// A company.
    Account(Account),
}

/// The tags of `revision`.
const PROFILE_REVISION: u32 = 11;
const ACCOUNT_REVISION: u32 = 12;

/// A record of an output topic.
pub struct PublishedRow {
    /// profile_id or account_id: the record's key.
    pub id: String,
    /// Hash of the identifier that names it.
    pub called_after: Hash128,
    /// The row.
    pub row: Row,
}

/// See the module.
pub struct View {
    /// Per member, in member order, with epoch 0.
    pub placements: Vec<Placement>,
    /// Positions of members for whose person two accounts were asserted at the same time.
    pub tied: BTreeSet<usize>,
    /// One per profile or account.
    pub records: Vec<PublishedRow>,
    /// Account identifiers that profiles name, each with the member that names it.
    pub subscriptions: Vec<(Identifier, Identifier)>,
}

/// The profiles of a cluster of people.
///
/// # Errors
/// When `answers` fails.
pub fn people(
    members: &Members,
    clustering: &Clustering,
    assertions: &Assertions,
    answers: &mut Answers<'_>,
    rules: &Rules,
) -> Result<View, StateError> {
    let mut view = View::empty(members);
    for positions in &clustering.profiles {
        let group = pick(members, positions);
        let Some(oldest) = oldest(&group) else { continue };
        let profile_id = profile_id(oldest.0);
        let entries = timeline::entries(&group, assertions, rules);
        if timeline::is_tied(&entries) {
            view.tied.extend(positions);
        }
        let own = || Placement { unit: profile_unit(&profile_id), ..Placement::default() };
        let spans = timeline::spans(&entries, answers, rules)?.unwrap_or_else(own);
        let account_id = spans.stays().last().map_or_else(String::new, |stay| stay.account_id.to_owned());
        let traits = traits(&group);
        let by_trusted = trusted_consent(&group);
        let role = traits.iter().find(|named| named.name == "role").map_or(String::new(), |role| role.value.clone());
        let public = !group.iter().any(|(_, member)| is_trusted(member));
        let placement = Placement { profile_id: profile_id.clone(), role, public, ..spans };
        let revoked_for = |member: &Member| revoked(by_trusted.as_ref(), member);
        view.place(positions, |at| {
            let revoked = members.get(at).is_some_and(|(_, member)| revoked_for(member));
            Placement { revoked, ..placement.clone() }
        });
        let identifiers = identifiers(&group);
        if identifiers.is_empty() {
            continue;
        }
        let mut present = group.iter().filter(|(_, member)| member.present);
        let revoked = present.all(|(_, member)| revoked_for(member));
        let quarantined = positions.iter().any(|at| clustering.quarantined.contains(at));
        let memberships = memberships(&placement);
        let profile =
            Profile { profile_id, account_id, identifiers, traits, revoked, quarantined, memberships, ..Profile::default() };
        view.records.push(PublishedRow { id: profile.profile_id.clone(), called_after: oldest.0, row: Row::Profile(profile) });
        let mut asked = BTreeSet::new();
        for entry in entries {
            if asked.insert((entry.account.hash(), entry.by.hash())) {
                view.subscriptions.push((entry.account, entry.by.clone()));
            }
        }
    }
    Ok(view)
}

/// The accounts that a person has belonged to, if there are several.
fn memberships(placement: &Placement) -> Vec<Membership> {
    if placement.later.is_empty() {
        return Vec::new();
    }
    let from_ms = |stay: &Stay<'_>| if stay.from_ms == i64::MIN { 0 } else { stay.from_ms };
    placement.stays().map(|stay| Membership { account_id: stay.account_id.to_owned(), from_ms: from_ms(&stay) }).collect()
}

/// The accounts of a cluster of account identifiers.
///
/// # Errors
/// When `answers` fails.
pub fn companies(
    members: &Members,
    clustering: &Clustering,
    (assertions, people): (&Assertions, &People),
    answers: &mut Answers<'_>,
    rules: &Rules,
) -> Result<View, StateError> {
    let mut view = View::empty(members);
    for positions in &clustering.profiles {
        let group = pick(members, positions);
        let Some((called_after, named)) = account_identifier(&group) else { continue };
        let account_id = named.value.to_string();
        let above = Above::of(account_unit(named), &group, assertions, answers)?;
        view.subscriptions.extend(above.asked.clone());
        let placement = above.placement(&account_id, rules);
        view.place(positions, |_| placement.clone());
        let identifiers = identifiers(&group);
        if identifiers.is_empty() {
            continue;
        }
        let quarantined = positions.iter().any(|at| clustering.quarantined.contains(at));
        let (people, people_count) = people::listed(&group, people, rules.account_people);
        let traits = traits(&group);
        let (parent_id, root_id) = above.ids();
        let account = Account {
            account_id,
            identifiers,
            traits,
            quarantined,
            people,
            people_count,
            parent_id,
            root_id,
            ..Account::default()
        };
        view.records.push(PublishedRow { id: account.account_id.clone(), called_after, row: Row::Account(account) });
    }
    Ok(view)
}

/// The topic of a component's rows.
pub fn topic(of_accounts: bool) -> Topic {
    if of_accounts { Topic::Accounts } else { Topic::Profiles }
}

impl Row {
    /// A row with only the id.
    fn bare(topic: Topic, id: &str) -> Self {
        let id = id.to_owned();
        match topic {
            Topic::Accounts => Self::Account(Account { account_id: id, ..Account::default() }),
            _ => Self::Profile(Profile { profile_id: id, ..Profile::default() }),
        }
    }

    /// The row that states where a profile or account went that is no longer published under its id.
    pub fn departed(topic: Topic, id: &str, merged_into: &str) -> Self {
        let mut row = Self::bare(topic, id);
        let (Self::Profile(Profile { merged_into: into, .. }) | Self::Account(Account { merged_into: into, .. })) = &mut row;
        merged_into.clone_into(into);
        row
    }

    /// The last row of an erased profile or account: its id, marked `erased`. A tombstone follows it.
    pub fn erased(topic: Topic, id: &str) -> Self {
        let mut row = Self::bare(topic, id);
        let (Self::Profile(Profile { erased, .. }) | Self::Account(Account { erased, .. })) = &mut row;
        *erased = true;
        row
    }

    /// The notice of an un-merge: the same row, and what it was split from.
    pub fn split_off(&self, from: &str) -> Self {
        let mut row = self.clone();
        let (Self::Profile(Profile { split_from, .. }) | Self::Account(Account { split_from, .. })) = &mut row;
        from.clone_into(split_from);
        row
    }

    /// Its bytes without a revision; their hash shows whether the row changed.
    pub fn encoded(&self) -> Vec<u8> {
        match self {
            Self::Profile(row) => encode::to_vec(row),
            Self::Account(row) => encode::to_vec(row),
        }
    }

    /// Publishes it with a revision; `encoded` are its bytes without one. The revision is the last field of a row, so it is appended.
    pub fn publish_encoded(&self, mut encoded: Vec<u8>, outbox: &mut Outbox, revision: u64) {
        let (topic, key, tag) = match self {
            Self::Profile(row) => (Topic::Profiles, row.key(), PROFILE_REVISION),
            Self::Account(row) => (Topic::Accounts, row.key(), ACCOUNT_REVISION),
        };
        if outbox.writes_json(topic) {
            self.publish(outbox, revision);
        } else {
            uint64::encode(tag, &revision, &mut encoded);
            outbox.publish_encoded(topic, key, encoded);
        }
    }

    /// Publishes it with a revision.
    pub fn publish(&self, outbox: &mut Outbox, revision: u64) {
        match self {
            Self::Profile(row) => outbox.publish(&Profile { revision, ..row.clone() }),
            Self::Account(row) => outbox.publish(&Account { revision, ..row.clone() }),
        }
    }
}

impl View {
    fn empty(members: &Members) -> Self {
        let placements = vec![Placement::default(); members.len()];
        Self { placements, tied: BTreeSet::new(), records: Vec::new(), subscriptions: Vec::new() }
    }

    /// The id in a placement: of the account for an account identifier, else of the profile.
    pub fn id_of(placement: &Placement) -> &str {
        if placement.profile_id.is_empty() { &placement.account_id } else { &placement.profile_id }
    }

    fn place(&mut self, positions: &[usize], placement: impl Fn(usize) -> Placement) {
        for at in positions {
            if let Some(slot) = self.placements.get_mut(*at) {
                *slot = placement(*at);
            }
        }
    }
}

/// Whether consent is revoked for what a member brings: by the profile's latest consent of a trusted event; if there is none, by the
/// member's own latest public one.
fn revoked(by_trusted: Option<&ConsentFact>, member: &Member) -> bool {
    by_trusted.or(member.public_consent.as_ref()).is_some_and(|consent| !consent.granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_bytes_of_the_whole_message() {
        let profile = Profile { profile_id: "p".into(), account_id: "a".into(), erased: true, ..Profile::default() };
        let account = Account { account_id: "a".into(), people_count: 3, erased: true, ..Account::default() };
        for row in [Row::Profile(profile), Row::Account(account)] {
            let (mut whole, mut encoded) = (Outbox::default(), Outbox::default());
            row.publish(&mut whole, 1 << 40);
            row.publish_encoded(row.encoded(), &mut encoded, 1 << 40);
            assert_eq!(whole.outputs, encoded.outputs);
        }
    }
}
