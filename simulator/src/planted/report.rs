//! The report of the planted bugs.

use std::fmt::Write;

use super::Bug;
use super::trial::Finding;

/// A report on which bugs were found by which seed, and how: Markdown.
pub fn report(found: &[(Bug, Option<Finding>)], from: u64, seeds: u64) -> String {
    let caught = found.iter().filter(|(_, first)| first.is_some()).count();
    let mut text = format!(
        "# Planted bugs\n\nThe simulator finds {caught} of {} bugs that were planted one at a time, within {seeds} seeds each. Made by\n\n    \
         cargo run --release -p tributary-simulator -- --planted all --report simulator/PLANTED.md\n\n\
         A bug is a patch in [planted](planted); a row is its name, and the first file it changes.\n\n\
         | bug | in | what goes wrong | seeds | how it shows |\n|---|---|---|--:|---|\n",
        found.len()
    );
    for (bug, first) in found {
        let (after, how) = match first {
            Some(Finding { seed, why }) => (seed.saturating_sub(from).saturating_add(1).to_string(), shown(why)),
            None => (format!("> {seeds}"), "**not found**".to_owned()),
        };
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "| `{}` | `{}` | {} | {after} | {how} |", bug.name, bug.file().display(), bug.what);
    }
    text
}

/// The beginning of the first line, shortened for a table.
fn shown(why: &str) -> String {
    const LENGTH_MAX: usize = 100;
    let line = why.lines().next().unwrap_or_default().replace('|', "/");
    let mut short: String = line.chars().take(LENGTH_MAX).collect();
    if short.len() < line.len() {
        short.push_str(" …");
    }
    short
}
