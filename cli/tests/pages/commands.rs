//! The command lines and configurations that pages show can be read: in blocks, in the output of a terminal, and in running text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use clap::error::{ContextKind, ErrorKind};
use regex::Regex;
use tributary_cli::args::Cli;
use tributary_pipeline::settings::Settings;
use tributary_runtime::config::{Sources, load};

use super::support::command::err;
use super::support::pages::{all_blocks, block, call, calls_below, pages};
use super::support::service::Service;
use super::support::{golden, write_files};
use super::{prose, root};

/// Why a command line cannot be read; `None` where it can.
fn problem(words: &[String]) -> Option<clap::Error> {
    Cli::of(words.iter().map(Into::into).collect()).err()
}

#[test]
fn every_command_line_that_a_page_shows_can_be_read() {
    let mut read = BTreeSet::new();
    for block in all_blocks() {
        for line in block.commands() {
            let line = if block.language == "sh" { Some(line.as_str()) } else { line.strip_prefix("$ ") };
            let Some(words) = line.and_then(call) else { continue };
            if let Some(error) = problem(&words) {
                panic!("{}:{}: {words:?}\n{error}", block.page, block.line);
            }
            read.insert(words);
        }
    }
    assert!(read.len() > 20, "{}", read.len());
}

/// Whether a command line is right as far as it goes: running text names a command or an option without what else it needs, and writes
/// values in capitals.
fn is_beginning(error: &clap::Error) -> bool {
    use ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, InvalidSubcommand, InvalidValue, MissingRequiredArgument,
        MissingSubcommand,
    };
    let stands_for = |kind| {
        let value = error.get(kind).map(ToString::to_string).unwrap_or_default();
        value.chars().all(|c| c.is_ascii_uppercase() || c == '-')
    };
    match error.kind() {
        DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | MissingRequiredArgument | MissingSubcommand => true,
        InvalidValue => stands_for(ContextKind::InvalidValue),
        InvalidSubcommand => stands_for(ContextKind::InvalidSubcommand),
        _ => false,
    }
}

#[test]
fn every_command_that_a_page_speaks_of_is_there() {
    let code = Regex::new(r"`(tributary [^`]+)`").unwrap();
    let (mut read, mut wrong) = (BTreeSet::new(), Vec::new());
    for page in pages() {
        let text = prose(&fs::read_to_string(&page).unwrap()).replace('\n', " ");
        for line in code.captures_iter(&text).map(|found| found[1].to_owned()) {
            let Some(words) = call(&line) else { continue };
            if let Some(error) = problem(&words).filter(|error| !is_beginning(error)) {
                wrong.push(format!("{}: {line}\n{error}", page.display()));
            }
            read.insert(words);
        }
    }
    assert!(wrong.is_empty() && read.len() > 20, "{}\n{}", read.len(), wrong.join("\n"));
}

#[test]
fn renamed_options_and_commands_are_no_beginnings() {
    let is_right = |line: &str| problem(&call(line).unwrap()).is_none_or(|error| is_beginning(&error));
    assert!(is_right("tributary audit --metrics") && is_right("tributary state") && is_right("tributary COMMAND --help"));
    assert!(!is_right("tributary audit --metric") && !is_right("tributary estate") && !is_right("tributary state inform"));
}

#[test]
fn every_configuration_that_a_page_shows_can_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let variable = Regex::new(r"\$\{env:(\w+)\}").unwrap();
    let mut loaded = 0;
    for block in all_blocks().iter().filter(|block| block.language == "toml") {
        let file = folder.path().join(format!("{loaded}.toml"));
        fs::write(&file, &block.text).unwrap();
        let variables = variable.captures_iter(&block.text).map(|found| found[1].to_owned());
        let environment: BTreeMap<_, _> = variables.map(|name| (name.clone(), format!("a-value-of-{name}"))).collect();
        let sources = Sources { files: vec![file], environment, ..Sources::default() };
        let errors = load::<Settings>(&sources).map_or_else(|errors| errors.to_string(), |_| String::new());
        // A page may name files that its reader has.
        let errors: Vec<&str> = errors.lines().skip(1).filter(|line| !line.contains("No such file")).collect();
        assert!(errors.is_empty(), "{}:{}: {errors:?}", block.page, block.line);
        loaded += 1;
    }
    assert!(loaded >= 3, "{loaded}");
}

#[test]
fn the_explanation_in_the_page_is_what_is_printed() {
    let shown = block("docs/outputs.md", " --explain ");
    let (folder, command) = shown.text.trim().split_once('\n').unwrap();
    let (folder, arguments) = (folder.strip_prefix("cd ").unwrap(), command.strip_prefix("tributary ").unwrap());
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tributary"));
    program.args(arguments.split(' ')).current_dir(root().join(folder)).env_remove("TRIBUTARY_CONFIG");
    let printed = String::from_utf8(program.output().unwrap().stdout).unwrap();
    let mut lines = printed.lines();
    let answer = all_blocks().into_iter().find(|block| block.page == shown.page && block.line > shown.line).unwrap();
    for shown in answer.text.lines().filter(|line| *line != "...") {
        assert!(lines.any(|line| line == shown), "not printed, or not there: {shown}");
    }
}

/// Runbooks are read when something is wrong: then each of their commands must work.
#[test]
fn the_commands_of_runbooks_run_on_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let files = write_files(folder.path(), &golden());
    let refused = folder.path().join("refused.ndjson");
    fs::write(&refused, "{\"email\": \"a@b.example\"}\n").unwrap();
    let sent: Vec<&str> = ["send"].into_iter().chain(files.iter().map(String::as_str)).collect();
    service.ok(&[&sent[..], &["--offline", refused.to_str().unwrap()]].concat());
    service.drain();
    let values = [("MILESTONE_ID", "closed_won:006X"), ("PROFILE_ID", "p_9ce777b87b508996b703dd2922724c92"), ("0:17", "0:0")];
    let mut run = 0;
    for (line, words) in calls_below("docs/runbooks") {
        let words =
            words.iter().skip(1).map(|word| values.iter().find(|(name, _)| name == word).map_or(word.as_str(), |of| of.1));
        let done = service.command(&words.collect::<Vec<_>>());
        assert!(done.status.success(), "{line}\n{}", err(&done));
        run += 1;
    }
    assert!(run > 10, "{run}");
}
