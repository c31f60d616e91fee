//! What is said of whom: a native record that was read, or what the push of a provider means. Here it becomes an event.

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Consent, Erase, Event, Identify, Link, Source, Trait, Unlink};
use tributary_runtime::stage::Rejection;

use crate::decoded::Decoded;
use crate::identifiers::{Identifiers, Sorted};
use crate::ignored::Ignored;
use crate::milestone::MilestoneFields;
use crate::rules::Rules;
use crate::touch::TouchFields;
use crate::{reason, tolerant};

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
    /// What was left out of it so far.
    pub(crate) ignored: Ignored,
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
    /// When it names too few, or a milestone's kind or object is none; nothing was added then.
    pub(crate) fn add(
        self,
        rules: &Rules,
        source: Source,
        received_ms: Option<i64>,
        out: &mut Decoded,
    ) -> Result<(), Rejection> {
        let Self { event_id, time_ms, identifiers, traits, says, mut ignored } = self;
        let blocked = identifiers.blocked;
        let mut named = identifiers.sorted();
        let body = match says {
            Says::Touch(fields) => Body::Touch(tolerant::touch(rules, fields, source, &mut named, &mut ignored)?),
            Says::Milestone(fields) => Body::Milestone(rules.milestone(fields, received_ms, &mut ignored)?),
            Says::Identify => Body::Identify(Identify {}),
            Says::Account => Body::Account(AccountRecord {}),
            Says::Link => Body::Link(Link {}),
            Says::Unlink => Body::Unlink(Unlink {}),
            Says::Consent { granted } => Body::Consent(Consent { granted }),
            Says::Erase => Body::Erase(Erase {}),
        };
        if let Some(detail) = lacks(&body, &named) {
            return Err(ignored.nobody(Rejection::new(reason::IDENTIFIER_MISSING, "", detail)));
        }
        let Sorted { people, accounts } = named;
        out.ignored.merge(ignored);
        out.blocked += blocked;
        out.events.push(Event {
            event_id,
            time_ms,
            source: source.into(),
            identifiers: people,
            account_identifiers: accounts,
            traits,
            body: Some(body),
        });
        Ok(())
    }
}

/// Whom an event does not name, and cannot be without.
fn lacks(body: &Body, named: &Sorted) -> Option<&'static str> {
    match body {
        Body::Touch(_) if named.is_empty() => Some("a touch needs an identifier of a person or an account"),
        Body::Identify(_) if named.people.is_empty() => Some("an identify record needs an identifier of a person"),
        Body::Account(_) if named.accounts.is_empty() => Some("an account record needs an account or a domain"),
        Body::Link(_) | Body::Unlink(_) if named.people.len() < 2 && named.accounts.len() < 2 => {
            Some("a link or unlink needs two identifiers of people, or two of accounts")
        }
        Body::Consent(_) if named.people.is_empty() => Some("consent needs an identifier of a person"),
        Body::Erase(_) if named.people.is_empty() => Some("an erasure needs an identifier of a person"),
        _ => None,
    }
}
