//! `[kinds]`: the kinds of identifiers and milestones that the configuration adds to the built-in ones, for all parts alike.

use serde::{Deserialize, Serialize};
use tributary_proto::kind::Kinds;
use tributary_proto::vocabulary::ANCHORS;

use super::section::{Given, Problems, Section};

/// `[kinds]`: kinds in addition to the built-in ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KindsSettings {
    /// Of identifiers, strongest first; ranked between `phone` and `anonymous_id`.
    pub identifiers: Vec<String>,
    /// Of milestones.
    pub milestones: Vec<String>,
}

impl KindsSettings {
    /// These kinds and the built-in ones, including invalid ones, which are reported elsewhere.
    pub fn kinds(&self) -> Kinds {
        Kinds::new(self.identifiers.clone(), self.milestones.clone())
    }
}

impl Section for KindsSettings {
    const NAME: &'static str = "kinds";
    type Compiled = Kinds;

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<Kinds> {
        let built_in = Kinds::default();
        for (at, name) in self.identifiers.iter().enumerate() {
            let twice = self.identifiers.iter().take(at).any(|earlier| earlier == name);
            check(&format!("identifiers[{at}]"), name, built_in.rank(name).is_some(), twice, problems);
        }
        for (at, name) in self.milestones.iter().enumerate() {
            let (key, twice) = (format!("milestones[{at}]"), self.milestones.iter().take(at).any(|earlier| earlier == name));
            check(&key, name, built_in.milestone(name).is_some(), twice, problems);
            problems.unless(!ANCHORS.contains(&name.as_str()), &key, "is the name of an anchor; choose another one");
        }
        Some(self.kinds())
    }
}

fn check(key: &str, name: &str, built_in: bool, twice: bool, problems: &mut Problems) {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = name.len() <= 64 && name.bytes().all(known) && name.starts_with(|c: char| c.is_ascii_lowercase());
    problems.unless(is_name, key, "expected lower-case letters, digits and _, beginning with a letter, at most 64");
    problems.unless(!built_in, key, "is a built-in kind");
    problems.unless(!twice, key, "is listed twice");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = KindsSettings {
            identifiers: texts(&["Badge", "email", "a", "a"]),
            milestones: texts(&["mql", "first", "poc_passed", "poc_passed"]),
        };
        let problems = settings.compiled(&Kinds::default()).unwrap_err();
        let keys: Vec<&str> = problems.0.iter().map(|(key, _)| key.as_str()).collect();
        let expected =
            ["identifiers[0]", "identifiers[1]", "identifiers[3]", "milestones[0]", "milestones[1]", "milestones[3]"];
        assert_eq!(keys, expected);
    }
}
