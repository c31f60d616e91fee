//! Journeys by the set of their channels, the input of most models.

use std::collections::BTreeMap;

use crate::hash::FixedMap;
use crate::paths::{ChannelId, Counted, Outcomes};

/// Which set of channels each path has.
pub struct SetIndex {
    members: Vec<Box<[ChannelId]>>,
    of_path: Vec<u32>,
}

impl SetIndex {
    pub fn of(counted: &Counted, threads: usize) -> Self {
        let found = counted.in_parts(threads, |range| {
            let mut seen: FixedMap<Box<[ChannelId]>, u32> = FixedMap::default();
            let (mut list, mut of_path) = (Vec::new(), Vec::with_capacity(range.len()));
            let mut set = Vec::new();
            for at in range {
                set.clear();
                set.extend_from_slice(counted.path(at));
                set.sort_unstable();
                set.dedup();
                let known = seen.get(set.as_slice()).copied();
                of_path.push(known.unwrap_or_else(|| {
                    let id = u32::try_from(list.len()).unwrap_or(u32::MAX);
                    list.push(Box::<[ChannelId]>::from(set.as_slice()));
                    seen.insert(set.as_slice().into(), id);
                    id
                }));
            }
            (list, of_path)
        });
        let mut places: BTreeMap<&[ChannelId], u32> = found.iter().flat_map(|(list, _)| list).map(|set| (&**set, 0)).collect();
        for (place, (_, at)) in (0..).zip(&mut places) {
            *at = place;
        }
        let mut of_path = Vec::with_capacity(counted.len());
        for (list, part) in &found {
            let place: Vec<u32> = list.iter().filter_map(|set| places.get(&**set).copied()).collect();
            of_path.extend(part.iter().map(|id| place.get(*id as usize).copied().unwrap_or_default()));
        }
        let members = places.into_keys().map(Box::from).collect();
        Self { members, of_path }
    }

    /// The sets with how their journeys ended, without sets that have no journey.
    pub fn count(&self, outcomes: &[Outcomes]) -> Sets<'_> {
        let mut counts = vec![Outcomes::default(); self.members.len()];
        for (set, outcomes) in self.of_path.iter().zip(outcomes) {
            if let Some(count) = counts.get_mut(*set as usize) {
                count.add(*outcomes);
            }
        }
        let rows = self.members.iter().map(|set| &**set).zip(counts).filter(|(_, count)| count.journeys() > 0);
        Sets { rows: rows.collect() }
    }
}

/// Every set of channels that journeys have, sorted, and how these journeys ended.
pub struct Sets<'a> {
    pub rows: Vec<(&'a [ChannelId], Outcomes)>,
}

impl Sets<'_> {
    /// The number of all journeys.
    pub fn total(&self) -> Outcomes {
        let mut total = Outcomes::default();
        self.rows.iter().for_each(|(_, outcomes)| total.add(*outcomes));
        total
    }

    /// How the journeys with each channel ended.
    pub fn by_channel(&self, channels: usize) -> Vec<Outcomes> {
        let mut counts = vec![Outcomes::default(); channels];
        for (set, outcomes) in &self.rows {
            for channel in *set {
                if let Some(count) = counts.get_mut(usize::from(*channel)) {
                    count.add(*outcomes);
                }
            }
        }
        counts
    }
}

/// The share of these journeys that converted; 0 if there are none.
pub fn rate(outcomes: Outcomes) -> f64 {
    if outcomes.journeys() == 0 { 0.0 } else { outcomes.converting as f64 / outcomes.journeys() as f64 }
}

/// A number in whole billionths.
pub fn nano(value: f64) -> i64 {
    libm::round(value * 1e9) as i64
}

/// A number in whole billionths; negative ones become 0.
pub fn nano_positive(value: f64) -> u64 {
    libm::round(value * 1e9) as u64
}
