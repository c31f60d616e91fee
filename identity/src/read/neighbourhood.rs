//! An identifier's cluster with everything its profile is linked to: this shows which links hold, and which are refused.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Hash128, Identifier, LinkFact, Member, kind};
use tributary_runtime::state::{Snapshot, StateError};

use super::{AccountNamed, Link, Person, Refused, Shared, alone, load};
use crate::cluster::{Clustering, LinkRefusal, class, cluster};
use crate::component::Component;
use crate::facts::{is_active, is_forbidden, seen_ms};
use crate::group;
use crate::node::Node;
use crate::settings::Rules;
use crate::stage::LOG;
use crate::stamp::stamp_key;
use crate::timeline;
use crate::view::{self, Row};

/// Members by hash, and links by the hashes of their ends: the input of a clustering.
pub(super) struct Neighbourhood {
    pub(super) members: BTreeMap<Hash128, Member>,
    links: BTreeMap<(Hash128, Hash128), LinkFact>,
}

impl Neighbourhood {
    pub(super) fn of(members: Vec<(Hash128, Member)>, links: Vec<LinkFact>) -> Self {
        let hash = |end: &Option<Identifier>| end.as_ref().map(Identifier::hash).unwrap_or_default();
        let links = links.into_iter().map(|link| ((hash(&link.a), hash(&link.b)), link)).collect();
        Self { members: members.into_iter().collect(), links }
    }

    fn cluster(&self, rules: &Rules) -> (Vec<(Hash128, Member)>, Vec<LinkFact>, Clustering) {
        let members: Vec<_> = self.members.iter().map(|(hash, member)| (*hash, member.clone())).collect();
        let links: Vec<_> = self.links.values().cloned().collect();
        let clustering = cluster(&members, &links, rules);
        (members, links, clustering)
    }

    /// The identifiers of one profile.
    pub(super) fn profile_of(&self, of: Hash128, rules: &Rules) -> Vec<Identifier> {
        let (members, _, clustering) = self.cluster(rules);
        let own = positions_of(&members, &clustering, of);
        own.iter().filter_map(|at| members.get(*at)?.1.identifier.clone()).collect()
    }

    /// Adds links that a root does not store: those of a profile's identifiers that are shared, or that an unlink forbids. Returns the
    /// shared identifiers.
    pub(super) fn add_neighbours(
        &mut self,
        snapshot: &mut dyn Snapshot,
        own: &[Identifier],
    ) -> Result<BTreeMap<Hash128, Shared>, StateError> {
        let mut sharing = BTreeMap::new();
        for identifier in own {
            let node = load(snapshot, identifier)?;
            note_shared(&node, &mut sharing);
            let links = node.links(snapshot.owner_of(LOG.stage, &identifier.key())?)?;
            for link in links {
                let Some(other) = node.other_end(&link) else { continue };
                let hash = other.hash();
                if let Entry::Vacant(place) = self.members.entry(hash) {
                    let neighbour = load(snapshot, other)?;
                    note_shared(&neighbour, &mut sharing);
                    if !(node.state.shared || neighbour.state.shared || is_forbidden(&link)) {
                        // They are not in one component yet: messages are still on their way.
                        continue;
                    }
                    place.insert(alone(&neighbour));
                }
                self.links.entry((node.hash.min(hash), node.hash.max(hash))).or_insert(link);
            }
        }
        Ok(sharing)
    }

    pub(super) fn describe(
        &self,
        snapshot: &mut dyn Snapshot,
        node: Node,
        root: &Identifier,
        sharing: &BTreeMap<Hash128, Shared>,
        rules: &Rules,
    ) -> Result<Person, StateError> {
        let (members, links, clustering) = self.cluster(rules);
        let component = Component::of(root.hash());
        let state = snapshot.owner_of(LOG.stage, &root.key())?;
        let assertions = component.assertions_of(state, &members)?;
        let people = component.people_of(state, &members)?;
        let mut answer = |account| component.answer(state, account);
        let view = if kind::is_account(&root.kind) {
            view::companies(&members, &clustering, (&assertions, &people), &mut answer, rules)?
        } else {
            view::people(&members, &clustering, &assertions, &mut answer, rules)?
        };
        let own = positions_of(&members, &clustering, node.hash);
        let position = members.binary_search_by_key(&node.hash, |(hash, _)| *hash).unwrap_or_default();
        let mut group = group::pick(&members, &own);
        if kind::is_account(&root.kind) {
            group.sort_by_key(|(hash, member)| group::account_age(*hash, member));
        } else {
            group.sort_by_key(|(hash, member)| group::age(*hash, member));
        }
        let named = if kind::is_account(&root.kind) { Vec::new() } else { timeline::entries(&group, &assertions, rules) };
        let quarantined = own.iter().any(|at| clustering.quarantined.contains(at));
        let joined = clustering.joined.iter().copied().collect();
        let refusals =
            LinkRefusals { members: &members, links: &links, clustering: &clustering, joined, own: &own, sharing, rules };
        let placement = view.placements.get(position).cloned().unwrap_or_default();
        let row = view.records.into_iter().find_map(|record| match record.row {
            Row::Account(row) if record.id == placement.account_id => Some(row),
            _ => None,
        });
        Ok(Person {
            placement,
            row,
            members: group.iter().filter_map(|(_, member)| Some((member.identifier.clone()?, (*member).clone()))).collect(),
            links: refusals.used(),
            refused: refusals.refused(),
            accounts: named
                .into_iter()
                .map(|entry| AccountNamed {
                    from_ms: entry.from_ms,
                    account: entry.account,
                    by: entry.by.clone(),
                    asserted: entry.asserted,
                })
                .collect(),
            traits: group::trait_facts(&group),
            consent: group::trusted_consent(&group).or_else(|| self.members.get(&node.hash)?.public_consent.clone()),
            quarantined,
            asked: node.identifier,
            record: node.state,
        })
    }
}

fn note_shared(node: &Node, sharing: &mut BTreeMap<Hash128, Shared>) {
    if node.state.shared {
        let (identifier, (links, strong_links)) = (node.identifier.clone(), node.claimed_by());
        sharing.insert(node.hash, Shared { identifier, links, strong_links });
    }
}

fn positions_of(members: &[(Hash128, Member)], clustering: &Clustering, of: Hash128) -> Vec<usize> {
    let Ok(position) = members.binary_search_by_key(&of, |(hash, _)| *hash) else { return Vec::new() };
    clustering.profiles.iter().find(|list| list.contains(&position)).cloned().unwrap_or_default()
}

/// What a clustering decided about the links of one profile.
struct LinkRefusals<'a> {
    members: &'a [(Hash128, Member)],
    links: &'a [LinkFact],
    clustering: &'a Clustering,
    /// Positions of the links that unite.
    joined: BTreeSet<usize>,
    /// Positions of the profile's identifiers, sorted.
    own: &'a [usize],
    sharing: &'a BTreeMap<Hash128, Shared>,
    rules: &'a Rules,
}

impl LinkRefusals<'_> {
    /// Whether the member at this position is in the profile.
    fn has(&self, position: usize) -> bool {
        self.own.binary_search(&position).is_ok()
    }

    /// A link with the positions of its ends, if one of them is in the profile.
    fn own_link(&self, at: usize) -> Option<(Link, usize, usize)> {
        let fact = self.links.get(at)?;
        let (Some(a), Some(b)) = (&fact.a, &fact.b) else { return None };
        let position = |of: &Identifier| self.members.binary_search_by_key(&of.hash(), |(hash, _)| *hash).ok();
        let (left, right) = (position(a)?, position(b)?);
        let own = self.has(left) || self.has(right);
        let explicit = fact.explicit.as_ref().map(|explicit| (explicit.join, stamp_key(explicit.at.as_ref()).0));
        let link = Link {
            a: a.clone(),
            b: b.clone(),
            class: class(fact, self.rules),
            earliest_ms: seen_ms(fact),
            public: fact.earliest_ms.is_none(),
            explicit,
            joins: self.joined.contains(&at),
        };
        own.then_some((link, left, right))
    }

    /// The links between two identifiers of the profile that nothing refused.
    fn used(&self) -> Vec<Link> {
        let active = self.links.iter().enumerate().filter(|(_, fact)| is_active(fact));
        let inside = active.filter_map(|(at, _)| {
            let (link, left, right) = self.own_link(at)?;
            (self.has(left) && self.has(right)).then_some(link)
        });
        let mut used: Vec<Link> = inside.collect();
        used.sort_by_cached_key(|link| (link.class, link.earliest_ms, link.a.key(), link.b.key()));
        used
    }

    fn refused(&self) -> Vec<Refused> {
        let refused = self.clustering.refused.iter().filter_map(|(at, rule)| {
            let (link, ..) = self.own_link(*at)?;
            let shared = [&link.a, &link.b].into_iter().find_map(|end| self.sharing.get(&end.hash()).cloned());
            let limit = self.clustering.over.get(at).map(|kind| (kind.clone(), self.rules.limit(kind)));
            Some(Refused { link, rule: *rule, shared: shared.filter(|_| *rule == LinkRefusal::Shared), limit })
        });
        let mut refused: Vec<Refused> = refused.collect();
        refused.sort_by_cached_key(|of| (of.link.class, of.link.earliest_ms, of.link.a.key(), of.link.b.key()));
        refused
    }
}
