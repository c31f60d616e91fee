//! Every command that README, CONTRIBUTING and the pages of `docs` show is run by CI, or the page says why not: in a comment directly before
//! the block (`<!-- not run by CI: needs a Kubernetes cluster -->`), or in the row of a table (`not run by CI: a benchmark`).
//!
//! What CI runs is taken from what runs it:
//!
//! - `.ci/run`, and the scripts that it calls;
//! - the pages of `scripts/bi_parts/page.py`, which `scripts/bi` runs whole;
//! - the blocks that a test gets by `block(PAGE, TEXT)` or `calls_below(FOLDER)` of `support/pages.rs`, in order to run them;
//! - `cargo test` of any package, since CI runs the tests of all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::support::pages::{Block, all_blocks, call, root, words};

const NOT_RUN: &str = "not run by CI: ";
/// Options that only change speed or verbosity, and words that have no meaning of their own.
const INSIGNIFICANT: [&str; 3] = ["--quiet", "--jobs", "--"];

/// What CI runs.
struct Ci {
    commands: Vec<Vec<String>>,
    whole_pages: BTreeSet<String>,
    /// Page, and a text of the block.
    blocks: BTreeSet<(String, String)>,
    /// Folders with pages whose `tributary` commands are run.
    folders: BTreeSet<String>,
}

/// All Rust files below a folder.
fn sources(folder: PathBuf) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// The commands of a shell script that are written out: strings are cut out, and so are messages that name a command.
fn commands_of_script(text: &str) -> Vec<Vec<String>> {
    let strings = Regex::new(r#""[^"]*"|'[^']*'"#).unwrap();
    let ends = Regex::new(r"[;&|(){}]").unwrap();
    let mut found = Vec::new();
    for line in text.replace("\\\n", " ").lines().filter(|line| !line.trim_start().starts_with('#')) {
        for part in ends.split(&strings.replace_all(line, "")) {
            let begins = |word: &&str| matches!(*word, "where_possible" | "if" | "then" | "else" | "do" | "exec" | "." | "!");
            let words = part.split_whitespace().skip_while(|word| begins(word) || word.contains('='));
            let words: Vec<String> = words.map(|word| word.trim_start_matches("../").to_owned()).collect();
            if words.first().is_some_and(|program| program == "cargo" || program.starts_with("scripts/")) {
                found.push(words);
            }
        }
    }
    found
}

impl Ci {
    fn read() -> Self {
        let mut commands = vec![vec![".ci/run".to_owned()]];
        let mut at = 0;
        let mut read = BTreeSet::new();
        while let Some(program) = commands.get(at).and_then(|command| command.first()).cloned() {
            at += 1;
            let text = fs::read_to_string(root().join(&program)).unwrap_or_default();
            if read.insert(program) && text.starts_with("#!/usr/bin/env bash") {
                commands.extend(commands_of_script(&text));
            }
        }
        let page = fs::read_to_string(root().join("scripts/bi_parts/page.py")).unwrap();
        let list = page.lines().find(|line| line.starts_with("PAGES = ")).unwrap();
        let quoted = Regex::new(r#""([^"]+)""#).unwrap();
        assert!(commands.iter().any(|command| command == &["scripts/bi"]), "scripts/bi runs whole pages");
        let whole_pages = quoted.captures_iter(list).map(|found| found[1].to_owned()).collect();
        let (block, below) =
            (Regex::new(r#"\bblock\("([^"]+)", "([^"]+)"\)"#).unwrap(), Regex::new(r#"\bcalls_below\("([^"]+)"\)"#).unwrap());
        let tests = sources(root().join("cli/tests"));
        let blocks = tests.iter().flat_map(|text| block.captures_iter(text)).map(|found| (found[1].into(), found[2].into()));
        let folders = tests.iter().flat_map(|text| below.captures_iter(text)).map(|found| found[1].into());
        Self { commands, whole_pages, blocks: blocks.collect(), folders: folders.collect() }
    }

    fn runs(&self, command: &[String]) -> bool {
        match command {
            [cargo, test, arguments @ ..] if cargo == "cargo" && test == "test" => are_tests(arguments),
            _ => self.commands.iter().any(|run| is_the_same(run, command)),
        }
    }

    fn runs_block(&self, block: &Block) -> bool {
        let by_test = |(page, text): &(String, String)| *page == block.page && block.text.contains(text);
        if self.whole_pages.contains(&block.page) || self.blocks.iter().any(by_test) {
            return true;
        }
        let called = self.folders.iter().any(|folder| block.page.starts_with(folder));
        let runs = |line: &String| (called && call(line).is_some()) || words(line).is_some_and(|command| self.runs(&command));
        block.commands().iter().all(runs)
    }
}

/// Whether two commands have the same program, and the same options and names; values of options may differ.
fn is_the_same(run: &[String], shown: &[String]) -> bool {
    let telling = |command: &[String]| -> BTreeSet<String> {
        let (mut words, mut before) = (BTreeSet::new(), "");
        for word in command {
            let names = matches!(before, "-p" | "--example" | "--test" | "--bin");
            let is_value = before.starts_with('-') && before != "--";
            if names || !is_value || word.starts_with('-') {
                words.insert(word.clone());
            }
            before = word;
        }
        words.retain(|word| !INSIGNIFICANT.contains(&word.as_str()) && !word.contains('>'));
        words
    };
    run.first() == shown.first() && telling(run) == telling(shown)
}

/// Whether these arguments of `cargo test` choose tests that there are.
fn are_tests(arguments: &[String]) -> bool {
    let (mut folder, mut file, mut before) = (PathBuf::new(), None, "");
    for argument in arguments {
        match before {
            "-p" => folder = root().join(argument.strip_prefix("tributary-").unwrap_or("cli")),
            "--test" => file = Some(folder.join(format!("tests/{argument}.rs"))),
            _ if argument.starts_with('-') => {}
            _ => {
                let text = file.as_deref().map(|file: &Path| fs::read_to_string(file).unwrap_or_default());
                if !text.is_some_and(|text| text.contains(&format!("fn {argument}"))) {
                    return false;
                }
            }
        }
        if !folder.join("Cargo.toml").exists() && before == "-p" || file.as_ref().is_some_and(|file| !file.exists()) {
            return false;
        }
        before = argument;
    }
    folder.is_dir()
}

/// Whether a command must be marked and is, or need not and is not; else what is wrong.
fn judge(is_run: bool, mark: Option<&str>) -> Result<(), &'static str> {
    match (is_run, mark) {
        (true, Some(_)) => Err("is marked as not run by CI, and CI runs it"),
        (false, None) => Err("is not run by CI: mark it with the reason"),
        (false, Some(reason)) if reason.len() < 8 => Err("is marked without a reason"),
        _ => Ok(()),
    }
}

fn mark(text: &str) -> Option<&str> {
    text.split_once(NOT_RUN).map(|(_, reason)| reason.trim_end_matches("-->").trim())
}

#[test]
fn every_block_of_commands_is_run_by_ci_or_marked() {
    let ci = Ci::read();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for block in all_blocks().iter().filter(|block| block.language == "sh") {
        let mark = block.before.strip_prefix("<!--").and_then(mark);
        if let Err(what) = judge(ci.runs_block(block), mark) {
            wrong.push(format!("{}:{}: the block {what}", block.page, block.line));
        }
        judged += 1;
    }
    assert!(wrong.is_empty() && judged > 20, "{judged}\n{}", wrong.join("\n"));
}

#[test]
fn every_command_of_contributing_is_run_by_ci_or_marked() {
    let ci = Ci::read();
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let code = Regex::new(r"`([^`]+)`").unwrap();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let commands: Vec<_> = code.captures_iter(cells[2]).map(|found| found[1].to_owned()).collect();
        if commands.is_empty() {
            continue;
        }
        let is_run = commands.iter().all(|line| words(line).is_some_and(|command| ci.runs(&command)));
        if let Err(what) = judge(is_run, mark(cells[3])) {
            wrong.push(format!("{}: {what}", commands.join(", ")));
        }
        judged += 1;
    }
    assert!(wrong.is_empty() && judged > 10, "{judged}\n{}", wrong.join("\n"));
}

#[test]
fn commands_that_ci_runs_are_distinguished_from_those_it_mentions() {
    let script = "#!/usr/bin/env bash\n# scripts/a\nif where_possible \"no b\" scripts/b --check >/dev/null; then\n  \
                  echo \"run scripts/c\"\nfi\nA=1 cargo run --quiet -p d -- --seeds 10 --jobs 2 || exit 1\n";
    let found = commands_of_script(script);
    let programs: Vec<&str> = found.iter().map(|command| command[0].as_str()).collect();
    assert_eq!(programs, ["scripts/b", "cargo"]);
    let same = |shown: &str| found.iter().any(|run| is_the_same(run, &words(shown).unwrap()));
    assert!(same("scripts/b --check") && same("cargo run -p d -- --seeds 2000"));
    assert!(!same("scripts/b") && !same("cargo run -p e -- --seeds 10") && !same("cargo run -p d -- --planted all"));
}

#[test]
fn tests_that_are_not_there_are_not_run() {
    let of = |line: &str| are_tests(&words(line).unwrap());
    assert!(of("-p tributary --test pages every_link_leads_somewhere"));
    assert!(of("-p tributary-proto -p tributary-identity"));
    assert!(!of("-p tributary-nothing") && !of("-p tributary --test nothing") && !of("-p tributary --test pages nothing"));
}

#[test]
fn marks_are_needed_where_ci_runs_nothing_and_only_there() {
    assert!(judge(true, None).is_ok() && judge(false, Some("needs a cluster")).is_ok());
    assert!(judge(true, Some("needs a cluster")).is_err() && judge(false, None).is_err() && judge(false, Some("")).is_err());
    assert_eq!(mark("<!-- not run by CI: needs a cluster -->"), Some("needs a cluster"));
}
