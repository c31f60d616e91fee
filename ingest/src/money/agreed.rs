//! Combines an amount and its currency. Money is never guessed: if they contradict each other, or the number is ambiguous, nothing is
//! taken.

use iso_currency::Currency;
use tributary_runtime::stage::Rejection;

use super::unit::Unit;
use super::words::sign_fits;
use super::written::{amount, shifted};
use crate::reason;

/// The plain decimal number of an amount, and the currency it names if none is `given`. A text that is not an amount is returned unchanged.
/// A sign of several currencies must fit the given one; if none is given, the `default` one.
///
/// # Errors
/// [`reason::CURRENCY_UNKNOWN`], [`reason::VALUE_INVALID`].
pub(crate) fn agreed(
    text: &str,
    field: &'static str,
    given: Option<&Unit<'_>>,
    default: Currency,
) -> Result<(String, Option<String>), Rejection> {
    let refuse = |reason, detail: &str| Err(Rejection::new(reason, field, detail));
    let power = given.map_or(0, |unit| unit.power);
    let Some(found) = amount(text) else {
        if power > 0 {
            return refuse(reason::VALUE_INVALID, "the currency's unit multiplies: write a plain number, such as 300000.00");
        }
        return Ok((text.to_owned(), None));
    };
    let code = match (given, &found.code) {
        (Some(given), Some(named)) if given.code != *named => {
            return refuse(reason::CURRENCY_UNKNOWN, "the amount names another currency than the record");
        }
        (Some(given), _) => &*given.code,
        (None, Some(named)) => named,
        (None, None) => default.code(),
    };
    if found.sign.is_some_and(|sign| !sign_fits(sign, code)) {
        let detail = "the amount's sign is not that of its currency, or of the default one: write the code, such as USD 3000";
        return refuse(reason::CURRENCY_UNKNOWN, detail);
    }
    if power > 0 && found.multiplied {
        return refuse(reason::VALUE_INVALID, "the amount and the currency both multiply: write it in full, such as 300000.00");
    }
    let places = Currency::from_code(code).and_then(Currency::exponent).unwrap_or(0);
    if found.ambiguous && places < 3 {
        let detail = "a point before three digits may stand between thousands: write 1500 or 1.50";
        return refuse(reason::VALUE_INVALID, detail);
    }
    let plain = match found.plain.strip_prefix('-') {
        Some(number) => format!("-{}", shifted(number, power)),
        None => shifted(&found.plain, power),
    };
    Ok((plain, found.code))
}

#[cfg(test)]
mod tests {
    use super::super::unit::unit;
    use super::*;

    #[test]
    fn an_amount_agrees_with_its_currency_or_is_none() {
        for (text, currency, default, expected) in [
            // Units.
            ("300", "人民币（万元）", "CNY", Ok(("3000000", None))),
            ("-3.5", "USD（万）", "CNY", Ok(("-35000", None))),
            ("1.5", "USD k", "CNY", Ok(("1500", None))),
            ("300万", "CNY", "CNY", Ok(("3000000", None))),
            ("300万", "CNY（万元）", "CNY", Err(reason::VALUE_INVALID)),
            ("3e2", "CNY（万元）", "CNY", Err(reason::VALUE_INVALID)),
            // Signs.
            ("¥3,000", "CNY", "CNY", Ok(("3000", None))),
            ("¥3,000", "JPY", "CNY", Ok(("3000", None))),
            ("¥3,000", "USD", "CNY", Err(reason::CURRENCY_UNKNOWN)),
            ("￥3,000", "EUR", "CNY", Err(reason::CURRENCY_UNKNOWN)),
            ("¥3,000", "", "CNY", Ok(("3000", None))),
            ("¥3,000", "", "USD", Err(reason::CURRENCY_UNKNOWN)),
            ("$3,000", "CNY", "CNY", Err(reason::CURRENCY_UNKNOWN)),
            ("$3,000", "EUR", "USD", Err(reason::CURRENCY_UNKNOWN)),
            ("$3,000", "HKD", "CNY", Ok(("3000", None))),
            ("$3,000", "MXN", "CNY", Ok(("3000", None))),
            ("$3,000", "", "CNY", Err(reason::CURRENCY_UNKNOWN)),
            ("$3,000", "", "USD", Ok(("3000", None))),
            ("$3,000 USD", "", "CNY", Ok(("3000", Some("USD")))),
            ("$3,000 CNY", "", "CNY", Err(reason::CURRENCY_UNKNOWN)),
            ("US$3,000", "", "CNY", Ok(("3000", Some("USD")))),
            ("€3,000", "USD", "CNY", Err(reason::CURRENCY_UNKNOWN)),
            ("€3,000", "EUR", "CNY", Ok(("3000", Some("EUR")))),
            // Thousands or decimals?
            ("1.500", "EUR", "CNY", Err(reason::VALUE_INVALID)),
            ("1.500", "CLP", "CNY", Err(reason::VALUE_INVALID)),
            ("1.500", "", "CNY", Err(reason::VALUE_INVALID)),
            ("1.500", "KWD", "CNY", Ok(("1.500", None))),
            ("1.500", "", "KWD", Ok(("1.500", None))),
            ("1.5000", "EUR", "CNY", Ok(("1.5000", None))),
            // Not amounts: the reader of the result reports them.
            ("TBD", "CNY", "CNY", Ok(("TBD", None))),
        ] {
            let given = (!currency.is_empty()).then(|| unit(currency));
            let found = agreed(text, "value", given.as_ref(), Currency::from_code(default).unwrap());
            let found = found.as_ref().map(|(plain, code)| (plain.as_str(), code.as_deref())).map_err(|why| why.reason);
            assert_eq!(found, expected, "{text} in {currency}, else {default}");
        }
    }
}
