//! People report their membership to their accounts.
//!
//! The identifier that gives a profile its name reports to every account of the profile since when and until when the profile belongs to
//! it, whenever that changes. The account's identifier passes the report up to its root, which keeps one entry per person and lists them in
//! its row ([`crate::people`]).

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::identity_message::Body;
use tributary_proto::{Belongs, Identifier, Placement, Stretch};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::component::Component;
use crate::core::Core;
use crate::names::{account_named, is_called_after};
use crate::node::Node;

impl Core {
    /// Notifies the former and the current accounts of a profile of changes that concern them.
    pub(crate) fn tell_accounts(&mut self, cx: &mut Context<'_>, node: &Node, before: Option<&Placement>, now: &Placement) {
        if node.is_account() {
            return;
        }
        let (mut was, mut is) = (before.map(|before| belonging(node, before)).unwrap_or_default(), belonging(node, now));
        let accounts: BTreeSet<String> = was.keys().chain(is.keys()).map(|unit| (*unit).to_owned()).collect();
        for unit in accounts {
            let (was, is) = (was.remove(unit.as_str()), is.remove(unit.as_str()));
            let Some(account) = account_named(&unit).filter(|_| was != is) else { continue };
            let belongs = Belongs {
                account: Some(account.clone()),
                person: node.hash.to_bytes().to_vec(),
                epoch: now.epoch,
                ..is.unwrap_or_default()
            };
            self.tell(cx, &account, Body::Belongs(belongs));
        }
    }

    /// Handles a person's message that it belongs to an account: passes it from the account identifier to its root.
    pub(crate) fn belongs(&mut self, cx: &mut Context<'_>, to: &Identifier, said: Belongs) -> Result<(), StateError> {
        let node = self.meet(cx, to)?;
        match node.state.parent.clone() {
            Some(parent) => self.tell(cx, &parent, Body::Belongs(said)),
            None => self.add_person(cx, &node, &said)?,
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// The root stores who belongs to the account.
    pub(crate) fn add_person(&mut self, cx: &mut Context<'_>, root: &Node, said: &Belongs) -> Result<(), StateError> {
        let Some(member) = said.account.as_ref().map(Identifier::hash) else { return Ok(()) };
        if Component::of(root.hash).add_person(cx.state, member, said)? {
            self.touched(root, member);
        }
        Ok(())
    }
}

/// By unit, the message for each account of the profile. Empty unless the profile is named after this identifier: so each profile is
/// counted once.
fn belonging<'a>(node: &Node, placement: &'a Placement) -> BTreeMap<&'a str, Belongs> {
    let mut all: BTreeMap<&str, Belongs> = BTreeMap::new();
    if !is_called_after(&placement.profile_id, node.hash) {
        return all;
    }
    for stay in placement.stays().filter(|stay| !stay.account_id.is_empty()) {
        let new = || Belongs { role: placement.role.clone(), public: placement.public, ..Belongs::default() };
        let from_ms = (stay.from_ms != i64::MIN).then_some(stay.from_ms);
        let until_ms = (stay.to_ms != i64::MAX).then(|| stay.to_ms + 1);
        all.entry(stay.account_unit).or_insert_with(new).stretches.push(Stretch { from_ms, until_ms });
    }
    all
}
