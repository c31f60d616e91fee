//! The kinds of native records.

use tributary_runtime::stage::Rejection;

use crate::reason;
use crate::scalar::Scalar;
use crate::time::OfDay;

/// The field with the CRM record that a native record reports.
pub(crate) const RECORD_FIELD: &str = "crm_record";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Touch,
    Milestone,
    Identify,
    Account,
    Link,
    Unlink,
    Consent,
    Erase,
    Spend,
    Retract,
    Contacts,
}

/// Every kind, by its name in a record.
pub(crate) const KINDS: [(&str, Kind); 11] = [
    ("touch", Kind::Touch),
    ("milestone", Kind::Milestone),
    ("identify", Kind::Identify),
    ("account", Kind::Account),
    ("link", Kind::Link),
    ("unlink", Kind::Unlink),
    ("consent", Kind::Consent),
    ("erase", Kind::Erase),
    ("spend", Kind::Spend),
    ("retract", Kind::Retract),
    ("contacts", Kind::Contacts),
];

impl Kind {
    /// The kind of a record; without a kind it is a touch.
    ///
    /// # Errors
    /// [`reason::KIND_UNKNOWN`].
    pub(crate) fn read(value: Scalar<'_>) -> Result<Self, Rejection> {
        let Some(text) = value.text("kind")? else { return Ok(Self::Touch) };
        let known = KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, kind)| *kind);
        known.ok_or_else(|| Rejection::new(reason::KIND_UNKNOWN, "kind", format!("expected one of {}", names().join(", "))))
    }
}

impl Kind {
    /// The time of day for a record with a day only.
    pub(crate) fn of_day(self) -> OfDay {
        match self {
            Self::Touch => OfDay::Noon,
            Self::Milestone | Self::Erase => OfDay::End,
            _ => OfDay::Begin,
        }
    }
}

/// The names of all kinds.
pub(crate) fn names() -> Vec<&'static str> {
    KINDS.iter().map(|(name, _)| *name).collect()
}
