//! Amounts: decimal text in major units becomes whole minor units, by the exponents of ISO 4217. No float comes near them.

use iso_currency::Currency;
use tributary_runtime::stage::Rejection;

use crate::normalise::text::narrow;
use crate::reason;

/// The currency of an ISO 4217 code, in any case.
///
/// # Errors
/// [`reason::CURRENCY_UNKNOWN`].
pub fn currency(code: &str) -> Result<Currency, Rejection> {
    let found = if code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Currency::from_code(code)
    } else {
        Currency::from_code(&narrow(code).to_ascii_uppercase())
    };
    found.ok_or_else(|| Rejection::new(reason::CURRENCY_UNKNOWN, "currency", "not an ISO 4217 code such as CNY, USD or EUR"))
}

/// The amount in minor units: `300000.00` in CNY is 30000000.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when the text is not a plain, non-negative decimal number, is finer than the currency's minor unit, or
/// does not fit into 63 bits.
pub fn minor_units(amount: &str, currency: Currency) -> Result<i64, Rejection> {
    let narrowed = narrow(amount);
    parse(narrowed.trim(), currency.exponent().unwrap_or(0)).ok_or_else(|| {
        let detail = "not a non-negative decimal number in major units, such as 300000.00, no finer than the minor unit";
        Rejection::new(reason::VALUE_INVALID, "value", detail)
    })
}

fn parse(text: &str, exponent: u16) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || (text.contains('.') && fraction.is_empty()) {
        return None;
    }
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let mut minor = 0i64;
    for byte in whole.bytes() {
        minor = minor.checked_mul(10)?.checked_add(digit(byte)?)?;
    }
    let mut fraction = fraction.bytes();
    for _ in 0..exponent {
        minor = minor.checked_mul(10)?.checked_add(fraction.next().map_or(Some(0), digit)?)?;
    }
    fraction.all(|byte| byte == b'0').then_some(minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(amount: &str, code: &str) -> Option<i64> {
        minor_units(amount, currency(code).unwrap()).ok()
    }

    #[test]
    fn exponents_are_those_of_the_currency() {
        assert_eq!(minor("300000.00", "CNY"), Some(30_000_000));
        assert_eq!(minor("300000", "cny"), Some(30_000_000));
        assert_eq!(minor("300000.5", "CNY"), Some(30_000_050));
        assert_eq!(minor("0", "USD"), Some(0));
        assert_eq!(minor("1200", "JPY"), Some(1200));
        assert_eq!(minor("1.234", "KWD"), Some(1234));
        assert_eq!(minor("３００.５０", "CNY"), Some(30_050));
        assert_eq!(minor("1.500000", "CNY"), Some(150));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for bad in ["-1", "+1", "1e5", "1,000", "1.005", ".5", "5.", "", "abc", "NaN", "1 000", "￥5", "99999999999999999999"]
        {
            assert_eq!(minor(bad, "CNY"), None, "{bad}");
        }
        assert_eq!(minor("1.5", "JPY"), None);
        for unknown in ["RMB", "", "CN", "人民币"] {
            assert_eq!(currency(unknown).unwrap_err().reason, reason::CURRENCY_UNKNOWN);
        }
    }
}
