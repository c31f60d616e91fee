//! Why identifiers are one person, or are not: the links of a component as they stand in the state of its root, each with the rule that
//! refused it. Computed anew from the facts, so that it cannot differ from what was decided.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Hash128, Identifier, LinkFact, Member, Placement};
use tributary_runtime::state::{State, StateError};

use crate::cluster::{Refusal, cluster};
use crate::component::Component;
use crate::node::Node;
use crate::settings::Rules;

/// Where an identifier stands, as its own partition knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The identifier it hangs under; `None` for a root, whose partition holds the component.
    pub parent: Option<Identifier>,
    /// Where it belongs.
    pub placement: Option<Placement>,
    /// Whether it joins nobody, because too many claim it.
    pub shared: bool,
    /// Up to when it is erased, milliseconds since 1970-01-01 UTC.
    pub erased_ms: Option<i64>,
    /// Its links, whether they join anybody or not.
    pub links: Vec<LinkFact>,
}

/// A link with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The link.
    pub link: LinkFact,
    /// The rule that refused it; `None` where it joins its ends, or where they are joined already.
    pub refused: Option<Refusal>,
}

/// Where an identifier stands; `None` where the partition knows nothing of it. Go on with its parent, on the parent's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn standing(state: &mut dyn State, identifier: &Identifier) -> Result<Option<Standing>, StateError> {
    let node = Node::load(state, identifier)?;
    if node.state.members == 0 && node.state.erased_ms.is_none() {
        return Ok(None);
    }
    let links = node.links(state)?;
    let record = node.state;
    let (parent, placement) = (record.parent, record.placement);
    Ok(Some(Standing { parent, placement, shared: record.shared, erased_ms: record.erased_ms, links }))
}

/// The links of a member's cluster, and those of its members to shared identifiers, sorted by the hashes of their ends. A link to a
/// shared identifier that never became a member of this component is known at the member alone: see [`Standing::links`].
///
/// # Errors
/// When the state cannot be read.
pub fn links(state: &mut dyn State, root: &Identifier, member: Hash128, rules: &Rules) -> Result<Vec<Explained>, StateError> {
    let component = Component::of(root.hash());
    let found = component.cluster(state, member, true, rules.max_cluster, &mut BTreeSet::new())?;
    let mut members: BTreeMap<Hash128, Member> = found.members.into_iter().collect();
    let mut links: BTreeMap<(Hash128, Hash128), LinkFact> = BTreeMap::new();
    for of in members.keys().copied().collect::<Vec<_>>() {
        for (other, link) in component.links_of(state, of)? {
            if !members.contains_key(&other)
                && let Some(shared) = component.member(state, other)?
            {
                members.insert(other, shared);
            }
            links.insert((of.min(other), of.max(other)), link);
        }
    }
    let members: Vec<_> = members.into_iter().collect();
    let links: Vec<_> = links.into_values().collect();
    let refused: BTreeMap<usize, Refusal> = cluster(&members, &links, rules).refused.into_iter().collect();
    Ok(links.into_iter().enumerate().map(|(at, link)| Explained { link, refused: refused.get(&at).copied() }).collect())
}
