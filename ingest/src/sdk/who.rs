//! The identifiers in a message.

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::kind::Kind;
use super::message::{ExternalId, Message};
use crate::identifiers::{Identifiers, Sorted};
use crate::ignored::Ignored;
use crate::lenient::Part;
use crate::reason;
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::traits::RawTraits;

/// The parts of a message that can contain identifiers.
pub(super) struct Opened<'m, 'a> {
    pub(super) traits: &'m mut RawTraits<'a>,
    pub(super) context_traits: &'m mut RawTraits<'a>,
    pub(super) context_group_id: Scalar<'a>,
    pub(super) external_ids: Option<&'a RawValue>,
    /// Email address and phone number in a form.
    pub(super) form: [Scalar<'a>; 2],
}

/// The identifiers found.
pub(super) struct Found {
    pub(super) named: Sorted,
    pub(super) blocked: u64,
    /// External ids of undeclared kinds.
    pub(super) undeclared: u64,
}

/// Collects the identifiers of a message; invalid ones are left out.
struct Collector<'r, 'i> {
    rules: &'r Rules,
    found: Identifiers,
    undeclared: u64,
    ignored: &'i mut Ignored,
}

impl Collector<'_, '_> {
    fn add(&mut self, kind: &str, value: &Scalar<'_>, field: &str) {
        let kinds = &self.rules.identifiers;
        match kinds.find(kind) {
            Some(rule) => self.found.add_field(kinds, rule, [value], field, self.ignored),
            None => self.undeclared += 1,
        }
    }

    fn contact(&mut self, kind: &'static str, traits: &mut RawTraits<'_>, field: &str) {
        let capital = if kind == "email" { "Email" } else { "Phone" };
        for name in [kind, capital] {
            if let Some(value) = self.ignored.read(traits.take(name)) {
                self.add(kind, &value, field);
            }
        }
    }

    fn external(&mut self, ids: &RawValue) {
        const FIELD: &str = "context.externalIds";
        let wrong = |detail| Rejection::new(reason::VALUE_INVALID, FIELD, detail);
        let Ok(list) = serde_json::from_str::<Vec<Part<ExternalId<'_>>>>(ids.get()) else {
            if ids.get() != "null" {
                self.ignored.note(wrong("expected a list of {type, id}"));
            }
            return;
        };
        for mut part in list {
            let Some(external) = part.take(FIELD, self.ignored) else { continue };
            match &external.kind {
                Scalar::Text(kind) => self.add(kind, &external.id, FIELD),
                _ => self.ignored.note(wrong("an external id needs its type: a kind of identifier")),
            }
        }
    }

    /// An id that is an email address or a phone number is also added as one.
    fn contact_of_id(&mut self, id: &Scalar<'_>) {
        let Scalar::Text(text) = id else { return };
        if let Some(kind) = self.rules.identifiers.contact_kind(text) {
            self.add(kind, id, "userId");
        }
    }
}

/// The identifiers in the message.
pub(super) fn named(rules: &Rules, kind: Kind, message: &Message<'_>, opened: Opened<'_, '_>, ignored: &mut Ignored) -> Found {
    let mut all = Collector { rules, found: Identifiers::default(), undeclared: 0, ignored };
    all.add("user_id", &message.user_id, "userId");
    all.contact_of_id(&message.user_id);
    all.add("anonymous_id", &message.anonymous_id, "anonymousId");
    if kind == Kind::Alias {
        previous(&mut all, message);
    }
    // A group's traits are the account's, not the person's.
    if kind != Kind::Group {
        all.contact("email", opened.traits, "traits.email");
        all.contact("phone", opened.traits, "traits.phone");
    }
    all.add("crm_account", &message.group_id, "groupId");
    all.contact("email", opened.context_traits, "context.traits.email");
    all.contact("phone", opened.context_traits, "context.traits.phone");
    all.add("crm_account", &opened.context_group_id, "context.groupId");
    if let Some(ids) = opened.external_ids {
        all.external(ids);
    }
    let [email, phone] = &opened.form;
    all.add("email", email, "properties.email");
    all.add("phone", phone, "properties.phone");
    Found { blocked: all.found.blocked, undeclared: all.undeclared, named: all.found.sorted() }
}

/// The id that an alias message replaces: a cookie if it is the message's own or looks like one, else a user id.
fn previous(all: &mut Collector<'_, '_>, message: &Message<'_>) {
    const FIELD: &str = "previousId";
    let previous = &message.previous_id;
    all.contact_of_id(previous);
    // By default, libraries send the cookie here (analytics.js: `previousId || user.anonymousId()`).
    let random = |id: &Scalar<'_>| matches!(id, Scalar::Text(text) if looks_random(text));
    let anonymous = *previous == message.anonymous_id || (random(previous) && !random(&message.user_id));
    all.add(if anonymous { "anonymous_id" } else { "user_id" }, previous, FIELD);
}

/// Whether an id looks like one that a library generates for a browser: a UUID, or another long random text.
fn looks_random(id: &str) -> bool {
    let digits = id.bytes().filter(u8::is_ascii_hexdigit).count();
    let hyphens = id.bytes().filter(|byte| *byte == b'-').count();
    digits == 32 && digits + hyphens == id.len() && matches!(hyphens, 0 | 4)
}
