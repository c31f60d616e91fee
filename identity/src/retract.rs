//! An event is taken back: its touch, its asserted account, its explicit link, its consent, its contacts or its milestone version have no
//! effect, permanently, whichever arrives first. The observation and the traits stay: only their extremes are stored.

use std::collections::BTreeSet;

use tributary_proto::event::Body as What;
use tributary_proto::{Claim, DayAssertion, Erasure, Event, Facts, Hash128, Identifier, Retract, Stamp, occurrence};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::days::Stated;
use crate::keys;
use crate::node::Node;
use crate::stamp::head_of;
use crate::statement::Statement;
use crate::units::send_arrive;
use crate::versions::{mark, object_of, stored};

impl Core {
    /// Handles a retraction at the primary identifier, the milestone or the object of the event that it retracts.
    pub(crate) fn take_back(&mut self, cx: &mut Context<'_>, event: &Event, of: &Retract) -> Result<(), StateError> {
        let said = Statement::of(event);
        if !of.record.is_empty() {
            return self.record_deleted(cx, &of.record, event.time_ms);
        }
        if !of.milestone_id.is_empty() {
            return self.take_back_version(cx, &of.milestone_id, &said.stamp);
        }
        if !of.object_id.is_empty() {
            return self.take_back_contacts(cx, &occurrence::object_key(&of.object_id), &said.stamp);
        }
        match said.primary() {
            Some(primary) => self.take_back_event(cx, primary, &said.stamp),
            None => Ok(()),
        }
    }

    pub(crate) fn take_back_event(&mut self, cx: &mut Context<'_>, primary: &Identifier, of: &Stamp) -> Result<(), StateError> {
        let Some(event) = head_of(of) else { return Ok(()) };
        let mut node = self.nodes.take(cx.state, primary)?;
        // Records store people by address; what follows needs their names.
        if let Some(name) = node.state.identifier.clone().filter(|_| primary.is_address()) {
            node.identifier = name;
        }
        if !node.has_retracted(of) {
            self.take_back_of(cx, &mut node, event)?;
        }
        self.nodes.keep(node);
        Ok(())
    }

    fn take_back_of(&mut self, cx: &mut Context<'_>, node: &mut Node, event: u64) -> Result<(), StateError> {
        node.edit().erasures.push(Erasure { event, ..Erasure::default() });
        self.take_back_statements(cx, node, event)?;
        if node.state.brings
            && let Some(placement) = node.state.placement.clone()
        {
            send_arrive(cx, node, &placement);
        }
        Ok(())
    }

    /// Retracts an event's statements: asserted accounts are marked as retracted; explicit links and consents are claimed again without it.
    fn take_back_statements(&mut self, cx: &mut Context<'_>, node: &mut Node, event: u64) -> Result<(), StateError> {
        for mut mentioned in node.identifier_sets(cx.state)?.into_iter().filter(|mentioned| !mentioned.observation.by_day) {
            node.by_day(cx.state, mentioned.hash, &mut mentioned.observation)?;
            node.put_observation(cx.state, mentioned.hash, Some(mentioned.observation));
        }
        let was_gone = node.is_gone(cx.state)?;
        let touched: BTreeSet<Hash128> = node.retract_days(cx.state, event)?.into_iter().collect();
        if touched.is_empty() {
            return Ok(());
        }
        let (mut named, mut anew) = (Vec::new(), false);
        for mut mentioned in node.identifier_sets(cx.state)?.into_iter().filter(|mentioned| touched.contains(&mentioned.hash)) {
            let account = mentioned.asserted();
            let days = node.days(cx.state, mentioned.hash, Stated::Account)?;
            let asserted = |day| DayAssertion { account: account.cloned(), day: Some(day), ..DayAssertion::default() };
            let assertions: Vec<DayAssertion> =
                days.into_iter().filter(|day| day.first_retracted || day.last_retracted).map(asserted).collect();
            if !assertions.is_empty() {
                self.report(cx, node, Facts { assertions, ..Facts::default() })?;
            }
            let (explicit, consent) = (node.explicit(cx.state, mentioned.hash)?, node.consent(cx.state, mentioned.hash)?);
            let unseen = mentioned.observation.latest_hour.is_none();
            if unseen || (&explicit, &consent) != (&mentioned.observation.explicit, &mentioned.observation.consent) {
                anew = true;
                named.extend(mentioned.all().cloned());
                (mentioned.observation.explicit, mentioned.observation.consent) = (explicit, consent);
                node.put_observation(cx.state, mentioned.hash, Some(mentioned.observation));
            }
        }
        if anew {
            self.claim_all_anew(cx, node, named.iter())?;
        }
        if node.is_gone(cx.state)? == was_gone { Ok(()) } else { self.claim_records_anew(cx, node) }
    }

    pub(crate) fn take_back_version(&mut self, cx: &mut Context<'_>, milestone_id: &str, of: &Stamp) -> Result<(), StateError> {
        let actor = keys::milestone(milestone_id);
        if !mark(cx.state, &actor, of)? {
            return Ok(());
        }
        for (_, event) in stored(cx.state, &actor)? {
            let said = Statement::of(&event);
            if said.stamp.event_hash != of.event_hash {
                continue;
            }
            if let (Some(primary), Some(account), false) = (said.people.first(), said.accounts.first(), said.public) {
                let assertion =
                    DayAssertion { account: Some(account.clone()), day: Some(said.day(true)), ..DayAssertion::default() };
                self.tell_claim(cx, milestone_id, primary, Claim { assertions: vec![assertion], ..Claim::default() })?;
            }
            if let Some(object_id) = object_of(&event) {
                self.tell_contacts(cx, milestone_id, object_id, &event, true);
            }
        }
        self.announce(cx, milestone_id, false)
    }

    pub(crate) fn take_back_contacts(&mut self, cx: &mut Context<'_>, key: &str, of: &Stamp) -> Result<(), StateError> {
        let actor = keys::object(key);
        if !mark(cx.state, &actor, of)? {
            return Ok(());
        }
        for (_, event) in stored(cx.state, &actor)? {
            if let (true, Some(What::ObjectContacts(of_object))) =
                (Statement::of(&event).stamp.event_hash == of.event_hash, &event.body)
            {
                self.tell_contacts(cx, key, &of_object.object_id, &event, true);
            }
        }
        Ok(())
    }
}
