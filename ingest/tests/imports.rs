//! No module imports upward: files that import each other in a circle can only be understood together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// A module, as the path of its names.
type Module = Vec<String>;

/// Every file of the crate as a module, with its code up to its tests.
fn modules(folder: &Path, at: &[String], out: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let module = if matches!(name.as_str(), "lib" | "mod") { at.to_vec() } else { [at, &[name]].concat() };
        if path.is_dir() {
            modules(&path, &module, out);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let code = code.lines().map(|line| line.split("//").next().unwrap());
            out.insert(module, code.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The paths that begin at a token, those in braces each on its own; returns where they end.
fn paths(tokens: &[&str], mut at: usize, prefix: &[&str], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let is_name = |at: usize| tokens.get(at).is_some_and(|token| token.starts_with(|c: char| c.is_alphabetic() || c == '_'));
    while is_name(at) {
        path.push(tokens[at]);
        if tokens.get(at + 1) != Some(&"::") {
            break;
        }
        at += 2;
    }
    if tokens.get(at) != Some(&"{") || path.len() == prefix.len() {
        out.push(path.into_iter().map(str::to_owned).collect());
        return at + 1;
    }
    at += 1;
    while at < tokens.len() && tokens[at] != "}" {
        at = if is_name(at) { paths(tokens, at, &path, out) } else { at + 1 };
    }
    at + 1
}

/// The modules that a file of `modules` names.
fn imports(module: &Module, code: &str, modules: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let token = Regex::new(r"[A-Za-z_]\w*|::|[{}]|\S").unwrap();
    let tokens: Vec<&str> = token.find_iter(code).map(|found| found.as_str()).collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        // A path begins where a name is followed by `::`.
        let begins = tokens.get(at + 1) == Some(&"::") && tokens[at].starts_with(char::is_alphabetic);
        at = if begins { paths(&tokens, at, &[], &mut found) } else { at + 1 };
    }
    let resolve = |path: Vec<String>| {
        let ups = path.iter().take_while(|name| *name == "super").count();
        let base = match path[0].as_str() {
            // What another crate gives.
            "crate" if path.get(1).is_some_and(|name| name == "reason") => return None,
            "crate" => path[1..].to_vec(),
            "super" => [&module[..module.len() - ups], &path[ups..]].concat(),
            child if modules.contains_key(&[&module[..], &[child.to_owned()]].concat()) => [&module[..], &path].concat(),
            _ => return None,
        };
        (0..=base.len()).rev().map(|length| base[..length].to_vec()).find(|known| modules.contains_key(known))
    };
    found.into_iter().filter_map(resolve).filter(|other| other != module).collect()
}

/// All pairs of modules of which each leads to the other, but for a parent and its child.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<String> {
    let reach = |from: &Module| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
        while let Some(next) = todo.pop() {
            todo.extend(edges[next].iter().filter(|other| seen.insert((*other).clone())));
        }
        seen
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = edges.keys().map(|module| (module, reach(module))).collect();
    let mut found = BTreeSet::new();
    for (module, others) in &reached {
        let circle: Vec<String> =
            others.iter().filter(|other| reached[other].contains(*module)).map(|other| other.join("::")).collect();
        let is_pair = circle.len() == 2 && circle[1].starts_with(&format!("{}::", circle[0]));
        if !circle.is_empty() && !is_pair {
            found.insert(circle.join(", "));
        }
    }
    found
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut files = BTreeMap::new();
    modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut files);
    let edges: BTreeMap<Module, BTreeSet<Module>> =
        files.iter().map(|(module, code)| (module.clone(), imports(module, code, &files))).collect();
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 200, "imports are found");
    assert_eq!(circles(&edges), BTreeSet::new());
}

#[test]
fn a_circle_is_found() {
    let files: BTreeMap<Module, String> =
        [("a", "use crate::{b::{self, C}, d::E};"), ("b", "fn f() { super::d::g() }"), ("d", "use crate::a;")]
            .map(|(name, code)| (vec![name.to_owned()], code.to_owned()))
            .into();
    let edges = files.iter().map(|(module, code)| (module.clone(), imports(module, code, &files))).collect();
    assert_eq!(circles(&edges), ["a, b, d".to_owned()].into());
}
