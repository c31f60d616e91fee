//! Counted paths: the channels of a journey in order, with the numbers of journeys that converted and that did not.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::hash::{FixedHash, FixedMap};
use crate::parallel;

/// A channel, by its position among the labels.
pub type ChannelId = u16;

/// The most labels: models use the numbers above for the ends of a path.
pub const LABELS_MAX: usize = 60_000;

/// How many journeys ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Journeys that led to a milestone of the target's kind.
    pub converting: u64,
    /// Journeys that did not.
    pub null: u64,
}

impl Outcomes {
    /// The number of all.
    pub fn journeys(self) -> u64 {
        self.converting.saturating_add(self.null)
    }

    /// Adds other numbers.
    pub fn add(&mut self, other: Self) {
        self.converting = self.converting.saturating_add(other.converting);
        self.null = self.null.saturating_add(other.null);
    }
}

/// There are more labels than models can distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the paths have more than {LABELS_MAX} labels: choose a coarser label")]
pub struct TooManyLabels;

/// Distinct paths in one buffer: even with millions, each costs little more than its channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct List {
    channels: Vec<ChannelId>,
    ends: Vec<usize>,
    outcomes: Vec<Outcomes>,
}

impl List {
    fn path(&self, at: usize) -> &[ChannelId] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.channels.get(start..*end)).unwrap_or_default()
    }

    fn push(&mut self, path: &[ChannelId], outcomes: Outcomes) {
        self.channels.extend_from_slice(path);
        self.ends.push(self.channels.len());
        self.outcomes.push(outcomes);
    }
}

/// A collection of paths. Collections can be added up in any order.
#[derive(Default)]
pub struct Paths {
    labels: Vec<String>,
    ids: FixedMap<String, ChannelId>,
    list: List,
    /// Index from paths to their positions in the list.
    places: HashTable<usize>,
}

impl Paths {
    /// The id of a label in this collection.
    ///
    /// # Errors
    /// [`TooManyLabels`].
    pub fn label(&mut self, name: &str) -> Result<ChannelId, TooManyLabels> {
        if let Some(known) = self.ids.get(name) {
            return Ok(*known);
        }
        let id = ChannelId::try_from(self.labels.len()).ok().filter(|id| usize::from(*id) < LABELS_MAX).ok_or(TooManyLabels)?;
        self.ids.insert(name.to_owned(), id);
        self.labels.push(name.to_owned());
        Ok(id)
    }

    /// Adds journeys with this path; a journey without touches is not a path.
    pub fn add(&mut self, path: &[ChannelId], outcomes: Outcomes) {
        if path.is_empty() || outcomes.journeys() == 0 {
            return;
        }
        let (list, hasher) = (&self.list, FixedHash::default());
        let same = |at: &usize| list.path(*at) == path;
        match self.places.entry(hasher.hash_one(path), same, |at| hasher.hash_one(list.path(*at))) {
            Entry::Occupied(place) => {
                if let Some(counts) = self.list.outcomes.get_mut(*place.get()) {
                    counts.add(outcomes);
                }
            }
            Entry::Vacant(place) => {
                place.insert(list.ends.len());
                self.list.push(path, outcomes);
            }
        }
    }

    /// Adds another collection.
    ///
    /// # Errors
    /// [`TooManyLabels`].
    pub fn merge(&mut self, other: &Self) -> Result<(), TooManyLabels> {
        let ids = other.labels.iter().map(|label| self.label(label)).collect::<Result<Vec<_>, _>>()?;
        let mut renamed = Vec::new();
        for (at, outcomes) in other.list.outcomes.iter().enumerate() {
            renamed.clear();
            renamed.extend(other.list.path(at).iter().filter_map(|id| ids.get(usize::from(*id))));
            self.add(&renamed, *outcomes);
        }
        Ok(())
    }

    /// How many distinct paths there are.
    pub fn distinct(&self) -> usize {
        self.list.ends.len()
    }

    /// The paths in an order that does not depend on how they were added.
    pub fn counted(self) -> Counted {
        let Self { mut labels, mut list, .. } = self;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_unstable_by_key(|at| labels.get(*at));
        let mut rank = vec![0; order.len()];
        for (place, at) in (0..).zip(&order) {
            if let Some(rank) = rank.get_mut(*at) {
                *rank = place;
            }
        }
        labels.sort_unstable();
        for id in &mut list.channels {
            *id = rank.get(usize::from(*id)).copied().unwrap_or_default();
        }
        let mut order: Vec<(u64, usize)> = (0..list.ends.len()).map(|at| (beginning(list.path(at)), at)).collect();
        order.sort_unstable_by(|(a, at), (b, other)| a.cmp(b).then_with(|| list.path(*at).cmp(list.path(*other))));
        let mut sorted = List {
            channels: Vec::with_capacity(list.channels.len()),
            ends: Vec::with_capacity(order.len()),
            outcomes: Vec::with_capacity(order.len()),
        };
        for (_, at) in order {
            sorted.push(list.path(at), list.outcomes.get(at).copied().unwrap_or_default());
        }
        Counted { labels, list: sorted }
    }
}

/// The first four channels as one number, which sorts like the path.
fn beginning(path: &[ChannelId]) -> u64 {
    (0..4).fold(0, |number, at| number << 16 | path.get(at).map_or(0, |id| u64::from(*id) + 1))
}

/// All distinct paths, sorted; labels sorted too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The labels; a channel's id is its position.
    pub labels: Vec<String>,
    list: List,
}

impl Counted {
    /// How many distinct paths there are.
    pub fn len(&self) -> usize {
        self.list.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.ends.is_empty()
    }

    /// The path at this position.
    pub fn path(&self, at: usize) -> &[ChannelId] {
        self.list.path(at)
    }

    /// How the journeys of each path ended, by position.
    pub fn outcomes(&self) -> &[Outcomes] {
        &self.list.outcomes
    }

    /// The number of all journeys.
    pub fn total(&self) -> Outcomes {
        let mut total = Outcomes::default();
        self.outcomes().iter().for_each(|outcomes| total.add(*outcomes));
        total
    }

    /// Applies `part` to ranges of the paths, with this many threads.
    pub(crate) fn in_parts<T: Send>(&self, threads: usize, part: impl Fn(std::ops::Range<usize>) -> T + Sync) -> Vec<T> {
        let parts = parallel::parts(self.len(), threads);
        parallel::map(threads, parts.len(), |at| part(parts.get(at).cloned().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(rows: &[(&[&str], u64, u64)]) -> Paths {
        let mut paths = Paths::default();
        for (labels, converting, null) in rows {
            let path: Vec<ChannelId> = labels.iter().map(|label| paths.label(label).unwrap()).collect();
            paths.add(&path, Outcomes { converting: *converting, null: *null });
        }
        paths
    }

    #[test]
    fn parts_in_any_order_are_the_whole() {
        let whole = collected(&[(&["b", "a"], 1, 2), (&["a"], 3, 0), (&["b", "a"], 0, 1), (&[], 9, 9)]).counted();
        assert_eq!(whole.labels, ["a", "b"]);
        assert_eq!((whole.path(0), whole.path(1)), (&[0][..], &[1, 0][..]));
        assert_eq!(whole.outcomes()[1], Outcomes { converting: 1, null: 3 });
        let mut last = collected(&[(&["a"], 3, 0), (&["b", "a"], 0, 1)]);
        last.merge(&collected(&[(&["b", "a"], 1, 2)])).unwrap();
        assert_eq!(last.counted(), whole);
    }

    #[test]
    fn a_label_too_many_is_an_error() {
        let mut paths = Paths::default();
        for at in 0..LABELS_MAX {
            paths.label(&at.to_string()).unwrap();
        }
        assert_eq!(paths.label("one more"), Err(TooManyLabels));
    }
}
