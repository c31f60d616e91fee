//! Warnings: reasons not to rely on a fit.

use crate::parameters::{About, ModelKind, Warning};
use crate::paths::{Counted, Outcomes};

/// With fewer converting journeys than this, a fit is unreliable.
const CONVERTING_MIN: u64 = 100;
/// The share of a channel in fewer converting journeys than this is mostly chance.
const OF_CHANNEL_MIN: u64 = 10;
/// The most channels that a warning names.
const NAMED_MAX: usize = 5;

/// The warnings for these paths under a model. `by_channel` has the outcomes of the journeys with each channel.
pub fn of(about: &About, kind: ModelKind, counted: &Counted, by_channel: &[Outcomes]) -> Vec<Warning> {
    let total = counted.total();
    let mut found = Vec::new();
    if total.converting < CONVERTING_MIN {
        let text =
            format!("{} converting journeys are few: with less than {CONVERTING_MIN}, shares are chance", total.converting);
        found.push(Warning::new("few_converting", text));
    }
    if total.null == 0 && kind != ModelKind::Shapley {
        let text = "there are no journeys that did not convert: nothing to compare those that did with".to_owned();
        found.push(Warning::new("no_null", text));
    }
    let rare: Vec<&str> = counted
        .labels
        .iter()
        .zip(by_channel)
        .filter(|(_, outcomes)| outcomes.converting < OF_CHANNEL_MIN)
        .map(|(label, _)| label.as_str())
        .collect();
    if !rare.is_empty() {
        let more = if rare.len() > NAMED_MAX { ", ..." } else { "" };
        let names = rare.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let text = format!(
            "{} of {} channels are in less than {OF_CHANNEL_MIN} converting journeys: {names}{more}",
            rare.len(),
            by_channel.len()
        );
        found.push(Warning::new("rare_channels", text));
    }
    if let (Some(from), Some(until), Some(cycle)) = (about.from_ms, about.until_ms, about.median_cycle_ms)
        && until.saturating_sub(from) < cycle.saturating_add(cycle / 2)
    {
        let text = "the paths span less than 1.5 times the median cycle: long journeys are cut short".to_owned();
        found.push(Warning::new("short_span", text));
    }
    if about.undecided > total.null.saturating_add(total.converting) {
        let text = format!("{} journeys are not decided yet, more than those that are", about.undecided);
        found.push(Warning::new("mostly_undecided", text));
    }
    found
}
