//! The value of a milestone in the reporting currency, by the rates of the histories.

use tributary_proto::Milestone;

/// The file of rates in the settings of histories.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/oracle/rates.csv");
const TEXT: &str = include_str!("rates.csv");

/// Days since 1970-01-01 of a date in the file.
fn day_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let length = |month: i64| match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Some(years + (1..month).map(length).sum::<i64>() + day - 1)
}

/// Minor units of `reporting`; `None` without a reporting currency or a rate. Days are days in UTC.
pub fn worth(of: &Milestone, reporting: &str) -> Option<i64> {
    if reporting.is_empty() {
        return None;
    }
    if of.value_minor == 0 || of.currency == reporting {
        return Some(of.value_minor);
    }
    let day = of.time_ms.div_euclid(86_400_000);
    let mut latest: Option<(i64, &str)> = None;
    for line in TEXT.lines().skip(1) {
        let mut fields = line.split(',');
        let (Some(date), Some(currency), Some(rate)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let since = day_of(date)?;
        let fresh = since <= day && day - since <= 31;
        if currency == of.currency && fresh && latest.is_none_or(|(known, _)| since > known) {
            latest = Some((since, rate));
        }
    }
    let (_, rate) = latest?;
    let (whole, part) = rate.split_once('.').unwrap_or((rate, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let minor_per_major = |code: &str| if code == "JPY" { 1_i128 } else { 100 };
    let above = i128::from(of.value_minor) * digits * minor_per_major(reporting);
    let below = minor_per_major(&of.currency) * 10_i128.pow(u32::try_from(part.len()).ok()?);
    i64::try_from((2 * above + below) / (2 * below)).ok()
}
