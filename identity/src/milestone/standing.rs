//! Decides a milestone from the set of its versions, and assigns versions to the re-entries of its object.
//!
//! Versions are taken in the order of (version time, event-id hash); of two under one event id and time the greater encoding is the later.
//! For every field the latest version that gives it wins: an amount without a currency keeps the deal's, a currency alone changes it. If a
//! trusted event reports that the milestone was reached, public versions have no effect; otherwise trusted versions come after public ones,
//! whatever their times. A *reaching* is a version that neither amends nor withdraws. An amendment with `withdrawn: false` cancels the
//! withdrawals since the last reaching.

use std::collections::{BTreeMap, BTreeSet};

use iso_currency::Currency;
use tributary_proto::decimal::minor;
use tributary_proto::event::Body;
use tributary_proto::{Decimal, Event, Hash128, Identifier, Message, Milestone, MilestoneVersion};

/// A version and its event.
pub(crate) type Said<'a> = (&'a Event, &'a MilestoneVersion);

/// The versions that count, in their order.
fn sorted(versions: &[Event]) -> Vec<Said<'_>> {
    let mut sorted: Vec<Said<'_>> = versions
        .iter()
        .filter_map(|event| match &event.body {
            Some(Body::Milestone(version)) => Some((event, version)),
            _ => None,
        })
        .collect();
    if sorted.iter().any(|(event, version)| is_reaching(version) && !event.public) {
        sorted.retain(|(event, _)| !event.public);
    }
    sorted.sort_by_cached_key(|(event, _)| (event.time_ms, Hash128::of(event.event_id.as_bytes()), event.encode_to_vec()));
    sorted
}

fn is_reaching(version: &MilestoneVersion) -> bool {
    !version.amends && !version.withdrawn
}

/// The versions of each occurrence of the milestone, in order, by number of the occurrence.
///
/// A version may state its occurrence. Otherwise, a version that reports the milestone as reached begins a new occurrence if there is none
/// yet, or if it is at least `again_ms` after the previous such version without a stated number; it gets the next number that no version
/// states. Every other version belongs to the latest occurrence that began at or before it.
pub(crate) fn occurrences(versions: &[Event], again_ms: Option<i64>) -> BTreeMap<u32, Vec<Said<'_>>> {
    let sorted = sorted(versions);
    let said: BTreeSet<u32> = sorted.iter().map(|(_, version)| version.occurrence).collect();
    let mut free = (1..).filter(|number| !said.contains(number));
    // The versions at which occurrences begin. A stated occurrence begins with the first version that reports it as reached.
    let mut begun: Vec<(usize, u32)> = Vec::new();
    let mut before_ms: Option<i64> = None;
    for (at, (event, version)) in sorted.iter().enumerate().filter(|(_, (_, version))| is_reaching(version)) {
        if version.occurrence > 0 {
            if begun.iter().all(|(_, number)| *number != version.occurrence) {
                begun.push((at, version.occurrence));
            }
            continue;
        }
        let anew = before_ms.map_or(begun.is_empty(), |before_ms| {
            again_ms.is_some_and(|again_ms| event.time_ms.saturating_sub(before_ms) >= again_ms)
        });
        if let Some(number) = free.by_ref().take(usize::from(anew)).next() {
            begun.push((at, number));
        }
        before_ms = Some(event.time_ms);
    }
    let mut occurrences: BTreeMap<u32, Vec<Said<'_>>> = BTreeMap::new();
    for (at, (event, version)) in sorted.into_iter().enumerate() {
        let latest = begun.iter().rev().find(|(from, _)| *from <= at).or(begun.first()).map_or(1, |(_, number)| *number);
        let number = if version.occurrence > 0 { version.occurrence } else { latest };
        occurrences.entry(number).or_default().push((event, version));
    }
    occurrences
}

/// A milestone as its versions have decided it so far.
#[derive(Default)]
pub(crate) struct Standing<'a> {
    first_reached_ms: Option<i64>,
    /// The first time it was reached since the latest withdrawal.
    reached_ms: Option<i64>,
    reached_by_trusted: bool,
    withdrawn_ms: Option<i64>,
    withdrawn: bool,
    /// The latest withdrawal and the first time reached since it, before those withdrawals that may still be cancelled.
    before: (Option<i64>, Option<i64>),
    occurred_at_ms: Option<i64>,
    /// The latest re-opening time not older than the latest withdrawal.
    occurred_again_ms: Option<i64>,
    /// In units of 10^-18.
    value: i128,
    currency: &'a str,
    /// The accounts named, in the order in which each was last named, without those taken off it.
    accounts: Vec<&'a Identifier>,
    person: Option<&'a Identifier>,
    kind: &'a str,
    object_id: &'a str,
    dimensions: BTreeMap<&'a str, &'a str>,
    versions: u32,
}

impl<'a> Standing<'a> {
    /// The result of all versions, in order. Amounts without a currency are in `default`.
    pub(crate) fn of(versions: &[Said<'a>], default: Currency) -> Self {
        let mut standing = Self { versions: u32::try_from(versions.len()).unwrap_or(u32::MAX), ..Self::default() };
        let (public, trusted): (Vec<Said<'a>>, Vec<Said<'a>>) = versions.iter().partition(|(event, _)| event.public);
        let versions: Vec<Said<'a>> = public.into_iter().chain(trusted).collect();
        for (event, version) in &versions {
            standing.reach(event, version);
            standing.pay(version, default);
            standing.name(event, version);
        }
        // A second pass: only now the latest withdrawal is known.
        for (_, version) in &versions {
            if version.occurred_at_cleared {
                standing.occurred_again_ms = None;
            }
            let heeded = version.occurred_at_ms.filter(|time_ms| Some(*time_ms) >= standing.withdrawn_ms);
            standing.occurred_again_ms = heeded.or(standing.occurred_again_ms);
        }
        standing
    }

    fn reach(&mut self, event: &Event, version: &MilestoneVersion) {
        let time_ms = event.time_ms;
        self.reached_by_trusted |= is_reaching(version) && !event.public;
        if version.withdrawn {
            if !self.withdrawn {
                self.before = (self.withdrawn_ms, self.reached_ms);
            }
            (self.withdrawn, self.withdrawn_ms, self.reached_ms) = (true, Some(time_ms), None);
        } else if version.amends && version.restored && self.withdrawn {
            self.withdrawn = false;
            (self.withdrawn_ms, self.reached_ms) = self.before;
        } else if !version.amends {
            self.withdrawn = false;
            self.first_reached_ms = self.first_reached_ms.or(Some(time_ms));
            self.reached_ms = self.reached_ms.or(Some(time_ms));
        }
        if version.occurred_at_cleared {
            self.occurred_at_ms = None;
        }
        self.occurred_at_ms = version.occurred_at_ms.or(self.occurred_at_ms);
    }

    fn pay(&mut self, version: &'a MilestoneVersion, default: Currency) {
        if version.value_cleared {
            self.value = 0;
        }
        if let Some(value) = version.value.or(stored_earlier(version)) {
            self.value = value.fixed().max(0);
        }
        if let Some(refund) = &version.refund {
            let own = if self.currency.is_empty() { default.code() } else { self.currency };
            if version.currency.is_empty() || version.currency == own {
                self.value = (self.value - refund.fixed().max(0)).max(0);
            }
            return;
        }
        if version.currency_cleared {
            self.currency = "";
        }
        if !version.currency.is_empty() {
            self.currency = &version.currency;
        }
    }

    fn name(&mut self, event: &'a Event, version: &'a MilestoneVersion) {
        (self.kind, self.object_id) = (&version.kind, &version.object_id);
        self.dimensions.extend(version.dimensions.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for account in event.account_identifiers.first().into_iter().chain(&version.former_account) {
            self.accounts.retain(|known| *known != account);
        }
        self.accounts.extend(event.account_identifiers.first().filter(|named| version.former_account.as_ref() != Some(named)));
        self.person = event.identifiers.first().or(self.person);
    }

    /// Its owner: the account named last, else the person named last. `None` while no version reports that it was reached.
    pub(crate) fn anchor(&self) -> Option<&'a Identifier> {
        self.accounts.last().copied().or(self.person).filter(|_| self.first_reached_ms.is_some())
    }

    /// The milestone that its versions describe.
    pub(crate) fn milestone(&self, milestone_id: &str, default: Currency) -> Milestone {
        let currency = Currency::from_code(self.currency).unwrap_or(default);
        Milestone {
            milestone_id: milestone_id.to_owned(),
            kind: self.kind.to_owned(),
            object_id: self.object_id.to_owned(),
            time_ms: self.time_ms(),
            value_minor: minor(self.value, currency.exponent().unwrap_or(0)).unwrap_or(i64::MAX),
            currency: currency.code().to_owned(),
            withdrawn: self.withdrawn,
            public: !self.reached_by_trusted,
            gone: false,
            dimensions: self.dimensions().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            versions: self.versions,
        }
    }

    /// The dimensions that were not cleared.
    fn dimensions(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.dimensions.iter().map(|(name, value)| (*name, *value)).filter(|(_, value)| !value.is_empty())
    }

    fn time_ms(&self) -> i64 {
        let again = self.withdrawn_ms.is_some() && !self.withdrawn;
        let (occurred_at_ms, reached_ms) =
            if again { (self.occurred_again_ms, self.reached_ms) } else { (self.occurred_at_ms, self.first_reached_ms) };
        occurred_at_ms.or(reached_ms).unwrap_or_default()
    }
}

/// The value of a version that an earlier version of this program stored.
fn stored_earlier(version: &MilestoneVersion) -> Option<Decimal> {
    let exponent = Currency::from_code(&version.currency).and_then(Currency::exponent).unwrap_or(0);
    version.value_minor.map(|digits| Decimal { digits, scale: exponent.into() })
}

/// How an amount is adjusted, as a label of [`crate::metrics::AMOUNTS`]; `None` if it counts as stated.
pub(crate) fn adjusted(version: &MilestoneVersion) -> Option<&'static str> {
    let negative = |amount: &Option<Decimal>| amount.as_ref().is_some_and(Decimal::is_negative);
    if negative(&version.value) {
        Some("negative")
    } else if negative(&version.refund) {
        Some("negative_refund")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
