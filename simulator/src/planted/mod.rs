//! Mutation tests: bugs that are planted into a copy of the sources, one at a time, to show that the simulator finds bugs.
//!
//! Each is a file of `simulator/planted`: a line that describes the bug, and a unified diff. A patch is located by the lines it replaces
//! and their neighbours, which must occur in the file exactly once, at any position.

pub mod report;
pub mod trial;

use std::fs;
use std::path::{Path, PathBuf};

use diffy::Line;
use diffy::patch_set::{FilePatch, ParseOptions, PatchSet, PatchSetParseError};

/// The folder of the patches, relative to the root of the sources.
pub const FOLDER: &str = "simulator/planted";

/// A bug that can be planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bug {
    /// The name of its patch, without `.patch`.
    pub name: String,
    /// What goes wrong.
    pub what: String,
    changes: Vec<Change>,
}

/// The lines of a file without and with the bug.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    /// Relative to the root of the sources.
    file: PathBuf,
    right: String,
    wrong: String,
}

/// Why a bug cannot be planted.
#[derive(Debug, thiserror::Error)]
pub enum PlantError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A patch is not a unified diff.
    #[error("{FOLDER}/{name}.patch: {source}")]
    Diff {
        /// The patch's name.
        name: String,
        /// The reason.
        source: PatchSetParseError,
    },
    /// A patch has no line that says what goes wrong, or changes nothing.
    #[error(
        "{FOLDER}/{name}.patch: expected a line that says what goes wrong, and beneath it a unified diff that changes something"
    )]
    Nothing {
        /// The patch's name.
        name: String,
    },
    /// The sources have changed at the place of a patch.
    #[error(
        "{FOLDER}/{name}.patch: {} has {times} places with these lines, where it must have one:\n\n{lines}\nRenew the patch: commit, make \
         the mistake by hand ({what}), put what `git diff -U1` prints beneath the patch's first line (-U2 where the lines stand elsewhere, too), \
         and take the mistake out again. If there is nothing left to get wrong, remove the patch.",
        file.display()
    )]
    Moved {
        /// The patch's name.
        name: String,
        /// What goes wrong.
        what: String,
        /// The file.
        file: PathBuf,
        /// How often the lines occur there.
        times: usize,
        /// The lines it is looking for.
        lines: String,
    },
}

impl Bug {
    /// All bugs with a patch in these sources, sorted by the file they change first, then by name: so consecutive builds share most of
    /// their work.
    ///
    /// # Errors
    /// A file cannot be read, or is no patch.
    pub fn all(root: &Path) -> Result<Vec<Self>, PlantError> {
        let folder = root.join(FOLDER);
        let unreadable = |source| PlantError::File { path: folder.clone(), source };
        let mut bugs = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "patch")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                bugs.push(Self::read(name, &read(&path)?)?);
            }
        }
        bugs.sort_by(|a, b| (a.file(), &a.name).cmp(&(b.file(), &b.name)));
        Ok(bugs)
    }

    fn read(name: &str, text: &str) -> Result<Self, PlantError> {
        let nothing = || PlantError::Nothing { name: name.to_owned() };
        let (what, diff) = text.split_once('\n').ok_or_else(nothing)?;
        let mut changes = Vec::new();
        for file in PatchSet::parse(diff, ParseOptions::unidiff()) {
            let file = file.map_err(|source| PlantError::Diff { name: name.to_owned(), source })?;
            changes.extend(changes_of(&file).ok_or_else(nothing)?);
        }
        if what.is_empty() || what.starts_with("--- ") || changes.is_empty() {
            return Err(nothing());
        }
        Ok(Self { name: name.to_owned(), what: what.to_owned(), changes })
    }

    /// The first file it changes, relative to the root of the sources.
    pub fn file(&self) -> &Path {
        self.changes.first().map_or(Path::new(""), |change| &change.file)
    }

    /// The files that have this bug, with their changed text.
    ///
    /// # Errors
    /// A file cannot be read, or the patch does not fit it.
    pub fn plant(&self, root: &Path) -> Result<Vec<(PathBuf, String)>, PlantError> {
        let mut wrong: Vec<(PathBuf, String)> = Vec::new();
        for change in &self.changes {
            if !wrong.iter().any(|(file, _)| *file == change.file) {
                wrong.push((change.file.clone(), read(&root.join(&change.file))?));
            }
            for (_, text) in wrong.iter_mut().filter(|(file, _)| *file == change.file) {
                *text = self.change(change, text)?;
            }
        }
        Ok(wrong)
    }

    fn change(&self, change: &Change, text: &str) -> Result<String, PlantError> {
        let times =
            text.match_indices(&change.right).filter(|(at, _)| *at == 0 || text.as_bytes().get(at - 1) == Some(&b'\n')).count();
        if times != 1 {
            let (name, what, file) = (self.name.clone(), self.what.clone(), change.file.clone());
            return Err(PlantError::Moved { name, what, file, times, lines: change.right.clone() });
        }
        Ok(text.replacen(&change.right, &change.wrong, 1))
    }
}

fn read(path: &Path) -> Result<String, PlantError> {
    fs::read_to_string(path).map_err(|source| PlantError::File { path: path.to_owned(), source })
}

/// The changes of one file; `None` if the patch creates, deletes or renames it.
fn changes_of(patch: &FilePatch<'_, str>) -> Option<Vec<Change>> {
    let text = patch.patch().as_text()?;
    let file = PathBuf::from(text.original()?.strip_prefix("a/")?);
    let change = |hunk: &diffy::Hunk<'_, str>| {
        let mut change = Change { file: file.clone(), right: String::new(), wrong: String::new() };
        for line in hunk.lines() {
            match line {
                Line::Context(line) => {
                    change.right.push_str(line);
                    change.wrong.push_str(line);
                }
                Line::Delete(line) => change.right.push_str(line),
                Line::Insert(line) => change.wrong.push_str(line),
            }
        }
        change
    };
    Some(text.hunks().iter().map(change).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn every_patch_fits_the_sources() {
        let bugs = Bug::all(&root()).unwrap();
        let misfits: Vec<String> =
            bugs.iter().filter_map(|bug| bug.plant(&root()).err()).map(|error| error.to_string()).collect();
        assert!(misfits.is_empty(), "{}", misfits.join("\n\n"));
        assert!(!bugs.is_empty());
    }

    #[test]
    fn a_patch_finds_its_lines_anywhere_and_fails_if_they_are_missing() {
        let diff = "adds too little\n--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,3 @@\n fn f() {\n-    a + 2\n+    a + 1\n }\n";
        let bug = Bug::read("small", diff).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let put = |text: &str| fs::write(folder.path().join("x.rs"), text).unwrap();
        put("// a line more\nfn f() {\n    a + 2\n}\n");
        let wrong = "// a line more\nfn f() {\n    a + 1\n}\n".to_owned();
        assert_eq!(bug.plant(folder.path()).unwrap(), [(PathBuf::from("x.rs"), wrong)]);
        put("fn f() {\n    a + 3\n}\n");
        let error = bug.plant(folder.path()).unwrap_err().to_string();
        assert!(error.contains("simulator/planted/small.patch: x.rs has 0 places with these lines"), "{error}");
        put("fn f() {\n    a + 2\n}\nfn f() {\n    a + 2\n}\n");
        assert!(matches!(bug.plant(folder.path()), Err(PlantError::Moved { times: 2, .. })));
        assert!(matches!(Bug::read("empty", "says much\n"), Err(PlantError::Diff { .. })));
        assert!(matches!(Bug::read("mute", diff.split_once('\n').unwrap().1), Err(PlantError::Nothing { .. })));
    }
}
