//! Reads the layers (files, environment, flags) into one list of overrides, each with where it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::interpolate::interpolate;
use super::origin::{ConfigError, Origin};
use super::shape::{Place, Shapes, advice, keys, meant};
use super::value::{from_text, from_toml, same_kind};

/// Prefix of environment variables that are settings.
const PREFIX: &str = "TRIBUTARY_";

/// Where settings are read from, after the defaults. A later layer overrides an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// TOML files; a later one overrides an earlier one.
    pub files: Vec<PathBuf>,
    /// All environment variables: `TRIBUTARY_SECTION__KEY` are settings; `${env:NAME}` can use any.
    pub environment: BTreeMap<String, String>,
    /// Flags of the form `section.key=value`; a later one overrides an earlier one.
    pub flags: Vec<String>,
}

impl Sources {
    /// These files and flags, with the environment of this process.
    pub fn of_process(files: Vec<PathBuf>, flags: Vec<String>) -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { files, environment: texts.collect(), flags }
    }
}

/// The overrides by path, and the errors of those that cannot be used.
pub(super) struct Layers<'a> {
    shapes: &'a Shapes,
    defaults: &'a Value,
    environment: &'a BTreeMap<String, String>,
    pub(super) overrides: BTreeMap<Vec<String>, (Value, Origin)>,
    pub(super) errors: Vec<ConfigError>,
    /// Whether the section being read is misspelt: then its values are only checked, as if under the intended section.
    guessing: bool,
}

impl<'a> Layers<'a> {
    /// Reads all layers.
    pub(super) fn read(shapes: &'a Shapes, defaults: &'a Value, sources: &'a Sources) -> Self {
        let mut layers = Self {
            shapes,
            defaults,
            environment: &sources.environment,
            overrides: BTreeMap::new(),
            errors: Vec::new(),
            guessing: false,
        };
        sources.files.iter().for_each(|path| layers.file(path));
        sources.environment.iter().for_each(|(name, value)| layers.variable(name, value));
        sources.flags.iter().for_each(|flag| layers.flag(flag));
        layers
    }

    fn error(&mut self, origin: Origin, path: &[String], problem: impl Into<String>) {
        let key = path.iter().map(|part| shown(part)).collect::<Vec<_>>().join(".");
        self.errors.push(ConfigError { origin, key, problem: problem.into() });
    }

    fn file(&mut self, path: &Path) {
        let whole = Origin::File { path: path.to_owned(), line: 0 };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.error(whole, &[], format!("cannot be read: {error}")),
        };
        let mut file = File { path, text: &text, broken: BTreeSet::new() };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let span = error.span();
            let lines = span.as_ref().map(|span| file.line(span.start)..=file.line(span.end));
            file.broken.extend(lines.into_iter().flatten());
            let origin = span.map_or(whole.clone(), |span| file.origin(span.start));
            self.error(origin, &[], format!("not TOML: {}", error.message()));
        }
        self.table(&file, table.get_ref(), &mut Vec::new());
    }

    fn table(&mut self, file: &File<'_>, table: &DeTable<'_>, path: &mut Vec<String>) {
        for (key, value) in table.iter().filter(|(key, _)| !file.is_broken(key.span().start)) {
            path.push(key.get_ref().to_string());
            self.entry(file, key.span().start, value, path);
            path.pop();
        }
    }

    fn entry(&mut self, file: &File<'_>, at: usize, value: &Spanned<DeValue<'_>>, path: &mut Vec<String>) {
        let origin = file.origin(at);
        match (self.shapes.place(self.defaults, path), value.get_ref()) {
            (Place::Unknown, value_is) => match self.meant(path, value_is) {
                Some(meant) => {
                    self.error(origin, path, format!("unknown section; did you mean `{}`?", meant.join(".")));
                    let before = std::mem::replace(&mut self.guessing, true);
                    self.entry(file, at, value, &mut meant.clone());
                    self.guessing = before;
                }
                None => {
                    let advice = advice(self.shapes, self.defaults, path);
                    self.error(origin, path, advice);
                }
            },
            (Place::Table | Place::Inside | Place::Open { dotted: false }, DeValue::Table(table)) => {
                self.table(file, table, path)
            }
            (Place::Open { .. }, DeValue::Table(table)) => self.dotted(file, table, path, ""),
            (Place::Table | Place::Open { .. }, other) => {
                self.error(origin, path, format!("expected a section, found {}", toml_kind(other)));
            }
            (Place::Leaf(default), other) => self.leaf(origin, path.clone(), self.convert(other, default), default),
            (Place::Inside, other) => self.leaf(origin, path.clone(), self.convert(other, None), None),
        }
    }

    /// The path of the section that a misspelt one probably means; `None` for a value, and if no name is similar.
    fn meant(&self, path: &[String], value: &DeValue<'_>) -> Option<Vec<String>> {
        let (_, parent) = path.split_last()?;
        let name = match value {
            DeValue::Table(_) => meant(self.defaults, path, Value::is_object),
            DeValue::Array(items) if items.iter().any(|item| matches!(item.get_ref(), DeValue::Table(_))) => {
                meant(self.defaults, path, Value::is_array)
            }
            _ => None,
        };
        Some(parent.iter().cloned().chain([name?]).collect())
    }

    /// The path with its misspelt sections corrected; `None` if none is misspelt, or no name is similar.
    fn corrected(&self, path: &[String]) -> Option<Vec<String>> {
        let mut corrected: Vec<String> = Vec::new();
        for name in path {
            corrected.push(name.clone());
            let inner = corrected.len() < path.len();
            if inner && self.shapes.place(self.defaults, &corrected) == Place::Unknown {
                let name = meant(self.defaults, &corrected, Value::is_object)?;
                corrected.pop();
                corrected.push(name);
            }
        }
        (corrected != path).then_some(corrected)
    }

    /// Reads a table whose keys contain dots: in TOML, `linger.ms = 5` is a table `linger` with the key `ms`.
    fn dotted(&mut self, file: &File<'_>, table: &DeTable<'_>, root: &[String], before: &str) {
        for (key, value) in table.iter().filter(|(key, _)| !file.is_broken(key.span().start)) {
            let dotted = if before.is_empty() { key.get_ref().to_string() } else { format!("{before}.{}", key.get_ref()) };
            match value.get_ref() {
                DeValue::Table(table) => self.dotted(file, table, root, &dotted),
                leaf => {
                    let path = root.iter().cloned().chain([dotted]).collect();
                    self.leaf(file.origin(key.span().start), path, self.convert(leaf, None), None);
                }
            }
        }
    }

    /// Converts a TOML value and resolves references in its strings.
    fn convert(&self, value: &DeValue<'_>, default: Option<&Value>) -> Result<Value, String> {
        from_toml(value, &mut |text| self.text(text, default))
    }

    /// A string in a file. One with references takes the kind of the default, as text from the environment does.
    fn text(&self, text: &str, default: Option<&Value>) -> Result<Value, String> {
        let resolved = interpolate(text, self.environment)?;
        match default {
            Some(Value::Bool(_) | Value::Number(_)) if resolved != text => from_text(&resolved, default),
            _ => Ok(Value::from(resolved)),
        }
    }

    fn leaf(&mut self, origin: Origin, path: Vec<String>, value: Result<Value, String>, default: Option<&Value>) {
        match value.and_then(|value| same_kind(&value, default).map(|()| value)) {
            // The intended section may also be present, and its value counts.
            Ok(value) if self.guessing => {
                self.overrides.entry(path).or_insert((value, origin));
            }
            Ok(value) => {
                self.overrides.insert(path, (value, origin));
            }
            Err(problem) => self.error(origin, &path, problem),
        }
    }

    fn variable(&mut self, name: &str, text: &str) {
        let Some(key) = name.strip_prefix(PREFIX) else { return };
        let origin = Origin::Environment(name.to_owned());
        if !key.contains("__") {
            // Kubernetes sets TRIBUTARY_PORT and the like for a service with our name, so an unknown one is not an error.
            let meant = keys(self.defaults).into_iter().find(|known| variable_form(known, "_").eq_ignore_ascii_case(key));
            if let Some(known) = meant {
                let problem = format!("is not read; for `{known}` set {PREFIX}{}", variable_form(&known, "__"));
                self.error(origin, &[], problem);
            }
            return;
        }
        let path = self.variable_path(key);
        let corrected = self.corrected(&path).map(|path| self.variable_path(&path.join("__")));
        self.assign_or_guess(origin, path, corrected, text);
    }

    /// The path that a variable stands for. Keys are compared without case, and with `_` for `.` and `-`, which variables cannot contain.
    fn variable_path(&self, name: &str) -> Vec<String> {
        let mut path: Vec<String> = Vec::new();
        let mut at = Some(self.defaults);
        for part in name.split("__").map(str::to_ascii_lowercase) {
            let known = at.and_then(Value::as_object).into_iter().flat_map(|table| table.keys());
            let known = known.into_iter().find(|key| key.replace(['.', '-'], "_") == part).cloned();
            let dotted = self.shapes.place(self.defaults, &path) == Place::Open { dotted: true };
            let key = known.unwrap_or_else(|| if dotted { part.replace('_', ".") } else { part });
            at = at.and_then(|table| table.get(&key));
            path.push(key);
        }
        path
    }

    fn flag(&mut self, flag: &str) {
        match flag.split_once('=') {
            Some((key, text)) => {
                let path = self.shapes.split(key.trim());
                let corrected = self.corrected(&path).map(|path| self.shapes.split(&path.join(".")));
                self.assign_or_guess(Origin::Flag(shown(key).to_owned()), path, corrected, text);
            }
            None => {
                let known = self.shapes.place(self.defaults, &self.shapes.split(shown(flag))) != Place::Unknown;
                // A flag without a known key may be a secret value whose key was forgotten: do not print it.
                let name = if known { shown(flag) } else { "(without a key)" };
                self.error(Origin::Flag(name.to_owned()), &[], "expected `section.key=value`");
            }
        }
    }

    /// Assigns a value. Under a misspelt section it reports the misspelling, and only checks the value as if under the intended section.
    fn assign_or_guess(&mut self, origin: Origin, path: Vec<String>, corrected: Option<Vec<String>>, text: &str) {
        let Some(corrected) = corrected else { return self.assign(origin, path, text) };
        if self.shapes.place(self.defaults, &corrected) != Place::Unknown {
            self.error(origin.clone(), &path, format!("unknown section; did you mean `{}`?", corrected.join(".")));
        }
        self.guessing = true;
        self.assign(origin, corrected, text);
        self.guessing = false;
    }

    fn assign(&mut self, origin: Origin, path: Vec<String>, text: &str) {
        let default = match self.shapes.place(self.defaults, &path) {
            Place::Leaf(default) => default,
            Place::Inside => None,
            Place::Table | Place::Open { .. } => return self.error(origin, &path, "is a section; give one of its keys"),
            Place::Unknown => {
                let advice = advice(self.shapes, self.defaults, &path);
                return self.error(origin, &path, advice);
            }
        };
        let value = interpolate(text, self.environment).and_then(|text| from_text(&text, default));
        self.leaf(origin, path, value, default);
    }
}

/// The part of a key that may be shown: all of it, unless it has characters that keys do not have. Then it may be a value whose `=` was
/// forgotten.
fn shown(key: &str) -> &str {
    let end = key.find(|mark: char| mark.is_whitespace() || mark.is_control() || "=:'\"`,;".contains(mark));
    key.get(..end.unwrap_or(key.len())).unwrap_or_default()
}

/// The form of a dotted key in environment variables.
fn variable_form(key: &str, separator: &str) -> String {
    key.split('.').map(|part| part.replace('-', "_").to_ascii_uppercase()).collect::<Vec<_>>().join(separator)
}

fn toml_kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) | DeValue::Datetime(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A file that is being read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    /// Lines that are not TOML. The parser's result for them means nothing, and may contain values as keys.
    broken: BTreeSet<usize>,
}

impl File<'_> {
    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.to_owned(), line: self.line(offset) }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn is_broken(&self, offset: usize) -> bool {
        !self.broken.is_empty() && self.broken.contains(&self.line(offset))
    }
}
