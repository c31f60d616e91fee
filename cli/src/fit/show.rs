//! Fitted parameters for people: every model's shares side by side, and the differences from an earlier set.

use std::collections::BTreeSet;

use serde::Serialize;
use tributary_learn::parameters::{Channel, ModelKind, ParameterSet};

use crate::stdout::outln;
use crate::table::{align_right, table};
use crate::{logging, table};

/// The heading for a set: the type of its model, for a Markov chain with the order.
pub fn title(set: &ParameterSet) -> String {
    match set.kind() {
        ModelKind::Markov { order } => format!("markov {order}"),
        kind => kind.name().to_owned(),
    }
}

/// Prints the shares of every model in percent, with the 90 % interval of the resamples.
///
/// # Errors
/// When standard output cannot be written.
pub fn shares(sets: &[ParameterSet]) -> anyhow::Result<()> {
    let Some(first) = sets.first() else { return Ok(()) };
    let titles: Vec<String> = sets.iter().map(title).collect();
    let columns = ["channel", "journeys", "converting"].into_iter().chain(titles.iter().map(String::as_str));
    let mut rows = table(&columns.collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..first.channels.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(first.channels.get(*at).map(|channel| channel.share_nano)));
    for at in order {
        let Some(channel) = first.channels.get(at) else { continue };
        let share = |set: &ParameterSet| set.channels.get(at).map(share).unwrap_or_default();
        let fixed = [channel.channel.clone(), channel.journeys.to_string(), channel.converting.to_string()];
        rows.add_row(fixed.into_iter().chain(sets.iter().map(share)));
    }
    align_right(&mut rows, 1..);
    table::print(&rows)?;
    let (about, counts) = (&first.about, first.counts);
    outln!(
        "{} converting and {} other journeys, {} distinct paths; {} not decided yet, {} without a touch",
        counts.converting,
        counts.null,
        counts.distinct_paths,
        about.undecided,
        about.without_touch
    )?;
    Ok(())
}

fn share(channel: &Channel) -> String {
    let percent = |nano: u64| table::percent(i64::try_from(nano).unwrap_or(i64::MAX));
    let interval = channel.interval_nano.map(|[low, high]| format!(" ({} to {})", percent(low), percent(high)));
    percent(channel.share_nano) + &interval.unwrap_or_default()
}

/// Prints the warnings of the sets on standard error; those that all sets have only once.
pub fn warnings(sets: &[ParameterSet]) {
    let all: BTreeSet<&str> = sets.iter().flat_map(|set| &set.warnings).map(|warning| warning.text.as_str()).collect();
    for text in all {
        logging::line(format_args!("warning: {text}"));
    }
}

/// A channel in two sets.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its label.
    pub channel: String,
    /// Its share in the old set, billionths; `None` if it is not there.
    pub old_nano: Option<u64>,
    /// Its share in the new set, billionths; `None` if it is not there.
    pub new_nano: Option<u64>,
    /// Whether the two intervals are disjoint; `None` if one is missing.
    pub apart: Option<bool>,
}

/// The differences between two sets, largest first.
pub fn compare(old: &ParameterSet, new: &ParameterSet) -> Vec<Change> {
    let find = |set: &'_ ParameterSet, name: &str| set.channels.iter().find(|channel| channel.channel == name).cloned();
    let names: BTreeSet<&String> = old.channels.iter().chain(&new.channels).map(|channel| &channel.channel).collect();
    let change = |name: &String| {
        let (before, after) = (find(old, name), find(new, name));
        let interval = |channel: &Option<Channel>| channel.as_ref().and_then(|channel| channel.interval_nano);
        let apart = interval(&before).zip(interval(&after)).map(|([a, b], [c, d])| b < c || d < a);
        let share = |channel: Option<Channel>| channel.map(|channel| channel.share_nano);
        Change { channel: name.clone(), old_nano: share(before), new_nano: share(after), apart }
    };
    let mut changes: Vec<Change> = names.into_iter().map(change).collect();
    let distance = |change: &Change| change.old_nano.unwrap_or(0).abs_diff(change.new_nano.unwrap_or(0));
    changes.sort_by(|a, b| distance(b).cmp(&distance(a)).then_with(|| a.channel.cmp(&b.channel)));
    changes
}

/// Prints the differences.
///
/// # Errors
/// When standard output cannot be written.
pub fn changes(title: &str, changes: &[Change]) -> anyhow::Result<()> {
    let mut rows = table(&["channel", "old", "new", "change", "intervals"]);
    for change in changes {
        let [old, new] =
            [change.old_nano, change.new_nano].map(|nano| nano.map(|nano| i64::try_from(nano).unwrap_or(i64::MAX)));
        let shown = |nano: Option<i64>| nano.map_or_else(|| "-".to_owned(), table::percent);
        let difference = new.unwrap_or(0) - old.unwrap_or(0);
        let sign = if difference < 0 { "-" } else { "+" };
        let apart = match change.apart {
            Some(true) => "apart",
            Some(false) => "overlap",
            None => "",
        };
        let change_shown = format!("{sign}{}", table::percent(difference.abs()));
        rows.add_row([change.channel.clone(), shown(old), shown(new), change_shown, apart.to_owned()]);
    }
    align_right(&mut rows, 1..4);
    outln!("{title}: shares in percent, compared with the old set")?;
    Ok(table::print(&rows)?)
}

#[cfg(test)]
mod tests {
    use tributary_learn::fit::{Options, fit};
    use tributary_learn::parameters::About;
    use tributary_learn::paths::{Outcomes, Paths};

    use super::*;

    fn fitted(rows: &[(&[&str], u64)]) -> ParameterSet {
        let mut paths = Paths::default();
        for (labels, converting) in rows {
            let path: Vec<_> = labels.iter().map(|label| paths.label(label).unwrap()).collect();
            paths.add(&path, Outcomes { converting: *converting, null: 10 });
        }
        let options = Options { models: vec![ModelKind::Shapley], resamples: 40, ..Options::default() };
        fit(&paths.counted(), &About::default(), &options, &|_| {}).unwrap().remove(0)
    }

    #[test]
    fn the_greatest_change_is_first() {
        let old = fitted(&[(&["a"], 600), (&["b"], 300), (&["gone"], 100)]);
        let new = fitted(&[(&["a"], 610), (&["b"], 90), (&["new"], 300)]);
        let changes = compare(&old, &new);
        let names: Vec<&str> = changes.iter().map(|change| change.channel.as_str()).collect();
        assert_eq!(names, ["new", "b", "gone", "a"]);
        assert_eq!((changes[0].old_nano, changes[0].new_nano, changes[0].apart), (None, Some(300_000_000), None));
        assert_eq!((changes[1].apart, changes[3].apart), (Some(true), Some(false)));
        assert_eq!(share(&old.channels[0]).split(' ').next(), Some("60.0"));
    }
}
