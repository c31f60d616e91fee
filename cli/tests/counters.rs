//! Counters begin at 0: whatever a stage comes to count is there from the start, so that the first one is seen to rise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::collections::BTreeMap;

use metrics_exporter_prometheus::PrometheusBuilder;
use support::{RECEIVED_MS, golden, history, settings};
use tributary_pipeline::catalogue;
use tributary_pipeline::replay::Replay;
use tributary_pipeline::stages::StageName;
use tributary_runtime::metric::MetricKind;

/// The series of counters on a page, with their values.
fn counters(page: &str) -> BTreeMap<String, f64> {
    let of = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let name = series.split('{').next()?;
        name.ends_with("_total").then(|| (series.to_owned(), value.parse().unwrap()))
    };
    page.lines().filter(|line| !line.starts_with('#')).filter_map(of).collect()
}

#[test]
fn whatever_is_counted_was_0_before() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (before, after) = metrics::with_local_recorder(&recorder, || {
        StageName::ALL.iter().for_each(|stage| stage.counted().begin_at_zero(&tributary_runtime::metrics::kafka::ALL));
        let before = counters(&recorder.handle().render());
        let mut replay = Replay::new(&settings(), 2).unwrap_or_else(|problems| panic!("{problems:?}"));
        for (topic, record) in golden().into_iter().chain(history(200, 4, true)) {
            replay.append(topic, RECEIVED_MS, &record);
        }
        replay.finish().unwrap();
        (before, counters(&recorder.handle().render()))
    });
    assert!(before.values().all(|value| *value == 0.0), "{before:?}");
    // By field and reason there are too many to begin with.
    let begins = |series: &&String| !before.contains_key(*series) && !series.starts_with("tributary_fields_ignored_total");
    let new: Vec<_> = after.keys().filter(begins).collect();
    assert!(new.is_empty(), "not there from the start: {new:?}");
    let risen = after.values().filter(|value| **value > 0.0).count();
    assert!(risen > 30 && before.keys().any(|series| series.contains("reason=\"currency_unknown\"")), "{after:#?}");
}

#[test]
fn labels_have_values_or_are_those_of_a_part() {
    // By stage, and by listener: `runtime/src/http/serve.rs`. By field: of these there are too many to begin with.
    let of_parts = [
        "tributary_fields_ignored_total",
        "tributary_records_in_total",
        "tributary_records_out_total",
        "tributary_dead_letters_total",
        "tributary_connections_cut_total",
    ];
    for metric in catalogue::metrics() {
        let of_part = of_parts.contains(&metric.name) || metric.name.starts_with("tributary_collector_");
        let bounded = metric.label.is_empty() == metric.values.is_empty();
        assert!(metric.kind != MetricKind::Counter || of_part || bounded, "{}", metric.name);
    }
}
