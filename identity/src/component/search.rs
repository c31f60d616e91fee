//! The search for the cluster of a member: it follows the links from there, but never through more public-only identifiers than may be
//! connected. Anybody with a public write key can chain any number of these, and the chain must not be searched again with every event.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Hash128, LinkFact, Member, kind};
use tributary_runtime::state::{State, StateError};

use super::{Cluster, Component};
use crate::cluster::is_trusted;
use crate::facts::{is_active, is_forbidden, is_public};
use crate::settings::Rules;

/// Searches for clusters of one component.
pub struct Search<'a> {
    component: Component,
    rules: &'a Rules,
    /// Whether nothing was removed from the component since its root last computed it. Then a part that was too large still is.
    grown: bool,
    seen: BTreeSet<Hash128>,
    /// Members of parts that are too large.
    large: BTreeSet<Hash128>,
}

/// What a search has found of a cluster.
#[derive(Default)]
struct Found {
    members: BTreeMap<Hash128, Member>,
    links: BTreeMap<(Hash128, Hash128), LinkFact>,
    /// Members still to be visited.
    next: Vec<Hash128>,
    /// Members that were connected through a part that is too large now: they need clusters of their own.
    left: Vec<Hash128>,
}

/// Public-only identifiers that public links connect.
#[derive(Default)]
struct Part {
    found: Found,
    /// How many of them are cookies and devices.
    anonymous: usize,
    large: bool,
}

impl<'a> Search<'a> {
    /// A search that relies on no earlier result.
    pub fn new(component: Component, rules: &'a Rules) -> Self {
        Self { component, rules, grown: false, seen: BTreeSet::new(), large: BTreeSet::new() }
    }

    /// A search that, if `grown`, relies on the parts that were too large before: the component has only grown since.
    pub fn grown(self, grown: bool) -> Self {
        Self { grown, ..self }
    }

    /// Whether this member is in a cluster that was found.
    pub fn has_seen(&self, member: Hash128) -> bool {
        self.seen.contains(&member)
    }

    /// The cluster of a member. Members of a part that is too large do not connect it.
    pub fn cluster(&mut self, state: &mut dyn State, from: Hash128) -> Result<Cluster, StateError> {
        let mut found = Found { next: vec![from], ..Found::default() };
        while let Some(hash) = found.next.pop() {
            if found.members.contains_key(&hash) {
                continue;
            }
            let Some(member) = self.component.member(state, hash)? else { continue };
            if member.shared {
                if hash == from {
                    found.members.insert(hash, member);
                }
                continue;
            }
            if is_trusted(&member) {
                self.look(state, (hash, member), &mut found)?;
            } else {
                let part = self.part(state, hash)?;
                found.add(part);
            }
        }
        Ok(self.done(found))
    }

    fn done(&mut self, found: Found) -> Cluster {
        let Found { mut members, mut links, mut left, .. } = found;
        self.seen.extend(members.keys());
        links.retain(|(a, b), _| members.contains_key(a) && members.contains_key(b));
        left.retain(|hash| !members.contains_key(hash));
        let mut turned = BTreeSet::new();
        for (hash, member) in &mut members {
            let large = self.large.contains(hash);
            if member.large != large {
                member.large = large;
                turned.insert(*hash);
            }
        }
        Cluster { members: members.into_iter().collect(), links: links.into_values().collect(), turned, left }
    }

    /// Adds a member and its links, and continues from their other ends.
    fn look(&self, state: &mut dyn State, (hash, member): (Hash128, Member), found: &mut Found) -> Result<(), StateError> {
        // A link between two members was already added by the first of them.
        let Found { members, links, next, .. } = found;
        for (other, link) in self.component.links_with(state, hash, |other| !members.contains_key(other))? {
            if is_active(&link) {
                next.push(other);
            }
            if is_active(&link) || is_forbidden(&link) {
                links.insert((hash.min(other), hash.max(other)), link);
            }
        }
        members.insert(hash, member);
        Ok(())
    }

    /// The part of public-only identifiers around a member. Of a part that is too large: only the members not yet marked as such.
    fn part(&mut self, state: &mut dyn State, from: Hash128) -> Result<Part, StateError> {
        let mut part = Part::default();
        let (mut next, mut beyond) = (vec![from], Vec::new());
        // Neighbours of those that were not marked as too large before.
        let mut beside = Vec::new();
        while let Some(hash) = next.pop() {
            if part.found.members.contains_key(&hash) {
                continue;
            }
            let Some(member) = self.component.member(state, hash)? else { continue };
            if member.shared || is_trusted(&member) {
                beyond.push(hash);
                continue;
            }
            let known = self.large.contains(&hash) || (self.grown && member.large);
            if known || (part.large && member.large) {
                part.large = true;
                if hash == from {
                    part.found.members.insert(hash, member);
                }
                continue;
            }
            part.anonymous += usize::from(member.identifier.as_ref().is_some_and(|of| kind::is_device(&of.kind)));
            let was_large = member.large;
            self.look(state, (hash, member), &mut part.found)?;
            for other in std::mem::take(&mut part.found.next) {
                if !was_large {
                    beside.push(other);
                }
                let public = part.found.links.get(&(hash.min(other), hash.max(other))).is_some_and(is_public);
                (if public { &mut next } else { &mut beyond }).push(other);
            }
            part.large |= self.rules.is_too_large(part.found.members.len(), part.anonymous);
        }
        if part.large {
            self.large.extend(part.found.members.keys());
            part.found.left = beside;
        } else {
            part.found.next = beyond;
        }
        Ok(part)
    }
}

impl Found {
    fn add(&mut self, part: Part) {
        self.members.extend(part.found.members);
        self.links.extend(part.found.links);
        self.next.extend(part.found.next);
        self.left.extend(part.found.left);
    }
}
