//! Which channel a landing page and a referrer give.

use serde_json::Value;

use crate::answer::{decoder, text};
use crate::support::command::{out, tributary};

/// The cases: name, URL, referrer, channel.
fn cases(table: &str) -> Vec<[&str; 4]> {
    let rows = table.lines().skip(1).map(|row| row.split('\t').map(str::trim).collect::<Vec<_>>());
    rows.map(|row| row.try_into().unwrap()).collect()
}

#[test]
fn a_landing_hit_is_of_the_channel_that_it_came_through() {
    let (table, decoder) = (text("08_channels/classify.tsv"), decoder());
    let cases = cases(&table);
    assert_eq!(cases.len(), 78);
    let found = |[name, url, referrer, channel]: [&str; 4]| {
        let found = decoder.classify(url, referrer).unwrap().channel;
        (found != channel).then(|| format!("{name}: {found} is not {channel}"))
    };
    assert_eq!(cases.into_iter().filter_map(found).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_command_gives_the_same_channels() {
    let table = text("08_channels/classify.tsv");
    for [name, url, referrer, channel] in cases(&table).into_iter().step_by(13) {
        let arguments = ["classify", "--json", url, referrer];
        let given = if referrer.is_empty() { &arguments[..3] } else { &arguments };
        let found: Value = serde_json::from_str(&out(&tributary(given))).unwrap();
        assert_eq!(found["channel"], channel, "{name}");
    }
}

#[test]
fn the_channel_lists_are_printed() {
    let listed = tributary(&["classify", "--list"]);
    assert!(listed.status.success());
    let shown = out(&listed);
    for part in ["channel", "asks for", "ai_assistant", "click id", "gclid", "wbraid", "category", "baidu.com", "chatgpt"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let listed: Value = serde_json::from_str(&out(&tributary(&["classify", "--list", "--json"]))).unwrap();
    for part in ["rules", "click_ids", "sites"] {
        assert!(listed[part].as_array().is_some_and(|found| found.len() > 10), "{part}");
    }
    assert_eq!(tributary(&["classify", "--list", "https://www.a.example/"]).status.code(), Some(2));
}
