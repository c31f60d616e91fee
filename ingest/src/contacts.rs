//! The field `contacts`: the people of a deal or a lead, and their roles. A list of objects, each with identifiers of one person, or a text
//! for a cell of a table: `crm_contact:003X=Champion; -email:li@b.example` (a `-` marks a person who has left).

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_proto::{Contact, Identifier};
use tributary_runtime::stage::Rejection;

use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::lenient::Raw;
use crate::limits::CONTACTS_MAX;
use crate::normalise::IdentifierRules;
use crate::reason;
use crate::scalar::{Scalar, flag};
use crate::traits::RawTraits;

/// The field.
pub(crate) const FIELD: &str = "contacts";

/// Reads the field, sorted and without duplicates; unreadable parts are left out.
pub(crate) fn read(kinds: &IdentifierRules, raw: Raw<'_>, ignored: &mut Ignored) -> Vec<Contact> {
    let Some(raw) = ignored.read(raw.get(FIELD)).flatten() else { return Vec::new() };
    let mut reader = Reader { kinds, found: Vec::new(), ignored };
    match serde_json::from_str::<Scalar<'_>>(raw.get()) {
        Ok(Scalar::Null) => {}
        Ok(Scalar::Nested) => reader.list(raw.get()),
        Ok(Scalar::Text(text)) if text.trim_start().starts_with(['[', '{']) => reader.list(&text),
        Ok(Scalar::Text(text)) => reader.text(&text),
        _ => reader.wrong("expected a list of {identifier, role}"),
    }
    let mut found = reader.found;
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    found.dedup();
    if found.len() > CONTACTS_MAX {
        let detail = format!("there are {} contacts, at most {CONTACTS_MAX} are read", found.len());
        ignored.note(Rejection::new(reason::FIELD_TOO_LARGE, FIELD, detail));
        found.truncate(CONTACTS_MAX);
    }
    found
}

/// The contact that a text of this kind names; if it names none, that is noted.
pub(crate) fn of(
    kinds: &IdentifierRules,
    kind: &str,
    value: &Scalar<'_>,
    (role, removed): (&str, bool),
    ignored: &mut Ignored,
) -> Vec<Contact> {
    let Some(rule) = kinds.find(kind).filter(|rule| !rule.account) else {
        ignored.note(Rejection::new(reason::VALUE_INVALID, FIELD, "a contact is named by an identifier of a person"));
        return Vec::new();
    };
    let mut named = Identifiers::default();
    named.add_field(kinds, rule, [value], FIELD, ignored);
    let contact = |identifier| Contact { identifier: Some(identifier), role: role.to_owned(), removed };
    named.sorted().people.into_iter().map(contact).collect()
}

fn order(contact: &Contact) -> (Option<(&str, &str, &str)>, &str, bool) {
    let named = contact.identifier.as_ref();
    let name = named.map(|Identifier { kind, scope, value }| (kind.as_str(), scope.as_str(), value.as_str()));
    (name, &contact.role, contact.removed)
}

struct Reader<'r, 'i> {
    kinds: &'r IdentifierRules,
    found: Vec<Contact>,
    ignored: &'i mut Ignored,
}

impl Reader<'_, '_> {
    fn wrong(&mut self, detail: &'static str) {
        self.ignored.note(Rejection::new(reason::VALUE_INVALID, FIELD, detail));
    }

    fn list(&mut self, json: &str) {
        let json = json.trim();
        let elements = if json.starts_with('[') {
            serde_json::from_str::<Vec<&RawValue>>(json)
        } else {
            serde_json::from_str(json).map(|one| vec![one])
        };
        let Ok(elements) = elements else { return self.wrong("expected a list of {identifier, role}") };
        for element in elements {
            match serde_json::from_str::<RawTraits<'_>>(element.get()) {
                Ok(fields) if element.get().starts_with('{') && fields.repeated().is_empty() => self.one(fields),
                _ => self.wrong("a contact is an object with an identifier of a person, and a role"),
            }
        }
    }

    /// One person with all its identifiers.
    fn one(&mut self, mut fields: RawTraits<'_>) {
        let role = fields.take("role").and_then(|role| role.text(FIELD));
        // Whether somebody was removed decides the meaning of the contact, so an unreadable `removed` discards the contact.
        let removed = fields.take("removed").and_then(|removed| flag(removed, FIELD));
        let (Some(role), Some(removed)) = (self.ignored.read(role), self.ignored.read(removed)) else { return };
        let before = self.found.len();
        for (name, raw) in &fields.0 {
            if self.kinds.find(name).is_none() {
                continue;
            }
            let values: Vec<Scalar<'_>> = match serde_json::from_str(raw.get()) {
                Ok(values) => values,
                Err(_) => serde_json::from_str(raw.get()).into_iter().collect(),
            };
            for value in values.iter().filter(|value| !value.is_null()) {
                let role = (role.as_deref().unwrap_or_default(), removed);
                self.found.extend(of(self.kinds, name, value, role, self.ignored));
            }
        }
        if self.found.len() == before {
            self.wrong("a contact has an identifier of a person");
        }
    }

    fn text(&mut self, text: &str) {
        for part in text.split([';', '；', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            let (part, removed) = part.strip_prefix('-').map_or((part, false), |part| (part, true));
            let (who, role) = part.rsplit_once('=').unwrap_or((part, ""));
            let Some((kind, value)) = who.split_once([':', '：']) else {
                self.wrong("expected kind:value=role, several separated by `;`");
                continue;
            };
            let value = Scalar::Text(Cow::Borrowed(value.trim()));
            self.found.extend(of(self.kinds, kind.trim(), &value, (role.trim(), removed), self.ignored));
        }
    }
}
