//! Times as senders write them, in milliseconds since 1970-01-01 UTC.

mod utc;
mod written;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use tributary_runtime::stage::Rejection;

use crate::lenient::Raw;
use crate::normalise::text::narrow;
use crate::reason;
use crate::scalar::{Scalar, json_rejection};
use written::Written;

/// Largest error of a sender's clock that is not corrected, milliseconds. Libraries write a new `sentAt` when they send a message again.
/// Correcting for the delay of the network would give its copies different times, and so make two events of one.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1_000;

/// The time of day for something of which only the day is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OfDay {
    /// At its beginning.
    Begin,
    /// At noon: a touch.
    Noon,
    /// At its last millisecond: a milestone, so that touches of that day come before it.
    End,
}

/// How times are read, and how far in the future they may be.
#[derive(Debug)]
pub(crate) struct Times {
    /// The zone of times without one.
    pub(crate) zone: TimeZone,
    /// How far an event's time may be after its receive time, milliseconds.
    pub(crate) future_ms_max: i64,
}

impl Times {
    /// Reads a time, in the configured zone if it has none; a day stands for its beginning.
    ///
    /// # Errors
    /// [`reason::TIMESTAMP_INVALID`].
    pub(crate) fn read(&self, text: &str, field: &'static str) -> Result<i64, Rejection> {
        self.read_of_day(text, field, OfDay::Begin)
    }

    /// Reads a time; `of_day` says what a day stands for.
    ///
    /// # Errors
    /// [`reason::TIMESTAMP_INVALID`].
    pub(crate) fn read_of_day(&self, text: &str, field: &'static str, of_day: OfDay) -> Result<i64, Rejection> {
        self.parse_ms(text, of_day).filter(|ms| *ms >= 0).ok_or_else(|| unclear(text, field))
    }

    /// Reads a field that is a time; `None` when absent or blank.
    ///
    /// # Errors
    /// [`reason::TIMESTAMP_INVALID`] when it is not a time, and the errors of [`Scalar::text`].
    pub(crate) fn of_json(&self, raw: Raw<'_>, field: &'static str, of_day: OfDay) -> Result<Option<i64>, Rejection> {
        let Some(raw) = raw.get(field)? else { return Ok(None) };
        let value = Scalar::of_json(raw.get()).map_err(|error| json_rejection(&error))?;
        match value {
            // A number with decimals: seconds, as Python writes them.
            Scalar::Inexact => self.read(raw.get(), field).map(Some),
            Scalar::Nested | Scalar::Bool(_) => Err(invalid(field)),
            value => value.text(field)?.map(|text| self.read_of_day(&text, field, of_day)).transpose(),
        }
    }

    /// Refuses a time too far after the receive time. Without a receive time nothing is checked.
    ///
    /// # Errors
    /// [`reason::TIMESTAMP_FUTURE`].
    pub(crate) fn check_future(&self, time_ms: i64, received_ms: Option<i64>, field: &'static str) -> Result<(), Rejection> {
        match received_ms {
            Some(received) if time_ms > received.saturating_add(self.future_ms_max) => {
                let hours = self.future_ms_max / 3_600_000;
                let detail =
                    format!("the time lies more than {hours} h after the receive time; check the sender's clock and zone");
                Err(Rejection::new(reason::TIMESTAMP_FUTURE, field, detail))
            }
            _ => Ok(()),
        }
    }

    /// The day of a time in the configured zone: `2022-04-13`.
    pub(crate) fn day(&self, time_ms: i64) -> String {
        let time = Timestamp::from_millisecond(time_ms).unwrap_or_default();
        self.zone.to_datetime(time).date().to_string()
    }

    fn parse_ms(&self, text: &str, of_day: OfDay) -> Option<i64> {
        let narrowed = narrow(text);
        let local = match written::read(narrowed.trim())? {
            Written::Moment(moment) => return Some(moment.as_millisecond()),
            Written::Local(local) => local,
            Written::Day(day) => day.to_datetime(match of_day {
                OfDay::Begin => Time::midnight(),
                OfDay::Noon => Time::constant(12, 0, 0, 0),
                OfDay::End => Time::constant(23, 59, 59, 999_000_000),
            }),
        };
        self.in_zone(local)
    }

    fn in_zone(&self, local: DateTime) -> Option<i64> {
        self.zone.to_ambiguous_timestamp(local).compatible().ok().map(Timestamp::as_millisecond)
    }
}

/// Why a text is not a time.
fn unclear(text: &str, field: &str) -> Rejection {
    if written::begins_with_day_or_month(narrow(text).trim()) {
        let detail =
            "which of its numbers is the day and which the month is not known: write the year first, such as 2026-03-01";
        return Rejection::new(reason::TIMESTAMP_INVALID, field, detail);
    }
    invalid(field)
}

fn invalid(field: &str) -> Rejection {
    let detail =
        "not RFC 3339 (2022-02-28T10:00:00+08:00), a local time (2022-02-28 10:00:00), nor seconds or milliseconds since 1970";
    Rejection::new(reason::TIMESTAMP_INVALID, field, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        Times { zone: TimeZone::get("Asia/Shanghai").unwrap(), future_ms_max: 86_400_000 }
    }

    #[test]
    fn one_moment_in_many_spellings() {
        for text in [
            "2022-04-13T14:00:00+08:00",
            "2022-04-13T06:00:00Z",
            "2022-04-13T06:00:00.000z",
            "2022-04-13T01:00:00-05:00",
            "2022-04-13 14:00:00",
            "2022-04-13T14:00:00",
            "2022-04-13 14:00",
            "2022/4/13 14:00",
            "2022年4月13日 14:00",
            "２０２２-04-13 14:00:00",
            "２０２２－04－13 14：00",
            "1649829600",
            "1649829600.0",
            "1649829600000",
            "1649829600000000",
            "1649829600000000000",
            "20220413140000",
            "202204131400",
            "2022-04-13 06:00:00 UTC",
            "2022-04-13 06:00:00.000 UTC",
            "2022-04-13 14:00:00 +0800",
            "2022-04-13 14:00:00 +08:00",
            "2022-04-13T14:00:00+0800",
            "2022-04-13T14:00:00+08",
            "2022-04-13T14:00:00+8:00",
            "2022-04-13 14:00+08:00",
            "2022-04-13T14:00:00+08:00[Asia/Shanghai]",
            "Wed, 13 Apr 2022 06:00:00 GMT",
            "Wed, 13 Apr 2022 14:00:00 +0800",
            "13 Apr 2022 06:00:00 GMT",
            "Wed Apr 13 2022 14:00:00 GMT+0800 (China Standard Time)",
            "2022-04-13 14:00:00 GMT+8",
            "2022-04-13 14:00:00 UTC+08:00",
            "2022-04-13 14:00 北京时间",
            "2022-04-13 14:00:00,000",
            "2022.4.13 14:00",
            "2022年4月13日 下午2:00",
            "2022年4月13日下午2点",
            "2022年4月13日 14时00分00秒",
            "2022/4/13 下午 2:00:00",
            "2022/04/13 14时00分",
            "2022-04-13 2:00 PM",
            "2022-04-13 2:00:00pm",
            "Apr 13 2022 2:00PM",
            "April 13th, 2022 2:00 p.m.",
            "13-Apr-22 14:00",
            "2022-Apr-13 14:00",
            "2022/4/13 14:0:0",
        ] {
            assert_eq!(times().read(text, "timestamp"), Ok(1_649_829_600_000), "{text}");
        }
        assert_eq!(times().read("2022-04-13", "timestamp"), Ok(1_649_829_600_000 - 14 * 3_600_000));
        assert_eq!(times().read("2022-04-13 14:00:00.5", "timestamp"), Ok(1_649_829_600_500));
        assert_eq!(times().read("1649829600.4999", "timestamp"), Ok(1_649_829_600_499));
        let midnight = times().read("2022-04-14", "timestamp");
        assert_eq!(times().read("2022-04-13 24:00:00", "timestamp"), midnight);
        assert_eq!(times().read("2022-04-14 12:00 AM", "timestamp"), midnight);
    }

    #[test]
    fn a_day_is_its_beginning_its_noon_or_its_end() {
        for text in [
            "2022-04-13",
            "2022/4/13",
            "2022.4.13",
            "2022年4月13日",
            "20220413",
            "13-Apr-22",
            "Apr 13, 2022",
            "2022-04-13 星期三",
        ] {
            let read = |of_day| times().read_of_day(text, "timestamp", of_day).unwrap() - 1_649_829_600_000;
            let found = [OfDay::Begin, OfDay::Noon, OfDay::End].map(read);
            assert_eq!(found, [-14 * 3_600_000, -2 * 3_600_000, 10 * 3_600_000 - 1], "{text}");
        }
        let time = times().read_of_day("2022-04-13 14:00", "timestamp", OfDay::End);
        assert_eq!(time, Ok(1_649_829_600_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "16460139",
            "164601396",
            "45000",
            "45000.5",
            "1.6460139e9",
            "2022-04",
            "03/04/2022",
            "04/13/2022",
            "2022-04-13 14:00 CST",
            "Wed Apr 13 14:00:00 CST 2022",
            "2022-04-13 14:00 25:00",
            "2022-04-13 13:00 PM",
            "2022-04-13 14:00:00+",
            "2022-04-13Z",
            "2022-W15-3",
            "2022-04-13 14:60",
            "2022-04-13 24:01",
            "2022-13-01",
            "2022-02-30",
            "2022-04-13 25:00",
            "13.04.2022",
            "1969-12-31T00:00:00Z",
            "2022-04-13T14:00:00+99:00",
            "2022-04-13 14",
            "2022-4-13-1",
        ] {
            assert_eq!(times().read(text, "timestamp").unwrap_err().reason, reason::TIMESTAMP_INVALID, "{text}");
        }
    }

    #[test]
    fn a_date_with_the_year_last_is_refused_with_advice() {
        for text in ["03/01/2026", "3/1/2026 10:00", "03-01-2026", "3.1.26", "13/01/2026", "０３/０１/２０２６"] {
            let why = times().read(text, "timestamp").unwrap_err();
            assert_eq!(why.reason, reason::TIMESTAMP_INVALID);
            assert!(why.detail.contains("2026-03-01"), "{text}: {}", why.detail);
        }
        assert!(times().read("yesterday", "timestamp").unwrap_err().detail.contains("RFC 3339"));
    }

    #[test]
    fn a_day_ahead_is_the_limit() {
        let times = times();
        assert!(times.check_future(86_400_000, Some(0), "timestamp").is_ok());
        assert!(times.check_future(86_400_001, None, "timestamp").is_ok());
        let late = times.check_future(86_400_001, Some(0), "timestamp").unwrap_err();
        assert_eq!((late.reason, late.field.as_str()), (reason::TIMESTAMP_FUTURE, "timestamp"));
    }
}
