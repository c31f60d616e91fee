//! The people of an account: the list in its row, from what people have reported (`belonging.rs`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tributary_proto::{AccountPerson, Belongs, Hash128, Stretch};

use crate::group::{Group, People};
use crate::names::profile_id;

/// The entries of an account's row, at most `limit`, and how many people there are in all.
pub fn listed(group: &Group<'_>, people: &People, limit: usize) -> (Vec<AccountPerson>, u32) {
    let mut latest: BTreeMap<Hash128, &Belongs> = BTreeMap::new();
    let said = group.iter().filter_map(|(member, _)| people.get(member)).flatten();
    for belongs in said.filter(|belongs| !belongs.stretches.is_empty()) {
        let Some(person) = Hash128::from_bytes(&belongs.person) else { continue };
        let known = latest.entry(person).or_insert(belongs);
        // While an account's name changes, a person may be stored under both names.
        if known.epoch < belongs.epoch {
            *known = belongs;
        }
    }
    let entries =
        latest.iter().flat_map(|(person, belongs)| belongs.stretches.iter().map(move |stretch| (*person, *belongs, stretch)));
    let mut entries: Vec<(Hash128, &Belongs, &Stretch)> = entries.collect();
    entries.sort_by_key(|(person, belongs, stretch)| {
        (belongs.public, stretch.until_ms.is_some(), Reverse(stretch.from_ms), *person)
    });
    entries.truncate(limit);
    entries.sort_by_key(|(person, _, stretch)| (stretch.from_ms, *person));
    let entry = |(person, belongs, stretch): (Hash128, &Belongs, &Stretch)| AccountPerson {
        profile_id: profile_id(person),
        role: belongs.role.clone(),
        from_ms: stretch.from_ms.unwrap_or(0),
        to_ms: stretch.until_ms.unwrap_or(0),
        public: belongs.public,
    };
    (entries.into_iter().map(entry).collect(), u32::try_from(latest.len()).unwrap_or(u32::MAX))
}
