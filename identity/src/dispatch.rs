//! Which actor handles which message, and how.

use tributary_proto::identity_message::Body;
use tributary_proto::{Identifier, occurrence};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::keys::WALK;

impl Core {
    /// Handles a message, and all messages within this partition that follow from it.
    pub(crate) fn receive(&mut self, cx: &mut Context<'_>, to: Identifier, body: Body) -> Result<(), StateError> {
        if self.new.is_none() {
            self.new = Some(WALK.is_new(cx.state)?);
        }
        self.handled += u64::from(!matches!(body, Body::ResumeRoot(_) | Body::Remodel(_)));
        self.dispatch(cx, &to, body)?;
        self.drain(cx)
    }

    /// Handles the messages between actors of this partition.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_>) -> Result<(), StateError> {
        while let Some((to, body)) = self.mail.take() {
            self.dispatch(cx, &to, body)?;
        }
        Ok(())
    }

    fn dispatch(&mut self, cx: &mut Context<'_>, to: &Identifier, body: Body) -> Result<(), StateError> {
        match body {
            Body::Event(event) => self.event(cx, event),
            Body::Facts(facts) => self.facts(cx, to, facts),
            Body::Join(join) => self.join(cx, to, join),
            Body::Absorb(absorb) => self.absorb(cx, to, absorb),
            Body::Place(place) => self.place(cx, to, place),
            Body::Subscribe(subscribe) => self.subscribe(cx, to, &subscribe),
            Body::AccountIs(answer) => self.account_is(cx, to, answer),
            Body::Track(track) => self.track(cx, to, track),
            Body::Claim(claim) => self.claim(cx, to, claim),
            Body::Erased(erased) if occurrence::is_object_key(&erased.milestone_id) => self.void_contacts(cx, &erased),
            Body::Erased(erased) if !erased.milestone_id.is_empty() => self.void_versions(cx, &erased),
            Body::Erased(erased) => self.erased(cx, to, &erased),
            Body::Said(said) => self.said(cx, said),
            Body::TakenBack(said) => self.taken_back(cx, &said),
            Body::Contact(contact) => self.contact(cx, to, contact),
            Body::Belongs(belongs) => self.belongs(cx, to, belongs),
            Body::ResumeRoot(rest) => {
                self.rests.push((to.clone(), rest.wait));
                Ok(())
            }
            Body::Remodel(remodel) => {
                self.remodels.push(remodel);
                Ok(())
            }
        }
    }
}
