//! Disjoint sets that respect the limits and the explicit links and unlinks.

use std::collections::BTreeMap;

use tributary_proto::{Hash128, Member};

use super::sets::Sets;
use super::{LinkRefusal, is_trusted};
use crate::settings::Rules;

/// Disjoint sets that respect the limits and the links that forbid a union.
pub(super) struct Constrained<'a> {
    sets: Sets,
    rules: &'a Rules,
    /// Per root: records named by trusted events, by kind and scope.
    trusted: Vec<Counts<'a>>,
    /// Per root: the other records.
    public: Vec<Counts<'a>>,
    /// Per root: records that were merged and so have several identifiers. Each is represented by the position of one, with kind and scope.
    merged: Vec<BTreeMap<usize, KindAndScope<'a>>>,
    /// Per root: positions that its members must never join.
    never: Vec<Vec<usize>>,
}

/// Kind and scope of an identifier.
type KindAndScope<'a> = (&'a str, &'a str);
/// Records by kind and scope.
type Counts<'a> = BTreeMap<KindAndScope<'a>, u32>;

impl<'a> Constrained<'a> {
    pub(super) fn new(
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
            trusted: members.iter().map(|(_, member)| counted(member, is_trusted(member))).collect(),
            public: members.iter().map(|(_, member)| counted(member, !is_trusted(member))).collect(),
            merged: merged.collect(),
            never: enemies,
        }
    }

    /// Unites the sets of two positions by a link, public or not; returns whether they were apart. A refusal by a limit names the kind.
    ///
    /// In a set with trusted identifiers only these count for the limits. The public-only ones have a limit of their own.
    pub(super) fn unite(&mut self, public: bool, a: usize, b: usize) -> Result<bool, (LinkRefusal, Option<&'a str>)> {
        let (a, b) = (self.sets.find(a), self.sets.find(b));
        if a == b {
            return Ok(false);
        }
        let both = self.in_both(a, b);
        let known = [a, b].into_iter().any(|root| self.trusted.get(root).is_some_and(|counts| !counts.is_empty()));
        let limited = if public && !known { &self.public } else { &self.trusted };
        if let Some(kind) = self.over_limit(limited, a, b, &both) {
            return Err((LinkRefusal::Limit, Some(kind)));
        }
        if public && known && self.leaves(a) + self.leaves(b) > self.rules.public_leaves {
            return Err((LinkRefusal::Crowded, None));
        }
        let joins_enemies =
            |of: usize, other: usize| self.never.get(of).into_iter().flatten().any(|enemy| self.sets.find(*enemy) == other);
        if joins_enemies(a, b) || joins_enemies(b, a) {
            return Err((LinkRefusal::NeverJoin, None));
        }
        if let Some((keep, hang)) = self.sets.unite(a, b) {
            add_up(&mut self.trusted, keep, hang, &both);
            add_up(&mut self.public, keep, hang, &Counts::new());
            let (merged, enemies) = (taken(&mut self.merged, hang), taken(&mut self.never, hang));
            self.merged.get_mut(keep).into_iter().for_each(|kept| kept.extend(merged.iter()));
            self.never.get_mut(keep).into_iter().for_each(|kept| kept.extend(enemies.iter()));
        }
        Ok(true)
    }

    /// The first kind for which two roots together exceed the limit; `both` counts the records that are in both.
    fn over_limit(&self, counts: &[Counts<'a>], a: usize, b: usize, both: &Counts<'a>) -> Option<&'a str> {
        let (left, right) = (counts.get(a)?, counts.get(b)?);
        let (few, many) = if left.len() <= right.len() { (left, right) } else { (right, left) };
        let broken = |(kind, count): &(&KindAndScope<'a>, &u32)| {
            let limit = self.rules.limit(kind.0);
            let twice = both.get(*kind).copied().unwrap_or(0);
            many.get(*kind).is_some_and(|other| count.saturating_add(*other).saturating_sub(twice) > limit)
        };
        few.iter().find(broken).map(|(kind, _)| kind.0)
    }

    /// The number of public-only identifiers of a root.
    fn leaves(&self, root: usize) -> usize {
        self.public.get(root).into_iter().flat_map(BTreeMap::values).map(|count| *count as usize).sum()
    }

    /// The profiles, each as a list of positions.
    pub(super) fn lists(&self) -> Vec<Vec<usize>> {
        self.sets.lists()
    }

    /// How many merged records have identifiers in both roots.
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

fn counted(member: &Member, counts: bool) -> Counts<'_> {
    counts.then(|| (kind_and_scope(member), 1)).into_iter().collect()
}

/// Adds the counts of one root to those of another. A record in `both` counts once.
fn add_up<'a>(counts: &mut [Counts<'a>], keep: usize, hang: usize, both: &Counts<'a>) {
    for (kind, count) in taken(counts, hang) {
        if let Some(counts) = counts.get_mut(keep) {
            *counts.entry(kind).or_default() += count.saturating_sub(both.get(&kind).copied().unwrap_or(0));
        }
    }
}
