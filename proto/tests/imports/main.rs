//! No files of a crate import each other in a circle: such files can only be understood together. This holds all crates of the workspace
//! to that, and stands here because this one builds without anything else.
//!
//! One exception: a file and files below it are read together, from the top. They may import each other, as long as those below form no
//! circle without it. What a file passes on of those below it (`pub use child::Name`) it does not import; whoever names it there imports
//! the child.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{Import, Source};

/// A file, as its module's path.
type Module = Vec<String>;

/// The files of a crate.
type Files = BTreeMap<Module, Source>;

/// Which files a file imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// Reads the files under a folder, except tests. Of a package with a library, the program is a separate crate.
fn read(folder: &Path, at: &[String], out: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_test = name == "tests" || name.ends_with("_tests");
        if is_test || (at.is_empty() && name == "main") {
            continue;
        }
        let module = if matches!(name.as_str(), "lib" | "mod") { at.to_vec() } else { [at, &[name]].concat() };
        if path.is_dir() {
            read(&path, &module, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.insert(module, Source::of(&fs::read_to_string(&path).unwrap()));
        }
    }
}

/// An imported path from the root of the crate; `None` for paths into other crates.
fn from_root(module: &Module, path: &[String], files: &Files) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|name| *name == "super").count();
    match path[0].as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([&module[..], &path[1..]].concat()),
        "super" => Some([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat()),
        child if files.contains_key(&[&module[..], &[child.to_owned()]].concat()) => Some([&module[..], path].concat()),
        _ => None,
    }
}

/// The module that a file re-exports an import from (`pub use` by name, of a module below it).
fn passed_on(module: &Module, import: &Import, files: &Files) -> Option<Vec<String>> {
    let path = from_root(module, &import.path, files)?;
    (import.passed_on && path.len() > module.len() + 1 && path.starts_with(module)).then_some(path)
}

/// The file that defines what a path names, beyond files that only re-export it.
fn owner(path: &[String], files: &Files) -> Option<Module> {
    let module = (0..=path.len()).rev().map(|length| path[..length].to_vec()).find(|known| files.contains_key(known))?;
    let Some(name) = path.get(module.len()) else { return Some(module) };
    let named = files[&module].imports.iter().filter(|import| import.name == *name);
    match named.filter_map(|import| passed_on(&module, import, files)).next() {
        Some(further) => owner(&[&further[..], &path[module.len() + 1..]].concat(), files),
        None => Some(module),
    }
}

/// Which files import which.
fn imports(files: &Files) -> Imports {
    let of = |module: &Module, source: &Source| {
        let own = source.imports.iter().filter(|import| passed_on(module, import, files).is_none());
        let paths = own.filter_map(|import| from_root(module, &import.path, files));
        paths.filter_map(|path| owner(&path, files)).filter(|other| other != module).collect()
    };
    files.iter().map(|(module, source)| (module.clone(), of(module, source))).collect()
}

/// The files of `of` that can be reached from one by imports.
fn reached<'a>(from: &'a Module, of: &BTreeSet<&'a Module>, all: &'a Imports) -> BTreeSet<&'a Module> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(next) = todo.pop() {
        todo.extend(all[next].iter().filter(|other| of.contains(other) && seen.insert(*other)));
    }
    seen
}

/// Groups of files in `of` in which each file can reach all others by imports.
fn knots<'a>(of: &BTreeSet<&'a Module>, all: &'a Imports) -> Vec<BTreeSet<&'a Module>> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = of.iter().map(|module| (*module, reached(module, of, all))).collect();
    let mut found: Vec<BTreeSet<&Module>> = Vec::new();
    for (module, others) in reach.iter().filter(|(module, others)| others.contains(*module)) {
        if !found.iter().any(|knot| knot.contains(module)) {
            found.push(others.iter().filter(|other| reach[*other].contains(module)).copied().collect());
        }
    }
    found
}

/// The import cycles among these files, as the names of their files.
fn circles_among<'a>(of: &BTreeSet<&'a Module>, all: &'a Imports) -> Vec<String> {
    let mut found = Vec::new();
    for mut knot in knots(of, all) {
        // The shortest path comes first: the file above all others, if there is one.
        let top = *knot.first().unwrap();
        if knot.iter().all(|module| module.starts_with(top)) {
            knot.remove(top);
            found.extend(circles_among(&knot, all));
        } else {
            let names = knot.iter().map(|module| module.join("::"));
            found.push(names.collect::<Vec<_>>().join(", "));
        }
    }
    found
}

/// Every import cycle.
fn circles(files: &Files) -> Vec<String> {
    let all = imports(files);
    circles_among(&all.keys().collect(), &all)
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = fs::read_dir(workspace).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let (mut found, mut crates, mut edges) = (Vec::new(), 0, 0);
    for folder in folders.filter(|folder| folder.join("lib.rs").exists()) {
        let mut files = Files::new();
        read(&folder, &[], &mut files);
        crates += 1;
        edges += imports(&files).values().map(BTreeSet::len).sum::<usize>();
        found.extend(circles(&files).into_iter().map(|circle| format!("{}: {circle}", folder.display())));
    }
    assert!(crates >= 10 && edges > 1_000, "crates and imports are found: {crates}, {edges}");
    assert!(found.is_empty(), "files import each other in a circle:\n{}", found.join("\n"));
}

fn files(all: &[(&str, &str)]) -> Files {
    let module = |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    all.iter().map(|(name, code)| (module(name), Source::of(code))).collect()
}

#[test]
fn a_circle_is_found() {
    let three = files(&[("a", "use crate::{b::{self, C}, d::E};"), ("b", "fn f() { super::d::g() }"), ("d", "use crate::a;")]);
    assert_eq!(circles(&three), ["a, b, d"]);
    let two = files(&[("a", "use crate::b::B;"), ("b", "struct B(crate::a::A);"), ("d", "use crate::a::{A, *};")]);
    assert_eq!(circles(&two), ["a, b"]);
}

#[test]
fn a_file_and_those_below_it_may_import_each_other() {
    let above = ("a", "mod b; mod c; use b::B;");
    let below = ("a::b", "use super::{A, c::C};");
    assert!(circles(&files(&[above, below, ("a::c", "use crate::a::A;")])).is_empty());
    assert_eq!(circles(&files(&[above, below, ("a::c", "use super::b::B;")])), ["a::b, a::c"]);
    assert_eq!(circles(&files(&[above, ("a::b", "use crate::d::D;"), ("d", "use crate::a::A;")])), ["a, a::b, d"]);
}

#[test]
fn what_a_file_passes_on_is_imported_from_the_one_below() {
    let passes = ("", "pub use a::A; pub(crate) use b::{B as C};");
    assert!(circles(&files(&[passes, ("a", "use crate::C;"), ("b", "")])).is_empty());
    assert_eq!(circles(&files(&[passes, ("a", "use crate::C;"), ("b", "use crate::A;")])), ["a, b"]);
}

#[test]
fn texts_and_comments_and_tests_import_nothing() {
    let code = "// crate::b::B\nconst A: [char; 2] = ['\"', '\\'']; const T: &str = \"\\\" crate::b::B\";\n#[cfg(test)]\nmod tests { use crate::b::B; }";
    assert!(circles(&files(&[("a", code), ("b", "use crate::a;")])).is_empty());
}
