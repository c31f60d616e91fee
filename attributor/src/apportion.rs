//! Apportions a whole into integer shares by the largest-remainder method.

use std::cmp::Reverse;

use tributary_proto::WHOLE_NANO;

/// Splits [`WHOLE_NANO`] billionths in proportion to `weights`, exactly: each share is rounded down, then the shares with the largest
/// remainders get one more, ties to the earlier. Equal shares if all weights are 0; none if there are no weights.
///
/// Weights up to 2^90 are exact; larger ones, which no model reaches, are scaled down.
pub fn nano(weights: &[u128]) -> Vec<u64> {
    nano_of(weights, WHOLE_NANO)
}

/// The same for a whole of `part` billionths, at most [`WHOLE_NANO`].
pub fn nano_of(weights: &[u128], part: u64) -> Vec<u64> {
    let largest = weights.iter().copied().max().unwrap_or(0);
    if largest == 0 {
        return nano_of_scaled(&vec![1; weights.len()], 0, part);
    }
    nano_of_scaled(weights, 38u32.saturating_sub(largest.leading_zeros()), part)
}

fn nano_of_scaled(weights: &[u128], shift: u32, part: u64) -> Vec<u64> {
    let whole = u128::from(part);
    let total: u128 = weights.iter().map(|weight| weight >> shift).fold(0, u128::saturating_add);
    if total == 0 {
        return Vec::new();
    }
    let divided: Vec<(u64, u128)> = weights
        .iter()
        .map(|weight| match weight >> shift {
            0 => (0, 0),
            weight => {
                let (share, rest) = divide(weight.saturating_mul(whole), total);
                (u64::try_from(share).unwrap_or(part), rest)
            }
        })
        .collect();
    spread(divided, part)
}

/// Splits `value` minor units in proportion to `weights_nano`, which sum to [`WHOLE_NANO`]: the parts sum to exactly `value`. By largest
/// remainder, ties to the earlier.
pub fn minor(weights_nano: &[u64], value: u64) -> Vec<u64> {
    let divided = weights_nano
        .iter()
        .map(|weight| match weight.checked_mul(value) {
            Some(product) => (product / WHOLE_NANO, u128::from(product % WHOLE_NANO)),
            None => {
                let (share, rest) = divide(u128::from(*weight).saturating_mul(u128::from(value)), u128::from(WHOLE_NANO));
                (u64::try_from(share).unwrap_or(value), rest)
            }
        })
        .collect();
    spread(divided, value)
}

fn divide(dividend: u128, divisor: u128) -> (u128, u128) {
    let quotient = dividend / divisor.max(1);
    (quotient, dividend - quotient * divisor)
}

/// Adds one to the shares with the largest remainders until they sum to `whole`.
fn spread(divided: Vec<(u64, u128)>, whole: u64) -> Vec<u64> {
    let given: u64 = divided.iter().map(|(share, _)| share).sum();
    let left = usize::try_from(whole.saturating_sub(given)).unwrap_or(usize::MAX);
    let mut order: Vec<(Reverse<u128>, usize)> = Vec::new();
    if left > 0 {
        order.extend(divided.iter().enumerate().filter(|(_, (_, rest))| *rest > 0).map(|(at, (_, rest))| (Reverse(*rest), at)));
        if left < order.len() {
            order.select_nth_unstable(left);
        }
    }
    let mut shares: Vec<u64> = divided.into_iter().map(|(share, _)| share).collect();
    for (_, at) in order.into_iter().take(left) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ties_go_to_the_earlier() {
        assert_eq!(nano(&[1, 1, 1]), [333_333_334, 333_333_333, 333_333_333]);
        assert_eq!(
            nano(&[1, 1, 1, 1, 1, 1, 1]),
            [142_857_143, 142_857_143, 142_857_143, 142_857_143, 142_857_143, 142_857_143, 142_857_142]
        );
        assert_eq!(
            minor(&nano(&[1; 7]), 30_000_000),
            [4_285_715, 4_285_715, 4_285_714, 4_285_714, 4_285_714, 4_285_714, 4_285_714]
        );
    }

    #[test]
    fn nothing_to_go_by_is_equal_shares() {
        assert_eq!(nano(&[0, 0]), [500_000_000, 500_000_000]);
        assert_eq!(nano(&[]), Vec::<u64>::new());
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_whole(
            weights in prop::collection::vec(prop_oneof![Just(0u128), 0..10u128, any::<u64>().prop_map(u128::from), any::<u128>()], 1..60),
            value in prop_oneof![0..1_000u64, any::<i64>().prop_map(i64::unsigned_abs), Just(i64::MAX as u64)],
        ) {
            let shares = nano(&weights);
            prop_assert_eq!(shares.len(), weights.len());
            prop_assert_eq!(shares.iter().sum::<u64>(), WHOLE_NANO);
            let values = minor(&shares, value);
            prop_assert_eq!(values.iter().map(|v| u128::from(*v)).sum::<u128>(), u128::from(value));
            for (share, value) in shares.iter().zip(&values) {
                prop_assert!(*share > 0 || *value == 0);
            }
        }

        #[test]
        fn a_share_is_within_one_of_its_proportion(weights in prop::collection::vec(0..1_000_000u128, 1..60)) {
            let total: u128 = weights.iter().sum();
            prop_assume!(total > 0);
            for (weight, share) in weights.iter().zip(nano(&weights)) {
                let floor = weight * u128::from(WHOLE_NANO) / total;
                prop_assert!(u128::from(share) == floor || u128::from(share) == floor + 1);
            }
        }
    }
}
