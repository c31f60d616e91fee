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

/// A statement: the fields of an event, before they are checked.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) event_id: String,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: i64,
    pub(crate) identifiers: Identifiers,
    /// Sorted by name.
    pub(crate) traits: Vec<Trait>,
    /// The roles of people in the object that it is about; sorted.
    pub(crate) contacts: Vec<Contact>,
    pub(crate) says: Says<'a>,
    /// The CRM record that it reports, if known.
    pub(crate) of_record: Option<OfRecord>,
    /// The fields left out so far.
    pub(crate) ignored: Ignored,
}

/// The record that a statement comes from: when the record is deleted, the statement is retracted.
#[derive(Debug)]
pub(crate) struct OfRecord {
    /// The record's id, with its system.
    pub(crate) id: String,
    /// When the record stated it, milliseconds since 1970-01-01 UTC.
    pub(crate) at_ms: i64,
}

/// The content of a statement; each variant becomes the event of the same name.
#[derive(Debug)]
pub(crate) enum Says<'a> {
    Touch(TouchFields<'a>),
    Milestone(MilestoneFields<'a>),
    Identify,
    /// With the parent account, if it states one.
    Account(Given<Identifier>),
    /// The CRM has deleted the account.
    AccountGone,
    Link,
    Unlink,
    Consent {
        granted: bool,
    },
    Erase {
        /// Whether all identifiers joined with them are erased, too.
        person: bool,
    },
    /// The event with this id is retracted: at a milestone, at an object, or at the identifiers named.
    Retract {
        milestone: Cow<'a, str>,
        object_id: Cow<'a, str>,
    },
    /// Everything that this CRM record has stated is retracted.
    RecordDeleted {
        id: String,
    },
    Contacts {
        object_id: Cow<'a, str>,
    },
}

impl Says<'_> {
    /// The part of it that only trusted events may state, in words; `None` if any may.
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
    /// When an identifier is missing, a milestone's kind or object is invalid, or only trusted events may state it; nothing was added then.
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
            // It is sent to the object's actor, so it needs no other identifiers.
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

/// An account record. If it names people, the parent is left out, because it is about these people.
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

/// Keeps only the account that is deleted.
///
/// # Errors
/// When it is not a CRM's account, or when several accounts or people are named.
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

/// Whether an event is about an object, a milestone or a record, and needs no identifiers.
fn is_of_object(body: &Body) -> bool {
    match body {
        Body::ObjectContacts(_) => true,
        Body::Retract(Retract { milestone_id, object_id, record }) => {
            [milestone_id, object_id, record].into_iter().any(|key| !key.is_empty())
        }
        _ => false,
    }
}

/// Leaves out contacts if the event is not about an object, or is public.
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

/// The identifiers that an event lacks and needs, in words.
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
