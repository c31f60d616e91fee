//! Unreadable parts of records that are left out: a good event is not lost because of a bad part.

use tributary_runtime::stage::Rejection;

use crate::reason::{self, Reason};

/// The fields left out of a record, each with its reason.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ignored(Vec<IgnoredField>);

/// A field that was left out; the event counts without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredField {
    /// The field and the reason.
    pub why: Rejection,
    /// The number of its values left out.
    pub count: u64,
}

impl Ignored {
    /// The fields in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &IgnoredField> {
        self.0.iter()
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The value; `None` if it cannot be read, which is then noted.
    pub(crate) fn read<T>(&mut self, found: Result<T, Rejection>) -> Option<T> {
        found.map_err(|why| self.note(why)).ok()
    }

    /// Notes a field that is left out.
    pub(crate) fn note(&mut self, why: Rejection) {
        self.add(IgnoredField { why, count: 1 });
    }

    /// Adds what was left out of an event of the record.
    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|field| self.add(field));
    }

    fn add(&mut self, field: IgnoredField) {
        let same = |known: &&mut IgnoredField| known.why.reason == field.why.reason && known.why.field == field.why.field;
        match self.0.iter_mut().find(same) {
            Some(known) => known.count += field.count,
            None => self.0.push(field),
        }
    }

    /// Why an event names nobody: the first identifier that was left out; if there is none, `missing`.
    pub(crate) fn nobody(&self, missing: Rejection) -> Rejection {
        const OF_IDENTIFIERS: [Reason; 5] = [
            reason::PUBLIC_REFUSED,
            reason::IDENTIFIER_INVALID,
            reason::IDENTIFIER_SCOPE_MISSING,
            reason::IDENTIFIER_TOO_LONG,
            reason::IDENTIFIERS_TOO_MANY,
        ];
        self.0.iter().find(|field| OF_IDENTIFIERS.contains(&field.why.reason)).map_or(missing, |field| field.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_listed_once_for_each_reason() {
        let why = |field: &str, reason| Rejection::new(reason, field, "");
        let mut ignored = Ignored::default();
        assert_eq!(ignored.read(Ok(1)), Some(1));
        assert!(ignored.is_empty());
        assert_eq!(ignored.read::<()>(Err(why("url", reason::URL_TOO_LONG))), None);
        let mut more = Ignored::default();
        more.note(why("url", reason::URL_TOO_LONG));
        more.note(why("phone", reason::IDENTIFIER_INVALID));
        ignored.merge(more);
        let counts: Vec<_> = ignored.iter().map(|field| (field.why.field.as_str(), field.count)).collect();
        assert_eq!(counts, [("url", 2), ("phone", 1)]);
        assert_eq!(ignored.nobody(why("", reason::IDENTIFIER_MISSING)).field, "phone");
    }
}
