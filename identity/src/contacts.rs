//! Roles in a deal. An event that names the contacts of an object is no observation of them and links nobody. It sends each contact its
//! role, and the contact's units get it with its placement.

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{ContactFact, Event, Hash128, Identifier, Message, Role, occurrence};
use tributary_runtime::stage::Context;
use tributary_runtime::state::{State, StateError, get_message, put_message, scan_messages};

use crate::core::Core;
use crate::keys;
use crate::node::Node;
use crate::stamp::stamp_key;
use crate::statement::Statement;
use crate::units::send_arrive;
use crate::versions::{is_marked, stored};

impl Core {
    /// Handles an event that states the contacts of an object (a deal).
    pub(crate) fn object_contacts(&mut self, cx: &mut Context<'_>, event: &Event, object_id: &str) -> Result<(), StateError> {
        let key = occurrence::object_key(object_id);
        let actor = keys::object(&key);
        let sub = keys::one(keys::OBSERVATION, Hash128::of(&event.encode_to_vec()));
        if cx.state.get(&actor, &sub)?.is_some() {
            return Ok(());
        }
        put_message(cx.state, &actor, &sub, event);
        let stamp = Statement::of(event).stamp;
        let retracted = is_marked(cx.state, &actor, &stamp)?;
        self.tell_contacts(cx, &key, object_id, event, retracted);
        Ok(())
    }

    /// Sends each contact that an event names its role.
    pub(crate) fn tell_contacts(&mut self, cx: &mut Context<'_>, by: &str, object_id: &str, event: &Event, retracted: bool) {
        if event.contacts.is_empty() {
            return;
        }
        let at = Statement::of(event).stamp;
        for contact in &event.contacts {
            let Some(about) = &contact.identifier else { continue };
            let fact = ContactFact {
                about: Some(about.clone()),
                object_id: object_id.to_owned(),
                role: contact.role.clone(),
                removed: contact.removed,
                at: Some(at.clone()),
                retracted,
                by: by.to_owned(),
            };
            self.tell(cx, about, Body::Contact(fact));
        }
    }

    /// Stores the role of a contact in an object.
    pub(crate) fn contact(&mut self, cx: &mut Context<'_>, to: &Identifier, said: ContactFact) -> Result<(), StateError> {
        let mut node = self.nodes.take(cx.state, to)?;
        self.contact_of(cx, &mut node, said)?;
        self.nodes.keep(node);
        Ok(())
    }

    fn contact_of(&mut self, cx: &mut Context<'_>, node: &mut Node, said: ContactFact) -> Result<(), StateError> {
        let time_ms = stamp_key(said.at.as_ref()).0;
        if let Some(until_ms) = node.state.erased_ms.filter(|until_ms| time_ms <= *until_ms) {
            self.tell_object(cx, &node.identifier, until_ms, &said.by);
            return Ok(());
        }
        let object = Hash128::of(said.object_id.as_bytes());
        let mut sub = keys::one(keys::CONTACT, object);
        sub.extend_from_slice(&Hash128::of(&said_by(&said)).to_bytes());
        let known: Option<ContactFact> = get_message(cx.state, &node.actor, &sub)?;
        if known.as_ref().is_some_and(|known| known.retracted || !said.retracted) {
            return Ok(());
        }
        node.edit();
        put_message(cx.state, &node.actor, &sub, &ContactFact { about: None, ..said });
        self.set_roles(cx, node)
    }

    /// Computes the roles from all statements, and notifies the units of changes.
    pub(crate) fn set_roles(&mut self, cx: &mut Context<'_>, node: &mut Node) -> Result<(), StateError> {
        let roles = roles(cx.state, node)?;
        if roles == node.state.roles {
            return Ok(());
        }
        node.edit().roles = roles;
        if let Some(placement) = node.state.placement.clone() {
            node.edit().brings = true;
            send_arrive(cx, node, &placement);
        }
        Ok(())
    }

    /// Deletes statements up to `until_ms` about the roles of an erased identifier, here and at the objects that made them.
    pub(crate) fn void_roles(&mut self, cx: &mut Context<'_>, node: &mut Node, until_ms: i64) -> Result<(), StateError> {
        for (sub, fact) in scan_messages::<ContactFact>(cx.state, &node.actor, &[keys::CONTACT])? {
            if stamp_key(fact.at.as_ref()).0 <= until_ms {
                cx.state.delete(&node.actor, &sub);
                self.tell_object(cx, &node.identifier, until_ms, &fact.by);
            }
        }
        self.set_roles(cx, node)
    }

    /// Deletes an erased contact from the events of an object.
    pub(crate) fn void_contacts(&mut self, cx: &mut Context<'_>, message: &tributary_proto::Erased) -> Result<(), StateError> {
        let Some(about) = &message.about else { return Ok(()) };
        let actor = keys::object(&message.milestone_id);
        for (sub, mut event) in stored(cx.state, &actor)? {
            if strip(&mut event, about, message.until_ms) {
                cx.outbox.erase(about, message.until_ms);
                put_message(cx.state, &actor, &sub, &event);
            }
        }
        Ok(())
    }

    /// Sends an object, or a milestone, the erasure of a contact.
    fn tell_object(&mut self, cx: &mut Context<'_>, about: &Identifier, until_ms: i64, by: &str) {
        let erased =
            tributary_proto::Erased { about: Some(about.clone()), until_ms, milestone_id: by.to_owned(), ..Default::default() };
        self.tell_milestone(cx, by, Body::Erased(erased));
    }
}

/// Removes the erased contacts from a stored event; returns whether there were any.
pub(crate) fn strip(event: &mut Event, about: &Identifier, until_ms: i64) -> bool {
    let before = event.contacts.len();
    if event.time_ms <= until_ms {
        event.contacts.retain(|contact| contact.identifier.as_ref() != Some(about));
    }
    event.contacts.len() < before
}

/// The sub-key of a statement of a role: one per object and event.
fn said_by(said: &ContactFact) -> Vec<u8> {
    ContactFact { about: None, retracted: false, ..said.clone() }.encode_to_vec()
}

/// The latest role in every object. Of two in one event, the removal counts, else the greater name.
fn roles(state: &mut dyn State, node: &Node) -> Result<Vec<Role>, StateError> {
    fn order(of: &ContactFact) -> ((i64, &[u8]), bool, &str) {
        (stamp_key(of.at.as_ref()), of.removed, &of.role)
    }
    let mut latest: BTreeMap<String, ContactFact> = BTreeMap::new();
    for (_, fact) in scan_messages::<ContactFact>(state, &node.actor, &[keys::CONTACT])? {
        if !fact.retracted && latest.get(&fact.object_id).is_none_or(|known| order(&fact) > order(known)) {
            latest.insert(fact.object_id.clone(), fact);
        }
    }
    let kept = latest.into_values().filter(|fact| !fact.removed);
    Ok(kept.map(|fact| Role { object_id: fact.object_id, role: fact.role }).collect())
}
