//! Amounts: decimal text in major units, and whole minor units by the exponents of ISO 4217. No floats.

mod agreed;
mod column;
mod unit;
mod words;
mod written;

use iso_currency::Currency;
use tributary_proto::Decimal;
use tributary_proto::decimal::minor;
use tributary_runtime::stage::Rejection;

pub(crate) use agreed::agreed;
pub use column::{OfColumn, of_column};
pub(crate) use unit::{Unit, unit};
pub(crate) use written::exact;

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

/// The amount in major units of any currency: `300000.00`, `1.2E7`, `-5`.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when the text is not a plain decimal number below 10^15.
pub fn decimal(amount: &str, field: &'static str) -> Result<Decimal, Rejection> {
    let narrowed = narrow(amount);
    Decimal::parse(narrowed.trim()).ok_or_else(|| {
        Rejection::new(reason::VALUE_INVALID, field, "not a decimal number in major units below 10^15, such as 300000.00")
    })
}

/// The amount in minor units, halves rounded away from zero: `300000.00` in CNY is 30000000. So a refund is rounded like the amount.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when the text is not a plain decimal number below 10^15.
pub fn minor_units(amount: &str, currency: Currency) -> Result<i64, Rejection> {
    let fixed = decimal(amount, "value")?.fixed();
    let minor = i128::try_from(fixed.unsigned_abs()).ok().and_then(|fixed| minor(fixed, currency.exponent().unwrap_or(0)));
    let signed = minor.map(|minor| if fixed < 0 { -minor } else { minor });
    signed.ok_or_else(|| Rejection::new(reason::VALUE_INVALID, "value", "the amount has too many digits"))
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
        assert_eq!(minor("29.990000000000002", "USD"), Some(2_999));
        assert_eq!(minor("1.2E7", "CNY"), Some(1_200_000_000));
        assert_eq!((minor("-1.005", "CNY"), minor("-0.004", "CNY"), minor("-12", "JPY")), (Some(-101), Some(0), Some(-12)));
        assert_eq!((minor("1.005", "CNY"), minor("1.004999", "CNY"), minor("1.5", "JPY")), (Some(101), Some(100), Some(2)));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for bad in ["--1", "1,000", ".5", "5.", "", "abc", "NaN", "1 000", "￥5", "99999999999999999999"] {
            assert_eq!(minor(bad, "CNY"), None, "{bad}");
        }
        for unknown in ["RMB", "", "CN", "人民币"] {
            assert_eq!(currency(unknown).unwrap_err().reason, reason::CURRENCY_UNKNOWN);
        }
    }
}
