//! What the actors of one partition share: their records, the mailbox between them, and the work that is deferred to the end of a batch.
//!
//! Each file that handles messages adds its methods to [`Core`]. `dispatch.rs` lists which file handles which message, `settle.rs` what
//! happens at the end of a batch; both import those files, and those files import this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_proto::identity_message::Body;
use tributary_proto::{Hash128, Identifier, IdentityMessage, Member, Remodel, ResumeRoot, item, kind};
use tributary_runtime::mailbox::Mailbox;
use tributary_runtime::remodel::Own;
use tributary_runtime::stage::{Context, PartitionSlice};
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;

use crate::component::{Component, Due};
use crate::metrics;
use crate::node::Node;
use crate::nodes::Nodes;
use crate::settings::Rules;

/// What is to be computed again of a component: members whose cluster a fact has touched, ids that another root has published.
pub(crate) struct Dirty {
    pub root: Identifier,
    pub due: Due,
}

/// The identity stage of one partition. What it holds between records is forgotten at the end of the batch.
pub struct Core {
    pub(crate) rules: Arc<Rules>,
    pub(crate) mail: Mailbox<Identifier, Body>,
    pub(crate) nodes: Nodes,
    /// Roots of whose components a part is to be computed again.
    pub(crate) dirty: BTreeMap<Hash128, Dirty>,
    /// What identifiers have brought and their units have not been given yet, and when the event was received.
    pub(crate) items: Vec<(Identifier, item::What, i64)>,
    /// The roots whose rest may be over, and what each has still to wait.
    pub(crate) rests: Vec<(Identifier, u64)>,
    /// Steps of deciding everything by changed rules that may be due.
    pub(crate) remodels: Vec<Remodel>,
    /// The rules, as a generation.
    pub(crate) own: Own,
    /// How far that has come, in thousandths; `None` while nothing of that is under way.
    pub(crate) remodelled: Option<u32>,
    /// Whether the partition had nothing when its first record came; `None` before that.
    pub(crate) new: Option<bool>,
    /// The records of the batch, but for those.
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

    /// The node of an identifier; one that is met for the first time begins as a root of its own, with itself as member.
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

    /// By which an identifier keeps the node above it: of somebody who may be erased no name.
    pub(crate) fn address(&self, of: &Identifier) -> Identifier {
        if kind::is_account(&of.kind) { of.clone() } else { of.address(self.mail.slice().partitions) }
    }

    /// Sends a message to a milestone.
    pub(crate) fn tell_milestone(&mut self, cx: &mut Context<'_>, milestone_id: &str, body: Body) {
        self.mail.send(cx.outbox, milestone_id.as_bytes().to_vec(), |_| Identifier::default(), body);
    }

    /// Notes that a fact has touched the cluster of a member.
    pub(crate) fn touched(&mut self, root: &Node, member: Hash128) {
        self.dirty_of(root).due.members.insert(member);
    }

    /// Notes that the cluster of a member may have fallen apart.
    pub(crate) fn shrunk(&mut self, root: &Node, member: Hash128) {
        self.touched(root, member);
        self.dirty_of(root).due.shrunk = true;
    }

    /// What is to be computed again of a root's component.
    pub(crate) fn dirty_of(&mut self, root: &Node) -> &mut Dirty {
        let new = || Dirty { root: root.identifier.clone(), due: Due::default() };
        self.dirty.entry(root.hash).or_insert_with(new)
    }

    /// Puts off what an identifier brings until its placement is settled, at the end of the batch.
    pub(crate) fn bring(&mut self, cx: &Context<'_>, by: Identifier, what: item::What) {
        self.items.push((by, what, cx.outbox.cause()));
    }

    /// Has a root rest until others have had as much work done as it has cost. Its message to itself goes by way of the log: it comes
    /// behind whoever waits there, and comes again after a crash.
    pub(crate) fn rest(&self, cx: &mut Context<'_>, root: &Identifier, wait: u64) {
        let message = IdentityMessage { body: Some(Body::ResumeRoot(ResumeRoot { wait })) };
        cx.outbox.send(Topic::IdentityInbox, root.key(), &message);
    }

    /// Forgets a batch.
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
