//! Evaluates all conditions on one field at once.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Most distinct conditions on one field, over all rules.
const CONDITIONS_MAX: usize = 128;

/// All conditions of the rules on one field. Each condition is a bit; matching a text gives the bits of the conditions that it fulfils.
#[derive(Debug, Default)]
pub(super) struct FieldMatcher {
    known: Vec<Vec<String>>,
    exact: BTreeMap<String, u128>,
    partial: Vec<(Part, String, u128)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Prefix,
    Suffix,
    Inside,
}

impl FieldMatcher {
    /// The bit of the condition that one of `patterns` matches. Equal conditions share a bit.
    pub(super) fn condition(&mut self, patterns: &[String]) -> Result<u32, String> {
        if patterns.is_empty() {
            return Err("a condition needs at least one pattern; leave it out to match anything".into());
        }
        if let Some(known) = self.known.iter().position(|known| known == patterns) {
            return u32::try_from(known).map_err(|_| "too many conditions".to_owned());
        }
        if self.known.len() == CONDITIONS_MAX {
            return Err(format!("more than {CONDITIONS_MAX} different conditions on this field"));
        }
        let at = self.known.len();
        let bit = 1u128 << at;
        for pattern in patterns {
            self.add(pattern, bit)?;
        }
        self.known.push(patterns.to_vec());
        u32::try_from(at).map_err(|_| "too many conditions".to_owned())
    }

    fn add(&mut self, pattern: &str, bit: u128) -> Result<(), String> {
        let (open_start, rest) = pattern.strip_prefix('*').map_or((false, pattern), |rest| (true, rest));
        let (open_end, text) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
        if text.contains('*') || (text.is_empty() && (open_start || open_end)) {
            return Err("`*` stands only at the beginning or end of a pattern, beside some text".into());
        }
        let part = match (open_start, open_end) {
            (false, false) => {
                *self.exact.entry(text.to_owned()).or_default() |= bit;
                return Ok(());
            }
            (false, true) => Part::Prefix,
            (true, false) => Part::Suffix,
            (true, true) => Part::Inside,
        };
        match self.partial.iter_mut().find(|(of, known, _)| *of == part && known == text) {
            Some((_, _, bits)) => *bits |= bit,
            None => self.partial.push((part, text.to_owned(), bit)),
        }
        Ok(())
    }

    /// The bits of all conditions that `text` fulfils, in any case.
    pub(super) fn conditions_met(&self, text: &str) -> u128 {
        if self.known.is_empty() {
            return 0;
        }
        let lower = lower(text);
        let mut met = self.exact.get(&*lower).copied().unwrap_or(0);
        for (part, pattern, bits) in &self.partial {
            let found = match part {
                Part::Prefix => lower.starts_with(pattern),
                Part::Suffix => lower.ends_with(pattern),
                Part::Inside => lower.contains(pattern.as_str()),
            };
            if found {
                met |= bits;
            }
        }
        met
    }
}

/// The text in lower case; copied only if it has an upper-case letter.
pub(super) fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn patterns_match_whole_fields() {
        let mut field = FieldMatcher::default();
        let paid = field.condition(&patterns(&["*cp*", "ppc", "paid*"])).unwrap();
        let push = field.condition(&patterns(&["*push", ""])).unwrap();
        assert_eq!(field.condition(&patterns(&["*cp*", "ppc", "paid*"])), Ok(paid));
        let met = |text: &str| (field.conditions_met(text) >> paid & 1 == 1, field.conditions_met(text) >> push & 1 == 1);
        assert_eq!(met("CPC"), (true, false));
        assert_eq!(met("xppc"), (false, false));
        assert_eq!(met("PaidSocial"), (true, false));
        assert_eq!(met("web push"), (false, true));
        assert_eq!(met(""), (false, true));
        for bad in [&["a*b"][..], &["*"], &["**"], &[]] {
            assert!(FieldMatcher::default().condition(&patterns(bad)).is_err());
        }
    }
}
