//! One reporting currency: dated exchange rates, and the value of a milestone by the rate of its day. Money is never guessed: without a
//! known rate there is no value.

use std::collections::BTreeMap;

use iso_currency::Currency;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tributary_proto::{Decimal, Hash128, Milestone, Reporting};
use tributary_runtime::config::{Given, Problems, Section};

use crate::settings::CurrencySettings;

/// A rate is valid until the next one of its currency, but at most this many days. That covers weekends, holidays and monthly rates, and
/// excludes lists that are no longer updated.
pub const RATE_DAYS_MAX: i64 = 31;

/// Exchange rates to the reporting currency.
#[derive(Debug, Clone)]
pub struct Rates {
    reporting: Currency,
    /// By currency and first day: units of the reporting currency for one unit of it.
    rates: BTreeMap<String, BTreeMap<Date, Decimal>>,
    zone: TimeZone,
    /// A hash of all rates and the currency.
    digest: Hash128,
}

impl Section for CurrencySettings {
    const NAME: &'static str = "currency";
    /// `None` if no reporting currency is set.
    type Compiled = Option<Rates>;

    fn compile(&self, given: &Given<'_>, problems: &mut Problems) -> Option<Option<Rates>> {
        if self.reporting.is_empty() {
            problems.unless(self.rates.is_empty(), "reporting", "name the currency to which the rates lead");
            return Some(None);
        }
        let reporting = Currency::from_code(&self.reporting);
        let reporting = problems.check(reporting, "reporting", "not an ISO 4217 code such as CNY, USD or EUR")?;
        let text = match self.rates.as_str() {
            "" => String::new(),
            file => match (given.read)(file) {
                Ok(text) => text,
                Err(error) => {
                    problems.at("rates", format!("the file cannot be read: {error}"));
                    return None;
                }
            },
        };
        let rates = match read(&text) {
            Ok(rates) => rates,
            Err(why) => {
                problems.at("rates", why);
                return None;
            }
        };
        let zone = TimeZone::get(given.time_zone).unwrap_or(TimeZone::UTC);
        let digest = Hash128::of(format!("{};{};{text}", reporting.code(), given.time_zone).as_bytes());
        Some(Some(Rates { reporting, rates, zone, digest }))
    }
}

/// Reads rows of `date,currency,rate` below a header; empty lines and lines that begin with `#` are skipped.
fn read(text: &str) -> Result<BTreeMap<String, BTreeMap<Date, Decimal>>, String> {
    let mut rates: BTreeMap<String, BTreeMap<Date, Decimal>> = BTreeMap::new();
    let text = text.trim_start_matches('\u{feff}');
    let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
    let mut rows = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    match rows.next() {
        None => return Ok(rates),
        Some((_, head)) if head.replace(' ', "").eq_ignore_ascii_case("date,currency,rate") => {}
        Some((number, _)) => return Err(format!("line {number}: the first row is date,currency,rate")),
    }
    for (number, line) in rows {
        let wrong = |why: &str| format!("line {number}: {why}");
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [date, currency, rate] = fields.as_slice() else { return Err(wrong("expected date,currency,rate")) };
        let date: Date = date.parse().map_err(|_| wrong("the date is not written YYYY-MM-DD"))?;
        let currency = Currency::from_code(currency).ok_or_else(|| wrong("the currency is not an ISO 4217 code"))?;
        let rate = Decimal::parse(rate).filter(|rate| rate.digits > 0);
        let rate = rate.ok_or_else(|| wrong("the rate is not a positive decimal number"))?;
        let of_currency = rates.entry(currency.code().to_owned()).or_default();
        if of_currency.insert(date, rate).is_some_and(|known| known != rate) {
            return Err(wrong("the currency has another rate on this day"));
        }
    }
    Ok(rates)
}

impl Rates {
    /// A hash that changes with the rates.
    pub fn digest(&self) -> Hash128 {
        self.digest
    }

    /// The reporting currency.
    pub fn reporting(&self) -> &'static str {
        self.reporting.code()
    }

    /// The currencies that have rates, each with its first and last day.
    pub fn known(&self) -> impl Iterator<Item = (&str, Date, Date)> {
        self.rates.iter().filter_map(|(currency, days)| {
            let ((first, _), (last, _)) = (days.first_key_value()?, days.last_key_value()?);
            Some((currency.as_str(), *first, *last))
        })
    }

    /// The value of a milestone in the reporting currency, by the rate of its day; `None` if there is no rate.
    pub fn report(&self, of: &Milestone) -> Option<Reporting> {
        let value_minor = if of.value_minor <= 0 || of.currency == self.reporting.code() {
            of.value_minor.max(0)
        } else {
            let from = Currency::from_code(&of.currency)?;
            converted(of.value_minor, from, self.rate(&of.currency, of.time_ms)?, self.reporting)?
        };
        Some(Reporting { currency: self.reporting.code().to_owned(), value_minor })
    }

    fn rate(&self, currency: &str, time_ms: i64) -> Option<&Decimal> {
        let day = Timestamp::from_millisecond(time_ms).ok()?.to_zoned(self.zone.clone()).date();
        let (since, rate) = self.rates.get(currency)?.range(..=day).next_back()?;
        let until = since.checked_add(RATE_DAYS_MAX.days()).ok()?;
        (day <= until).then_some(rate)
    }
}

/// An amount in minor units of another currency, halves rounded up; `None` if it does not fit.
fn converted(value_minor: i64, from: Currency, rate: &Decimal, to: Currency) -> Option<i64> {
    let places = |of: Currency| u32::from(of.exponent().unwrap_or(0));
    let product = i128::from(value_minor).checked_mul(rate.digits.into())?;
    // value / 10^from * digits / 10^scale * 10^to
    let (up, down) = (places(to), places(from) + rate.scale);
    let (product, unit) = if up >= down {
        (product.checked_mul(10_i128.checked_pow(up - down)?)?, 1)
    } else {
        (product, 10_i128.checked_pow(down - up)?)
    };
    i64::try_from(product.checked_add(unit / 2)? / unit).ok()
}

#[cfg(test)]
mod tests {
    use tributary_proto::kind::Kinds;

    use super::*;

    const FILE: &str =
        "date,currency,rate\n2024-03-01,USD,7.2\n2024-03-04, USD ,7.1956\n# yen\n2024-03-01,JPY,0.048\n2024-03-01,KWD,23.4\n";

    fn rates(text: &'static str) -> Result<Rates, Problems> {
        let kinds = Kinds::default();
        let read: fn(&str) -> std::io::Result<String> = if text == FILE {
            |_: &str| Ok(FILE.to_owned())
        } else {
            |_: &str| Ok("date,currency,rate\n2024-13-01,USD,1".to_owned())
        };
        let given = Given { time_zone: "Asia/Shanghai", read, ..Given::new(&kinds) };
        let mut problems = Problems::default();
        let settings = CurrencySettings { reporting: "CNY".into(), rates: "rates.csv".into() };
        settings.compile(&given, &mut problems).flatten().ok_or(problems)
    }

    fn worth(currency: &str, value_minor: i64, time: &str) -> Option<i64> {
        let time_ms = time.parse::<Timestamp>().unwrap().as_millisecond();
        let milestone = Milestone { currency: currency.into(), value_minor, time_ms, ..Milestone::default() };
        rates(FILE).unwrap().report(&milestone).map(|reporting| reporting.value_minor)
    }

    #[test]
    fn a_milestone_is_worth_what_the_rate_of_its_day_makes_of_it() {
        for (currency, value, time, expected) in [
            ("CNY", 150, "1999-01-01T00:00:00Z", Some(150)),
            ("USD", 100_000, "2024-03-01T00:00:00Z", Some(720_000)),
            // On a weekend Friday's rate counts; in Shanghai it is already Monday.
            ("USD", 100_000, "2024-03-03T15:59:59Z", Some(720_000)),
            ("USD", 100_000, "2024-03-03T16:00:00Z", Some(719_560)),
            ("USD", 1, "2024-03-04T00:00:00Z", Some(7)),
            ("JPY", 1_000, "2024-03-02T00:00:00Z", Some(4_800)),
            ("KWD", 1_000, "2024-03-02T00:00:00Z", Some(2_340)),
            // Before the first, long after the last, and without any.
            ("USD", 1, "2024-02-28T00:00:00Z", None),
            ("JPY", 1, "2024-04-01T00:00:00Z", Some(5)),
            ("JPY", 1, "2024-04-02T00:00:00Z", None),
            ("EUR", 1, "2024-03-02T00:00:00Z", None),
            ("EUR", 0, "2024-03-02T00:00:00Z", Some(0)),
            ("USD", i64::MAX, "2024-03-02T00:00:00Z", None),
        ] {
            assert_eq!(worth(currency, value, time), expected, "{currency} {value} {time}");
        }
    }

    #[test]
    fn an_unreadable_file_is_reported_with_its_line() {
        let problems = rates("").unwrap_err();
        assert_eq!(problems.to_string(), "rates: line 2: the date is not written YYYY-MM-DD");
    }
}
