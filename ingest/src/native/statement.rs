//! Turns statements into events: those of a native record, and those that a provider's push means.

use std::borrow::Cow;

use tributary_proto::event::Body;
use tributary_proto::{
    AccountRecord, Consent, Contact, Erase, Event, Identifier, Identify, Link, ObjectContacts, Retract, Trait, Unlink, kind,
};
use tributary_runtime::stage::Rejection;

use super::kind::RECORD_FIELD;
use crate::decoded::Decoded;
use crate::identifiers::{Identifiers, Sorted};
use crate::ignored::Ignored;
use crate::milestone::{Given, MilestoneFields};
use crate::public::refused;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::touch::TouchFields;
use crate::{contacts, public, reason, tolerant};

/// A statement.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) event_id: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: i64,
    pub(crate) identifiers: Identifiers,
    /// Sorted by name.
    pub(crate) traits: Vec<Trait>,
    /// Who has which role in the object that it is about; sorted.
    pub(crate) contacts: Vec<Contact>,
    pub(crate) says: Says<'a>,
    /// The CRM record that it reports, where that is known.
    pub(crate) of_record: Option<OfRecord>,
    /// What was left out of it so far.
    pub(crate) ignored: Ignored,
}

/// Whose word a statement is: when the record that says it is deleted, that is taken back.
#[derive(Debug)]
pub(crate) struct OfRecord {
    /// Names the record, and the system that it is in.
    pub(crate) id: String,
    /// When it said so, milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
}

/// What a statement says, each as the event of this name.
#[derive(Debug)]
pub(crate) enum Says<'a> {
    Touch(TouchFields<'a>),
    Milestone(MilestoneFields<'a>),
    Identify,
    /// With the account above it, where it tells that.
    Account(Given<Identifier>),
    /// The CRM has deleted the account.
    AccountGone,
    Link,
    Unlink,
    Consent {
        granted: bool,
    },
    Erase {
        /// Whether those who are joined with them are meant, too.
        person: bool,
    },
    /// The event of this id is taken back: one of a milestone, of an object, or of those who are named.
    Retract {
        milestone: Cow<'a, str>,
        object_id: Cow<'a, str>,
    },
    /// All that this record of a CRM has said is taken back.
    RecordDeleted {
        id: String,
    },
    Contacts {
        object_id: Cow<'a, str>,
    },
}

impl Says<'_> {
    /// What of it only trusted events say, in words; `None` where anybody may.
    fn only_trusted(&self) -> Option<&'static str> {
        match self {
            Self::Touch(_) | Self::Milestone(_) | Self::Identify | Self::Consent { .. } => None,
            Self::Account(_) | Self::AccountGone => Some("accounts are told"),
            Self::Link => Some("identifiers are linked"),
            Self::Unlink => Some("identifiers are unlinked"),
            Self::Erase { .. } => Some("people are erased"),
            Self::Retract { .. } | Self::RecordDeleted { .. } => Some("events are taken back"),
            Self::Contacts { .. } => Some("roles are told"),
        }
    }
}

impl Statement<'_> {
    /// Adds the event to `out`.
    ///
    /// # Errors
    /// When it names too few, a milestone's kind or object is none, or only trusted events say so; nothing was added then.
    pub(crate) fn add(self, rules: &Rules, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
        let Self { event_id, time_ms, identifiers, traits, mut contacts, says, mut of_record, mut ignored } = self;
        public::check(&receipt, "kind", says.only_trusted())?;
        let blocked = identifiers.blocked;
        let mut named = identifiers.sorted();
        rules.public.restrict(&receipt, &mut named, &mut ignored);
        let body = match says {
            Says::Touch(fields) => Body::Touch(tolerant::touch(rules, fields, &receipt, &mut named, &mut ignored)?),
            Says::Milestone(fields) => Body::Milestone(rules.milestone(fields, &receipt, &mut ignored)?),
            Says::Identify => Body::Identify(Identify {}),
            Says::Account(parent) => Body::Account(account(parent, &named, &mut ignored)),
            Says::AccountGone => {
                gone(&mut named)?;
                Body::Account(AccountRecord { gone: true, ..AccountRecord::default() })
            }
            Says::Link => Body::Link(Link {}),
            Says::Unlink => Body::Unlink(Unlink {}),
            Says::Consent { granted } => Body::Consent(Consent { granted }),
            Says::Erase { person } => Body::Erase(Erase { person }),
            Says::Retract { milestone, object_id } => Body::Retract(rules.retract(&milestone, object_id)?),
            Says::RecordDeleted { id } => Body::Retract(Retract { record: id, ..Retract::default() }),
            Says::Contacts { object_id } => {
                Body::ObjectContacts(ObjectContacts { object_id: rules.object(object_id)?.into_owned() })
            }
        };
        restrict(&body, &receipt, &mut contacts, &mut ignored);
        if receipt.is_public() && of_record.take().is_some() {
            ignored.note(refused(RECORD_FIELD, "records of the CRM are named"));
        }
        if matches!(body, Body::ObjectContacts(_)) && contacts.is_empty() {
            let missing = "a record of contacts names who is in the object";
            return Err(ignored.nobody(Rejection::new(reason::FIELD_MISSING, contacts::FIELD, missing)));
        }
        if is_of_object(&body) {
            // It goes to the object, which knows nobody else.
            named = Sorted::default();
        }
        if let Some(detail) = lacks(&body, &named) {
            return Err(ignored.nobody(Rejection::new(reason::IDENTIFIER_MISSING, "", detail)));
        }
        let Sorted { people, accounts } = named;
        let (record, recorded_ms) = of_record.map(|OfRecord { id, at_ms }| (id, at_ms)).unwrap_or_default();
        out.ignored.merge(ignored);
        out.blocked += blocked;
        out.events.push(Event {
            identifiers: people,
            account_identifiers: accounts,
            traits,
            contacts,
            record,
            recorded_ms,
            body: Some(body),
            ..receipt.event(event_id, time_ms)
        });
        Ok(())
    }
}

/// An account record. Of one that names people the parent is left out: it is about these people.
fn account(parent: Given<Identifier>, named: &Sorted, ignored: &mut Ignored) -> AccountRecord {
    if parent != Given::Nothing && !named.people.is_empty() {
        let why = "an account record that names people tells no parent; send it in a record without them";
        ignored.note(Rejection::new(reason::VALUE_INVALID, "parent", why));
        return AccountRecord::default();
    }
    match parent {
        Given::Is(parent) => AccountRecord { parent: Some(parent), ..AccountRecord::default() },
        Given::Cleared => AccountRecord { parent_cleared: true, ..AccountRecord::default() },
        Given::Nothing => AccountRecord::default(),
    }
}

/// Leaves the one account that is deleted: what belonged to it need not be said.
///
/// # Errors
/// When it is none of a CRM, or several are named, or people.
fn gone(named: &mut Sorted) -> Result<(), Rejection> {
    let (crms, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut named.accounts).into_iter().partition(|account| account.kind == kind::CRM_ACCOUNT);
    drop(others);
    named.accounts = crms;
    if named.accounts.len() != 1 || !named.people.is_empty() {
        let detail = "an account record that is withdrawn names the one account of the CRM that was deleted, and no people";
        return Err(Rejection::new(reason::IDENTIFIER_MISSING, "account", detail));
    }
    Ok(())
}

/// Whether an event is of an object, a milestone or a record alone, and of nobody.
fn is_of_object(body: &Body) -> bool {
    match body {
        Body::ObjectContacts(_) => true,
        Body::Retract(Retract { milestone_id, object_id, record }) => {
            [milestone_id, object_id, record].into_iter().any(|key| !key.is_empty())
        }
        _ => false,
    }
}

/// Leaves out contacts of what is no object, and those of public events.
fn restrict(body: &Body, receipt: &Receipt, contacts: &mut Vec<Contact>, ignored: &mut Ignored) {
    let why = if receipt.is_public() {
        refused(contacts::FIELD, "roles are told")
    } else if matches!(body, Body::Milestone(_) | Body::ObjectContacts(_)) {
        return;
    } else {
        Rejection::new(reason::VALUE_INVALID, contacts::FIELD, "only records of milestones and of contacts have contacts")
    };
    if !std::mem::take(contacts).is_empty() {
        ignored.note(why);
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
        Body::Retract(_) if named.is_empty() && !is_of_object(body) => {
            Some("a retraction repeats who the event names, or its milestone and object")
        }
        Body::Erase(_) if named.people.is_empty() => Some("an erasure needs an identifier of a person"),
        _ => None,
    }
}
