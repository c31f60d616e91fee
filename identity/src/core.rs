//! What the actors of one partition share: their records, the mailbox between them, and the work that is deferred to the end of a batch.
//!
//! Each file that handles messages adds its methods to [`Core`]. `dispatch.rs` lists which file handles which message, `settle.rs` what
//! happens at the end of a batch; both import those files, and those files import this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_proto::identity_message::Body;
use tributary_proto::{Hash128, Identifier, Member, Remodel, ResumeRoot, item, kind};
use tributary_runtime::mailbox::{Mail, Mailbox};
use tributary_runtime::remodel::Own;
use tributary_runtime::stage::{Context, PartitionSlice};
use tributary_runtime::state::StateError;

use crate::component::{Component, Due};
use crate::metrics;
use crate::node::Node;
use crate::nodes::Nodes;
use crate::settings::Rules;

/// What is to be computed again of a component: members whose clusters a fact touched, and ids that another root published.
pub(crate) struct Dirty {
    pub root: Identifier,
    pub due: Due,
}

/// The identity stage of one partition. All fields are cleared at the end of the batch.
pub struct Core {
    pub(crate) rules: Arc<Rules>,
    pub(crate) mail: Mailbox<Identifier, Body>,
    pub(crate) nodes: Nodes,
    /// By root, what is to be computed again of its component.
    pub(crate) dirty: BTreeMap<Hash128, Dirty>,
    /// Touches and milestones that identifiers brought and that are not sent to units yet, with the event's time of receipt.
    pub(crate) items: Vec<(Identifier, item::What, i64)>,
    /// The throttled roots that may resume, each with the work still to wait for.
    pub(crate) rests: Vec<(Identifier, u64)>,
    /// Steps of the walk after changed settings that may be due.
    pub(crate) remodels: Vec<Remodel>,
    /// The digest of the rules, and their generation.
    pub(crate) own: Own,
    /// Progress of the walk after changed settings, in thousandths; `None` while there is none.
    pub(crate) remodelled: Option<u32>,
    /// Whether the partition was empty when its first record arrived; `None` before that.
    pub(crate) new: Option<bool>,
    /// The records of the batch, not counting requests to resume or to take a step.
    pub(crate) handled: u64,
}

impl Core {
    /// The identity stage of a partition.
    pub fn new(rules: Arc<Rules>, slice: PartitionSlice) -> Self {
        let own = Own { digest: rules.digest, generation: 0 };
        Self {
            rules,
            mail: Mailbox::new(slice),
            nodes: Nodes::default(),
            dirty: BTreeMap::new(),
            items: Vec::new(),
            rests: Vec::new(),
            remodels: Vec::new(),
            own,
            remodelled: None,
            new: None,
            handled: 0,
        }
    }

    /// The partition.
    pub(crate) fn slice(&self) -> PartitionSlice {
        self.mail.slice()
    }

    /// Takes out the node of an identifier. A new identifier is the root of its own component.
    pub(crate) fn meet(&mut self, cx: &mut Context<'_>, identifier: &Identifier) -> Result<Box<Node>, StateError> {
        let mut node = self.nodes.take(cx.state, identifier)?;
        if node.state.members == 0 {
            cx.outbox.observe(&metrics::IDENTIFIERS, "", 1);
            let record = node.edit();
            record.members = 1;
            record.identifier = Some(identifier.clone());
            let member =
                Member { identifier: Some(identifier.clone()), generation: node.state.generation, ..Member::default() };
            Component::of(node.hash).add_member(cx.state, node.hash, &member)?;
            self.touched(&node, node.hash);
        }
        Ok(node)
    }

    /// Sends a message to an identifier.
    pub(crate) fn tell(&mut self, cx: &mut Context<'_>, to: &Identifier, body: Body) {
        self.mail.send(cx.outbox, to.key(), |_| to.clone(), body);
    }

    /// The form in which an identifier stores the node above it: by address if that is a person, whose name an erasure must be able to
    /// delete.
    pub(crate) fn address(&self, of: &Identifier) -> Identifier {
        if kind::is_account(&of.kind) { of.clone() } else { of.address(self.mail.slice().partitions) }
    }

    /// Sends a message to a milestone.
    pub(crate) fn tell_milestone(&mut self, cx: &mut Context<'_>, milestone_id: &str, body: Body) {
        self.mail.send(cx.outbox, milestone_id.as_bytes().to_vec(), |_| Identifier::default(), body);
    }

    /// Marks the cluster of a member as touched by a fact.
    pub(crate) fn touched(&mut self, root: &Node, member: Hash128) {
        self.dirty_of(root).due.members.insert(member);
    }

    /// Marks the cluster of a member as possibly fallen apart.
    pub(crate) fn shrunk(&mut self, root: &Node, member: Hash128) {
        self.touched(root, member);
        self.dirty_of(root).due.shrunk = true;
    }

    /// What is to be computed again of a root's component.
    pub(crate) fn dirty_of(&mut self, root: &Node) -> &mut Dirty {
        let new = || Dirty { root: root.identifier.clone(), due: Due::default() };
        self.dirty.entry(root.hash).or_insert_with(new)
    }

    /// Defers a touch or milestone of an identifier to the end of the batch, when placements are settled.
    pub(crate) fn bring(&mut self, cx: &Context<'_>, by: Identifier, what: item::What) {
        self.items.push((by, what, cx.outbox.cause()));
    }

    /// Throttles a root until the partition has done as much other work as the root has cost. Its message to itself goes through the log:
    /// behind the records that wait there, and it survives a crash.
    pub(crate) fn rest(&self, cx: &mut Context<'_>, root: &Identifier, wait: u64) {
        Body::ResumeRoot(ResumeRoot { wait }).post(cx.outbox, root.key());
    }

    /// Clears what belongs to one batch.
    pub(crate) fn forget(&mut self) {
        self.rests.clear();
        self.remodels.clear();
        self.new = None;
        self.handled = 0;
        self.mail.clear();
        self.nodes.clear();
        self.dirty.clear();
        self.items.clear();
    }
}
