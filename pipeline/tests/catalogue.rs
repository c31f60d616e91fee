//! The catalogue of metrics is true of itself, and what is said of metrics elsewhere (pages, rules, dashboards) is true of the catalogue.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use tributary_pipeline::catalogue::{markdown, metrics};
use tributary_runtime::metric::MetricKind;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Files below a folder, each with its text.
fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path));
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path, text));
        }
    }
    found
}

/// The names of series that a process may show: of a histogram there are several.
fn series() -> BTreeSet<String> {
    let of = |name: &str, kind| match kind {
        MetricKind::Histogram => ["", "_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
        MetricKind::Counter | MetricKind::Gauge => vec![name.to_owned()],
    };
    metrics().flat_map(|metric| of(metric.name, metric.kind)).collect()
}

#[test]
fn every_metric_has_a_name_of_its_kind_and_a_sentence() {
    let form = Regex::new("^(tributary|process)(_[a-z0-9]+)+$").unwrap();
    let mut seen = BTreeSet::new();
    for metric in metrics() {
        assert!(form.is_match(metric.name), "{}", metric.name);
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        assert!(metric.help.len() > 15 && metric.help.ends_with('.'), "{}: {}", metric.name, metric.help);
        assert!(!metric.help.contains('\n') && !metric.help.contains("  "), "{}: {}", metric.name, metric.help);
    }
    assert!(seen.len() > 60);
}

#[test]
fn the_page_has_the_tables_of_the_code() {
    let path = root().join("docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, _) = text.split_once("\n## ").unwrap();
    let expected = format!("{head}\n{}", markdown());
    if text != expected && std::env::var_os("TRIBUTARY_WRITE_PAGES").is_some() {
        fs::write(&path, expected).unwrap();
        return;
    }
    assert_eq!(text, expected, "docs/metrics.md is not that of the code: run this test with TRIBUTARY_WRITE_PAGES=1");
}

#[test]
fn metrics_that_are_named_anywhere_exist() {
    let known = series();
    // Not a name: part of a path or of a longer word, a crate, what goes on with a star.
    let name = Regex::new(r"(^|[^a-zA-Z0-9_/.-])((tributary|process)_[a-z0-9_]*[a-z0-9])($|[^a-zA-Z0-9_*.])").unwrap();
    let crates = ["cli", "proto", "ingest", "identity", "attributor", "runtime", "collect", "pipeline", "simulator"];
    let crates = crates.map(|name| format!("tributary_{name}"));
    let mut files = texts(&root().join("docs"));
    files.extend(texts(&root().join("deploy")));
    files.extend(
        ["README.md", "ARCHITECTURE.md"].map(|name| (root().join(name), fs::read_to_string(root().join(name)).unwrap())),
    );
    let mut used = BTreeSet::new();
    for (path, text) in &files {
        // Twice, for two names may share the sign between them.
        for line in text.lines() {
            let mut from = 0;
            while let Some(found) = name.captures_at(line, from) {
                let word = found.get(2).unwrap();
                from = word.end();
                if !crates.iter().any(|name| name == word.as_str()) {
                    assert!(known.contains(word.as_str()), "{}: there is no metric {}", path.display(), word.as_str());
                    used.insert(word.as_str());
                }
            }
        }
    }
    assert!(used.len() > 60, "the pattern finds too little: {used:?}");
}

/// The alerts of a rules file, each with the lines that follow it.
fn alerts() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let parts = text.split("- alert: ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap()).map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

#[test]
fn every_alert_has_a_severity_a_runbook_and_two_test_cases() {
    let tests = fs::read_to_string(root().join("deploy/prometheus/tests.yml")).unwrap();
    let mut pages = BTreeSet::new();
    for (name, rule) in alerts() {
        assert!(["page", "ticket"].iter().any(|word| rule.contains(&format!("severity: {word} "))), "{name}: {rule}");
        assert!(rule.contains("summary: ") && rule.contains("description: "), "{name}: {rule}");
        let url = format!("runbook_url: https://example.invalid/tributary/docs/runbooks/{name}.md\n");
        assert!(rule.contains(&url), "{name}: {rule}");
        let page = fs::read_to_string(root().join(format!("docs/runbooks/{name}.md")))
            .unwrap_or_else(|_| panic!("{name} has no page"));
        let parts: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(parts, ["Meaning", "Impact", "Diagnosis", "Mitigation"], "{name}");
        for case in ["fires", "is quiet"] {
            assert!(tests.contains(&format!("- name: {name} {case}\n")), "{name}: no case in which it {case}");
        }
        pages.insert(name);
    }
    let there: BTreeSet<_> = texts(&root().join("docs/runbooks"))
        .into_iter()
        .map(|(path, _)| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, pages, "pages of alerts that there are not");
}

#[test]
fn recorded_series_that_are_read_are_recorded() {
    let rules = fs::read_to_string(root().join("deploy/prometheus/recording.yml")).unwrap();
    let recorded: BTreeSet<&str> = rules.split("- record: ").skip(1).map(|part| part.lines().next().unwrap()).collect();
    let name = Regex::new("tributary:[a-z_]+:[a-z0-9_]+").unwrap();
    for (path, text) in texts(&root().join("deploy")).into_iter().chain(texts(&root().join("docs"))) {
        for found in name.find_iter(&text) {
            let name = found.as_str();
            assert!(recorded.contains(name), "{}: nothing records {name}", path.display());
        }
    }
}
