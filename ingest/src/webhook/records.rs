//! What a provider's event says, written as statements of the native record: there is one set of rules for values, times and money.

use tributary_proto::{Source, Trait};
use tributary_runtime::stage::Rejection;

use crate::decoded::{Decoded, StageWithoutRule};
use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::limits::ID_BYTES_MAX;
use crate::native::statement::{Says, Statement};
use crate::reason;
use crate::rules::Rules;
use crate::scalar::Scalar;

/// Takes the statements of one element of a body.
pub(super) struct Records<'a> {
    pub(super) rules: &'a Rules,
    received_ms: Option<i64>,
    out: &'a mut Decoded,
    /// The element's place in the body.
    index: u32,
    place: String,
}

impl<'a> Records<'a> {
    /// Of the element at `index`, which messages call `place`.
    pub(super) fn new(rules: &'a Rules, received_ms: Option<i64>, out: &'a mut Decoded, index: u32, place: String) -> Self {
        Self { rules, received_ms, out, index, place }
    }

    /// Adds what is said of those whom the record names; what is refused becomes a rejection of this element.
    pub(super) fn add(&mut self, record: Record, says: Says<'_>) {
        let Record { event_id, time_ms, identifiers, mut traits, ignored } = record;
        traits.sort_by(|a, b| a.name.cmp(&b.name));
        traits.dedup_by(|later, first| later.name == first.name);
        let checked = if event_id.len() > ID_BYTES_MAX {
            Err(Rejection::new(reason::VALUE_INVALID, "event_id", format!("an event id has at most {ID_BYTES_MAX} bytes")))
        } else {
            self.rules.times.check_future(time_ms, self.received_ms, "timestamp")
        };
        let statement = Statement { event_id, time_ms, identifiers, traits, says, ignored };
        let added = checked.and_then(|()| statement.add(self.rules, Source::Webhook, self.received_ms, self.out));
        if let Err(rejection) = added {
            self.refuse(rejection);
        }
    }

    /// Refuses something of this element; the rest of it stands.
    pub(super) fn refuse(&mut self, rejection: Rejection) {
        self.out.rejections.push(placed(rejection, self.index, &self.place));
    }

    /// Leaves something of this element out: it counts without.
    pub(super) fn leave_out(&mut self, why: Rejection) {
        self.out.ignored.note(why);
    }

    /// No rule of this setting names a stage: it changes nothing.
    pub(super) fn without_rule(&mut self, setting: &'static str, stage: &str) {
        self.out.stages_without_rule.push(StageWithoutRule { setting, stage: stage.to_owned() });
    }

    /// The element says nothing that matters here.
    pub(super) fn nothing(&mut self) {
        self.out.without_event += 1;
    }
}

/// A rejection of the element at `index` of a body, which messages call `place`.
pub(super) fn placed(mut rejection: Rejection, index: u32, place: &str) -> Rejection {
    rejection.index = index;
    rejection.field = match (place, rejection.field.as_str()) {
        ("", _) => rejection.field,
        (place, "") => place.to_owned(),
        (place, field) => format!("{place}.{field}"),
    };
    rejection
}

/// Whom a statement is about, while it is written.
#[derive(Debug)]
pub(super) struct Record {
    event_id: String,
    time_ms: i64,
    identifiers: Identifiers,
    traits: Vec<Trait>,
    ignored: Ignored,
}

impl Record {
    /// A record of nobody; `time_ms` is milliseconds since 1970-01-01 UTC.
    pub(super) fn new(event_id: impl Into<String>, time_ms: i64) -> Self {
        Self {
            event_id: event_id.into(),
            time_ms,
            identifiers: Identifiers::default(),
            traits: Vec::new(),
            ignored: Ignored::default(),
        }
    }

    /// Adds an identifier. One that its kind refuses is left out: people type what they like into a CRM.
    pub(super) fn name(&mut self, kind: &'static str, text: &str, records: &Records<'_>) {
        let kinds = &records.rules.identifiers;
        let Some(rule) = kinds.find(kind) else { return };
        if let Err(refused) = self.identifiers.add(kinds, rule, &Scalar::Text(text.into()), kind) {
            self.ignored.note(refused);
        }
    }

    /// Sets a trait; one without name or text is none.
    pub(super) fn set_trait(&mut self, name: &str, text: &str) {
        if !text.is_empty() && (1..=ID_BYTES_MAX).contains(&name.len()) {
            self.traits.push(Trait { name: name.to_owned(), value: text.to_owned() });
        }
    }
}
