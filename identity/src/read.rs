//! Read-only queries: what identity knows of an identifier or a milestone, and why.
//!
//! Nothing is decided here. The profiles come from the [`clustering`](crate::cluster) that roots call, accounts and placements from the
//! [`view`](crate::view) of its result.

mod kept;
mod neighbourhood;

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{
    Account, ConsentFact, Erasure, Event, Hash128, Identifier, IdentifierState, Member, Milestone, MilestoneState, Placement,
    Reentry, Stamp, TraitFact, kind, occurrence,
};
use tributary_runtime::state::{Snapshot, StateError, get_message, scan_messages};

use crate::cluster::LinkRefusal;
use crate::component::{Component, Search};
use crate::keys;
use crate::milestone::standing::{Standing, occurrences};
use crate::milestone::told_of;
use crate::node::Node;
use crate::settings::Rules;
use crate::stage::LOG;
use crate::versions::standing;
use crate::view::View;
pub use kept::{Kept, kept};
use neighbourhood::Neighbourhood;

/// A path to a root is no longer than the binary logarithm of a component's size.
const PATH_MAX: usize = 64;

/// A link: two identifiers seen together, or explicitly linked or unlinked.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// One end.
    pub a: Identifier,
    /// The other.
    pub b: Identifier,
    /// Strength: -1 for an explicit link, else the weaker rank of the two kinds. Lower is stronger.
    pub class: i64,
    /// Earliest event in which both were seen, milliseconds since 1970-01-01 UTC.
    pub earliest_ms: Option<i64>,
    /// The latest explicit statement: true for a link, false for an unlink; and its time, milliseconds since 1970-01-01 UTC.
    pub explicit: Option<(bool, i64)>,
    /// Whether all evidence is public.
    pub public: bool,
    /// Whether it united two sets that no stronger link had united. These links are a spanning tree of the profile.
    pub joins: bool,
}

/// A shared identifier: linked to too many others, so it joins nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// The identifier.
    pub identifier: Identifier,
    /// The number of distinct identifiers linked to it.
    pub links: u32,
    /// How many of these are of a kind with limit 1.
    pub strong_links: u32,
}

/// A link that joins nobody, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The link.
    pub link: Link,
    /// The rule that refused it.
    pub rule: LinkRefusal,
    /// If an end is shared: which one, and its numbers.
    pub shared: Option<Shared>,
    /// If a limit refused it: the kind, and the limit.
    pub limit: Option<(String, u32)>,
}

/// An account that a profile names.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountNamed {
    /// From when on, milliseconds since 1970-01-01 UTC.
    pub from_ms: i64,
    /// The account identifier.
    pub account: Identifier,
    /// The identifier of the profile that names it.
    pub by: Identifier,
    /// When an event asserted it; `None` for the domain of a corporate address.
    pub asserted: Option<Stamp>,
}

/// A profile (or an account), and everything it follows from.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The identifier that was asked for.
    pub asked: Identifier,
    /// Its record.
    pub record: IdentifierState,
    /// The placement computed from the stored facts, with epoch 0.
    pub placement: Placement,
    /// For an account, the row computed from them.
    pub row: Option<Account>,
    /// The identifiers with the facts about each. The first names the profile: the oldest; for an account, the oldest CRM id if there is
    /// one.
    pub members: Vec<(Identifier, Member)>,
    /// The links between its identifiers, strongest first.
    pub links: Vec<Link>,
    /// The links of its identifiers that join nobody.
    pub refused: Vec<Refused>,
    /// The accounts it names, by time; empty for an account. The spans that follow are in the placement.
    pub accounts: Vec<AccountNamed>,
    /// Its latest traits.
    pub traits: Vec<TraitFact>,
    /// The consent that applies to what the identifier brings.
    pub consent: Option<ConsentFact>,
    /// Whether its cluster is over the limit.
    pub quarantined: bool,
}

impl Person {
    /// profile_id, or account_id of an account.
    pub fn id(&self) -> &str {
        View::id_of(&self.placement)
    }

    /// Whether it is an account.
    pub fn is_account(&self) -> bool {
        kind::is_account(&self.asked.kind)
    }

    /// Whether the computed placement equals the one the identifier has received. If not, messages are still on their way.
    pub fn is_settled(&self) -> bool {
        let told = self.record.placement.clone().map(|told| Placement { epoch: 0, ..told });
        told.is_none_or(|told| told == self.placement)
    }

    /// The links that join an identifier to the one that names the profile, starting at the identifier; empty if it is that one.
    pub fn path(&self, from: &Identifier) -> Vec<&Link> {
        let Some((first, _)) = self.members.first() else { return Vec::new() };
        // For every identifier the link towards the first: the links that joined form a tree.
        let mut towards: BTreeMap<Hash128, &Link> = BTreeMap::new();
        let mut next = vec![first];
        let mut seen = BTreeSet::from([first.hash()]);
        while let Some(at) = next.pop() {
            for link in self.links.iter().filter(|link| link.joins) {
                let other = if link.a == *at {
                    &link.b
                } else if link.b == *at {
                    &link.a
                } else {
                    continue;
                };
                if seen.insert(other.hash()) {
                    towards.insert(other.hash(), link);
                    next.push(other);
                }
            }
        }
        let (mut at, mut path) = (from.clone(), Vec::new());
        while let Some(link) = towards.get(&at.hash()).filter(|_| path.len() < self.links.len()) {
            path.push(*link);
            at = if link.a == at { link.b.clone() } else { link.a.clone() };
        }
        path
    }
}

/// One version of a milestone.
pub type Version = Event;

/// A milestone: what was last sent of it, and the versions that decide it, earliest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MilestoneFacts {
    /// What was last sent, and to which anchor.
    pub told: Reentry,
    /// Its versions.
    pub versions: Vec<Version>,
    /// The milestone that the versions describe.
    pub decided: Milestone,
    /// The latest erasure of any identifier that a version named; versions up to that time are void.
    pub erased_ms: Option<i64>,
}

/// A milestone; `None` if no event has reported it. Amounts without a currency are in that of the rules.
///
/// # Errors
/// When the state cannot be read.
pub fn milestone(snapshot: &mut dyn Snapshot, rules: &Rules, milestone_id: &str) -> Result<Option<MilestoneFacts>, StateError> {
    let (base, number) = occurrence::parts(milestone_id);
    let actor = keys::milestone(base);
    let state = snapshot.owner_of(LOG.stage, base.as_bytes())?;
    let known: Option<MilestoneState> = get_message(state, &actor, keys::NODE)?;
    let known = known.and_then(|known| told_of(&known).remove(&number));
    let stored = standing(state, &actor)?;
    let kind = base.split_once(':').map_or(base, |(kind, _)| kind);
    let said = occurrences(&stored, rules.reentry_ms(kind)).remove(&number).unwrap_or_default();
    let erasures = scan_messages::<Erasure>(state, &actor, &[keys::ERASURE])?;
    let erased_ms = erasures.into_iter().map(|(_, erasure)| erasure.until_ms).max();
    Ok((known.is_some() || !said.is_empty()).then(|| MilestoneFacts {
        told: known.unwrap_or_default(),
        decided: Standing::of(&said, rules.currency).milestone(milestone_id, rules.currency),
        versions: said.into_iter().map(|(event, _)| event.clone()).collect(),
        erased_ms,
    }))
}

/// The identifier that names, or once named, the profile with this hash in its id; `None` if no identifier has this hash.
///
/// # Errors
/// When the state cannot be read.
pub fn called_after(snapshot: &mut dyn Snapshot, hash: Hash128) -> Result<Option<Identifier>, StateError> {
    for partition in 0..snapshot.partitions(LOG.stage) {
        let state = snapshot.state(LOG.stage, partition)?;
        let record: Option<IdentifierState> = get_message(state, &keys::identifier(hash), keys::NODE)?;
        if let Some(identifier) = record.and_then(|record| record.identifier) {
            return Ok(Some(identifier));
        }
    }
    Ok(None)
}

/// The time up to which the identifier with this hash is erased. Of an erased identifier nothing else is stored, not even its name.
///
/// # Errors
/// When the state cannot be read.
pub fn erased_under(snapshot: &mut dyn Snapshot, hash: Hash128) -> Result<Option<i64>, StateError> {
    let mut latest = None;
    for partition in 0..snapshot.partitions(LOG.stage) {
        let state = snapshot.state(LOG.stage, partition)?;
        let record: Option<IdentifierState> = get_message(state, &keys::identifier(hash), keys::NODE)?;
        latest = latest.max(record.and_then(|record| record.erased_ms));
    }
    Ok(latest)
}

/// The profile (or account) of an identifier; `None` if no event has named it.
///
/// # Errors
/// When the state cannot be read.
pub fn person(snapshot: &mut dyn Snapshot, asked: &Identifier, rules: &Rules) -> Result<Option<Person>, StateError> {
    let node = load(snapshot, asked)?;
    if node.state.members == 0 && node.state.erased_ms.is_none() {
        return Ok(None);
    }
    let root = root_of(snapshot, &node)?;
    let component = Component::of(root.hash());
    let state = snapshot.owner_of(LOG.stage, &root.key())?;
    let found = Search::new(component, rules).cluster(state, node.hash)?;
    let mut facts = Neighbourhood::of(found.members, found.links);
    facts.members.entry(node.hash).or_insert_with(|| alone(&node));
    let own = facts.profile_of(node.hash, rules);
    let sharing = facts.add_neighbours(snapshot, &own)?;
    facts.describe(snapshot, node, &root, &sharing, rules).map(Some)
}

fn load(snapshot: &mut dyn Snapshot, identifier: &Identifier) -> Result<Node, StateError> {
    Node::load(snapshot.owner_of(LOG.stage, &identifier.key())?, identifier, identifier.hash())
}

fn root_of(snapshot: &mut dyn Snapshot, node: &Node) -> Result<Identifier, StateError> {
    let (mut at, mut above) = (node.identifier.clone(), node.state.parent.clone());
    for _ in 0..PATH_MAX {
        let Some(parent) = above else { break };
        above = load(snapshot, &parent)?.state.parent;
        at = parent;
    }
    Ok(at)
}

/// A node as the only member of its component.
fn alone(node: &Node) -> Member {
    Member {
        identifier: Some(node.identifier.clone()),
        earliest_ms: node.state.earliest_ms,
        public_ms: node.state.public_ms,
        shared: node.state.shared,
        present: node.state.present,
        ..Member::default()
    }
}
