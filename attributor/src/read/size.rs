//! Counts the work of a remodel.

use tributary_runtime::state::{ActorKey, State, StateError};

use crate::unit::keys;

/// Units of a partition that are looked at. If there are more, their number is estimated.
const SAMPLE: usize = 1_000;

/// The numbers of units and of tracked milestones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Units.
    pub units: u64,
    /// Milestones.
    pub milestones: u64,
    /// Whether both were counted; if not, both are estimates, to a few percent.
    pub exact: bool,
}

/// Counts or estimates the units of a partition of the attributor. Units come in the order of their hashes, which are evenly spread: the
/// range that the first of them cover gives the total.
///
/// # Errors
/// When the state cannot be read.
pub fn size(state: &mut dyn State) -> Result<Size, StateError> {
    let units = state.actors(keys::TAG, None, SAMPLE + 1)?;
    let mut milestones = 0_u64;
    for unit in units.iter().take(SAMPLE) {
        state.scan(unit, &[keys::TRACK], &[keys::TRACK + 1], &mut |_, _| {
            milestones += 1;
            true
        })?;
    }
    let inferred =
        |count: u64, reach: u64| u64::try_from((u128::from(count) << 64) / u128::from(reach.max(1))).unwrap_or(u64::MAX);
    Ok(match units.get(SAMPLE - 1) {
        Some(last) if units.len() > SAMPLE => {
            let reach = hash_head(last);
            Size { units: inferred(SAMPLE as u64, reach), milestones: inferred(milestones, reach), exact: false }
        }
        _ => Size { units: units.len() as u64, milestones, exact: true },
    })
}

fn hash_head(unit: &ActorKey) -> u64 {
    unit.0.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use tributary_proto::StoredTrack;
    use tributary_runtime::state::{self, EmptyBase, Overlay};

    use super::*;

    fn filled(units: u32) -> Size {
        let mut state = Overlay::new(EmptyBase);
        for number in 0..units {
            let actor = keys::actor(format!("p:{number}").as_bytes());
            for milestone in 0..2 {
                let sub = keys::track(&[7; 16], &format!("mql:{number}-{milestone}"));
                state::put_message(&mut state, &actor, &sub, &StoredTrack::default());
            }
        }
        size(&mut state).unwrap()
    }

    #[test]
    fn few_are_counted_and_many_inferred() {
        assert_eq!(filled(0), Size { exact: true, ..Size::default() });
        assert_eq!(filled(1_000), Size { units: 1_000, milestones: 2_000, exact: true });
        let many = filled(20_000);
        assert!(!many.exact && (18_000..22_000).contains(&many.units), "{many:?}");
        assert!((36_000..44_000).contains(&many.milestones), "{many:?}");
    }
}
