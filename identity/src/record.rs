//! Deletion of a CRM record: everything that it has stated until then is taken back.
//!
//! A CRM reports a deletion with an id only, without whom the record was about. So an actor that gets an event which reports a record
//! notifies the record's actor, which stores where the event went and nothing of its content: people by their addresses. Whichever arrives
//! first, the event or the deletion, the other one finds it there. What a record states after its deletion, because it was restored,
//! counts.

use tributary_proto::event::Body as What;
use tributary_proto::identity_message::Body;
use tributary_proto::{Event, Hash128, Message, RecordState, Said, Stamp, occurrence};
use tributary_runtime::stage::Context;
use tributary_runtime::state::{StateError, get_message, put_message, scan_messages};

use crate::core::Core;
use crate::keys;
use crate::stamp::stamp_key;
use crate::statement::Statement;

impl Core {
    /// Notifies the actor of the CRM record that an event reports where the event went.
    pub(crate) fn tell_record(&mut self, cx: &mut Context<'_>, event: &Event) {
        if event.record.is_empty() {
            return;
        }
        let said = Statement::of(event);
        let (mut to, mut key) = (None, String::new());
        match &event.body {
            Some(What::Milestone(version)) => key.clone_from(&version.milestone_id),
            Some(What::ObjectContacts(of)) => key = occurrence::object_key(&of.object_id),
            // Retractions and erasures are not retracted.
            Some(What::Retract(_) | What::Erase(_)) => return,
            _ => to = said.primary().map(|primary| self.address(primary)),
        }
        let at = Some(Stamp { time_ms: event.recorded_ms, ..said.stamp });
        let record = event.record.clone();
        let to_record = occurrence::record_key(&record);
        self.tell_milestone(cx, &to_record, Body::Said(Said { record, to, key, at }));
    }

    /// A record stores where an event that reports it went.
    pub(crate) fn said(&mut self, cx: &mut Context<'_>, said: Said) -> Result<(), StateError> {
        let actor = keys::record(&occurrence::record_key(&said.record));
        let said = Said { record: String::new(), ..said };
        let sub = keys::one(keys::OBSERVATION, Hash128::of(&said.encode_to_vec()));
        if cx.state.get(&actor, &sub)?.is_some() {
            return Ok(());
        }
        put_message(cx.state, &actor, &sub, &said);
        let deleted: Option<RecordState> = get_message(cx.state, &actor, keys::NODE)?;
        if deleted.is_some_and(|deleted| is_before(&said, deleted.deleted_ms)) {
            self.tell_taken_back(cx, said);
        }
        Ok(())
    }

    /// Handles the deletion of a record.
    pub(crate) fn record_deleted(&mut self, cx: &mut Context<'_>, record: &str, deleted_ms: i64) -> Result<(), StateError> {
        let actor = keys::record(&occurrence::record_key(record));
        let known: Option<RecordState> = get_message(cx.state, &actor, keys::NODE)?;
        if known.as_ref().is_some_and(|known| known.deleted_ms >= deleted_ms) {
            return Ok(());
        }
        put_message(cx.state, &actor, keys::NODE, &RecordState { deleted_ms });
        for (_, said) in scan_messages::<Said>(cx.state, &actor, &[keys::OBSERVATION])? {
            let was_told = known.as_ref().is_some_and(|known| is_before(&said, known.deleted_ms));
            if is_before(&said, deleted_ms) && !was_told {
                self.tell_taken_back(cx, said);
            }
        }
        Ok(())
    }

    fn tell_taken_back(&mut self, cx: &mut Context<'_>, said: Said) {
        match said.to.clone() {
            Some(to) => self.tell(cx, &to, Body::TakenBack(said)),
            None => {
                let key = said.key.clone();
                self.tell_milestone(cx, &key, Body::TakenBack(said));
            }
        }
    }

    /// Retracts an event of a deleted record, at the actor that stored it.
    pub(crate) fn taken_back(&mut self, cx: &mut Context<'_>, said: &Said) -> Result<(), StateError> {
        let Some(at) = &said.at else { return Ok(()) };
        match &said.to {
            Some(to) => self.take_back_event(cx, to, at),
            None if occurrence::is_object_key(&said.key) => self.take_back_contacts(cx, &said.key, at),
            None => self.take_back_version(cx, &said.key, at),
        }
    }
}

fn is_before(said: &Said, deleted_ms: i64) -> bool {
    stamp_key(said.at.as_ref()).0 <= deleted_ms
}
