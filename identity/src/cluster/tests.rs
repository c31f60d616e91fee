use std::collections::BTreeSet;

use proptest::prelude::*;
use tributary_proto::kind::Kinds;
use tributary_proto::{ExplicitLink, Stamp};
use tributary_runtime::config::Section;

use super::*;
use crate::settings::Settings;

fn rules() -> Rules {
    Settings { max_cluster: 6, ..Settings::default() }.compiled(&Kinds::default()).unwrap()
}

fn identifier(name: &str) -> Identifier {
    let (kind, value) = name.split_once(':').unwrap();
    Identifier::new(kind, "", value)
}

fn members(names: &[&str], shared: &[&str]) -> Vec<(Hash128, Member)> {
    let mut all: Vec<_> = names
        .iter()
        .map(|name| {
            let identifier = identifier(name);
            (
                identifier.hash(),
                Member {
                    identifier: Some(identifier),
                    shared: shared.contains(name),
                    earliest_ms: Some(0),
                    ..Member::default()
                },
            )
        })
        .collect();
    all.sort_by_key(|(hash, _)| *hash);
    all
}

fn link(a: &str, b: &str, earliest_ms: i64) -> LinkFact {
    let (a, b) = (identifier(a), identifier(b));
    let (a, b) = if a.hash() <= b.hash() { (a, b) } else { (b, a) };
    LinkFact { a: Some(a), b: Some(b), earliest_ms: Some(earliest_ms), ..LinkFact::default() }
}

fn said(link: LinkFact, join: bool) -> LinkFact {
    let at = Some(Stamp { time_ms: 1, event_hash: vec![] });
    LinkFact { explicit: Some(ExplicitLink { join, at }), ..link }
}

/// The profiles as sorted lists of values.
fn profiles(members: &[(Hash128, Member)], links: &[LinkFact]) -> Vec<Vec<String>> {
    let value = |at: &usize| members[*at].1.identifier.as_ref().unwrap().value.to_string();
    let mut lists: Vec<Vec<String>> =
        cluster(members, links, &rules()).profiles.iter().map(|list| list.iter().map(value).collect()).collect();
    lists.iter_mut().for_each(|list| list.sort());
    lists.sort();
    lists
}

#[test]
fn the_stronger_link_wins_where_a_limit_allows_only_one() {
    let all = members(&["crm_contact:1", "crm_contact:2", "email:e", "phone:p"], &[]);
    let links = [link("email:e", "phone:p", 1), link("crm_contact:1", "phone:p", 2), link("crm_contact:2", "email:e", 3)];
    // contact 2 - email is stronger than contact 1 - phone; email - phone is older than the latter, of the same class.
    assert_eq!(profiles(&all, &links), [vec!["1"], vec!["2", "e", "p"]]);
    let refused = cluster(&all, &links, &rules()).refused;
    assert_eq!(refused, [(1, LinkRefusal::Limit)]);
}

#[test]
fn an_explicit_link_goes_first() {
    let all = members(&["crm_contact:1", "crm_contact:2", "phone:p"], &[]);
    let links = [link("crm_contact:1", "phone:p", 1), said(link("crm_contact:2", "phone:p", 9), true)];
    assert_eq!(profiles(&all, &links), [vec!["1"], vec!["2", "p"]]);
}

#[test]
fn merged_records_count_once() {
    let all = members(&["crm_contact:1", "crm_contact:2", "crm_contact:3", "email:e", "phone:p"], &[]);
    let merged = |a, b| said(link(a, b, 9), true);
    let links = [
        merged("crm_contact:1", "crm_contact:2"),
        link("crm_contact:1", "email:e", 1),
        link("crm_contact:2", "email:e", 2),
        link("crm_contact:3", "email:e", 3),
        link("crm_contact:2", "phone:p", 4),
    ];
    assert_eq!(profiles(&all, &links), [vec!["1", "2", "e", "p"], vec!["3"]]);
    let found = cluster(&all, &links, &rules());
    assert_eq!((found.refused, found.over), (vec![(3, LinkRefusal::Limit)], [(3, "crm_contact".to_owned())].into()));
    // A merge that arrived late makes one record of two, so the limit has room for others.
    let two =
        Settings { limits: [("crm_contact".to_owned(), 2)].into(), ..Settings::default() }.compiled(&Kinds::default()).unwrap();
    let links = [
        merged("crm_contact:1", "crm_contact:2"),
        said(link("crm_contact:1", "email:e", 1), true),
        said(link("crm_contact:2", "email:e", 2), true),
        link("crm_contact:3", "email:e", 3),
    ];
    assert_eq!(cluster(&all, &links, &two).profiles.len(), 2);
}

#[test]
fn two_of_a_kind_that_is_never_merged_count_as_two() {
    let all = members(&["user_id:1", "user_id:2"], &[]);
    let links = [said(link("user_id:1", "user_id:2", 1), true)];
    let never = Settings { merged_kinds: BTreeSet::new(), ..Settings::default() }.compiled(&Kinds::default()).unwrap();
    assert_eq!(cluster(&all, &links, &never).refused, [(0, LinkRefusal::Limit)]);
}

/// Only trusted events can link, so an `alias` is trusted.
#[test]
fn an_old_user_id_and_the_new_one_are_one_person() {
    let all = members(&["user_id:1", "user_id:2"], &[]);
    let links = [said(link("user_id:1", "user_id:2", 1), true)];
    assert_eq!(profiles(&all, &links), [vec!["1", "2"]]);
    let seen = [link("user_id:1", "user_id:2", 1)];
    assert_eq!(cluster(&all, &seen, &rules()).refused, [(0, LinkRefusal::Limit)]);
}

#[test]
fn identifiers_that_must_never_join_do_not_join_through_others() {
    let all = members(&["email:a", "email:b", "phone:p"], &[]);
    let links = [link("email:a", "phone:p", 1), link("email:b", "phone:p", 2), said(link("email:a", "email:b", 0), false)];
    assert_eq!(profiles(&all, &links), [vec!["a", "p"], vec!["b"]]);
}

#[test]
fn a_shared_identifier_joins_nobody() {
    let all = members(&["email:a", "email:b", "phone:p"], &["phone:p"]);
    let links = [link("email:a", "phone:p", 1), link("email:b", "phone:p", 2)];
    assert_eq!(profiles(&all, &links), [vec!["a"], vec!["b"], vec!["p"]]);
}

#[test]
fn all_of_an_oversize_cluster_is_split() {
    let names = ["email:a", "phone:b", "email:c", "phone:d", "email:e", "phone:f", "email:g"];
    let links: Vec<_> = names.windows(2).map(|pair| link(pair[0], pair[1], 1)).collect();
    let all = members(&names, &[]);
    assert_eq!(profiles(&all, &links).len(), 7);
    let refused = cluster(&all, &links, &rules()).refused;
    assert_eq!(refused, (0..links.len()).map(|at| (at, LinkRefusal::Quarantined)).collect::<Vec<_>>());
    assert_eq!(profiles(&all, &links[1..]).len(), 2);
}

proptest! {
    #[test]
    fn every_member_is_in_one_profile_within_the_limits(pairs in prop::collection::vec((0usize..10, 0usize..10, 0i64..5, 0u8..6), 0..30)) {
        let kinds = ["crm_contact", "email", "phone", "anonymous_id", "user_id"];
        let names: Vec<String> = (0..10).map(|at| format!("{}:{at}", kinds[at % 5])).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = members(&names, &[]);
        let mut links: Vec<LinkFact> = Vec::new();
        for (a, b, time, explicit) in pairs.into_iter().filter(|(a, b, ..)| a != b) {
            let link = link(names[a], names[b], time);
            if links.iter().all(|known| (&known.a, &known.b) != (&link.a, &link.b)) {
                links.push(if explicit == 0 { said(link, false) } else { link });
            }
        }
        let result = cluster(&all, &links, &rules());
        let mut seen: Vec<usize> = result.profiles.concat();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..10).collect::<Vec<_>>());
        for profile in &result.profiles {
            let contacts = profile.iter().filter(|at| all[**at].1.identifier.as_ref().unwrap().kind == "crm_contact").count();
            prop_assert!(contacts <= 1);
            for link in links.iter().filter(|link| is_forbidden(link)) {
                let inside = |end: &Option<Identifier>| profile.iter().any(|at| all[*at].1.identifier == *end);
                prop_assert!(!(inside(&link.a) && inside(&link.b)));
            }
        }
        links.reverse();
        prop_assert_eq!(cluster(&all, &links, &rules()).profiles, result.profiles, "the order of links must not matter");
    }
}
