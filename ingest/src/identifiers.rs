//! The identifiers of one event while they are collected.

use std::borrow::Cow;

use tributary_proto::Identifier;
use tributary_proto::kind::is_device;
use tributary_runtime::stage::Rejection;

use crate::limits::IDENTIFIERS_MAX;
use crate::normalise::{IdentifierRules, KindRule, Normalised};
use crate::reason;
use crate::scalar::Scalar;

/// Identifiers of people and of accounts, each with its rank.
#[derive(Debug, Default, Clone)]
pub(crate) struct Identifiers {
    people: Vec<(u32, Identifier)>,
    accounts: Vec<(u32, Identifier)>,
    /// How many values were blocked.
    pub(crate) blocked: u64,
}

/// Sorted and without repetitions: the strongest kind first, then the smallest value.
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

    /// Adds an identifier of a person, in its place.
    pub(crate) fn add_person(&mut self, identifier: Identifier, rules: &IdentifierRules) {
        let rank = |of: &Identifier| rules.find(&of.kind).map_or(u32::MAX, |rule| rule.rank);
        let place = order(rank(&identifier), &identifier);
        let at = self.people.partition_point(|known| order(rank(known), known) < place);
        if self.people.get(at) != Some(&identifier) && self.people.len() < IDENTIFIERS_MAX {
            self.people.insert(at, identifier);
        }
    }

    /// Whether nobody is named, neither person nor account.
    pub(crate) fn is_empty(&self) -> bool {
        self.people.is_empty() && self.accounts.is_empty()
    }
}

impl Identifiers {
    /// Adds a value of a kind, unless it is absent or blocked. `field` is where it stood.
    ///
    /// # Errors
    /// When the value cannot be an identifier of this kind.
    pub(crate) fn add(
        &mut self,
        rules: &IdentifierRules,
        rule: &KindRule,
        value: &Scalar<'_>,
        field: &str,
    ) -> Result<(), Rejection> {
        let text: Cow<'_, str> = match value {
            Scalar::Null => return Ok(()),
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Integer(number) => Cow::Owned(number.to_string()),
            Scalar::Bool(_) => {
                self.blocked += 1;
                return Ok(());
            }
            Scalar::Inexact | Scalar::Nested => {
                let detail = "expected text or a whole number; a number with fraction or exponent has lost digits";
                return Err(Rejection::new(reason::IDENTIFIER_INVALID, field, detail));
            }
        };
        match rules.normalise(rule, &text) {
            Ok(Normalised::Identifier(identifier)) => {
                let list = if rule.account { &mut self.accounts } else { &mut self.people };
                if !list.iter().any(|(_, known)| *known == identifier) {
                    list.push((rule.rank, identifier));
                }
                if self.people.len() + self.accounts.len() > IDENTIFIERS_MAX {
                    let detail = format!("an event has at most {IDENTIFIERS_MAX} identifiers");
                    return Err(Rejection::new(reason::IDENTIFIERS_TOO_MANY, field, detail));
                }
            }
            Ok(Normalised::Blocked) => self.blocked += u64::from(!text.trim().is_empty()),
            Err(refused) => return Err(Rejection::new(refused.reason, field, refused.detail)),
        }
        Ok(())
    }

    /// Whether a person is named.
    pub(crate) fn has_people(&self) -> bool {
        !self.people.is_empty()
    }

    /// The identifiers in their order.
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
