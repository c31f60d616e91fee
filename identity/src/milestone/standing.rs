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

/// The versions of each time that the object reached it, in their order, by the number of that time.
///
/// A version that says its occurrence belongs to that. Of the others a reaching begins a new one where it is at least `again_ms` after
/// the reaching before it that says none either, and where there is nothing before it; those have the numbers that nobody says. All else
/// belongs to the latest that began at or before it.
pub(crate) fn occurrences(versions: &[Event], again_ms: Option<i64>) -> BTreeMap<u32, Vec<Said<'_>>> {
    let sorted = sorted(versions);
    let said: BTreeSet<u32> = sorted.iter().map(|(_, version)| version.occurrence).collect();
    let mut free = (1..).filter(|number| !said.contains(number));
    // What begins at which version; a number that is said begins with its first reaching.
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

/// What the versions taken so far say.
#[derive(Default)]
pub(crate) struct Standing<'a> {
    first_reached_ms: Option<i64>,
    /// The first reaching since the latest withdrawal.
    reached_ms: Option<i64>,
    reached_by_trusted: bool,
    withdrawn_ms: Option<i64>,
    withdrawn: bool,
    /// The latest withdrawal and the first reaching since it, as they were before the withdrawals that may yet be called off.
    before: (Option<i64>, Option<i64>),
    occurred_at_ms: Option<i64>,
    /// The latest of those that are not older than the latest withdrawal.
    occurred_again_ms: Option<i64>,
    /// In units of 10^-18.
    value: i128,
    currency: &'a str,
    /// The accounts named, each where it was named last; without those that it is no longer about.
    accounts: Vec<&'a Identifier>,
    person: Option<&'a Identifier>,
    kind: &'a str,
    object_id: &'a str,
}

impl<'a> Standing<'a> {
    /// Of all versions, in their order. Amounts without a currency are in `default`.
    pub(crate) fn of(versions: &[Said<'a>], default: Currency) -> Self {
        let mut standing = Self::default();
        let (public, trusted): (Vec<Said<'a>>, Vec<Said<'a>>) = versions.iter().partition(|(event, _)| event.public);
        let versions: Vec<Said<'a>> = public.into_iter().chain(trusted).collect();
        for (event, version) in &versions {
            standing.reach(event, version);
            standing.pay(version, default);
            standing.name(event, version);
        }
        // Only now is it known which withdrawal is the latest.
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
        for account in event.account_identifiers.first().into_iter().chain(&version.former_account) {
            self.accounts.retain(|known| *known != account);
        }
        self.accounts.extend(event.account_identifiers.first().filter(|named| version.former_account.as_ref() != Some(named)));
        self.person = event.identifiers.first().or(self.person);
    }

    /// Whom it belongs to: the account named last; the person named last where none ever is; nobody while no version reports that it was
    /// reached.
    pub(crate) fn anchor(&self) -> Option<&'a Identifier> {
        self.accounts.last().copied().or(self.person).filter(|_| self.first_reached_ms.is_some())
    }

    /// The milestone as its versions have it.
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
        }
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

/// What of a version counts otherwise than it says, as a label of [`crate::metrics::AMOUNTS`].
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
mod tests {
    use super::*;

    /// Versions at 1, 2, 3, ...; what they leave: time, value in minor units, currency, whether withdrawn.
    fn decided(said: &[MilestoneVersion]) -> (i64, i64, String, bool) {
        let versions: Vec<Event> = (1..)
            .zip(said)
            .map(|(time_ms, version)| Event {
                event_id: format!("e{time_ms}"),
                time_ms,
                body: Some(Body::Milestone(version.clone())),
                ..Event::default()
            })
            .collect();
        let milestone = Standing::of(&sorted(&versions), Currency::CNY).milestone("closed_won:1", Currency::CNY);
        (milestone.time_ms, milestone.value_minor, milestone.currency, milestone.withdrawn)
    }

    fn amount(text: &str) -> Option<Decimal> {
        Some(Decimal::parse(text).unwrap())
    }

    fn won() -> MilestoneVersion {
        MilestoneVersion::default()
    }

    fn amends() -> MilestoneVersion {
        MilestoneVersion { amends: true, ..won() }
    }

    fn lost() -> MilestoneVersion {
        MilestoneVersion { withdrawn: true, amends: true, ..won() }
    }

    #[test]
    fn an_account_that_was_left_counts_no_more_and_the_one_before_it_does() {
        let account = |value: &str| Identifier::new("crm_account", "", value);
        let names = |value: &str| (Some(account(value)), None);
        let leaves = |value: &str| (None, Some(account(value)));
        let anchor = |said: &[(Option<Identifier>, Option<Identifier>)]| {
            let events: Vec<Event> = (1..)
                .zip(said)
                .map(|(time_ms, (named, former_account))| Event {
                    event_id: format!("e{time_ms}"),
                    time_ms,
                    identifiers: vec![Identifier::new("email", "", "li@b-corp.example")],
                    account_identifiers: named.iter().cloned().collect(),
                    body: Some(Body::Milestone(MilestoneVersion {
                        former_account: former_account.clone(),
                        ..Default::default()
                    })),
                    ..Event::default()
                })
                .collect();
            let versions = sorted(&events);
            Standing::of(&versions, Currency::CNY).anchor().map(|anchor| anchor.value.clone())
        };
        assert_eq!(anchor(&[names("A"), names("B"), leaves("B")]).as_deref(), Some("A"));
        assert_eq!(anchor(&[names("A"), leaves("A")]).as_deref(), Some("li@b-corp.example"));
        assert_eq!(anchor(&[leaves("A"), names("A")]).as_deref(), Some("A"));
        assert_eq!(anchor(&[names("A"), names("B"), leaves("A")]).as_deref(), Some("B"));
        assert_eq!(anchor(&[(Some(account("A")), Some(account("A")))]).as_deref(), Some("li@b-corp.example"));
    }

    #[test]
    fn each_field_is_that_of_the_latest_version_that_gives_it() {
        let usd = MilestoneVersion { value: amount("1000"), currency: "USD".into(), ..won() };
        let more = MilestoneVersion { value: amount("2000"), ..amends() };
        assert_eq!(decided(&[usd.clone(), more.clone()]), (1, 200_000, "USD".into(), false));
        let yen = MilestoneVersion { currency: "JPY".into(), ..amends() };
        assert_eq!(decided(&[usd.clone(), more.clone(), yen]), (1, 2_000, "JPY".into(), false));
        let none = MilestoneVersion { value_cleared: true, ..amends() };
        assert_eq!(decided(&[usd.clone(), more, none]), (1, 0, "USD".into(), false));
        let home = MilestoneVersion { currency_cleared: true, ..amends() };
        assert_eq!(decided(&[usd, home]), (1, 100_000, "CNY".into(), false));
    }

    #[test]
    fn an_amount_below_zero_is_zero_and_a_refund_lowers_what_stands_before_it() {
        let paid = |text: &str| MilestoneVersion { value: amount(text), ..won() };
        let back =
            |text: &str, currency: &str| MilestoneVersion { refund: amount(text), currency: currency.into(), ..amends() };
        assert_eq!(decided(&[paid("100"), paid("-5")]).1, 0);
        assert_eq!(decided(&[paid("100"), back("30", ""), back("30", "CNY")]).1, 4_000);
        assert_eq!(decided(&[paid("100"), back("300", "")]).1, 0);
        assert_eq!(decided(&[back("30", ""), paid("100")]).1, 10_000, "what came before it");
        assert_eq!(decided(&[paid("100"), back("30", "USD")]).1, 10_000, "of another currency");
        assert_eq!(decided(&[paid("100"), back("-30", "")]).1, 10_000);
    }

    #[test]
    fn amounts_are_rounded_when_they_are_decided() {
        for (text, minor) in [("29.990000000000002", 2_999), ("0.005", 1), ("0.0049", 0), ("1.2e7", 1_200_000_000)] {
            assert_eq!(decided(&[MilestoneVersion { value: amount(text), ..won() }]).1, minor, "{text}");
        }
    }

    #[test]
    fn what_earlier_versions_of_this_program_stored_is_read() {
        // kind = "mql", value_minor = 30000, currency = "CNY"
        let stored = b"\x12\x03mql\x28\xb0\xea\x01\x32\x03CNY";
        let version = MilestoneVersion::decode(stored.as_slice()).unwrap();
        assert_eq!(decided(std::slice::from_ref(&version)).1, 30_000);
        let yen = MilestoneVersion { currency: "JPY".into(), ..version };
        assert_eq!(decided(&[yen]), (1, 30_000, "JPY".into(), false));
    }

    #[test]
    fn what_is_reached_again_has_the_later_time() {
        let at = |time_ms| MilestoneVersion { occurred_at_ms: Some(time_ms), ..won() };
        assert_eq!(decided(&[won(), won()]).0, 1);
        assert_eq!(decided(&[won(), lost()]), (1, 0, "CNY".into(), true));
        assert_eq!(decided(&[won(), lost(), won(), won()]), (3, 0, "CNY".into(), false));
        assert_eq!(decided(&[at(-5), lost(), won()]).0, 3, "a time before the withdrawal is not heeded");
        assert_eq!(decided(&[won(), lost(), at(2), at(1)]).0, 2);
        assert_eq!(decided(&[at(7), at(5)]).0, 5);
        let cleared = MilestoneVersion { occurred_at_cleared: true, ..amends() };
        assert_eq!(decided(&[at(7), cleared]).0, 1);
    }

    #[test]
    fn a_withdrawal_that_is_called_off_was_none() {
        let back = || MilestoneVersion { restored: true, ..amends() };
        let at = |time_ms, version| MilestoneVersion { occurred_at_ms: Some(time_ms), ..version };
        let stands = |time_ms: i64| (time_ms, 0, "CNY".to_owned(), false);
        assert_eq!(decided(&[won(), lost(), back()]), stands(1));
        assert!(decided(&[won(), lost(), amends()]).3, "an amendment that says nothing of it");
        assert_eq!(decided(&[won(), lost(), lost(), back()]), stands(1));
        assert_eq!(
            decided(&[won(), lost(), won(), lost(), back()]),
            stands(3),
            "it stands as it did before the last withdrawals"
        );
        assert_eq!(decided(&[won(), lost(), won(), back()]), stands(3), "there was nothing to call off");
        assert!(decided(&[won(), back(), lost()]).3);
        assert!(decided(&[won(), lost(), back(), lost()]).3);
        assert_eq!(decided(&[won(), lost(), back(), won()]), stands(1));
        assert_eq!(decided(&[lost(), back(), won()]), stands(3));
        assert_eq!(decided(&[at(-5, won()), lost(), back()]), stands(-5), "its time is heeded again");
        assert_eq!(decided(&[won(), lost(), at(-7, back())]), stands(-7));
    }

    #[test]
    fn what_is_reached_again_after_days_is_a_milestone_of_its_own() {
        let said = |times: &[(i64, u32, bool)]| -> Vec<Event> {
            let event = |(at, (time_ms, occurrence, amends)): (usize, &(i64, u32, bool))| Event {
                event_id: format!("e{at}"),
                time_ms: *time_ms,
                body: Some(Body::Milestone(MilestoneVersion { occurrence: *occurrence, amends: *amends, ..won() })),
                ..Event::default()
            };
            times.iter().enumerate().map(event).collect()
        };
        let times = |versions: &[Event], again_ms: Option<i64>| -> Vec<(u32, Vec<i64>)> {
            let all = occurrences(versions, again_ms).into_iter();
            all.map(|(number, own)| (number, own.iter().map(|(event, _)| event.time_ms).collect())).collect()
        };
        let silent = said(&[(0, 0, true), (1, 0, false), (5, 0, false), (14, 0, true), (15, 0, false), (25, 0, false)]);
        assert_eq!(times(&silent, None), [(1, vec![0, 1, 5, 14, 15, 25])]);
        assert_eq!(times(&silent, Some(10)), [(1, vec![0, 1, 5, 14]), (2, vec![15]), (3, vec![25])]);
        assert_eq!(times(&silent, Some(11)), [(1, vec![0, 1, 5, 14, 15, 25])], "each is soon after the one before");
        let explicit = said(&[(1, 0, false), (5, 2, false), (6, 0, true), (20, 0, false), (30, 2, true)]);
        assert_eq!(times(&explicit, None), [(1, vec![1]), (2, vec![5, 6, 20, 30])]);
        assert_eq!(times(&explicit, Some(10)), [(1, vec![1]), (2, vec![5, 6, 30]), (3, vec![20])]);
        assert_eq!(times(&said(&[(1, 1, false), (2, 0, false)]), Some(1)), [(1, vec![1, 2])]);
    }
}
