//! Requests to erase a person. Who is joined is known only at one moment, so an erasure of *everything that is joined* would depend on the
//! order of events. So the identifiers that were joined when the request came are stored, and the operator's process makes an ordinary
//! event of them: an input that every replay reads in the same way.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{ErasureRequest, Hash128, Identifier, LinkFact, Member, PersonAsked};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::cluster::{Clustering, cluster, is_trusted};
use crate::component::{Cluster, Component, Search};
use crate::core::Core;
use crate::facts::is_public;
use crate::node::Node;

impl Core {
    /// The root stores who is one person with a member that is about to be erased.
    pub(crate) fn write_down_person(
        &self,
        cx: &mut Context<'_>,
        root: &Node,
        about: &Identifier,
        asked: PersonAsked,
    ) -> Result<(), StateError> {
        let mut search = Search::new(Component::of(root.hash), &self.rules);
        let Cluster { members, links, .. } = search.cluster(cx.state, about.hash())?;
        let clustering = cluster(&members, &links, &self.rules);
        let (mut identifiers, doubtful) = person(&members, &links, &clustering, about.hash());
        if !identifiers.contains(about) {
            identifiers.push(about.clone());
        }
        // The identifier itself is already being erased.
        if identifiers.len() > 1 || !doubtful.is_empty() {
            let sorted = |mut named: Vec<Identifier>| {
                named.sort_by_key(Identifier::key);
                named
            };
            cx.outbox.publish(&ErasureRequest {
                request_id: asked.request_id,
                until: asked.until_ms,
                identifiers: sorted(identifiers),
                doubtful: sorted(doubtful),
            });
        }
        Ok(())
    }
}

/// The identifiers of a member's profile, and which of them only public links join with it: a sender of public events must not be able to
/// have others erased.
fn person(
    members: &[(Hash128, Member)],
    links: &[LinkFact],
    clustering: &Clustering,
    of: Hash128,
) -> (Vec<Identifier>, Vec<Identifier>) {
    let hash = |end: &Option<Identifier>| end.as_ref().map(Identifier::hash);
    let mut beside: BTreeMap<Hash128, Vec<Hash128>> = BTreeMap::new();
    for link in clustering.joined.iter().filter_map(|at| links.get(*at)).filter(|link| !is_public(link)) {
        if let (Some(a), Some(b)) = (hash(&link.a), hash(&link.b)) {
            beside.entry(a).or_default().push(b);
            beside.entry(b).or_default().push(a);
        }
    }
    let (mut sure, mut next) = (BTreeSet::new(), vec![of]);
    while let Some(at) = next.pop() {
        if sure.insert(at) {
            next.extend(beside.get(&at).into_iter().flatten());
        }
    }
    let holds = |profile: &&Vec<usize>| profile.iter().any(|at| members.get(*at).is_some_and(|(hash, _)| *hash == of));
    let profile = clustering.profiles.iter().find(holds).into_iter().flatten().filter_map(|at| members.get(*at));
    let (erased, doubtful): (Vec<_>, Vec<_>) = profile.partition(|(hash, member)| sure.contains(hash) || !is_trusted(member));
    let named =
        |found: Vec<&(Hash128, Member)>| found.into_iter().filter_map(|(_, member)| member.identifier.clone()).collect();
    (named(erased), named(doubtful))
}
