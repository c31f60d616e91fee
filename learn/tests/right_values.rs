//! The models on examples whose results are known: three paths by hand, and 10,000 public ones.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::io::Read;

use tributary_learn::fit::{Options, fit, in_journeys};
use tributary_learn::parameters::{About, ModelKind, ParameterSet, Parameters};
use tributary_learn::paths::{ChannelId, Counted, Outcomes, Paths};
use tributary_learn::weigher::Weigher;

fn counted(rows: &[(Vec<String>, u64, u64)]) -> Counted {
    let mut paths = Paths::default();
    for (labels, converting, null) in rows {
        let path: Vec<ChannelId> = labels.iter().map(|label| paths.label(label).unwrap()).collect();
        paths.add(&path, Outcomes { converting: *converting, null: *null });
    }
    paths.counted()
}

fn three() -> Counted {
    let row = |path: &str, converting, null| (path.split('>').map(str::to_owned).collect(), converting, null);
    counted(&[row("A", 2, 8), row("B", 1, 9), row("A>B", 4, 6)])
}

fn mta() -> Vec<(Vec<String>, u64, u64)> {
    let packed = include_bytes!("data/mta.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let row = |row: csv::StringRecord| {
        (row[0].split('>').map(|label| label.trim().to_owned()).collect(), row[1].parse().unwrap(), row[3].parse().unwrap())
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// The exact results: by channel and column.
fn exact() -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut reader = csv::Reader::from_reader(&include_bytes!("data/mta_exact.csv")[..]);
    let columns = reader.headers().unwrap().clone();
    let value = |record: csv::StringRecord| {
        let cells = columns.iter().zip(record.iter()).skip(1);
        (record[0].to_owned(), cells.map(|(column, cell)| (column.to_owned(), cell.parse().unwrap())).collect())
    };
    reader.records().map(|record| value(record.unwrap())).collect()
}

fn fitted(counted: &Counted, kind: ModelKind) -> ParameterSet {
    let options = Options { models: vec![kind], ..Options::default() };
    fit(counted, &About::default(), &options, &|_| {}).unwrap().remove(0)
}

fn shares(set: &ParameterSet) -> Vec<f64> {
    set.channels.iter().map(|channel| channel.share_nano as f64 / 1e9).collect()
}

/// Equal to so many significant digits.
fn close(found: f64, expected: f64, digits: i32) {
    let slack = expected.abs() * 10f64.powi(1 - digits);
    assert!((found - expected).abs() <= slack.max(1.1e-9), "{found} is not {expected}");
}

#[test]
fn three_paths_by_hand() {
    let counted = three();
    let of = |kind| shares(&fitted(&counted, kind)).iter().map(|share| share * 7.0).collect::<Vec<_>>();
    for (kind, expected) in [
        (ModelKind::Shapley, [4.0, 3.0]),
        (ModelKind::ShapleyRate, [4.5, 2.5]),
        (ModelKind::Markov { order: 1 }, [3.315789, 3.684211]),
    ] {
        let found = of(kind);
        close(found[0], expected[0], 7);
        close(found[1], expected[1], 7);
    }
    let markov = fitted(&counted, ModelKind::Markov { order: 1 });
    let expected = Parameters::Markov { order: 1, conversion_nano: 233_333_333, removal_nano: vec![642_857_143, 714_285_714] };
    assert_eq!(markov.parameters, expected);
    let Parameters::Spm { single_nano, pairs } = fitted(&counted, ModelKind::Spm).parameters else { panic!() };
    assert_eq!((single_nano, pairs[0].rate_nano), (vec![300_000_000, 250_000_000], 400_000_000));
    let Parameters::Apriori { rules } = fitted(&counted, ModelKind::Apriori).parameters else { panic!() };
    let rules: Vec<_> = rules.iter().map(|rule| (rule.channels.clone(), rule.confidence_nano, rule.lift_nano)).collect();
    let expected = [
        (vec![0, 1], 400_000_000, 1_714_285_714),
        (vec![0], 300_000_000, 1_285_714_286),
        (vec![1], 250_000_000, 1_071_428_571),
    ];
    assert_eq!(rules, expected);
}

#[test]
fn weights_in_a_journey_by_hand() {
    let counted = three();
    let of = |kind, touches: &[&str]| Weigher::new(&fitted(&counted, kind)).weigh(touches);
    assert_eq!(of(ModelKind::Markov { order: 1 }, &["B", "A"]), [714_285_714, 642_857_143]);
    // Of v(A) = 0.2, v(B) = 0.1, v(AB) = 0.4: 0.25 and 0.15.
    let rate = of(ModelKind::ShapleyRate, &["A", "B"]);
    assert_eq!(rate[0] * 15, rate[1] * 25);
    // 0.225 and 0.175, of which A's two touches have half each.
    let spm = of(ModelKind::Spm, &["A", "B", "A"]);
    assert_eq!((spm[0] * 2 * 175, spm[0]), (spm[1] * 225, spm[2]));
    // 0.3 * 1.2857 + 0.4 * 1.7143 / 2 to 0.25 * 1.0714 + 0.4 * 1.7143 / 2.
    let apriori = of(ModelKind::Apriori, &["A", "B"]);
    close(apriori[0] as f64 / apriori[1] as f64, (0.3 * 9.0 + 2.4) / (0.25 * 7.5 + 2.4), 8);
    for kind in ModelKind::all(1) {
        assert_eq!(of(kind, &["A"]), of(kind, &["A"; 1]));
        let unknown = of(kind, &["x", "A", "y"]);
        if kind == ModelKind::Shapley {
            assert_eq!(unknown, [1, 1, 1]);
        } else {
            assert!(unknown[0] == 0 && unknown[1] > 0 && unknown[2] == 0, "{kind:?}: {unknown:?}");
            assert_eq!(of(kind, &["x", "y", "x"]), [1, 1, 1]);
        }
    }
}

#[test]
fn reasons_by_hand() {
    let counted = three();
    let of = |kind, touches: &[&str]| Weigher::new(&fitted(&counted, kind)).why(touches, 0);
    let markov = ModelKind::Markov { order: 1 };
    assert_eq!(of(markov, &["A", "B"]), "removal effect of A 0.642857 of 1.357143 in this journey");
    assert_eq!(of(ModelKind::Spm, &["B", "A"]), "conversion rate with B 0.250000, with A too -0.150000");
    let rules = "rules: A + B (confidence 0.400000, lift 1.714286), A (confidence 0.300000, lift 1.285714)";
    assert_eq!(of(ModelKind::Apriori, &["A", "B"]), rules);
    assert_eq!(of(ModelKind::ShapleyRate, &["A", "B"]), "Shapley value of A in the game of conversion rates of 2 channels");
    assert_eq!(of(ModelKind::Shapley, &["A", "B", "A"]), "one of 2 channels, in equal parts; in equal parts to its 2 touches");
    let Parameters::Blr { coefficients, .. } = fitted(&counted, ModelKind::Blr).parameters else { panic!() };
    let (mean, deviation) = (coefficients[0].mean_nano as f64 / 1e9, coefficients[0].deviation_nano as f64 / 1e9);
    assert!(mean > 0.0 && deviation > 0.0, "{mean} {deviation}");
    let words = format!("coefficient of A {mean:.6}, with a deviation of {deviation:.6}");
    assert_eq!(of(ModelKind::Blr, &["A", "B"]), words);
    assert_eq!(of(markov, &["x", "y"]), "the parameter set knows no channel of this journey: equal parts");
}

#[test]
fn ten_thousand_paths_to_nine_digits() {
    let rows = mta();
    let (counted, exact) = (counted(&rows), exact());
    let total = counted.total();
    assert_eq!((counted.len(), total.converting, total.null), (5408, 19_785, 68_602));
    let converting = total.converting as f64;
    let column = |name: &str| counted.labels.iter().map(|label| exact[label][name]).collect::<Vec<_>>();

    let set = fitted(&counted, ModelKind::Markov { order: 1 });
    let Parameters::Markov { removal_nano, .. } = &set.parameters else { panic!() };
    for (found, expected) in removal_nano.iter().zip(column("markov1_exact_selfloops_removal")) {
        close(*found as f64 / 1e9, expected, 9);
    }
    for (found, expected) in shares(&set).iter().zip(column("markov1_exact_selfloops_conv")) {
        close(*found, expected / converting, 9);
    }
    for (found, expected) in shares(&fitted(&counted, ModelKind::Shapley)).iter().zip(column("shapley_sum_game_conv")) {
        close(*found, expected / converting, 9);
    }

    let Parameters::Spm { single_nano, pairs } = fitted(&counted, ModelKind::Spm).parameters else { panic!() };
    let single: Vec<f64> = single_nano.iter().map(|rate| *rate as f64 / 1e9).collect();
    for (found, expected) in single.iter().zip(column("spm_p1")) {
        close(*found, expected, 9);
    }
    let weight = |channel: usize, set: &[usize]| {
        let terms = pairs.iter().filter_map(|pair| {
            let [a, b] = pair.channels.map(usize::from);
            let with = (a == channel && set.contains(&b)) || (b == channel && set.contains(&a));
            with.then(|| pair.rate_nano as f64 / 1e9 - single[a] - single[b])
        });
        let terms: Vec<f64> = terms.collect();
        single[channel] + terms.iter().sum::<f64>() / (2 * terms.len().max(1)) as f64
    };
    let all: Vec<usize> = (0..single.len()).collect();
    for (channel, expected) in column("spm_C_paper_channel_level").into_iter().enumerate() {
        close(weight(channel, &all), expected, 7);
    }
    let mut credit = vec![0.0; all.len()];
    for (labels, converting, _) in &rows {
        let mut set: Vec<usize> = labels.iter().map(|label| counted.labels.binary_search(label).unwrap()).collect();
        set.sort_unstable();
        set.dedup();
        set.iter().for_each(|channel| credit[*channel] += *converting as f64 * weight(*channel, &set));
    }
    let sum: f64 = credit.iter().sum();
    for (found, expected) in credit.iter().zip(column("spm_path_level_normalised")) {
        close(found / sum, expected, 7);
    }
}

#[test]
fn markov_of_higher_order_on_ten_thousand_paths() {
    // By elimination on a dense matrix in another language.
    let counted = counted(&mta());
    let Parameters::Markov { removal_nano, .. } = fitted(&counted, ModelKind::Markov { order: 2 }).parameters else { panic!() };
    let expected = [
        0.547803282064,
        0.237909870016,
        0.000503101237,
        0.059912522887,
        0.330767476253,
        0.016765130159,
        0.371593698968,
        0.025942445979,
        0.115995020947,
        0.000202173364,
        0.185525562780,
        0.036474814536,
    ];
    for (found, expected) in removal_nano.iter().zip(expected) {
        close(*found as f64 / 1e9, expected, 9);
    }
}

#[test]
fn what_converting_journeys_get_is_one() {
    let counted = counted(&mta());
    for kind in ModelKind::all(1) {
        let set = fitted(&counted, kind);
        let credit = in_journeys(&counted, &Weigher::new(&set));
        assert!((credit.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{kind:?}");
        assert!(set.channels.iter().map(|channel| channel.share_nano).sum::<u64>().abs_diff(1_000_000_000) <= 6, "{kind:?}");
    }
}
