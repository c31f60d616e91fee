//! Former ids of the parts of a profile, in the order of its events.
//!
//! The state does not keep what was published before, and what was published depends on the order of arrival. The order of the events does
//! not: following the links between the profile's identifiers by time shows which parts there were.

use std::collections::BTreeMap;

use tributary_identity::names::profile_id;
use tributary_identity::read::Person;
use tributary_proto::{Hash128, Member};

use super::answer::Former;

/// The former ids of a person's parts, in the order in which they ended.
pub(super) fn former(of: &Person) -> Vec<Former> {
    if of.is_account() {
        return Vec::new();
    }
    // For every identifier the oldest of its part; positions are in order of age.
    let mut part: Vec<usize> = (0..of.members.len()).collect();
    let positions: BTreeMap<Hash128, usize> =
        of.members.iter().enumerate().map(|(at, (identifier, _))| (identifier.hash(), at)).collect();
    let mut links: Vec<(i64, Option<usize>, Option<usize>)> = of
        .links
        .iter()
        .filter_map(|link| {
            let time_ms = link.earliest_ms.or(link.explicit.map(|(_, at_ms)| at_ms))?;
            Some((time_ms, positions.get(&link.a.hash()).copied(), positions.get(&link.b.hash()).copied()))
        })
        .collect();
    links.sort_unstable();
    let mut ended = Vec::new();
    for (until_ms, a, b) in links {
        let of_part = |end: Option<usize>| end.and_then(|at| part.get(at)).copied();
        let (Some(a), Some(b)) = (of_part(a), of_part(b)) else { continue };
        let (older, younger) = (a.min(b), a.max(b));
        if older == younger {
            continue;
        }
        part.iter_mut().filter(|slot| **slot == younger).for_each(|slot| *slot = older);
        if let Some((identifier, Member { earliest_ms: Some(from_ms), .. })) = of.members.get(younger)
            && *from_ms < until_ms
        {
            ended.push(Former { id: profile_id(identifier.hash()), from_ms: *from_ms, until_ms });
        }
    }
    ended
}
