//! The form in which most programs write a moment: `2022-03-03T10:00:00Z`, `2022-03-03T10:00:00.123Z`. Read without a search for anything
//! else, because it is in every record, often several times. Whatever differs is left to [`super::written`].

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

/// The time, if the text has this form and the time exists.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', hours @ .., b'Z'] = text.as_bytes() else { return None };
    let [h1, h2, b':', n1, n2, b':', s1, s2, decimals @ ..] = hours else { return None };
    let thousandths = match decimals {
        [] => 0,
        [b'.', a, b, c] => i32::from(digits([b'0', *a, *b, *c])?),
        _ => return None,
    };
    let two = |tens: &u8, ones: &u8| digits([b'0', b'0', *tens, *ones]).and_then(|number| i8::try_from(number).ok());
    let date = Date::new(digits([*y1, *y2, *y3, *y4])?, two(m1, m2)?, two(d1, d2)?).ok()?;
    let time = Time::new(two(h1, h2)?, two(n1, n2)?, two(s1, s2)?, thousandths * 1_000_000).ok()?;
    Offset::UTC.to_timestamp(date.to_datetime(time)).ok()
}

/// A number of four digits.
fn digits(text: [u8; 4]) -> Option<i16> {
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_library_reads() {
        for text in [
            "2022-03-03T10:00:00Z",
            "1969-12-31T23:59:59.999Z",
            "2024-02-29T00:00:00.001Z",
            "9999-01-01T23:59:59Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(read(text), Some(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn leaves_what_has_another_form_or_is_no_time() {
        for text in [
            "2022-03-03T10:00:00+08:00",
            "2022-03-03T10:00:00z",
            "2022-03-03 10:00:00Z",
            "2022-03-03T10:00Z",
            "2022-03-03T10:00:00.12Z",
            "2022-03-03T10:00:00.1234Z",
            "2022-03-03T10:00:00,123Z",
            "2022-02-29T10:00:00Z",
            "2022-13-01T10:00:00Z",
            "2022-03-03T24:00:00Z",
            "2022-03-03T10:60:00Z",
            "2022-03-03T10:00:60Z",
            "2022-03-03T1a:00:00Z",
            "+022-03-03T10:00:00Z",
            "Z",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
