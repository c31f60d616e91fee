//! Which identifiers of a component are one person: a constrained clustering that is a function of the set of facts.
//!
//! The links between identifiers that are not shared are sorted by (class, earliest time, the two hashes) and united one by one; a
//! link whose union would break a limit, or unite two that must never be joined, is refused. The order of the links is that of their
//! evidence, so the result does not depend on the order in which they arrived. Records that their system has merged count once against
//! a limit: there may be as many of them as there were duplicates.

use std::collections::BTreeMap;

use tributary_proto::{Hash128, Identifier, LinkFact, Member};

use crate::facts::{is_active, is_explicit, is_forbidden};
use crate::settings::Rules;

/// Why a link joins nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// One of its ends is shared.
    Shared,
    /// The cluster of its ends is larger than `max_cluster`.
    Quarantined,
    /// The union would have more identifiers of one kind and scope than its limit.
    Limit,
    /// The union would join two identifiers that were stated not to be one.
    NeverJoin,
}

/// The members of a component by profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Clustering {
    /// Positions of members, one list a profile; every member is in exactly one. Lists and their items are in member order.
    pub profiles: Vec<Vec<usize>>,
    /// Links (by position) that united two of what was apart until then: of every profile just enough to hold it together.
    pub joined: Vec<usize>,
    /// Links (by position) that join nobody, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// Links (by position) refused by a limit: the kind of which there would be too many.
    pub over: BTreeMap<usize, String>,
}

/// Clusters members by links. Both must be sorted by hash, so that positions mean the same everywhere; links to identifiers that are
/// not members are passed over.
pub fn cluster(members: &[(Hash128, Member)], links: &[LinkFact], rules: &Rules) -> Clustering {
    let position = |of: Option<&Identifier>| {
        let hash = of?.hash();
        members.binary_search_by_key(&hash, |(known, _)| *known).ok()
    };
    let ends: Vec<Option<(usize, usize)>> =
        links.iter().map(|link| Some((position(link.a.as_ref())?, position(link.b.as_ref())?))).collect();
    let shared = |at: usize| members.get(at).is_some_and(|(_, member)| member.shared);

    let mut result = Clustering::default();
    let mut usable: Vec<(usize, usize, usize)> = Vec::new();
    for (at, (link, ends)) in links.iter().zip(&ends).enumerate() {
        match ends {
            Some((a, b)) if is_active(link) && (shared(*a) || shared(*b)) => result.refused.push((at, Refusal::Shared)),
            Some((a, b)) if is_active(link) => usable.push((at, *a, *b)),
            Some(_) if is_forbidden(link) && link.earliest_ms.is_some() => result.refused.push((at, Refusal::NeverJoin)),
            _ => {}
        }
    }

    let mut whole = Sets::new(members.len());
    for (_, a, b) in &usable {
        whole.unite(*a, *b);
    }
    let (quarantined, mut usable): (Vec<_>, Vec<_>) =
        usable.into_iter().partition(|(_, a, _)| rules.is_too_large(whole.size_of(*a)));
    result.refused.extend(quarantined.into_iter().map(|(at, _, _)| (at, Refusal::Quarantined)));

    usable.sort_by_cached_key(|(at, a, b)| (links.get(*at).map(|link| evidence(link, rules)), *a, *b));
    let never = links.iter().zip(&ends).filter(|(link, _)| is_forbidden(link)).filter_map(|(_, ends)| *ends);
    let merges = usable.iter().filter(|(at, ..)| links.get(*at).is_some_and(|link| is_merge(link, rules)));
    let mut people = Constrained::new(members, merges.map(|(_, a, b)| (*a, *b)), never, rules);
    for (at, a, b) in usable {
        match people.unite(a, b) {
            Ok(true) => result.joined.push(at),
            Ok(false) => {}
            Err((refusal, over)) => {
                result.over.extend(over.map(|kind| (at, kind.to_owned())));
                result.refused.push((at, refusal));
            }
        }
    }
    result.refused.sort_unstable();
    result.profiles = people.sets.lists();
    result
}

/// What a link is sorted by, beside its ends: explicit statements first, then the surer kinds, then the older sightings.
pub fn evidence(link: &LinkFact, rules: &Rules) -> (i64, i64) {
    fn kind(end: Option<&Identifier>) -> &str {
        end.map_or("", |end| end.kind.as_str())
    }
    let class = if is_explicit(link) { -1 } else { rules.class(kind(link.a.as_ref()), kind(link.b.as_ref())) };
    (class, link.earliest_ms.unwrap_or(i64::MAX))
}

/// Whether a link says that two records are one.
fn is_merge(link: &LinkFact, rules: &Rules) -> bool {
    is_explicit(link) && link.a.as_ref().zip(link.b.as_ref()).is_some_and(|(a, b)| rules.is_merge(a, b))
}

/// Disjoint sets of positions.
struct Sets {
    parent: Vec<usize>,
    size: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect(), size: vec![1; count] }
    }

    fn find(&self, mut at: usize) -> usize {
        while let Some(parent) = self.parent.get(at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        at
    }

    fn size_of(&self, at: usize) -> usize {
        self.size.get(self.find(at)).copied().unwrap_or(0)
    }

    /// Unites the sets of two positions; returns (kept, absorbed) roots, or `None` where they are one already.
    fn unite(&mut self, a: usize, b: usize) -> Option<(usize, usize)> {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return None;
        }
        let (keep, hang) = if self.size_of(a) >= self.size_of(b) { (a, b) } else { (b, a) };
        let sum = self.size_of(keep) + self.size_of(hang);
        if let Some(parent) = self.parent.get_mut(hang) {
            *parent = keep;
        }
        if let Some(size) = self.size.get_mut(keep) {
            *size = sum;
        }
        Some((keep, hang))
    }

    fn lists(&self) -> Vec<Vec<usize>> {
        let mut order: BTreeMap<usize, usize> = BTreeMap::new();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        for at in 0..self.parent.len() {
            let list = *order.entry(self.find(at)).or_insert_with(|| {
                lists.push(Vec::new());
                lists.len() - 1
            });
            if let Some(list) = lists.get_mut(list) {
                list.push(at);
            }
        }
        lists
    }
}

/// Disjoint sets that keep the limits and the words.
struct Constrained<'a> {
    sets: Sets,
    rules: &'a Rules,
    /// Per root: records by kind and scope.
    counts: Vec<Counts<'a>>,
    /// Per root: its records that have several identifiers, merged ones, each by one of them, with its kind and scope.
    merged: Vec<BTreeMap<usize, KindAndScope<'a>>>,
    /// Per root: positions that its members must never join.
    never: Vec<Vec<usize>>,
}

/// Kind and scope of an identifier.
type KindAndScope<'a> = (&'a str, &'a str);
/// Records by kind and scope.
type Counts<'a> = BTreeMap<KindAndScope<'a>, u32>;

impl<'a> Constrained<'a> {
    fn new(
        members: &'a [(Hash128, Member)],
        merges: impl Iterator<Item = (usize, usize)>,
        never: impl Iterator<Item = (usize, usize)>,
        rules: &'a Rules,
    ) -> Self {
        let mut records = Sets::new(members.len());
        for (a, b) in merges {
            records.unite(a, b);
        }
        let merged = members.iter().enumerate().map(|(at, (_, member))| {
            let several = records.size_of(at) > 1;
            several.then(|| (records.find(at), kind_and_scope(member))).into_iter().collect()
        });
        let mut enemies = vec![Vec::new(); members.len()];
        for (a, b) in never {
            for (of, enemy) in [(a, b), (b, a)] {
                if let Some(list) = enemies.get_mut(of) {
                    list.push(enemy);
                }
            }
        }
        Self {
            sets: Sets::new(members.len()),
            rules,
            counts: members.iter().map(|(_, member)| BTreeMap::from([(kind_and_scope(member), 1)])).collect(),
            merged: merged.collect(),
            never: enemies,
        }
    }

    /// Unites the sets of two positions; returns whether they were apart. A refusal by a limit comes with the kind.
    fn unite(&mut self, a: usize, b: usize) -> Result<bool, (Refusal, Option<&'a str>)> {
        let (a, b) = (self.sets.find(a), self.sets.find(b));
        if a == b {
            return Ok(false);
        }
        let both = self.in_both(a, b);
        if let Some(kind) = self.over_limit(a, b, &both) {
            return Err((Refusal::Limit, Some(kind)));
        }
        let joins_enemies =
            |of: usize, other: usize| self.never.get(of).into_iter().flatten().any(|enemy| self.sets.find(*enemy) == other);
        if joins_enemies(a, b) || joins_enemies(b, a) {
            return Err((Refusal::NeverJoin, None));
        }
        if let Some((keep, hang)) = self.sets.unite(a, b) {
            for (kind, count) in taken(&mut self.counts, hang) {
                if let Some(counts) = self.counts.get_mut(keep) {
                    *counts.entry(kind).or_default() += count.saturating_sub(both.get(&kind).copied().unwrap_or(0));
                }
            }
            let (merged, enemies) = (taken(&mut self.merged, hang), taken(&mut self.never, hang));
            self.merged.get_mut(keep).into_iter().for_each(|kept| kept.extend(merged.iter()));
            self.never.get_mut(keep).into_iter().for_each(|kept| kept.extend(enemies.iter()));
        }
        Ok(true)
    }

    /// The first kind of which two roots together have more records than its limit; `both` are the records that both have.
    fn over_limit(&self, a: usize, b: usize, both: &Counts<'a>) -> Option<&'a str> {
        let (left, right) = (self.counts.get(a)?, self.counts.get(b)?);
        let (few, many) = if left.len() <= right.len() { (left, right) } else { (right, left) };
        let broken = |(kind, count): &(&KindAndScope<'a>, &u32)| {
            let limit = self.rules.limit(kind.0);
            let twice = both.get(*kind).copied().unwrap_or(0);
            many.get(*kind).is_some_and(|other| count.saturating_add(*other).saturating_sub(twice) > limit)
        };
        few.iter().find(broken).map(|(kind, _)| kind.0)
    }

    /// How many merged records two roots both have an identifier of.
    fn in_both(&self, a: usize, b: usize) -> Counts<'a> {
        let (Some(left), Some(right)) = (self.merged.get(a), self.merged.get(b)) else { return Counts::new() };
        let (few, many) = if left.len() <= right.len() { (left, right) } else { (right, left) };
        let mut both = Counts::new();
        for (_, kind) in few.iter().filter(|(record, _)| many.contains_key(*record)) {
            *both.entry(*kind).or_default() += 1;
        }
        both
    }
}

fn taken<T: Default>(of: &mut [T], at: usize) -> T {
    of.get_mut(at).map(std::mem::take).unwrap_or_default()
}

fn kind_and_scope(member: &Member) -> KindAndScope<'_> {
    member.identifier.as_ref().map_or(("", ""), |identifier| (identifier.kind.as_str(), identifier.scope.as_str()))
}

#[cfg(test)]
mod tests;
