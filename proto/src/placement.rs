//! The placement of an identifier, by time.

use crate::{Placement, Span};

/// A span of a placement, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay<'a> {
    /// Its first and its last millisecond.
    pub from_ms: i64,
    /// See `from_ms`.
    pub to_ms: i64,
    /// The unit.
    pub unit: &'a str,
    /// The account; empty while unknown.
    pub account_id: &'a str,
    /// The unit of the account itself: `unit`, or a subsidiary's below it.
    pub account_unit: &'a str,
}

impl Placement {
    /// Unit and account at a time.
    pub fn at(&self, time_ms: i64) -> (&str, &str) {
        let begun = self.later.iter().take_while(|span| span.from_ms <= time_ms);
        begun.last().map_or((&self.unit, &self.account_id), |span| (&span.unit, &span.account_id))
    }

    /// All spans, from the beginning to the end of time; empty ones are left out.
    pub fn stays(&self) -> impl Iterator<Item = Stay<'_>> {
        let first = (i64::MIN, self.unit.as_str(), self.account_id.as_str(), self.own_unit());
        let begins = [first].into_iter().chain(self.later.iter().map(Span::begins));
        let ends = self.later.iter().map(|span| span.from_ms.saturating_sub(1)).chain([i64::MAX]);
        let stay = |((from_ms, unit, account_id, account_unit), to_ms)| Stay { from_ms, to_ms, unit, account_id, account_unit };
        let stays = begins.zip(ends).map(stay);
        stays.filter(|stay| stay.from_ms <= stay.to_ms)
    }

    /// The unit of the account itself, below any parent accounts.
    pub fn own_unit(&self) -> &str {
        own_or(&self.account_unit, &self.unit)
    }

    /// Whether the identifier belongs to this unit at any time.
    pub fn is_in(&self, unit: &[u8]) -> bool {
        self.stays().any(|stay| stay.unit.as_bytes() == unit)
    }
}

impl Span {
    fn begins(&self) -> (i64, &str, &str, &str) {
        (self.from_ms, &self.unit, &self.account_id, own_or(&self.account_unit, &self.unit))
    }
}

fn own_or<'a>(own: &'a str, unit: &'a str) -> &'a str {
    if own.is_empty() { unit } else { own }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from_ms: i64, unit: &str) -> Span {
        Span { from_ms, unit: unit.into(), account_id: unit.to_uppercase(), ..Span::default() }
    }

    #[test]
    fn a_span_reaches_to_the_next_one_and_the_last_of_several_at_one_time_counts() {
        let later = vec![span(-5, "b"), span(-5, "c"), span(9, "a")];
        let placement = Placement { unit: "a".into(), later, ..Placement::default() };
        let at = [i64::MIN, -6, -5, 8, 9, i64::MAX].map(|time_ms| placement.at(time_ms).0);
        assert_eq!(at, ["a", "a", "c", "c", "a", "a"]);
        assert_eq!(placement.at(-5).1, "C");
        let stays: Vec<_> = placement.stays().map(|stay| (stay.from_ms, stay.to_ms, stay.unit)).collect();
        assert_eq!(stays, [(i64::MIN, -6, "a"), (-5, 8, "c"), (9, i64::MAX, "a")]);
        assert!(placement.is_in(b"c") && !placement.is_in(b"b"));
    }
}
