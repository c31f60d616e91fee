//! How well profiles agree with the truth: pairwise precision and recall.
//!
//! Of all pairs of identifiers, a pair that shares a profile was *joined*, and a pair that shares a person *should be*. Precision is the
//! part of the joined pairs that should be, recall the part of those that should be that were. (Pairwise comparison as in Menestrina,
//! Whang, Garcia-Molina: Evaluating Entity Resolution Results, VLDB 2010.)
//!
//! ```
//! use tributary_cli::quality::Quality;
//!
//! let people = [["a1", "a2", "a3"], ["b1", "b2", "b3"]];
//! let profiles = [vec!["a1", "a2", "b1"], vec!["b2", "b3"]];
//! let quality = Quality::of(people, profiles);
//! assert_eq!((quality.joined, quality.should_be_joined, quality.rightly_joined), (4, 4, 2));
//! assert_eq!((quality.precision(), quality.recall()), (0.5, 0.5));
//! ```

pub mod models;

use std::collections::BTreeMap;

use serde::Serialize;

/// Numbers of identifiers and of pairs of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quality {
    /// Identifiers of exactly one person that are in a profile: those compared.
    pub identifiers: u64,
    /// Identifiers in profiles that the truth does not have, or has for several people: shared ones.
    pub of_nobody: u64,
    /// Pairs in one profile.
    pub joined: u64,
    /// Pairs of one person.
    pub should_be_joined: u64,
    /// Pairs of one person in one profile.
    pub rightly_joined: u64,
}

impl Quality {
    /// Compares profiles with the truth; each item is the identifiers of one person.
    pub fn of<I: Ord, T, U>(truth: impl IntoIterator<Item = T>, profiles: impl IntoIterator<Item = U>) -> Self
    where
        T: IntoIterator<Item = I>,
        U: IntoIterator<Item = I>,
    {
        // By identifier, its person; `None` if it has several.
        let mut person_of: BTreeMap<I, Option<usize>> = BTreeMap::new();
        for (person, identifiers) in truth.into_iter().enumerate() {
            for identifier in identifiers {
                person_of.entry(identifier).and_modify(|known| *known = None).or_insert(Some(person));
            }
        }
        let mut quality = Self::default();
        let mut people: BTreeMap<usize, u64> = BTreeMap::new();
        for identifiers in profiles {
            let mut here: BTreeMap<usize, u64> = BTreeMap::new();
            for identifier in identifiers {
                match person_of.get(&identifier) {
                    Some(Some(person)) => *here.entry(*person).or_default() += 1,
                    _ => quality.of_nobody += 1,
                }
            }
            quality.joined += pairs(here.values().sum());
            quality.rightly_joined += here.values().copied().map(pairs).sum::<u64>();
            for (person, count) in here {
                *people.entry(person).or_default() += count;
            }
        }
        quality.identifiers = people.values().sum();
        quality.should_be_joined = people.values().copied().map(pairs).sum();
        quality
    }

    /// The share of joined pairs that should be joined; 1 if none was joined.
    pub fn precision(&self) -> f64 {
        part(self.rightly_joined, self.joined)
    }

    /// The share of pairs that should be joined and were; 1 if none should be.
    pub fn recall(&self) -> f64 {
        part(self.rightly_joined, self.should_be_joined)
    }
}

fn pairs(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

fn part(of: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { of as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_of_several_people_counts_for_nobody() {
        let quality = Quality::of([["a", "phone"], ["b", "phone"]], [["a", "b", "phone", "kiosk"]]);
        let expected = Quality { identifiers: 2, of_nobody: 2, joined: 1, should_be_joined: 0, rightly_joined: 0 };
        assert_eq!(quality, expected);
        assert_eq!((quality.precision(), quality.recall()), (0.0, 1.0));
    }

    #[test]
    fn all_apart_is_precise_and_recalls_nothing() {
        let quality = Quality::of([["a", "b"]], [["a"], ["b"]]);
        assert_eq!((quality.precision(), quality.recall()), (1.0, 0.0));
    }
}
