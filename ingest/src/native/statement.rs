//! What is said of whom: a native record that was read, or what the push of a provider means. Here it becomes an event.

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Consent, Erase, Event, Identify, Link, Source, Trait, Unlink};
use tributary_runtime::stage::Rejection;

use crate::decoded::Decoded;
use crate::identifiers::{Identifiers, Sorted};
use crate::milestone::MilestoneFields;
use crate::reason;
use crate::rules::Rules;
use crate::touch::TouchFields;

/// A statement.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) event_id: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: i64,
    pub(crate) identifiers: Identifiers,
    /// Sorted by name.
    pub(crate) traits: Vec<Trait>,
    pub(crate) says: Says<'a>,
}

/// What a statement says, each as the event of this name.
#[derive(Debug)]
pub(crate) enum Says<'a> {
    Touch(TouchFields<'a>),
    Milestone(MilestoneFields<'a>),
    Identify,
    Account,
    Link,
    Unlink,
    Consent { granted: bool },
    Erase,
}

impl Statement<'_> {
    /// Adds the event to `out`.
    ///
    /// # Errors
    /// When it names too few, or one of its fields is refused; nothing was added then.
    pub(crate) fn add(
        self,
        rules: &Rules,
        source: Source,
        received_ms: Option<i64>,
        out: &mut Decoded,
    ) -> Result<(), Rejection> {
        let blocked = self.identifiers.blocked;
        let mut named = self.identifiers.sorted();
        let body = body(self.says, rules, &mut named, source, received_ms)?;
        let Sorted { people, accounts } = named;
        out.blocked += blocked;
        out.events.push(Event {
            event_id: self.event_id,
            time_ms: self.time_ms,
            source: source.into(),
            identifiers: people,
            account_identifiers: accounts,
            traits: self.traits,
            body: Some(body),
        });
        Ok(())
    }
}

fn body(
    says: Says<'_>,
    rules: &Rules,
    named: &mut Sorted,
    source: Source,
    received_ms: Option<i64>,
) -> Result<Body, Rejection> {
    let missing = |detail: &str| Err(Rejection::new(reason::IDENTIFIER_MISSING, "", detail));
    match says {
        Says::Touch(fields) => {
            let touch = rules.touches.touch(fields, source, &rules.identifiers, named)?;
            if named.is_empty() {
                return missing("a touch needs an identifier of a person or an account");
            }
            Ok(Body::Touch(touch))
        }
        Says::Milestone(fields) => rules.milestone(fields, received_ms).map(Body::Milestone),
        Says::Identify if named.people.is_empty() => missing("an identify record needs an identifier of a person"),
        Says::Identify => Ok(Body::Identify(Identify {})),
        Says::Account if named.accounts.is_empty() => missing("an account record needs an account or a domain"),
        Says::Account => Ok(Body::Account(AccountRecord {})),
        Says::Link | Says::Unlink if named.people.len() < 2 && named.accounts.len() < 2 => {
            missing("a link or unlink needs two identifiers of people, or two of accounts")
        }
        Says::Link => Ok(Body::Link(Link {})),
        Says::Unlink => Ok(Body::Unlink(Unlink {})),
        Says::Consent { .. } if named.people.is_empty() => missing("consent needs an identifier of a person"),
        Says::Consent { granted } => Ok(Body::Consent(Consent { granted })),
        Says::Erase if named.people.is_empty() => missing("an erasure needs an identifier of a person"),
        Says::Erase => Ok(Body::Erase(Erase {})),
    }
}
