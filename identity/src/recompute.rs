//! What a root computes of its component: the clusters that changed facts touch, and notifications about the changes.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::identity_message::Body;
use tributary_proto::{Hash128, Identifier, Member, Place, Placement, Published, Subscribe};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::cluster::cluster;
use crate::component::{Cluster, Component, Due, Search};
use crate::core::{Core, Dirty};
use crate::group::People;
use crate::metrics;
use crate::node::Node;
use crate::view::{self, PublishedRow, Row, View};

/// What one round of computation changed in profiles or accounts.
#[derive(Default)]
struct Round {
    records: Vec<PublishedRow>,
    /// Former ids of members: these may have disappeared.
    before: BTreeSet<String>,
    /// By member, its former and its current id.
    moved: BTreeMap<Hash128, (Option<String>, Option<String>)>,
}

impl Core {
    /// Computes the clusters of the members that facts touched, or defers that while the root is throttled.
    pub(crate) fn recompute(&mut self, cx: &mut Context<'_>, dirty: Dirty) -> Result<(), StateError> {
        let mut root = self.nodes.take(cx.state, &dirty.root)?;
        if root.is_root() {
            self.recompute_root(cx, &mut root, dirty.due)?;
        }
        self.nodes.keep(root);
        Ok(())
    }

    fn recompute_root(&mut self, cx: &mut Context<'_>, root: &mut Node, due: Due) -> Result<(), StateError> {
        let component = Component::of(root.hash);
        if component.is_throttled(cx.state)? {
            component.deferred(cx.state, &due)?;
            cx.outbox.observe(&metrics::PUT_OFF, "", due.members.len() as u64);
            return Ok(());
        }
        component.warm(cx.state)?;
        let epoch = root.state.epoch + 1;
        let rules = self.rules.clone();
        let mut search = Search::new(component, &rules).grown(!due.shrunk);
        let mut round = Round { before: due.ids, ..Round::default() };
        let (mut changed, mut cost) = (false, 0);
        let mut next: Vec<Hash128> = due.members.into_iter().rev().collect();
        while let Some(member) = next.pop() {
            if !search.has_seen(member) {
                let found = search.cluster(cx.state, member)?;
                next.extend(&found.left);
                cost += (found.members.len() + found.links.len()) as u64;
                let people = component.people_of(cx.state, &found.members)?;
                cost += people.values().map(Vec::len).sum::<usize>() as u64;
                changed |= self.settle_cluster(cx, root, component, (found, &people), epoch, &mut round)?;
            }
        }
        let topic = view::topic(root.is_account());
        let published = publish(cx, component, round, topic, epoch)?;
        if changed || published {
            root.edit().epoch = epoch;
        }
        if cost > self.rules.rest_after {
            component.rest(cx.state);
            self.rest(cx, &root.identifier, cost);
        }
        Ok(())
    }

    /// Decides who is one person in a cluster, and notifies the members; returns whether any placement changed.
    fn settle_cluster(
        &mut self,
        cx: &mut Context<'_>,
        root: &Node,
        component: Component,
        (found, people): (Cluster, &People),
        epoch: u64,
        round: &mut Round,
    ) -> Result<bool, StateError> {
        let Cluster { mut members, links, turned, .. } = found;
        cx.outbox.observe(&metrics::CLUSTER_MEMBERS, "", members.len() as u64);
        let clustering = cluster(&members, &links, &self.rules);
        let assertions = component.assertions_of(cx.state, &members)?;
        let mut answer = |account: Hash128| component.answer(cx.state, account);
        let view = if root.is_account() {
            view::companies(&members, &clustering, (&assertions, people), &mut answer, &self.rules)?
        } else {
            view::people(&members, &clustering, &assertions, &mut answer, &self.rules)?
        };
        let mut changed = false;
        for (at, ((of, member), placement)) in members.iter_mut().zip(view.placements).enumerate() {
            let quarantined = clustering.quarantined.contains(&at);
            let flips = (quarantined, turned.contains(of), view.tied.contains(&at));
            changed |= self.settle_member(cx, root, component, (*of, member), (placement, epoch, flips), round)?;
        }
        for (account, subscriber) in &view.subscriptions {
            if component.is_subscribed(cx.state, account.hash(), subscriber.hash())? {
                continue;
            }
            let (of, by) = (Some(account.clone()), Some(subscriber.clone()));
            let subscribe = Subscribe { account: of, subscriber: by, end: false, epoch };
            component.add_subscription(cx.state, &subscribe);
            self.tell(cx, account, Body::Subscribe(subscribe));
        }
        round.records.extend(view.records);
        Ok(changed)
    }

    /// Sends a member its placement if that changed; returns whether it did.
    fn settle_member(
        &mut self,
        cx: &mut Context<'_>,
        root: &Node,
        component: Component,
        (of, member): (Hash128, &mut Member),
        (placement, epoch, (quarantined, turned, tied)): (Placement, u64, (bool, bool, bool)),
        round: &mut Round,
    ) -> Result<bool, StateError> {
        let id = |placement: &Placement| View::id_of(placement).to_owned();
        let before = member.told.as_ref().map(id);
        round.before.extend(before.clone());
        round.moved.insert(of, (before, member.present.then(|| id(&placement))));
        // A member without a name cannot get messages yet: the facts with its name are still on their way.
        let news = member.identifier.is_some() && member.told.as_ref().is_none_or(|told| !same_place(told, &placement));
        let flips = member.quarantined != quarantined;
        if flips {
            member.quarantined = quarantined;
            let outcome = if quarantined { "entered" } else { "left" };
            cx.outbox.observe(&metrics::QUARANTINED, outcome, 1);
        }
        let turned = turned || member.tied != tied;
        member.tied = tied;
        let about = member.identifier.clone();
        if news {
            let placement = Placement { epoch, ..placement };
            member.told = Some(placement.clone());
            if let Some(about) = about.clone() {
                let (placement, root) = (Some(placement), Some(root.identifier.clone()));
                self.tell(cx, &about, Body::Place(Place { about: Some(about.clone()), placement, root }));
            }
        }
        let gone = about.filter(|_| !member.present && member.generation > 0);
        if let Some(gone) = &gone {
            self.strip(cx, component, (of, member), gone, epoch)?;
        }
        if news || flips || turned || gone.is_some() {
            component.put_member(cx.state, of, member);
        }
        Ok(news)
    }

    /// Everything about a member is erased: only its hash, its generation and its last placement remain.
    fn strip(
        &mut self,
        cx: &mut Context<'_>,
        component: Component,
        (of, member): (Hash128, &mut Member),
        name: &Identifier,
        epoch: u64,
    ) -> Result<(), StateError> {
        for ended in component.end_subscriptions(cx.state, name, epoch)? {
            if let Some(account) = ended.account.clone() {
                self.tell(cx, &account, Body::Subscribe(ended));
            }
        }
        member.identifier = None;
        member.hash = of.to_bytes().to_vec();
        Ok(())
    }
}

fn same_place(told: &Placement, now: &Placement) -> bool {
    told.profile_id == now.profile_id
        && told.unit == now.unit
        && told.account_id == now.account_id
        && told.role == now.role
        && told.revoked == now.revoked
        && told.later == now.later
        && told.public == now.public
        && told.account_unit == now.account_unit
        && told.above == now.above
}

/// Publishes the profiles (or accounts) that changed, and where those went that disappeared; returns whether there were any.
///
/// Revisions follow from the root's epoch, which only grows, even if one component takes over another. A round has two: the lower one is
/// for the notice of an un-merge, which comes first.
fn publish(
    cx: &mut Context<'_>,
    component: Component,
    round: Round,
    topic: tributary_runtime::topic::Topic,
    epoch: u64,
) -> Result<bool, StateError> {
    let (notice, revision) = (epoch * 2, epoch * 2 + 1);
    let mut any = false;
    let live: BTreeSet<&str> = round.records.iter().map(|record| record.id.as_str()).collect();
    for record in &round.records {
        let encoded = record.row.encoded();
        let digest = Hash128::of(&encoded).to_bytes().to_vec();
        let known = component.published(cx.state, &record.id)?;
        if known.as_ref().is_some_and(|known| known.digest == digest) {
            continue;
        }
        let called_after = record.called_after.to_bytes().to_vec();
        component.put_published(cx.state, &Published { id: record.id.clone(), digest, called_after });
        let held_by = round.moved.get(&record.called_after).and_then(|(before, _)| before.as_deref());
        if let Some(from) = held_by.filter(|from| known.is_none() && *from != record.id && live.contains(*from)) {
            record.row.split_off(from).publish(cx.outbox, notice);
        }
        record.row.publish_encoded(encoded, cx.outbox, revision);
        any = true;
    }
    for id in round.before.iter().filter(|id| !live.contains(id.as_str())) {
        let Some(published) = component.published(cx.state, id)? else { continue };
        let called_after = Hash128::from_bytes(&published.called_after).unwrap_or_default();
        // The identifier that names it was not looked at: its row stays as it is.
        let Some((_, now)) = round.moved.get(&called_after) else { continue };
        match now {
            Some(now) => Row::departed(topic, id, now).publish(cx.outbox, revision),
            None => {
                // Many readers skip tombstones: they get this row.
                Row::erased(topic, id).publish(cx.outbox, revision);
                cx.outbox.unpublish(topic, id.as_bytes());
            }
        }
        component.forget_published(cx.state, id);
        any = true;
    }
    Ok(any)
}
