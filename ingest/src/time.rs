//! Times as senders write them, in milliseconds since 1970-01-01 UTC.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use tributary_runtime::stage::Rejection;

use crate::normalise::text::narrow;
use crate::reason;

/// A sender's clock that is off by no more than this is believed, in milliseconds. Libraries write `sentAt` anew when they send a message
/// again: correcting its time by what the network took would give one event two times, and make two of it.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1_000;

/// How times are read and how far they may run ahead.
#[derive(Debug)]
pub(crate) struct Times {
    /// The zone of times that name none.
    pub(crate) zone: TimeZone,
    /// How far an event's time may lie after its receive time.
    pub(crate) future_ms_max: i64,
}

impl Times {
    /// Reads RFC 3339, or a local time in the configured zone.
    ///
    /// # Errors
    /// [`reason::TIMESTAMP_INVALID`].
    pub(crate) fn read(&self, text: &str, field: &'static str) -> Result<i64, Rejection> {
        self.parse_ms(text).filter(|ms| *ms >= 0).ok_or_else(|| {
            let detail = "not RFC 3339 (2022-02-28T10:00:00+08:00) nor a local time (2022-02-28 10:00:00) since 1970";
            Rejection::new(reason::TIMESTAMP_INVALID, field, detail)
        })
    }

    /// Refuses a time too far after the receive time; without a receive time there is nothing to compare with.
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

    fn parse_ms(&self, text: &str) -> Option<i64> {
        let narrowed = narrow(text);
        let text = narrowed.trim();
        // Whatever names its offset does so after the date: 2022-02-28T10:00:00-05:00.
        if text.bytes().skip(10).any(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z')) {
            return text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
        }
        let local = local(text)?;
        self.zone.to_ambiguous_timestamp(local).compatible().ok().map(Timestamp::as_millisecond)
    }
}

/// A local time: ISO 8601, or as spreadsheets and people in China write it (2022/4/13 14:00, 2022年4月13日 14:00).
fn local(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once(['T', ' ', '日']).unwrap_or((text, ""));
    let mut parts = date.split(['-', '/', '.', '年', '月']);
    let date = Date::new(number(parts.next()?, 4..=4)?, number8(parts.next()?)?, number8(parts.next()?)?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    let time = time.trim();
    if time.is_empty() {
        return Some(date.to_datetime(Time::midnight()));
    }
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (number8(parts.next()?)?, number8(parts.next()?)?);
    let (second, nanosecond) = parts.next().map_or(Some((0, 0)), seconds)?;
    Time::new(hour, minute, second, nanosecond).ok().map(|time| date.to_datetime(time))
}

/// Seconds with up to nine decimals.
fn seconds(text: &str) -> Option<(i8, i32)> {
    let Some((whole, fraction)) = text.split_once(['.', ',']) else { return Some((number8(text)?, 0)) };
    let scale = 10i32.checked_pow(9u32.checked_sub(u32::try_from(fraction.len()).ok()?)?)?;
    let fraction: i32 = fraction.bytes().all(|byte| byte.is_ascii_digit()).then(|| fraction.parse().ok()).flatten()?;
    Some((number8(whole)?, fraction.checked_mul(scale)?))
}

fn number8(text: &str) -> Option<i8> {
    number(text, 1..=2).and_then(|number| i8::try_from(number).ok())
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i16> {
    (digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
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
        ] {
            assert_eq!(times().read(text, "timestamp"), Ok(1_649_829_600_000), "{text}");
        }
        assert_eq!(times().read("2022-04-13", "timestamp"), Ok(1_649_829_600_000 - 14 * 3_600_000));
        assert_eq!(times().read("2022-04-13 14:00:00.5", "timestamp"), Ok(1_649_829_600_500));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "1646013960",
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
    fn a_day_ahead_is_the_limit() {
        let times = times();
        assert!(times.check_future(86_400_000, Some(0), "timestamp").is_ok());
        assert!(times.check_future(86_400_001, None, "timestamp").is_ok());
        let late = times.check_future(86_400_001, Some(0), "timestamp").unwrap_err();
        assert_eq!((late.reason, late.field.as_str()), (reason::TIMESTAMP_FUTURE, "timestamp"));
    }
}
