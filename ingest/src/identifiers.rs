//! Collects the identifiers of one event.

use std::borrow::Cow;

use tributary_proto::Identifier;
use tributary_proto::kind::{self, is_device};
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;
use crate::lenient::twice;
use crate::limits::IDENTIFIERS_MAX;
use crate::normalise::{IdentifierRules, KindRule, Normalised};
use crate::reason;
use crate::repair::is_unreadable;
use crate::scalar::{Scalar, half_a_character};

/// Identifiers of people and of accounts, each with its rank.
#[derive(Debug, Default, Clone)]
pub(crate) struct Identifiers {
    people: Vec<(u32, Identifier)>,
    accounts: Vec<(u32, Identifier)>,
    /// How many values were blocked.
    pub(crate) blocked: u64,
}

/// Sorted and without duplicates: strongest kind first, then the smallest value.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) people: Vec<Identifier>,
    pub(crate) accounts: Vec<Identifier>,
}

impl Sorted {
    /// Whether a person is named by more than a cookie or a device.
    pub(crate) fn identified(&self) -> bool {
        self.people.iter().any(|identifier| !is_device(&identifier.kind))
    }

    /// Adds an identifier of a person at its place in the order.
    pub(crate) fn add_person(&mut self, identifier: Identifier, rules: &IdentifierRules) {
        let rank = |of: &Identifier| rules.find(&of.kind).map_or(u32::MAX, |rule| rule.rank);
        let place = order(rank(&identifier), &identifier);
        let at = self.people.partition_point(|known| order(rank(known), known) < place);
        if self.people.get(at) != Some(&identifier) && self.people.len() < IDENTIFIERS_MAX {
            self.people.insert(at, identifier);
        }
    }

    /// Whether neither person nor account is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.people.is_empty() && self.accounts.is_empty()
    }
}

impl Identifiers {
    /// The CRM account in a value; `None` if the value is absent or not an account id, which is then noted. `field` is its field.
    pub(crate) fn account(
        rules: &IdentifierRules,
        value: &Scalar<'_>,
        field: &str,
        ignored: &mut Ignored,
    ) -> Option<Identifier> {
        let mut found = Self::default();
        found.add_field(rules, rules.find(kind::CRM_ACCOUNT)?, [value], field, ignored);
        found.accounts.pop().map(|(_, account)| account)
    }

    /// Adds the values of a field; values that cannot be identifiers are left out. If the event would have too many identifiers, the whole
    /// field is left out: a list is not one person.
    pub(crate) fn add_field<'v, 'a: 'v>(
        &mut self,
        rules: &IdentifierRules,
        rule: &KindRule,
        values: impl IntoIterator<Item = &'v Scalar<'a>>,
        field: &str,
        ignored: &mut Ignored,
    ) {
        let before = (self.people.len(), self.accounts.len());
        for value in values {
            match self.add(rules, rule, value, field) {
                Ok(()) => {}
                Err(why) if why.reason == reason::IDENTIFIERS_TOO_MANY => {
                    self.people.truncate(before.0);
                    self.accounts.truncate(before.1);
                    return ignored.note(why);
                }
                Err(why) => ignored.note(why),
            }
        }
    }

    /// Adds a value of a kind, unless it is absent or blocked. `field` is its field.
    ///
    /// # Errors
    /// When the value, or one of several in it, cannot be an identifier of this kind; the others are added.
    pub(crate) fn add(
        &mut self,
        rules: &IdentifierRules,
        rule: &KindRule,
        value: &Scalar<'_>,
        field: &str,
    ) -> Result<(), Rejection> {
        let invalid = |detail: &str| Err(Rejection::new(reason::IDENTIFIER_INVALID, field, detail));
        let text: Cow<'_, str> = match value {
            Scalar::Null => return Ok(()),
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Integer(number) => Cow::Owned(number.to_string()),
            Scalar::Bool(_) => {
                self.blocked += 1;
                return Ok(());
            }
            Scalar::Inexact | Scalar::Nested => {
                return invalid("expected text or a whole number; a number with fraction or exponent has lost digits");
            }
            Scalar::Twice => return Err(twice(field)),
        };
        if is_unreadable(&text) {
            return Err(half_a_character(reason::IDENTIFIER_INVALID, field));
        }
        let mut refused = None;
        for part in rules.parts(rule, &text) {
            match rules.normalise(rule, &part) {
                Ok(Normalised::Identifier(identifier)) => self.put(rule, identifier, field)?,
                Ok(Normalised::Blocked) => self.blocked += u64::from(!part.trim().is_empty()),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        refused.map_or(Ok(()), |why| Err(Rejection::new(why.reason, field, why.detail)))
    }

    fn put(&mut self, rule: &KindRule, identifier: Identifier, field: &str) -> Result<(), Rejection> {
        let list = if rule.account { &mut self.accounts } else { &mut self.people };
        if !list.iter().any(|(_, known)| *known == identifier) {
            list.push((rule.rank, identifier));
        }
        if self.people.len() + self.accounts.len() > IDENTIFIERS_MAX {
            let detail = format!("an event has at most {IDENTIFIERS_MAX} identifiers");
            return Err(Rejection::new(reason::IDENTIFIERS_TOO_MANY, field, detail));
        }
        Ok(())
    }

    /// The number of identifiers.
    pub(crate) fn count(&self) -> usize {
        self.people.len() + self.accounts.len()
    }

    /// Whether a person is named.
    pub(crate) fn has_people(&self) -> bool {
        !self.people.is_empty()
    }

    /// The identifiers in order.
    pub(crate) fn sorted(self) -> Sorted {
        Sorted { people: sorted(self.people), accounts: sorted(self.accounts) }
    }
}

fn order(rank: u32, identifier: &Identifier) -> (u32, &str, &str) {
    (rank, &identifier.value, &identifier.scope)
}

fn sorted(mut list: Vec<(u32, Identifier)>) -> Vec<Identifier> {
    list.sort_unstable_by(|(rank_a, a), (rank_b, b)| order(*rank_a, a).cmp(&order(*rank_b, b)));
    list.into_iter().map(|(_, identifier)| identifier).collect()
}
