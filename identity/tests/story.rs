//! What is told to the world while identities come together, fall apart and are erased.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use std::collections::BTreeMap;

use tributary_identity::cluster::LinkRefusal;
use tributary_identity::{Settings, read};
use tributary_proto::event::Body;
use tributary_proto::{Erase, Event, Identify, Link, Profile, Unlink};
use world::{World, named, profile_id};

#[test]
fn the_row_of_a_merged_profile_names_the_other_and_so_does_that_of_a_split_one() {
    let mut world = World::new(Settings::default());
    world.touch(1, &["email:a@qq.com"]);
    world.touch(2, &["phone:1"]);
    let merged = world.event(3, &["email:a@qq.com", "phone:1"], Body::Link(Link {}));
    let gone = merged.iter().find(|(id, _)| *id == profile_id("phone:1")).unwrap().1.clone().unwrap();
    assert_eq!(gone.merged_into, profile_id("email:a@qq.com"));

    let split = world.event(4, &["email:a@qq.com", "phone:1"], Body::Unlink(Unlink {}));
    let of_phone: Vec<_> = split.iter().filter(|(id, _)| *id == profile_id("phone:1")).collect();
    let from: Vec<_> = of_phone.iter().map(|(_, profile)| profile.as_ref().unwrap().split_from.clone()).collect();
    assert_eq!(from, [profile_id("email:a@qq.com"), String::new()], "the notice, and then what stays");
}

#[test]
fn a_phone_that_too_many_contacts_have_joins_none_of_them() {
    let mut world = World::new(Settings::default());
    let mut last = Vec::new();
    for number in 0..4 {
        last = world.event(number, &[&format!("crm_contact:{number}"), "phone:1"], Body::Identify(Identify {}));
    }
    let live = |name: &str| last.iter().rev().find(|(id, _)| *id == profile_id(name)).unwrap().1.clone().unwrap();
    assert_eq!(live("phone:1").identifiers, [named("phone:1")]);
    assert_eq!(live("phone:1").split_from, "", "the last record of an id is no notice");
    assert_eq!(live("crm_contact:0").identifiers, [named("crm_contact:0")]);
}

#[test]
fn refused_links_are_kept_with_the_rule_that_refused_them() {
    let mut world = World::new(Settings::default());
    world.touch(1, &["crm_contact:1", "phone:1"]);
    world.touch(2, &["crm_contact:2", "phone:1"]);
    world.event(3, &["phone:1", "phone:2"], Body::Unlink(Unlink {}));
    world.touch(4, &["phone:1", "phone:2"]);
    let rules = world.rules.clone();
    let person = read::person(&mut world, &named("phone:1"), &rules).unwrap().unwrap();
    assert!(person.is_settled() && person.id() == profile_id("crm_contact:1"));
    let path: Vec<_> = person.path(&named("phone:1")).into_iter().map(|link| (link.joins, link.earliest_ms)).collect();
    assert_eq!(path, [(true, Some(3_600_000))]);
    let find = |name: &str| {
        let refused = person.refused.iter().find(|of| [&of.link.a, &of.link.b].contains(&&named(name))).unwrap();
        (refused.rule, refused.limit.clone())
    };
    assert_eq!(find("crm_contact:2"), (LinkRefusal::Limit, Some(("crm_contact".to_owned(), 1))));
    assert_eq!(find("phone:2"), (LinkRefusal::NeverJoin, None));
    assert_eq!(read::person(&mut world, &named("phone:9"), &rules).unwrap(), None);
}

#[test]
fn a_cluster_over_the_limit_is_published_as_quarantined_whatever_came_first() {
    let chain: Vec<[String; 2]> = (0..6).map(|at| [format!("anonymous_id:{at}"), format!("anonymous_id:{}", at + 1)]).collect();
    for backwards in [false, true] {
        let mut world = World::new(Settings { max_cluster: 5, ..Settings::default() });
        let mut latest = BTreeMap::new();
        let order: Vec<_> = if backwards { chain.iter().rev().collect() } else { chain.iter().collect() };
        for pair in order {
            latest.extend(world.touch(1, &[&pair[0], &pair[1]]));
        }
        let live: Vec<Profile> = latest.into_values().flatten().filter(|profile| profile.merged_into.is_empty()).collect();
        assert_eq!(live.len(), 7);
        assert!(live.iter().all(|profile| profile.quarantined && profile.identifiers.len() == 1));
    }
}

#[test]
fn of_an_erased_person_only_the_mark_stays_and_nothing_returns() {
    let mut world = World::new(Settings::default());
    world.touch(1, &["email:secret@qq.com"]);
    world.touch(2, &["email:secret@qq.com", "anonymous_id:hidden"]);
    let erased = world.event(5, &["email:secret@qq.com", "anonymous_id:hidden"], Body::Erase(Erase::default()));
    let id = profile_id("email:secret@qq.com");
    let of_it: Vec<_> = erased.into_iter().filter(|(of, _)| *of == id).map(|(_, profile)| profile).collect();
    let revision = of_it.iter().flatten().next().map_or(0, |profile| profile.revision);
    let row = Profile { profile_id: id, erased: true, revision, ..Profile::default() };
    assert_eq!(of_it, [Some(row), None], "a row that names nothing but the id, and then a tombstone");
    // What is left is the address of a root, never what anybody did.
    let root =
        [named("email:secret@qq.com"), named("anonymous_id:hidden")].iter().map(|of| world.holds(&of.value)).sum::<usize>();
    assert!(root <= 2, "{root} values hold a name");
    let again = world.touch(2, &["email:secret@qq.com", "anonymous_id:hidden"]);
    assert_eq!(again, []);
    let root_after =
        [named("email:secret@qq.com"), named("anonymous_id:hidden")].iter().map(|of| world.holds(&of.value)).sum::<usize>();
    assert_eq!(root_after, root, "a replayed event leaves no trace");

    let back = world.touch(7, &["email:secret@qq.com"]);
    let profile = back.last().unwrap().1.clone().unwrap();
    assert_eq!(profile.identifiers, [named("email:secret@qq.com")], "who comes back comes without the past");
    assert!(!profile.erased);
}

/// The person as it was when the request came, though the identifier of the CRM is erased at once.
#[test]
fn a_request_to_erase_a_person_is_published_before_the_erasure() {
    let mut world = World::new(Settings::default());
    world.touch(1, &["crm_contact:1", "email:a@qq.com"]);
    world.touch(2, &["email:a@qq.com", "phone:1"]);
    world.touch(3, &["email:other@qq.com", "phone:2"]);
    // Public events join a cookie, which nobody else names, and a phone, which somebody with a secret does.
    for names in [["email:a@qq.com", "anonymous_id:c"], ["email:a@qq.com", "phone:2"]] {
        let identifiers = names.iter().map(|name| named(name)).collect();
        let body = Some(Body::Identify(Identify {}));
        world.say(Event { time_ms: 4 * 3_600_000, identifiers, public: true, body, ..Event::default() });
    }
    let joined = world.joined("crm_contact:1");
    let person = || Body::Erase(Erase { person: true });
    world.event(5, &["crm_contact:1"], person());
    assert_eq!(world.requests.len(), 1);
    let request = &world.requests[0];
    let names = |identifiers: &[tributary_proto::Identifier]| -> Vec<String> {
        identifiers.iter().map(|of| format!("{}:{}", of.kind, of.value)).collect()
    };
    assert_eq!(names(&request.identifiers), ["anonymous_id:c", "crm_contact:1", "email:a@qq.com", "phone:1"]);
    let doubtful: &[&str] = if joined.len() > 4 { &["email:other@qq.com", "phone:2"] } else { &[] };
    assert_eq!(
        (names(&request.doubtful), request.until),
        (doubtful.iter().map(|of| (*of).to_owned()).collect(), 5 * 3_600_000)
    );
    assert_eq!(world.joined("email:a@qq.com").iter().filter(|name| name.contains("crm_contact")).count(), 0);

    // Told again, and of somebody who is alone, nothing is to be done.
    world.event(5, &["crm_contact:1"], person());
    world.event(6, &["crm_contact:9"], person());
    world.touch(7, &["crm_contact:8"]);
    world.event(8, &["crm_contact:8"], person());
    assert_eq!(world.requests.len(), 1);
}
