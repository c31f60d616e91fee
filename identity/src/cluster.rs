//! Which identifiers of a component are one person: a constrained clustering that is a function of the set of facts.
//!
//! The links between identifiers that are not shared are sorted by (class, earliest time, the two hashes) and united one by one. A link
//! whose union would break a limit, or unite two that must never be joined, is refused. The order of the links is that of their evidence,
//! so the result does not depend on their order of arrival. Records that their system has merged count once against a limit, however many
//! duplicates there were.
//!
//! Trusted events are decided first, as if there were nothing else. What only public events know is attached to the result, and counts
//! against none of its limits, so no outsider can change what trusted events have established. Public links are sorted by the time of their
//! *receipt*: no sender can choose it, so no outsider gets ahead of earlier ones.

mod constrained;
mod sets;

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Hash128, Identifier, LinkFact, Member, kind};

use crate::facts::{is_active, is_explicit, is_forbidden, is_public, received_ms, seen_ms};
use crate::settings::{PublicJoins, Rules};
use constrained::Constrained;
use sets::Sets;

/// Why a link joins nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkRefusal {
    /// One of its ends is shared.
    Shared,
    /// The cluster of one of its ends is too large.
    Quarantined,
    /// The union would have more identifiers of one kind and scope than its limit.
    Limit,
    /// The union would join two identifiers that were stated not to be one.
    NeverJoin,
    /// The union would have too many public-only identifiers.
    Crowded,
    /// `public_joins` does not let public events join these.
    Public,
}

/// The members of a component by profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Clustering {
    /// Positions of members, one list per profile; every member is in exactly one. Lists and their items are in member order.
    pub profiles: Vec<Vec<usize>>,
    /// Links (by position) that united two sets. They are a spanning tree of each profile.
    pub joined: Vec<usize>,
    /// Links (by position) that join nobody, and why.
    pub refused: Vec<(usize, LinkRefusal)>,
    /// Links (by position) refused by a limit: the kind of which there would be too many.
    pub over: BTreeMap<usize, String>,
    /// Members (by position) of clusters that are too large: each is a profile of its own.
    pub quarantined: BTreeSet<usize>,
}

/// A link that may unite: its position, and the positions of its ends.
type Usable = (usize, usize, usize);

/// Whether a trusted event names a member.
pub fn is_trusted(member: &Member) -> bool {
    member.earliest_ms.is_some()
}

/// Clusters members by links. Both must be sorted by hash, so that positions mean the same everywhere. Links to identifiers that are not
/// members are skipped.
pub fn cluster(members: &[(Hash128, Member)], links: &[LinkFact], rules: &Rules) -> Clustering {
    let position = |of: Option<&Identifier>| {
        let hash = of?.hash();
        members.binary_search_by_key(&hash, |(known, _)| *known).ok()
    };
    let ends: Vec<Option<(usize, usize)>> =
        links.iter().map(|link| Some((position(link.a.as_ref())?, position(link.b.as_ref())?))).collect();
    let shared = |at: usize| members.get(at).is_some_and(|(_, member)| member.shared);

    let mut result = Clustering::default();
    let mut usable: Vec<Usable> = Vec::new();
    for (at, (link, ends)) in links.iter().zip(&ends).enumerate() {
        match ends {
            Some((a, b)) if is_active(link) && (shared(*a) || shared(*b)) => result.refused.push((at, LinkRefusal::Shared)),
            Some((a, b)) if is_active(link) => usable.push((at, *a, *b)),
            Some(_) if is_forbidden(link) && seen_ms(link).is_some() => result.refused.push((at, LinkRefusal::NeverJoin)),
            _ => {}
        }
    }
    usable.sort_by_cached_key(|(at, a, b)| (links.get(*at).map(|link| order(link, rules)), *a, *b));
    let (mut public, mut trusted): (Vec<Usable>, Vec<Usable>) =
        usable.into_iter().partition(|(at, ..)| links.get(*at).is_some_and(is_public));
    quarantine(members, [&mut trusted, &mut public], rules, &mut result);
    if rules.public_joins == PublicJoins::Anonymous {
        hold_back(members, &mut public, &mut result);
    }

    let never = links.iter().zip(&ends).filter(|(link, _)| is_forbidden(link)).filter_map(|(_, ends)| *ends);
    let merges = trusted.iter().filter(|(at, ..)| links.get(*at).is_some_and(|link| is_merge(link, rules)));
    let mut people = Constrained::new(members, merges.map(|(_, a, b)| (*a, *b)), never, rules);
    for (at, a, b) in trusted.into_iter().chain(public) {
        let is_public = links.get(at).is_some_and(is_public);
        match people.unite(is_public, a, b) {
            Ok(true) => result.joined.push(at),
            Ok(false) => {}
            Err((refusal, over)) => {
                result.over.extend(over.map(|kind| (at, kind.to_owned())));
                result.refused.push((at, refusal));
            }
        }
    }
    result.refused.sort_unstable();
    result.profiles = people.lists();
    result
}

/// Whether it is a cookie or a device.
fn is_anonymous(member: &Member) -> bool {
    member.identifier.as_ref().is_some_and(|of| kind::is_device(&of.kind))
}

/// Refuses public links, except the first link of each cookie or device to another identifier.
fn hold_back(members: &[(Hash128, Member)], public: &mut Vec<Usable>, result: &mut Clustering) {
    let mut hung = BTreeSet::new();
    public.retain(|(at, a, b)| {
        let mut stays = false;
        for end in [a, b].into_iter().filter(|end| members.get(**end).is_some_and(|(_, member)| is_anonymous(member))) {
            stays |= hung.insert(*end);
        }
        if !stays {
            result.refused.push((*at, LinkRefusal::Public));
        }
        stays
    });
}

/// Refuses the links of clusters that are too large: clusters of trusted links, and the parts of public-only identifiers that the search
/// found too large ([`Rules::is_too_large`]).
fn quarantine(members: &[(Hash128, Member)], [trusted, public]: [&mut Vec<Usable>; 2], rules: &Rules, result: &mut Clustering) {
    let mut whole = Sets::new(members.len());
    for (_, a, b) in trusted.iter() {
        whole.unite(*a, *b);
    }
    let large = whole.lists().into_iter().filter(|positions| positions.len() > rules.max_cluster).flatten();
    result.quarantined =
        large.chain((0..members.len()).filter(|at| members.get(*at).is_some_and(|(_, of)| of.large))).collect();
    for links in [trusted, public] {
        links.retain(|(at, a, b)| {
            let large = result.quarantined.contains(a) || result.quarantined.contains(b);
            if large {
                result.refused.push((*at, LinkRefusal::Quarantined));
            }
            !large
        });
    }
}

/// The strength of a link as a number; lower is stronger. Explicit links come first, then links of stronger kinds.
pub fn class(link: &LinkFact, rules: &Rules) -> i64 {
    fn kind(end: Option<&Identifier>) -> &str {
        end.map_or("", |end| end.kind.as_str())
    }
    if is_explicit(link) { -1 } else { rules.class(kind(link.a.as_ref()), kind(link.b.as_ref())) }
}

/// The sort key of a link, apart from its ends: public links by time of receipt, then the stronger class, then the older observation.
fn order(link: &LinkFact, rules: &Rules) -> (i64, i64, i64) {
    let received = received_ms(link).filter(|_| is_public(link)).unwrap_or_default();
    (received, class(link, rules), seen_ms(link).unwrap_or(i64::MAX))
}

/// Whether a link states that two records of a CRM are one.
fn is_merge(link: &LinkFact, rules: &Rules) -> bool {
    is_explicit(link) && link.a.as_ref().zip(link.b.as_ref()).is_some_and(|(a, b)| rules.is_merge(a, b))
}

#[cfg(test)]
mod tests;
