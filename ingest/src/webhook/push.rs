//! What pushes of WeChat and of WeCom have in common once they are read: one person, who did something, left or came back.

use tributary_proto::event::Body;
use tributary_proto::{Consent, Erase, Event, Identify, Source};
use tributary_runtime::stage::Rejection;

use super::settings::Leaving;
use crate::decoded::Decoded;
use crate::identifiers::{Identifiers, Sorted};
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::touch::TouchFields;
use crate::{native, reason};

/// Whom a push is about, and how many identifiers were blocked.
pub(super) struct Person {
    named: Sorted,
    blocked: u64,
}

impl Person {
    /// # Errors
    /// [`reason::IDENTIFIER_MISSING`] at `field` when nobody is named.
    pub(super) fn of(identifiers: Identifiers, field: &'static str, nobody: &'static str) -> Result<Self, Rejection> {
        let blocked = identifiers.blocked;
        let named = identifiers.sorted();
        if named.people.is_empty() {
            return Err(Rejection::new(reason::IDENTIFIER_MISSING, field, nobody));
        }
        Ok(Self { named, blocked })
    }

    /// What the person did: a touch, or left; else the push says only that there is such a person.
    ///
    /// # Errors
    /// When the touch breaks a limit.
    pub(super) fn body(
        &mut self,
        rules: &Rules,
        touched: Option<TouchFields<'_>>,
        left: Option<Leaving>,
    ) -> Result<Body, Rejection> {
        Ok(match (touched, left) {
            (Some(fields), _) => {
                Body::Touch(rules.touches.touch(fields, Source::Webhook, &rules.identifiers, &mut self.named)?)
            }
            (None, Some(leaving)) => leaves(leaving),
            (None, None) => Body::Identify(Identify {}),
        })
    }

    /// Adds the event, and one of consent where the person has come back.
    pub(super) fn add(self, event_id: String, time_ms: i64, body: Body, returns: bool, out: &mut Decoded) {
        let event = |event_id, body| Event {
            event_id,
            time_ms,
            source: Source::Webhook.into(),
            identifiers: self.named.people.clone(),
            body: Some(body),
            ..Event::default()
        };
        let consent = returns.then(|| event(format!("{event_id}:consent"), Body::Consent(Consent { granted: true })));
        out.blocked += self.blocked;
        out.events.push(event(event_id, body));
        out.events.extend(consent);
    }
}

/// The id of a push; one that is too long to be one is refused.
pub(super) fn event_id(text: String) -> Result<String, Rejection> {
    let missing = || Rejection::new(reason::FIELD_MISSING, "", "the push says nothing of who and when");
    native::event_id(Scalar::Text(text.into()), "")?.ok_or_else(missing)
}

/// What somebody means who unsubscribes, or deletes the member of staff.
fn leaves(leaving: Leaving) -> Body {
    match leaving {
        Leaving::Ignore => Body::Identify(Identify {}),
        Leaving::Revoke | Leaving::RevokeUntilReturn => Body::Consent(Consent { granted: false }),
        Leaving::Erase => Body::Erase(Erase {}),
    }
}
