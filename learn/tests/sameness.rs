//! The same bytes for the same paths, whatever the order, the threads and the parts; and what must hold of every fit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use tributary_learn::fit::{FitError, Options, fit};
use tributary_learn::parameters::{About, ModelKind, ParameterSet};
use tributary_learn::paths::{ChannelId, Counted, Outcomes, Paths};
use tributary_learn::weigher::Weigher;

type Row = (Vec<u8>, u64, u64);

fn collected<'a>(rows: impl IntoIterator<Item = &'a Row>, name: impl Fn(u8) -> String) -> Paths {
    let mut paths = Paths::default();
    for (channels, converting, null) in rows {
        let path: Vec<ChannelId> = channels.iter().map(|channel| paths.label(&name(*channel)).unwrap()).collect();
        paths.add(&path, Outcomes { converting: *converting, null: *null });
    }
    paths
}

fn plain(channel: u8) -> String {
    format!("channel {channel}")
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (prop::collection::vec(0..9u8, 1..7), 0..30u64, 0..60u64);
    prop::collection::vec(row, 1..60).prop_filter("one converts", |rows| rows.iter().any(|(_, converting, _)| *converting > 0))
}

fn fitted(counted: &Counted, options: &Options) -> Vec<ParameterSet> {
    fit(counted, &About::default(), options, &|_| {}).unwrap()
}

fn files(counted: &Counted, threads: usize) -> Vec<(String, String)> {
    let options = Options { models: ModelKind::all(2).to_vec(), seed: 5, resamples: 3, threads };
    fitted(counted, &options).iter().map(|set| (set.name().unwrap(), set.text().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_threads_and_parts_do_not_change_the_result(rows in rows(), parts in 1..9usize, turn in 0..60usize) {
        let expected = files(&collected(&rows, plain).counted(), 1);
        let mut turned = rows.clone();
        turned.rotate_left(turn % rows.len());
        turned.reverse();
        let mut whole = Paths::default();
        for part in 0..parts {
            whole.merge(&collected(turned.iter().skip(part).step_by(parts), plain)).unwrap();
        }
        prop_assert_eq!(files(&whole.counted(), 8), expected);
    }

    #[test]
    fn shares_are_parts_of_one_and_a_channel_of_no_converting_journey_has_none(rows in rows()) {
        let counted = collected(&rows, plain).counted();
        for set in fitted(&counted, &Options::default()) {
            let sum: u64 = set.channels.iter().map(|channel| channel.share_nano).sum();
            prop_assert!(sum == 0 || sum.abs_diff(1_000_000_000) <= 9, "{:?}: {}", set.kind(), sum);
            if !matches!(set.kind(), ModelKind::Markov { .. }) {
                prop_assert!(set.channels.iter().all(|channel| channel.converting > 0 || channel.share_nano == 0));
            }
            let read = ParameterSet::parse(&set.text().unwrap()).unwrap();
            prop_assert_eq!(&read, &set);
            let weigher = Weigher::new(&read);
            for at in 0..counted.len() {
                let labels: Vec<&str> = counted.path(at).iter().map(|id| counted.labels[usize::from(*id)].as_str()).collect();
                let weights = weigher.weigh(&labels);
                prop_assert_eq!(weights.len(), labels.len());
                prop_assert!(weights.iter().any(|weight| *weight > 0));
                for (touch, weight) in weights.iter().enumerate() {
                    prop_assert_eq!(weigher.why(&labels, touch).is_empty(), *weight == 0, "{:?}", set.kind());
                }
            }
        }
    }

    #[test]
    fn names_of_channels_do_not_matter(rows in rows()) {
        // Of bags, which draw channels by their place, this holds only where the order of the names stays.
        let options = Options { models: ModelKind::all(1).into_iter().filter(|kind| *kind != ModelKind::Blr).collect(), ..Options::default() };
        let other = |channel: u8| format!("{}", 90 - channel);
        let plain_sets = fitted(&collected(&rows, plain).counted(), &options);
        let others = fitted(&collected(&rows, other).counted(), &options);
        for (plain, other) in plain_sets.iter().zip(&others) {
            for (one, same) in plain.channels.iter().zip(other.channels.iter().rev()) {
                prop_assert!(one.share_nano.abs_diff(same.share_nano) <= 1, "{:?}", plain.kind());
            }
        }
    }

    #[test]
    fn twice_the_paths_have_the_same_shares(rows in rows()) {
        // All but logistic regression, whose penalty weighs less the more there is to fit.
        let options = Options { models: ModelKind::all(3).into_iter().filter(|kind| *kind != ModelKind::Blr).collect(), ..Options::default() };
        let twice: Vec<Row> = rows.iter().map(|(path, converting, null)| (path.clone(), converting * 2, null * 2)).collect();
        let shares = |rows: &[Row]| {
            let sets = fitted(&collected(rows, plain).counted(), &options);
            sets.iter().map(|set| set.channels.iter().map(|channel| channel.share_nano).collect()).collect::<Vec<Vec<u64>>>()
        };
        prop_assert_eq!(shares(&rows), shares(&twice));
    }
}

#[test]
fn bags_that_are_drawn_in_another_order_or_from_twice_as_much_are_nearly_the_same() {
    let rows: Vec<Row> = vec![
        (vec![0], 400, 3_000),
        (vec![1], 200, 4_000),
        (vec![0, 1], 900, 2_000),
        (vec![2, 0], 500, 2_500),
        (vec![2], 100, 4_000),
        (vec![3, 1], 250, 3_000),
    ];
    let options = Options { models: vec![ModelKind::Blr], ..Options::default() };
    let shares = |rows: &[Row], name: &dyn Fn(u8) -> String| {
        let set = fitted(&collected(rows, name).counted(), &options).remove(0);
        set.channels.iter().map(|channel| channel.share_nano as f64 / 1e9).collect::<Vec<_>>()
    };
    let known = shares(&rows, &plain);
    let mut renamed = shares(&rows, &|channel| format!("{}", 90 - channel));
    renamed.reverse();
    let twice: Vec<Row> = rows.iter().map(|(path, converting, null)| (path.clone(), converting * 2, null * 2)).collect();
    for other in [renamed, shares(&twice, &plain)] {
        for (one, same) in known.iter().zip(&other) {
            assert!((one - same).abs() < 0.05, "{known:?} {other:?}");
        }
    }
}

#[test]
fn intervals_shrink_with_data_and_hold_the_share() {
    let rows: Vec<Row> = vec![(vec![0], 4, 20), (vec![1], 2, 30), (vec![0, 1], 9, 10), (vec![2, 0], 5, 14), (vec![2], 3, 40)];
    let options = Options { models: ModelKind::all(1).to_vec(), seed: 1, resamples: 200, threads: 2 };
    let widths = |times: u64| {
        let rows: Vec<Row> =
            rows.iter().map(|(path, converting, null)| (path.clone(), converting * times, null * times)).collect();
        let sets = fitted(&collected(&rows, plain).counted(), &options);
        let width = |set: &ParameterSet| {
            let of = |channel: &tributary_learn::parameters::Channel| {
                let [low, high] = channel.interval_nano.unwrap();
                assert!(low <= channel.share_nano && channel.share_nano <= high, "{:?}: {channel:?}", set.kind());
                high - low
            };
            set.channels.iter().map(of).sum::<u64>()
        };
        sets.iter().map(width).collect::<Vec<_>>()
    };
    for (few, many) in widths(1).into_iter().zip(widths(25)) {
        assert!(many * 3 < few, "{many} of {few}");
    }
}

#[test]
fn without_paths_there_is_an_error() {
    let counted = collected(&[(vec![0], 0, 5)], plain).counted();
    assert_eq!(fit(&counted, &About::default(), &Options::default(), &|_| {}).unwrap_err(), FitError::NothingConverts);
}

#[test]
fn a_cut_file_is_refused() {
    let set = fitted(&collected(&[(vec![0, 1], 3, 5)], plain).counted(), &Options::default()).remove(0);
    let text = set.text().unwrap();
    assert!(ParameterSet::parse(&text[..text.len() / 2]).is_err());
    assert!(ParameterSet::parse(&text.replace("\"format\":1", "\"format\":2")).unwrap_err().to_string().contains("fit again"));
    assert!(ParameterSet::parse(&text.replace("\"removal_nano\":[", "\"removal_nano\":[1,")).is_err());
}
