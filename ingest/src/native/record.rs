//! Reading the fields of a native record without copying them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::kind::RECORD_FIELD;
use crate::dimensions::{self, RawDimensions};
use crate::lenient::{Part, Raw, Slot};
use crate::normalise::{IdentifierRules, KindRule};
use crate::receipt::TRUST_FIELD;
use crate::scalar::{Key, Scalar, ScalarVisitor};
use crate::traits::RawTraits;

/// The fields of a record, not yet read.
#[derive(Debug, Default)]
pub(super) struct NativeRecord<'a, 'r> {
    pub(super) kind: Scalar<'a>,
    pub(super) event_id: Scalar<'a>,
    /// See [`TRUST_FIELD`].
    pub(super) trust: Scalar<'a>,
    pub(super) timestamp: Raw<'a>,
    pub(super) day: Raw<'a>,
    pub(super) received_at: Raw<'a>,
    pub(super) channel: Scalar<'a>,
    pub(super) source: Scalar<'a>,
    pub(super) medium: Scalar<'a>,
    pub(super) campaign: Scalar<'a>,
    pub(super) content: Scalar<'a>,
    pub(super) term: Scalar<'a>,
    pub(super) touch_type: Scalar<'a>,
    pub(super) url: Scalar<'a>,
    pub(super) referrer: Scalar<'a>,
    pub(super) user_agent: Scalar<'a>,
    pub(super) milestone: Scalar<'a>,
    pub(super) object_id: Scalar<'a>,
    pub(super) occurred_at: Scalar<'a>,
    pub(super) currency: Scalar<'a>,
    pub(super) withdrawn: Scalar<'a>,
    pub(super) amends: Scalar<'a>,
    pub(super) occurrence: Scalar<'a>,
    pub(super) consent: Scalar<'a>,
    pub(super) parent: Scalar<'a>,
    pub(super) former_account: Scalar<'a>,
    pub(super) crm_record: Scalar<'a>,
    /// Raw, because an amount must not pass through a float.
    pub(super) value: Raw<'a>,
    pub(super) refund: Raw<'a>,
    pub(super) contacts: Raw<'a>,
    pub(super) cleared: Cleared,
    pub(super) traits: RawTraits<'a>,
    /// The field `traits` is not an object.
    pub(super) traits_wrong: bool,
    pub(super) dimensions: RawDimensions<'a>,
    /// The kinds of identifiers in the record, each with its values; null is left out.
    pub(super) identifiers: Vec<(&'r KindRule, Vec<Scalar<'a>>)>,
}

impl<'a, 'r> NativeRecord<'a, 'r> {
    fn slot(&mut self, name: &str) -> Option<&mut Scalar<'a>> {
        Some(match name {
            "kind" => &mut self.kind,
            "event_id" => &mut self.event_id,
            TRUST_FIELD => &mut self.trust,
            "channel" => &mut self.channel,
            "source" => &mut self.source,
            "medium" => &mut self.medium,
            "campaign" => &mut self.campaign,
            "content" => &mut self.content,
            "term" => &mut self.term,
            "touch_type" => &mut self.touch_type,
            "url" => &mut self.url,
            "referrer" => &mut self.referrer,
            "user_agent" => &mut self.user_agent,
            "milestone" => &mut self.milestone,
            "object_id" => &mut self.object_id,
            "occurred_at" => &mut self.occurred_at,
            "currency" => &mut self.currency,
            "withdrawn" => &mut self.withdrawn,
            "amends" => &mut self.amends,
            "occurrence" => &mut self.occurrence,
            "consent" => &mut self.consent,
            "parent" => &mut self.parent,
            "former_account" => &mut self.former_account,
            RECORD_FIELD => &mut self.crm_record,
            _ => return None,
        })
    }

    /// The variable for a field that is kept as raw JSON.
    fn raw(&mut self, name: &str) -> Option<&mut Raw<'a>> {
        Some(match name {
            "timestamp" => &mut self.timestamp,
            "day" => &mut self.day,
            "received_at" => &mut self.received_at,
            "value" => &mut self.value,
            "refund" => &mut self.refund,
            "contacts" => &mut self.contacts,
            _ => return None,
        })
    }

    /// Adds the values of a kind of identifier; a kind that occurs twice is unclear and gets none.
    fn name(&mut self, rule: &'r KindRule, values: Vec<Scalar<'a>>) {
        match self.identifiers.iter_mut().find(|(known, _)| std::ptr::eq(*known, rule)) {
            Some((_, known)) => *known = vec![Scalar::Twice],
            None => self.identifiers.push((rule, values)),
        }
    }
}

/// Fields with the value null.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    pub(super) occurred_at: bool,
    pub(super) currency: bool,
    pub(super) parent: bool,
}

/// Prefix of the flat form of a trait: `traits.name`.
const TRAIT_PREFIX: &str = "traits.";

/// Whether a name is a field of the native record other than an identifier kind.
pub(crate) fn is_field(name: &str) -> bool {
    let mut record = NativeRecord::default();
    let known = record.slot(name).is_some() || record.raw(name).is_some();
    let prefixed = [TRAIT_PREFIX, dimensions::PREFIX].iter().any(|prefix| name.starts_with(prefix));
    known || matches!(name, "traits" | dimensions::FIELD | "account") || prefixed
}

/// Whether a field may have several values.
pub(crate) fn is_list(name: &str, rules: &IdentifierRules) -> bool {
    rules.find(name).is_some()
}

/// Reads a record.
pub(super) fn read<'a, 'r>(text: &'a str, rules: &'r IdentifierRules) -> Result<NativeRecord<'a, 'r>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let record = deserializer.deserialize_map(RecordVisitor { rules })?;
    deserializer.end()?;
    Ok(record)
}

struct RecordVisitor<'r> {
    rules: &'r IdentifierRules,
}

impl<'de, 'r> Visitor<'de> for RecordVisitor<'r> {
    type Value = NativeRecord<'de, 'r>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a native record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut record = NativeRecord::default();
        while let Some(Key(name)) = map.next_key()? {
            if let Some(slot) = record.slot(&name) {
                slot.fill(&mut map)?;
                let null = slot.is_null();
                match &*name {
                    "occurred_at" => record.cleared.occurred_at = null,
                    "currency" => record.cleared.currency = null,
                    "parent" => record.cleared.parent = null,
                    _ => {}
                }
            } else if let Some(slot) = record.raw(&name) {
                slot.fill(&mut map)?;
            } else if let Some(rule) = self.rules.find(&name) {
                let mut values = Vec::new();
                map.next_value_seed(Values { out: &mut values })?;
                record.name(rule, values);
            } else if name == "traits" {
                match map.next_value()? {
                    Part::Read(RawTraits(traits)) => record.traits.0.extend(traits),
                    Part::Absent => {}
                    Part::Wrong | Part::Twice => record.traits_wrong = true,
                }
            } else if let Some(flat) = without_prefix(&name, TRAIT_PREFIX) {
                record.traits.0.push((flat, map.next_value()?));
            } else if name == dimensions::FIELD {
                record.dimensions.add(map.next_value()?);
            } else if let Some(flat) = without_prefix(&name, dimensions::PREFIX) {
                record.dimensions.given.0.push((flat, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(record)
    }
}

/// The rest of a name with this prefix.
fn without_prefix<'a>(name: &Cow<'a, str>, prefix: &str) -> Option<Cow<'a, str>> {
    match name {
        Cow::Borrowed(name) => name.strip_prefix(prefix).map(Cow::Borrowed),
        Cow::Owned(name) => name.strip_prefix(prefix).map(|rest| Cow::Owned(rest.to_owned())),
    }
}

/// One identifier or a list of them.
struct Values<'o, 'a> {
    out: &'o mut Vec<Scalar<'a>>,
}

impl<'de> DeserializeSeed<'de> for Values<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identifier or a list of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element()? {
            self.out.push(value);
        }
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.push(Scalar::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Scalar::Text(text.to_owned().into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.push(Scalar::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        let value = ScalarVisitor.visit_u64(number)?;
        self.push(value)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.push(Scalar::Inexact)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.push(Scalar::Bool(flag))
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let value = ScalarVisitor.visit_map(map)?;
        self.push(value)
    }
}

impl<'a> Values<'_, 'a> {
    fn push<E>(self, value: Scalar<'a>) -> Result<(), E> {
        self.out.push(value);
        Ok(())
    }
}
