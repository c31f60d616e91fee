//! Dates and times as programs and people write them. Ambiguous ones (03/04/2026, `CST`, `2026-03`) are not read.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

use super::utc;

/// The time in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// An instant.
    Moment(Timestamp),
    /// A local time without a zone.
    Local(DateTime),
    /// A day without a time.
    Day(Date),
}

/// Reads a text without surrounding white space, in plain ASCII except for Chinese words.
pub(super) fn read(text: &str) -> Option<Written> {
    if let Some(moment) = utc::read(text) {
        return Some(Written::Moment(moment));
    }
    if is_rfc_3339(text)
        && let Ok(moment) = text.parse::<Timestamp>()
    {
        return Some(Written::Moment(moment));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.matches('.').count() < 2 {
        return number(text);
    }
    // 2022-03-03T10:00:00+08:00[Asia/Shanghai]; Thu Mar 03 2022 10:00:00 GMT+0800 (China Standard Time).
    let text = match text.split_once(['[', '(']) {
        Some((front, name)) if name.ends_with([']', ')']) && front.contains(':') => front.trim_end(),
        _ => text,
    };
    let (local, offset) = split_offset(text)?;
    let (date, time) = local_parts(local)?;
    match (time, offset) {
        (None, None) => Some(Written::Day(date)),
        (None, Some(_)) => None,
        (Some(clock), offset) => {
            let date = if clock.tomorrow { date.tomorrow().ok()? } else { date };
            let at = date.to_datetime(clock.time);
            match offset {
                None => Some(Written::Local(at)),
                Some(offset) => offset.to_timestamp(at).ok().map(Written::Moment),
            }
        }
    }
}

/// Whether it has the form that nearly all programs write, for which there is a fast path: `2022-03-03T10:00:00Z`, `...+08:00`.
fn is_rfc_3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_offset = match bytes {
        [.., b'Z'] => true,
        // No zone is further from UTC than 14 hours.
        [.., b'+' | b'-', b'0', _, b':', _, _] | [.., b'+' | b'-', b'1', b'0'..=b'3', b':', _, _] => true,
        _ => false,
    };
    has_offset && bytes.get(10) == Some(&b'T')
}

/// Digits: seconds since 1970 (ten digits, optionally with decimals), milli-, micro- or nanoseconds; or a date, or a local time, without
/// separators.
fn number(text: &str) -> Option<Written> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<i16>().ok();
    let part8 = |from: usize| part(from, from + 2).and_then(|number| i8::try_from(number).ok());
    let date = || Date::new(part(0, 4)?, part8(4)?, part8(6)?).ok();
    let number: i64 = whole.parse().ok()?;
    let moment = match (whole.len(), decimals.is_empty()) {
        (8, true) => return date().map(Written::Day),
        (12 | 14, true) => {
            let second = if whole.len() == 14 { part8(12)? } else { 0 };
            let time = Time::new(part8(8)?, part8(10)?, second, 0).ok()?;
            return date().map(|date| Written::Local(date.to_datetime(time)));
        }
        (10, _) => Timestamp::from_second(number).ok()?.checked_add(i64::from(nanoseconds(decimals)?).nanoseconds()),
        (13, _) => Timestamp::from_millisecond(number),
        (16, true) => Timestamp::from_microsecond(number),
        (19, true) => Timestamp::from_nanosecond(i128::from(number)),
        _ => return None,
    };
    moment.ok().map(Written::Moment)
}

/// Splits off the offset from UTC at the end of a time; `None` if there is one that cannot be read.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    // An offset follows the last part of a time, never a date.
    let Some(time) = text.find([':', '时', '点', '時']) else { return Some((text, None)) };
    let signs = ['+', '-', 'Z', 'z', 'U', 'u', 'G', 'g', '北'];
    let Some(at) = text.get(time..)?.find(signs).map(|found| time + found) else { return Some((text, None)) };
    let (local, zone) = text.split_at_checked(at)?;
    offset(zone).map(|offset| (local, Some(offset)))
}

/// People in China append this to a time.
const BEIJING: &str = "北京时间";

/// `Z`, `UTC`, `GMT`, `+08:00`, `+0800`, `+08`, `+8:00`, `GMT+8`.
fn offset(zone: &str) -> Option<Offset> {
    let upper = zone.trim().to_ascii_uppercase();
    if upper == BEIJING {
        return Some(Offset::constant(8));
    }
    let signed = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).or_else(|| upper.strip_prefix('Z'));
    let signed = signed.unwrap_or(&upper);
    if signed.is_empty() {
        return Some(Offset::UTC);
    }
    let sign = match signed.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = signed.get(1..)?;
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "00"),
    };
    let (hours, minutes) = (two(hours)?, two(minutes).filter(|minutes| *minutes < 60)?);
    let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
    // No zone is further from UTC.
    (hours <= 14).then(|| Offset::from_seconds(seconds).ok()).flatten()
}

/// A time of day; 24:00 is the next day's beginning.
struct Clock {
    time: Time,
    tomorrow: bool,
}

/// The half of the day that an hour belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Half {
    Morning,
    Afternoon,
}

const HALVES: [(&str, Half); 10] = [
    ("a.m.", Half::Morning),
    ("p.m.", Half::Afternoon),
    ("am", Half::Morning),
    ("pm", Half::Afternoon),
    ("上午", Half::Morning),
    ("早上", Half::Morning),
    ("凌晨", Half::Morning),
    ("下午", Half::Afternoon),
    ("中午", Half::Afternoon),
    ("晚上", Half::Afternoon),
];

/// The date, and the time if there is one.
fn local_parts(text: &str) -> Option<(Date, Option<Clock>)> {
    let mut plain = String::with_capacity(text.len() + 8);
    let lower = text.to_lowercase();
    let mut rest = lower.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match c {
            '年' | '月' => plain.push('-'),
            // 10:00:00,123.
            ',' if before.is_ascii_digit() && plain.contains(':') && rest.peek().is_some_and(char::is_ascii_digit) => {
                plain.push('.');
            }
            '日' | '号' | ',' => plain.push(' '),
            '时' | '点' | '時' | '分' => plain.push(':'),
            '秒' => {}
            't' if before.is_ascii_digit() && rest.peek().is_some_and(char::is_ascii_digit) => plain.push(' '),
            c => plain.push(c),
        }
        before = c;
    }
    let mut half = None;
    for (word, of) in HALVES {
        if plain.contains(word) {
            plain = plain.replacen(word, " ", 1);
            half = Some(of);
            break;
        }
    }
    let (times, dates): (Vec<&str>, Vec<&str>) =
        plain.split_whitespace().filter(|token| !is_weekday(token)).partition(|token| token.contains(':'));
    let date = date(&dates)?;
    match times.as_slice() {
        [] if half.is_none() => Some((date, None)),
        [time] => clock(time.trim_end_matches(':'), half).map(|clock| (date, Some(clock))),
        _ => None,
    }
}

fn is_weekday(token: &str) -> bool {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let english = DAYS.iter().any(|day| token.starts_with(day)) && token.bytes().all(|byte| byte.is_ascii_alphabetic());
    english || token.starts_with("星期") || token.starts_with('周')
}

/// Year, month and day in this order; in any order if the month is a name.
fn date(tokens: &[&str]) -> Option<Date> {
    let parts: Vec<&str> =
        tokens.iter().flat_map(|token| token.split(['-', '/', '.'])).filter(|part| !part.is_empty()).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let (year, month, day) = match (month(a), month(b)) {
        (Some(month), None) => (year(c)?, month, two(b.trim_end_matches(ORDINAL))?),
        (None, Some(month)) if a.len() == 4 => (year(a)?, month, two(c)?),
        (None, Some(month)) => (year(c)?, month, two(a.trim_end_matches(ORDINAL))?),
        (None, None) if a.len() == 4 => (year(a)?, two(b)?, two(c)?),
        _ => return None,
    };
    Date::new(year, month, day).ok()
}

/// Whether a text begins with a date whose order is unclear: `03/01/2026`, `3.1.26 10:00`.
pub(super) fn begins_with_day_or_month(text: &str) -> bool {
    let date = text.split([' ', 'T', ',']).next().unwrap_or(text);
    let parts: Vec<&str> = date.split(['/', '-', '.']).collect();
    let [a, b, c] = parts.as_slice() else { return false };
    two(a).is_some() && two(b).is_some() && (two(c).is_some() || (c.len() == 4 && year(c).is_some()))
}

/// `1st`, `2nd`, `3rd`, `4th`.
const ORDINAL: [char; 6] = ['s', 't', 'n', 'd', 'r', 'h'];

fn month(name: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let at = NAMES
        .iter()
        .position(|known| name.len() >= 3 && known.starts_with(name) || (name == "sept" && *known == "september"))?;
    i8::try_from(at + 1).ok()
}

/// A year of four digits, or of two in this century.
fn year(text: &str) -> Option<i16> {
    match text.len() {
        4 => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
        2 => two(text).filter(|year| *year < 70).map(|year| 2000 + i16::from(year)),
        _ => None,
    }
}

fn clock(text: &str, half: Option<Half>) -> Option<Clock> {
    let mut parts = text.splitn(3, ':');
    let hour = two(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), two)?;
    let (second, nanosecond) = parts.next().map_or(Some((0, 0)), seconds)?;
    let hour = match half {
        Some(_) if hour > 12 => return None,
        Some(Half::Morning) if hour == 12 => 0,
        Some(Half::Afternoon) if hour < 12 => hour + 12,
        _ => hour,
    };
    if hour == 24 {
        return (minute == 0 && second == 0).then(|| Clock { time: Time::midnight(), tomorrow: true });
    }
    // A leap second counts as the last second of its minute.
    Time::new(hour, minute, second.min(59), nanosecond).ok().map(|time| Clock { time, tomorrow: false })
}

/// Seconds, also with decimals.
fn seconds(text: &str) -> Option<(i8, i32)> {
    let (whole, decimals) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let whole = two(whole).filter(|second| *second <= 60)?;
    Some((whole, nanoseconds(decimals)?))
}

/// Decimals of a second in nanoseconds; finer ones are cut off.
fn nanoseconds(decimals: &str) -> Option<i32> {
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = decimals.chars().chain(std::iter::repeat('0')).take(9).collect();
    digits.parse().ok()
}

fn two(text: &str) -> Option<i8> {
    ((1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}
