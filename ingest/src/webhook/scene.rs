//! The content of a QR code: WeChat calls it scene, WeCom state. The person who prints a code chooses its content, so configurable patterns
//! read it.

use regex::Regex;

use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::normalise::IdentifierRules;
use crate::scalar::Scalar;

/// Named groups of a pattern that fill fields of the touch; every other group is a kind of identifier.
const TOUCH_GROUPS: [&str; 3] = ["campaign", "content", "term"];

/// Patterns for scenes; the first that matches counts.
#[derive(Debug, Default)]
pub(crate) struct Scenes(Vec<Regex>);

/// The fields of a touch in a scene.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scene<'a> {
    /// The campaign; if no pattern finds one, the scene itself.
    pub(super) campaign: &'a str,
    pub(super) content: &'a str,
    pub(super) term: &'a str,
}

impl Scenes {
    /// Compiles patterns; returns the error of each with its position.
    pub(crate) fn new(patterns: &[String], rules: &IdentifierRules) -> Result<Self, Vec<(usize, String)>> {
        let (mut compiled, mut problems) = (Vec::new(), Vec::new());
        for (at, pattern) in patterns.iter().enumerate() {
            match compile(pattern, rules) {
                Ok(pattern) => compiled.push(pattern),
                Err(problem) => problems.push((at, problem)),
            }
        }
        if problems.is_empty() { Ok(Self(compiled)) } else { Err(problems) }
    }

    /// Reads a scene: adds its identifiers to `out` and returns the rest. Invalid identifiers are left out.
    pub(super) fn read<'a>(
        &self,
        scene: &'a str,
        field: &'static str,
        kinds: &IdentifierRules,
        out: &mut Identifiers,
        ignored: &mut Ignored,
    ) -> Scene<'a> {
        let mut found = Scene { campaign: scene, ..Scene::default() };
        let Some((pattern, groups)) = self.0.iter().find_map(|pattern| Some((pattern, pattern.captures(scene)?))) else {
            return found;
        };
        for name in pattern.capture_names().flatten() {
            let Some(text) = groups.name(name).map(|group| group.as_str()) else { continue };
            match name {
                "campaign" => found.campaign = text,
                "content" => found.content = text,
                "term" => found.term = text,
                kind => {
                    if let Some(rule) = kinds.find(kind) {
                        ignored.read(out.add(kinds, rule, &Scalar::Text(text.into()), field));
                    }
                }
            }
        }
        found
    }
}

fn compile(pattern: &str, rules: &IdentifierRules) -> Result<Regex, String> {
    let compiled = Regex::new(pattern).map_err(|_| "not a regular expression".to_owned())?;
    for group in compiled.capture_names().flatten() {
        if !TOUCH_GROUPS.contains(&group) && rules.find(group).is_none() {
            return Err(format!("`{group}` is neither campaign, content, term nor a kind of identifier"));
        }
    }
    Ok(compiled)
}
