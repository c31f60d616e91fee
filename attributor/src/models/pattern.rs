//! Names with `*` for any run of characters, and values by name.

use std::cmp::Reverse;

use tributary_runtime::config::Problems;

/// A name, or a pattern of names with `*`: `paid_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a `*`.
    pub fn is_open(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether it matches the name.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else { return false };
        let Some(tail) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(tail)
    }

    /// Sort key by precedence: names before patterns, then longer patterns before shorter ones.
    pub fn telling(&self) -> (bool, Reverse<usize>, &str) {
        (self.is_open(), Reverse(self.0.len()), &self.0)
    }

    /// Reports a pattern that matches no known name, with the names that are similar.
    pub fn check<'k>(&self, key: &str, known: impl Iterator<Item = &'k str>, problems: &mut Problems) {
        let mut known: Vec<&str> = known.collect();
        if !self.is_open() || known.iter().any(|name| self.matches(name)) {
            return;
        }
        let bare = self.0.replace('*', "");
        known.sort_by(|a, b| strsim::jaro_winkler(b, &bare).total_cmp(&strsim::jaro_winkler(a, &bare)));
        known.truncate(3);
        problems.at(key, format!("no name that is known is like {:?}; near are {}", self.0, known.join(", ")));
    }
}

/// Values by name or pattern: of those that match, the one with the highest precedence counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByName<T>(Vec<(Pattern, T)>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByName<T> {
    /// From patterns in any order.
    pub fn new(mut all: Vec<(Pattern, T)>) -> Self {
        all.sort_by(|(a, _), (b, _)| a.telling().cmp(&b.telling()));
        Self(all)
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value for this name, and its pattern.
    pub fn get(&self, name: &str) -> Option<(&Pattern, &T)> {
        self.0.iter().find(|(pattern, _)| pattern.matches(name)).map(|(pattern, said)| (pattern, said))
    }

    /// All values, sorted by the text of the pattern.
    pub fn sorted(&self) -> Vec<(&str, &T)> {
        let mut all: Vec<_> = self.0.iter().map(|(pattern, said)| (pattern.as_str(), said)).collect();
        all.sort_by_key(|(pattern, _)| *pattern);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_of_characters() {
        let matching = |pattern: &str, names: [&str; 4]| names.map(|name| Pattern::new(pattern).matches(name));
        assert_eq!(matching("paid_*", ["paid_search", "paid_", "paid", "unpaid_x"]), [true, true, false, false]);
        assert_eq!(matching("*_s*l", ["paid_social", "x_sl", "sl", "_social_"]), [true, true, false, false]);
        assert_eq!(matching("a*a", ["aa", "a", "aba", "ab"]), [true, false, true, false]);
        assert_eq!(matching("email", ["email", "emails", "e", ""]), [true, false, false, false]);
        assert_eq!(matching("*", ["", "x", "x*", "微信"]), [true; 4]);
    }

    #[test]
    fn the_most_specific_pattern_counts() {
        let said = [("*", 1), ("paid_*", 2), ("paid_search", 3), ("paid_s*", 4)];
        let by_name = ByName::new(said.map(|(pattern, said)| (Pattern::new(pattern), said)).to_vec());
        let get = |name: &str| by_name.get(name).map(|(_, said)| *said);
        assert_eq!(["x", "paid_x", "paid_search", "paid_social"].map(get), [Some(1), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn a_pattern_that_matches_no_name_is_refused_with_similar_names() {
        let known = ["paid_search", "paid_social", "email", "paid_video"];
        let mut problems = Problems::default();
        for pattern in ["paid_*", "emali", "piad_*"] {
            Pattern::new(pattern).check(pattern, known.into_iter(), &mut problems);
        }
        let [(key, problem)] = problems.0.as_slice() else { panic!("{problems}") };
        assert_eq!(key, "piad_*");
        assert!(problem.contains("paid_search") && !problem.contains("email"), "{problem}");
    }
}
