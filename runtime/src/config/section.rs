//! A section of the configuration, and its validation errors.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use tributary_proto::kind::Kinds;

/// What compiling a section may use, beside its own values.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The kinds of identifiers and milestones that all sections share.
    pub kinds: &'a Kinds,
    /// The time zone in which days begin, by IANA name.
    pub time_zone: &'a str,
    /// Reads a file named in a setting: sections do not read files themselves.
    pub read: fn(&str) -> io::Result<String>,
}

impl<'a> Given<'a> {
    /// With these kinds, this machine's files, and days in UTC.
    pub fn new(kinds: &'a Kinds) -> Self {
        Self { kinds, time_zone: "UTC", read: read_small }
    }
}

/// Largest file named in a setting, bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

fn read_small(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// A table whose keys the user chooses.
#[derive(Debug, Clone, Copy)]
pub struct OpenMap {
    /// Its dotted path below the section; empty for the section itself.
    pub path: &'static str,
    /// Whether its keys may contain dots, as the properties of a Kafka client do.
    pub dotted: bool,
}

/// The shape of a section's keys, as far as its defaults do not show it.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Tables whose keys the user chooses. Their entries are added to the default ones.
    pub open: &'static [OpenMap],
    /// Paths (`*` matches one key) whose value replaces the default as a whole, because its form can vary.
    pub whole: &'static [&'static str],
    /// Former keys, each with the key (of any section) that replaces it.
    pub moved: &'static [(&'static str, &'static str)],
}

impl Shape {
    /// All keys are those of the defaults.
    pub const CLOSED: Self = Self { open: &[], whole: &[], moved: &[] };
}

/// A section of the configuration.
///
/// ```
/// use tributary_proto::kind::Kinds;
/// use tributary_runtime::config::{Given, Problems, Section};
///
/// struct Window { days: u32 }
///
/// impl Section for Window {
///     const NAME: &'static str = "window";
///     type Compiled = u64;
///     fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<u64> {
///         problems.unless(self.days > 0, "days", "expected at least 1");
///         Some(u64::from(self.days) * 86_400_000)
///     }
/// }
///
/// assert_eq!(Window { days: 2 }.compiled(&Kinds::default()), Ok(172_800_000));
/// assert_eq!(Window { days: 0 }.compiled(&Kinds::default()).unwrap_err().to_string(), "days: expected at least 1");
/// ```
pub trait Section {
    /// Its name: the first part of its keys.
    const NAME: &'static str;

    /// The shape of its keys, relative to the section, as far as the defaults do not show it.
    const SHAPE: Shape = Shape::CLOSED;

    /// The result of compiling it.
    type Compiled;

    /// Checks and compiles it. `None` if it has errors, which are in `problems`.
    fn compile(&self, given: &Given<'_>, problems: &mut Problems) -> Option<Self::Compiled>;

    /// The same, with problems under their full keys.
    fn compile_in(&self, given: &Given<'_>, problems: &mut Problems) -> Option<Self::Compiled> {
        problems.below(Self::NAME, |problems| self.compile(given, problems))
    }

    /// The same for a section alone.
    ///
    /// # Errors
    /// All errors, by the keys below the section.
    fn compiled(&self, kinds: &Kinds) -> Result<Self::Compiled, Problems> {
        let mut problems = Problems::default();
        match self.compile(&Given::new(kinds), &mut problems) {
            Some(compiled) if problems.is_empty() => Ok(compiled),
            _ => Err(problems),
        }
    }
}

/// The errors in settings, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<(String, String)>, Below);

/// Prefix of the keys in use: nothing, or a section and a dot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Below(String);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, problem)) in self.0.iter().enumerate() {
            write!(f, "{}{key}: {problem}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Problems {
    /// Records that the value of the dotted `key` cannot be used.
    pub fn at(&mut self, key: impl AsRef<str>, problem: impl Into<String>) {
        let key = format!("{}{}", self.1.0, key.as_ref());
        self.0.push((key, problem.into()));
    }

    /// The same for a key of any section, given in full.
    pub fn at_whole(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push((key.into(), problem.into()));
    }

    /// Records a problem unless `fine`.
    pub fn unless(&mut self, fine: bool, key: &str, problem: &str) {
        if !fine {
            self.at(key, problem);
        }
    }

    /// Records a problem if `found` is `None`.
    pub fn check<T>(&mut self, found: Option<T>, key: &str, problem: &str) -> Option<T> {
        self.unless(found.is_some(), key, problem);
        found
    }

    /// Checks that a number is in a range; returns it, or the low end.
    pub fn number(&mut self, key: &str, value: f64, low: f64, high: f64) -> f64 {
        if value.is_finite() && (low..=high).contains(&value) {
            return value;
        }
        self.at(key, format!("must be a number from {low} to {high}"));
        low
    }

    /// Checks that an integer is in a range; returns it, or the nearest one in range.
    pub fn whole(&mut self, key: &str, value: u32, low: u32, high: u32) -> u32 {
        if !(low..=high).contains(&value) {
            self.at(key, format!("must be a whole number from {low} to {high}"));
        }
        value.clamp(low, high)
    }

    /// Checks that a name is one of `known`; otherwise reports it with the most similar one.
    pub fn known<'k>(&mut self, key: &str, name: &str, known: impl Iterator<Item = &'k str>) -> bool {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return true;
        }
        let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest:?}?"));
        self.at(key, format!("{name:?} is not known{hint} Known are: {}", known.join(", ")));
        false
    }

    /// Runs `look` with keys relative to this section or table.
    pub fn below<T>(&mut self, section: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        let inner = Below(format!("{}{section}.", self.1.0));
        let outer = std::mem::replace(&mut self.1, inner);
        let found = look(self);
        self.1 = outer;
        found
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_inside_a_section() {
        let mut problems = Problems::default();
        problems.below("ingest", |problems| {
            problems.at("currency", "1");
            problems.below("webhook", |problems| problems.at("x", "2"));
            problems.at_whole("kinds.identifiers[0]", "3");
        });
        problems.at("log.level", "4");
        let keys: Vec<&str> = problems.0.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["ingest.currency", "ingest.webhook.x", "kinds.identifiers[0]", "log.level"]);
    }
}
