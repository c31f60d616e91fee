//! Amounts of money as decimals: what a sender wrote, before the currency is known.

use std::fmt;

use crate::Decimal;

/// Decimal places of [`Decimal::fixed`], and the most that a [`Decimal`] has.
pub const SCALE_MAX: u32 = 18;
/// Digits that are kept of a number: one more than a 64-bit float has.
const DIGITS_MAX: usize = 18;
/// Digits before the point: below 10^15, so that minor units of every currency fit into 63 bits.
const WHOLE_DIGITS_MAX: i64 = 15;

/// Converts units of 10^-18 to whole minor units of a currency with this many places, halves rounded up; `None` for negative amounts and
/// for those that do not fit.
pub fn minor(fixed: i128, places: u16) -> Option<i64> {
    let unit = 10_i128.pow(SCALE_MAX.saturating_sub(places.into()));
    i64::try_from(fixed.checked_add(unit / 2)? / unit).ok()
}

impl Decimal {
    /// Reads a plain decimal number, optionally with sign and exponent: `300000.00`, `-12.5`, `1.2e7`. Digits after the eighteenth
    /// significant one, and places after the eighteenth, are rounded, halves away from zero.
    ///
    /// `None` for anything else, and for numbers of 10^15 or more.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = !whole.is_empty() && all_digits(whole) && all_digits(fraction);
        if !is_number || (fraction.is_empty() && unsigned.contains('.')) {
            return None;
        }
        let digits: String = whole.chars().chain(fraction.chars()).collect();
        let significant = digits.trim_start_matches('0');
        // Places after the point; negative if the exponent adds zeros before it.
        let places = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        let length = i64::try_from(significant.len()).ok()?;
        if length == 0 {
            return Some(Self::default());
        }
        if length - places > WHOLE_DIGITS_MAX {
            return None;
        }
        let kept = DIGITS_MAX.min(usize::try_from(length - places + i64::from(SCALE_MAX)).unwrap_or(0));
        let (head, tail) = significant.split_at_checked(kept).unwrap_or((significant, ""));
        let number = if head.is_empty() { 0 } else { head.parse::<i64>().ok()? };
        let number = number + i64::from(tail.bytes().next().is_some_and(|next| next >= b'5'));
        let places = places - i64::try_from(tail.len()).ok()?;
        let signed = if mantissa.starts_with('-') { -number } else { number };
        Some(Self::reduced(signed, places))
    }

    /// `number` with this many places, reduced: no trailing zeros, and negative places written out as zeros.
    fn reduced(number: i64, places: i64) -> Self {
        let (mut number, mut places) = (number, places);
        while places < 0 {
            (number, places) = (number.saturating_mul(10), places + 1);
        }
        while places > 0 && number % 10 == 0 {
            (number, places) = (number / 10, places - 1);
        }
        Self { digits: number, scale: u32::try_from(places).unwrap_or_default() }
    }

    /// The number in units of 10^-18.
    pub fn fixed(&self) -> i128 {
        i128::from(self.digits).saturating_mul(10_i128.pow(SCALE_MAX.saturating_sub(self.scale)))
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.digits < 0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.digits.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
        let (sign, point) = (if self.digits < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, shown) in [
            ("300000.00", "300000"),
            ("-12.50", "-12.5"),
            ("+7", "7"),
            ("0", "0"),
            ("-0.0", "0"),
            ("1.2e7", "12000000"),
            ("1.2E+7", "12000000"),
            ("5e-3", "0.005"),
            ("29.990000000000002", "29.990000000000002"),
            ("0.1000000000000000055511151231257827", "0.100000000000000006"),
            ("999999999999999.9999", "1000000000000000"),
            ("1e-30", "0"),
            ("000123", "123"),
        ] {
            assert_eq!(Decimal::parse(text).map(|number| number.to_string()).as_deref(), Some(shown), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_number_or_too_large_is_refused() {
        for text in ["", "-", ".5", "5.", "1,000", "1 000", "abc", "NaN", "1e", "1e5.0", "--1", "1e15", "1e300", "１"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn minor_units_are_rounded_halves_up() {
        let of = |text: &str, places| minor(Decimal::parse(text).unwrap().fixed(), places);
        assert_eq!((of("1.005", 2), of("1.0049", 2), of("1.5", 0)), (Some(101), Some(100), Some(2)));
        assert_eq!((minor(i128::MAX, 2), minor(i128::from(i64::MAX) * 100, 18)), (None, None));
    }

    #[test]
    fn fixed_has_eighteen_places() {
        assert_eq!(Decimal::parse("-1.5").unwrap().fixed(), -1_500_000_000_000_000_000);
        assert_eq!(Decimal::parse("999999999999999").unwrap().fixed(), 999_999_999_999_999 * 10_i128.pow(18));
    }
}
