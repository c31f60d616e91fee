//! A provider's events as statements of native records: so there is one set of rules for values, times and money.

use tributary_proto::{Contact, Hash128, Identifier, Trait};
use tributary_runtime::stage::Rejection;

use crate::decoded::{Decoded, StageWithoutRule};
use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::limits::ID_BYTES_MAX;
use crate::native::statement::{OfRecord, Says, Statement};
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::{contacts, reason};

/// Collects the statements of one element of a body.
pub(super) struct Records<'a> {
    pub(super) rules: &'a Rules,
    receipt: Receipt,
    out: &'a mut Decoded,
    /// The element's index in the body.
    index: u32,
    place: String,
    /// Fields left out of the element.
    left_out: Ignored,
    /// Whether anything of it was used or refused.
    heard: bool,
    nothings: u64,
}

impl<'a> Records<'a> {
    /// For the element at `index`, called `place` in messages.
    pub(super) fn new(rules: &'a Rules, receipt: Receipt, out: &'a mut Decoded, index: u32, place: String) -> Self {
        Self { rules, receipt, out, index, place, left_out: Ignored::default(), heard: false, nothings: 0 }
    }

    /// Ends the element. If fields were left out and nothing of the element was used, it is refused.
    pub(super) fn end(mut self, result: Result<(), Rejection>) {
        if let Err(rejection) = result {
            self.refuse(rejection);
        }
        let meaningless = if self.heard { None } else { self.left_out.iter().next().map(|left| left.why.clone()) };
        match meaningless {
            Some(why) => self.refuse(why),
            None => {
                self.out.ignored.merge(self.left_out);
                self.out.without_event += self.nothings;
            }
        }
    }

    /// Adds a statement about the record's identifiers; if it is refused, that becomes a rejection of this element.
    pub(super) fn add(&mut self, record: CrmRecord, says: Says<'_>) {
        let CrmRecord { event_id, time_ms, identifiers, mut traits, contacts, of_record, ignored } = record;
        traits.sort_by(|a, b| a.name.cmp(&b.name));
        traits.dedup_by(|later, first| later.name == first.name);
        let event_id = if event_id.len() > ID_BYTES_MAX {
            let detail = format!("an event id has at most {ID_BYTES_MAX} bytes: its hash stands for it");
            self.leave_out(Rejection::new(reason::VALUE_INVALID, "event_id", detail));
            Hash128::of(event_id.as_bytes()).to_string()
        } else {
            event_id
        };
        let checked = self.rules.check_time(time_ms, &self.receipt, "timestamp");
        let statement = Statement { event_id, time_ms, identifiers, traits, contacts, says, of_record, ignored };
        match checked.and_then(|()| statement.add(self.rules, self.receipt, self.out)) {
            Ok(()) => self.heard = true,
            Err(rejection) => self.refuse(rejection),
        }
    }

    /// Adds an explicit link of the record's identifiers; if fewer than two are valid, nothing is added.
    pub(super) fn add_link(&mut self, record: CrmRecord) {
        if record.identifiers.count() < 2 {
            self.out.ignored.merge(record.ignored);
        } else {
            self.add(record, Says::Link);
        }
    }

    /// Refuses a part of this element; the rest counts.
    pub(super) fn refuse(&mut self, rejection: Rejection) {
        self.heard = true;
        self.out.rejections.push(placed(rejection, self.index, &self.place));
    }

    /// Leaves out a field of this element; the rest counts.
    pub(super) fn leave_out(&mut self, why: Rejection) {
        self.left_out.note(why);
    }

    /// The CRM account with this id; `None` if the id is invalid, which is then noted.
    pub(super) fn account(&mut self, field: &'static str, id: &str) -> Option<Identifier> {
        Identifiers::account(&self.rules.identifiers, &Scalar::Text(id.into()), field, &mut self.left_out)
    }

    /// The value; `None` if it cannot be read, which is then noted.
    pub(super) fn read<T>(&mut self, found: Result<T, Rejection>) -> Option<T> {
        self.left_out.read(found)
    }

    /// Notes a stage without a rule in this setting: it changes nothing.
    pub(super) fn without_rule(&mut self, setting: &'static str, stage: &str) {
        self.heard = true;
        self.out.stages_without_rule.push(StageWithoutRule { setting, stage: stage.to_owned() });
    }

    /// Marks the element as understood: it contains nothing that is used.
    pub(super) fn nothing(&mut self) {
        self.nothings += 1;
    }
}

/// A rejection of the element at `index` of a body, called `place` in messages.
pub(super) fn placed(mut rejection: Rejection, index: u32, place: &str) -> Rejection {
    rejection.index = index;
    rejection.field = match (place, rejection.field.as_str()) {
        ("", _) => rejection.field,
        (place, "") => place.to_owned(),
        (place, field) => format!("{place}.{field}"),
    };
    rejection
}

/// The identifiers, time and origin of a statement that is being built.
#[derive(Debug)]
pub(super) struct CrmRecord {
    event_id: String,
    time_ms: i64,
    identifiers: Identifiers,
    traits: Vec<Trait>,
    contacts: Vec<Contact>,
    of_record: Option<OfRecord>,
    ignored: Ignored,
}

impl CrmRecord {
    /// Without identifiers; `time_ms` is milliseconds since 1970-01-01 UTC.
    pub(super) fn new(event_id: impl Into<String>, time_ms: i64) -> Self {
        Self {
            event_id: event_id.into(),
            time_ms,
            identifiers: Identifiers::default(),
            traits: Vec::new(),
            contacts: Vec::new(),
            of_record: None,
            ignored: Ignored::default(),
        }
    }

    /// Notes the CRM record that states this, and when (milliseconds since 1970-01-01 UTC): it is retracted together with the record.
    pub(super) fn of(self, record: impl Into<String>, at_ms: i64) -> Self {
        Self { of_record: Some(OfRecord { id: record.into(), at_ms }), ..self }
    }

    /// Adds an identifier. An invalid one is left out: CRMs contain free text.
    pub(super) fn name(&mut self, kind: &'static str, text: &str, records: &Records<'_>) {
        let kinds = &records.rules.identifiers;
        let Some(rule) = kinds.find(kind) else { return };
        if let Err(refused) = self.identifiers.add(kinds, rule, &Scalar::Text(text.into()), kind) {
            self.ignored.note(refused);
        }
    }

    /// Adds a person who got or lost a role in the object that the record is about.
    pub(super) fn contact(&mut self, kind: &'static str, text: &str, role: (&str, bool), records: &Records<'_>) {
        let value = Scalar::Text(text.into());
        self.contacts.extend(contacts::of(&records.rules.identifiers, kind, &value, role, &mut self.ignored));
    }

    /// Sets a trait, unless its name or text is blank.
    pub(super) fn set_trait(&mut self, name: &str, text: &str) {
        if !text.is_empty() && (1..=ID_BYTES_MAX).contains(&name.len()) {
            self.traits.push(Trait { name: name.to_owned(), value: text.to_owned() });
        }
    }
}
