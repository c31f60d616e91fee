//! What a milestone is, decided from the set of its versions.
//!
//! Versions are taken in the order of (version time, event-id hash); of two under one event id and time the greater encoding is the later.
//! Of every field the latest version that gives it wins: an amount without a currency keeps the deal's, a currency alone changes it. A
//! *reaching* is a version that neither amends nor withdraws.

use iso_currency::Currency;
use tributary_proto::decimal::SCALE_MAX;
use tributary_proto::event::Body;
use tributary_proto::{Decimal, Event, Hash128, Identifier, Message, Milestone, MilestoneVersion};

/// What the versions taken so far say.
#[derive(Default)]
pub(crate) struct Standing<'a> {
    first_reached_ms: Option<i64>,
    /// The first reaching since the latest withdrawal.
    reached_ms: Option<i64>,
    withdrawn_ms: Option<i64>,
    withdrawn: bool,
    occurred_at_ms: Option<i64>,
    /// The latest of those that are not older than the latest withdrawal.
    occurred_again_ms: Option<i64>,
    /// In units of 10^-18.
    value: i128,
    currency: &'a str,
    account: Option<&'a Identifier>,
    person: Option<&'a Identifier>,
    kind: &'a str,
    object_id: &'a str,
}

impl<'a> Standing<'a> {
    /// Of all versions, in any order. Amounts without a currency are in `default`.
    pub(crate) fn of(versions: &'a [Event], default: Currency) -> Self {
        let mut sorted: Vec<(&Event, &MilestoneVersion)> = versions
            .iter()
            .filter_map(|event| match &event.body {
                Some(Body::Milestone(version)) => Some((event, version)),
                _ => None,
            })
            .collect();
        sorted.sort_by_cached_key(|(event, _)| (event.time_ms, Hash128::of(event.event_id.as_bytes()), event.encode_to_vec()));
        let mut standing = Self::default();
        for (event, version) in &sorted {
            standing.reach(event.time_ms, version);
            standing.pay(version, default);
            standing.name(event, version);
        }
        // Only now is it known which withdrawal is the latest.
        for (_, version) in sorted {
            if version.occurred_at_cleared {
                standing.occurred_again_ms = None;
            }
            let heeded = version.occurred_at_ms.filter(|time_ms| Some(*time_ms) >= standing.withdrawn_ms);
            standing.occurred_again_ms = heeded.or(standing.occurred_again_ms);
        }
        standing
    }

    fn reach(&mut self, time_ms: i64, version: &MilestoneVersion) {
        if version.withdrawn {
            (self.withdrawn, self.withdrawn_ms, self.reached_ms) = (true, Some(time_ms), None);
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
        if let Some(value) = &version.value {
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
        self.account = event.account_identifiers.first().or(self.account);
        self.person = event.identifiers.first().or(self.person);
    }

    /// Whom it belongs to: the account named last; the person named last where none ever is; nobody while no version reports that it was
    /// reached.
    pub(crate) fn anchor(&self) -> Option<&'a Identifier> {
        self.account.or(self.person).filter(|_| self.first_reached_ms.is_some())
    }

    /// The milestone as its versions have it.
    pub(crate) fn milestone(&self, milestone_id: &str, default: Currency) -> Milestone {
        let currency = Currency::from_code(self.currency).unwrap_or(default);
        Milestone {
            milestone_id: milestone_id.to_owned(),
            kind: self.kind.to_owned(),
            object_id: self.object_id.to_owned(),
            time_ms: self.time_ms(),
            value_minor: minor(self.value, currency),
            currency: currency.code().to_owned(),
            withdrawn: self.withdrawn,
        }
    }

    fn time_ms(&self) -> i64 {
        let again = self.withdrawn_ms.is_some() && !self.withdrawn;
        let (occurred_at_ms, reached_ms) =
            if again { (self.occurred_again_ms, self.reached_ms) } else { (self.occurred_at_ms, self.first_reached_ms) };
        occurred_at_ms.or(reached_ms).unwrap_or_default()
    }
}

/// An amount of units of 10^-18 in whole minor units, halves up.
fn minor(amount: i128, currency: Currency) -> i64 {
    let exponent = u32::from(currency.exponent().unwrap_or(0));
    let unit = 10_i128.pow(SCALE_MAX.saturating_sub(exponent));
    i64::try_from((amount + unit / 2) / unit).unwrap_or(i64::MAX)
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
        let milestone = Standing::of(&versions, Currency::CNY).milestone("closed_won:1", Currency::CNY);
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
}
