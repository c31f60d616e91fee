//! The value of a milestone.

use iso_currency::Currency;
use tributary_proto::Milestone;

/// A milestone's value in millionths of the major unit of its currency.
pub fn in_major_units(of: &Milestone) -> u128 {
    let places = Currency::from_code(&of.currency).and_then(Currency::exponent).unwrap_or(2);
    let minor = u128::from(of.value_minor.max(0).unsigned_abs());
    minor * 1_000_000 / 10_u128.pow(places.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_differ_by_currency() {
        let micro = |currency: &str, value_minor| {
            in_major_units(&Milestone { currency: currency.into(), value_minor, ..Milestone::default() })
        };
        assert_eq!((micro("CNY", 150), micro("JPY", 150), micro("KWD", 1_500)), (1_500_000, 150_000_000, 1_500_000));
        assert_eq!((micro("CNY", -1), micro("CNY", i64::MAX)), (0, 92_233_720_368_547_758_070_000));
    }
}
