//! Common to pushes of WeChat and WeCom after parsing: one person, who did something, left or came back.

use tributary_runtime::stage::Rejection;

use super::settings::Leaving;
use crate::decoded::Decoded;
use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::native;
use crate::native::statement::{Says, Statement};
use crate::reason;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::touch::TouchFields;

/// The content of a push about one person.
pub(super) struct Push<'a> {
    pub(super) event_id: String,
    pub(super) time_ms: i64,
    pub(super) identifiers: Identifiers,
    pub(super) says: Says<'a>,
    /// The person has come back: consent is granted again.
    pub(super) returns: bool,
    /// The fields left out so far.
    pub(super) ignored: Ignored,
}

impl Push<'_> {
    /// Adds the event, and one of consent if the person has come back.
    ///
    /// # Errors
    /// When the event is refused; nothing was added then.
    pub(super) fn add(self, rules: &Rules, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
        let Self { event_id, time_ms, identifiers, says, returns, ignored } = self;
        let statement = |event_id, identifiers, says, ignored| Statement {
            event_id,
            time_ms,
            identifiers,
            traits: Vec::new(),
            contacts: Vec::new(),
            says,
            of_record: None,
            ignored,
        };
        let consent = returns.then(|| {
            // Blocked identifiers must be counted only once.
            let mut identifiers = identifiers.clone();
            identifiers.blocked = 0;
            statement(format!("{event_id}:consent"), identifiers, Says::Consent { granted: true }, Ignored::default())
        });
        statement(event_id, identifiers, says, ignored).add(rules, receipt, out)?;
        consent.map_or(Ok(()), |consent| consent.add(rules, receipt, out))
    }
}

/// A touch, or what leaving means; otherwise the push only shows that the person exists.
pub(super) fn says(touched: Option<TouchFields<'_>>, left: Option<Leaving>) -> Says<'_> {
    match (touched, left) {
        (Some(fields), _) => Says::Touch(fields),
        (None, Some(Leaving::Revoke)) => Says::Consent { granted: false },
        (None, Some(Leaving::Erase)) => Says::Erase { person: false },
        (None, Some(Leaving::Ignore) | None) => Says::Identify,
    }
}

/// Refuses a push that names nobody.
///
/// # Errors
/// [`reason::IDENTIFIER_MISSING`] at `field`.
pub(super) fn need_somebody(identifiers: &Identifiers, field: &'static str, nobody: &'static str) -> Result<(), Rejection> {
    if identifiers.has_people() { Ok(()) } else { Err(Rejection::new(reason::IDENTIFIER_MISSING, field, nobody)) }
}

/// The id of a push; refused if it is too long.
pub(super) fn event_id(text: String) -> Result<String, Rejection> {
    let missing = || Rejection::new(reason::FIELD_MISSING, "", "the push says nothing of who and when");
    native::event_id(Scalar::Text(text.into()), "")?.ok_or_else(missing)
}
