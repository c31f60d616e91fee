//! What somebody outside can do with a public write key, and what not; and that people who change companies leave their deals behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use tributary_identity::Settings;
use tributary_identity::settings::{Membership, PublicJoins};
use tributary_proto::event::Body;
use tributary_proto::{Consent, Contact, Erase, Event, Identify, Link, ObjectContacts, Retract, Touch, Trait};
use world::{World, named, profile_id};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn event(time_ms: i64, people: &[&str], body: Body) -> Event {
    let identifiers = people.iter().map(|name| named(name)).collect();
    Event { time_ms, identifiers, body: Some(body), ..Event::default() }
}

/// A touch from outside.
fn public(time_ms: i64, people: &[&str]) -> Event {
    Event { public: true, ..event(time_ms, people, Body::Touch(Touch::default())) }
}

/// A public touch that was received on this day, whatever its own time.
fn received(day: i64, time_ms: i64, people: &[&str]) -> Event {
    Event { received_ms: day * DAY, ..public(time_ms, people) }
}

/// A trusted event that names an account.
fn at(time_ms: i64, person: &str, account: &str) -> Event {
    let account_identifiers = vec![named(account)];
    Event { account_identifiers, ..event(time_ms, &[person], Body::Identify(Identify {})) }
}

/// The spans of a person: the day from which on, and the account.
fn spans(world: &mut World, name: &str) -> Vec<(i64, String)> {
    let placement = world.person(name).placement;
    let day = |from_ms: i64| if from_ms == i64::MIN { 0 } else { from_ms / DAY };
    placement.stays().map(|stay| (day(stay.from_ms), stay.account_id.to_owned())).collect()
}

fn told(spans: &[(i64, &str)]) -> Vec<(i64, String)> {
    spans.iter().map(|(day, account)| (*day, (*account).to_owned())).collect()
}

fn known() -> World {
    let mut world = World::new(Settings::default());
    world.say(event(DAY - 1, &["crm_contact:7"], Body::Identify(Identify {})));
    world.say(event(DAY, &["crm_contact:7", "email:zhang@b.example"], Body::Identify(Identify {})));
    world
}

#[test]
fn invented_user_ids_join_an_address_of_the_crm_and_split_nobody() {
    let mut world = known();
    world.say(public(2 * DAY, &["email:zhang@b.example", "anonymous_id:honest"]));
    for number in 0..60 {
        world.say(public(DAY, &["email:zhang@b.example", &format!("user_id:invented{number}")]));
    }
    let joined = world.joined("crm_contact:7");
    assert!(joined.contains(&"email:zhang@b.example".into()) && joined.contains(&"anonymous_id:honest".into()), "{joined:?}");
    assert_eq!(world.person("anonymous_id:honest").id(), profile_id("crm_contact:7"));
}

#[test]
fn a_back_dated_public_event_does_not_change_the_id_of_a_trusted_profile() {
    let mut world = known();
    world.say(public(1, &["email:zhang@b.example", "user_id:older"]));
    assert_eq!(world.person("user_id:older").id(), profile_id("crm_contact:7"));
}

#[test]
fn chained_cookies_are_a_cluster_of_their_own_once_they_are_too_many() {
    let mut world = known();
    world.say(public(DAY, &["email:zhang@b.example", "anonymous_id:0"]));
    for number in 0..150 {
        world.say(public(DAY, &[&format!("anonymous_id:{number}"), &format!("anonymous_id:{}", number + 1)]));
    }
    assert_eq!(world.joined("crm_contact:7"), ["crm_contact:7", "email:zhang@b.example"]);
    assert!(world.person("anonymous_id:75").quarantined);
    assert!(!world.person("crm_contact:7").quarantined);
}

#[test]
fn traits_of_trusted_events_outrank_later_ones_of_public_events() {
    let mut world = known();
    let title = |value: &str| vec![Trait { name: "title".into(), value: value.into() }];
    world.say(Event { traits: title("CTO"), ..event(DAY, &["email:zhang@b.example"], Body::Identify(Identify {})) });
    let outside = event(9 * DAY, &["email:zhang@b.example"], Body::Identify(Identify {}));
    world.say(Event { traits: title("intern"), public: true, ..outside });
    let values: Vec<_> =
        world.person("email:zhang@b.example").traits.into_iter().map(|fact| fact.r#trait.unwrap().value).collect();
    assert_eq!(values, ["CTO"]);
}

#[test]
fn public_consent_covers_its_own_identifier_and_trusted_consent_the_whole_profile() {
    let mut world = known();
    world.say(public(DAY, &["email:zhang@b.example", "anonymous_id:c"]));
    let no = Body::Consent(Consent { granted: false });
    world.say(Event { public: true, ..event(2 * DAY, &["anonymous_id:c"], no.clone()) });
    assert!(world.person("anonymous_id:c").placement.revoked);
    assert!(!world.person("email:zhang@b.example").placement.revoked);
    world.say(event(DAY, &["crm_contact:7"], Body::Consent(Consent { granted: true })));
    assert!(!world.person("anonymous_id:c").placement.revoked, "the CRM knows better");
    world.say(event(3 * DAY, &["crm_contact:7"], no));
    assert!(world.person("anonymous_id:c").placement.revoked && world.person("email:zhang@b.example").placement.revoked);
}

#[test]
fn an_address_of_a_public_event_does_not_move_a_trusted_person_to_another_company() {
    let mut world = known();
    assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "b.example")]));
    world.say(public(2 * DAY, &["email:zhang@b.example", "anonymous_id:c"]));
    world.say(public(3 * DAY, &["email:zhang@rival.example", "anonymous_id:c"]));
    assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "b.example")]));
    assert!(world.joined("crm_contact:7").contains(&"email:zhang@rival.example".into()));
}

#[test]
fn public_events_do_not_join_two_people_of_the_crm() {
    let mut world = known();
    world.say(event(DAY, &["crm_contact:8", "email:li@b.example"], Body::Identify(Identify {})));
    world.say(public(1, &["email:li@b.example", "email:zhang@b.example"]));
    world.say(public(1, &["email:li@b.example", "anonymous_id:c"]));
    world.say(public(1, &["anonymous_id:c", "email:zhang@b.example"]));
    assert!(!world.joined("crm_contact:7").contains(&"crm_contact:8".into()));
}

/// What a sender does who wants to part two groups that a form has joined on day 10: each comes later, and says that it was earlier, or
/// names surer kinds.
const PARTINGS: [(&str, &[&[&str]]); 6] = [
    ("an earlier form", &[&["email:other@c.example", "phone:+8613900000002"]]),
    ("a surer kind", &[&["user_id:evil", "phone:+8613900000002"], &["email:other@c.example", "user_id:evil"]]),
    ("two addresses", &[&["email:other@c.example", "email:zhang@b.example"]]),
    ("by way of a cookie", &[&["email:other@c.example", "anonymous_id:evil"], &["anonymous_id:evil", "phone:+8613900000002"]]),
    ("many of them", &[&["user_id:1", "phone:+8613900000002"], &["user_id:2", "phone:+8613900000002"]]),
    ("by way of their telephone", &[&["email:other@c.example", "phone:+8613900000003"]]),
];

/// Three groups that the CRM knows, and two of which a form has joined: at once, or by way of a telephone that it alone names.
fn joined_by_a_form(at_once: bool) -> World {
    let mut world = known();
    world.say(event(DAY, &["crm_contact:9", "email:other@c.example"], Body::Identify(Identify {})));
    world.say(event(DAY, &["wechat_openid:o", "phone:+8613900000002"], Body::Identify(Identify {})));
    if at_once {
        world.say(received(10, 10 * DAY, &["email:zhang@b.example", "phone:+8613900000002"]));
    } else {
        world.say(received(10, 10 * DAY, &["email:zhang@b.example", "phone:+8613900000003"]));
        world.say(received(11, 11 * DAY, &["wechat_openid:o", "phone:+8613900000003"]));
    }
    world
}

#[test]
fn later_public_events_do_not_split_people_whom_a_form_has_joined() {
    for at_once in [true, false] {
        for (name, says) in PARTINGS {
            let mut world = joined_by_a_form(at_once);
            assert!(world.joined("crm_contact:7").contains(&"wechat_openid:o".into()), "before");
            for people in says {
                world.say(received(12, 9 * DAY, people));
            }
            let joined = world.joined("crm_contact:7");
            assert!(joined.contains(&"wechat_openid:o".into()), "{name}: {joined:?}");
        }
    }
}

#[test]
fn the_link_received_first_joins_in_any_order_of_arrival() {
    let says = [
        received(10, 10 * DAY, &["email:zhang@b.example", "phone:+8613900000002"]),
        received(12, 9 * DAY, &["email:other@c.example", "phone:+8613900000002"]),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut world = known();
        world.say(event(DAY, &["crm_contact:9", "email:other@c.example"], Body::Identify(Identify {})));
        world.say(event(DAY, &["wechat_openid:o", "phone:+8613900000002"], Body::Identify(Identify {})));
        for at in order {
            world.say(Event { event_id: format!("said{at}"), ..says[at].clone() });
        }
        assert!(world.joined("crm_contact:7").contains(&"wechat_openid:o".into()));
        // A copy that was received earlier is the same event, and was there before.
        world.say(Event { event_id: "said1".into(), received_ms: 9 * DAY, ..says[1].clone() });
        assert!(world.joined("crm_contact:9").contains(&"wechat_openid:o".into()));
    }
}

#[test]
fn sharing_by_public_events_ends_once_a_trusted_event_names_the_identifier() {
    let mut world = World::new(Settings::default());
    for number in 0..5 {
        world.say(public(DAY, &["email:li@b.example", &format!("user_id:{number}")]));
    }
    assert_eq!(world.joined("email:li@b.example"), ["email:li@b.example"], "shared by five");
    world.say(event(2 * DAY, &["crm_contact:8", "email:li@b.example"], Body::Identify(Identify {})));
    assert!(world.joined("crm_contact:8").contains(&"email:li@b.example".into()));
    assert_eq!(world.joined("crm_contact:8").len(), 7, "and what only public events know hangs on it");
}

#[test]
fn public_identifiers_of_a_profile_are_limited_and_the_first_ones_stay() {
    let mut world = World::new(Settings { public_leaves: 3, ..Settings::default() });
    world.say(event(DAY, &["crm_contact:7", "email:zhang@b.example"], Body::Identify(Identify {})));
    for number in 0..6 {
        world.say(public(9 * DAY - number, &["email:zhang@b.example", &format!("anonymous_id:{number}")]));
    }
    let joined = world.joined("crm_contact:7");
    assert_eq!(joined, ["anonymous_id:3", "anonymous_id:4", "anonymous_id:5", "crm_contact:7", "email:zhang@b.example"]);
}

#[test]
fn a_cookie_of_public_events_joins_the_first_address_and_no_other() {
    let mut world = World::new(Settings { public_joins: PublicJoins::Anonymous, ..Settings::default() });
    world.say(public(DAY, &["email:a@qq.com", "anonymous_id:c"]));
    world.say(public(2 * DAY, &["email:b@qq.com", "anonymous_id:c"]));
    world.say(public(DAY, &["email:a@qq.com", "phone:+8613800000000"]));
    assert_eq!(world.joined("email:a@qq.com"), ["anonymous_id:c", "email:a@qq.com"]);
}

#[test]
fn a_touch_costs_little_in_any_graph_of_public_events() {
    // A star on an address that the CRM knows: work is put off, and done for many at once.
    let mut world = known();
    for number in 0..900 {
        world.say(public(DAY, &["email:zhang@b.example", &format!("anonymous_id:{number}")]));
    }
    assert_eq!(world.joined("crm_contact:7").len(), 902);
}

#[test]
fn people_who_change_companies_leave_their_deals_behind() {
    let mut world = World::new(Settings::default());
    world.say(at(10 * DAY, "crm_contact:7", "crm_account:001A"));
    assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "001A")]));
    world.say(at(40 * DAY, "crm_contact:7", "crm_account:001B"));
    assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "001A"), (40, "001B")]));
    // Told late, and twice.
    world.say(at(30 * DAY, "crm_contact:7", "crm_account:001C"));
    world.say(at(30 * DAY, "crm_contact:7", "crm_account:001C"));
    world.say(at(20 * DAY, "crm_contact:7", "crm_account:001A"));
    assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "001A"), (30, "001C"), (40, "001B")]));
    // What is asserted by another identifier of the person counts the same.
    world.say(at(50 * DAY, "email:zhang@qq.com", "crm_account:001A"));
    world.say(event(60 * DAY, &["crm_contact:7", "email:zhang@qq.com"], Body::Identify(Identify {})));
    assert_eq!(spans(&mut world, "crm_contact:7").last(), Some(&(50, "001A".to_owned())));
}

#[test]
fn with_membership_latest_everything_moves() {
    let mut world = World::new(Settings { membership: Membership::Latest, ..Settings::default() });
    world.say(at(10 * DAY, "crm_contact:7", "crm_account:001A"));
    world.say(at(40 * DAY, "crm_contact:7", "crm_account:001B"));
    assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "001B")]));
}

#[test]
fn a_wrong_company_is_taken_back_before_or_after_it_comes() {
    for late in [true, false] {
        let mut world = World::new(Settings::default());
        let wrong = Event { event_id: "wrong".into(), ..at(20 * DAY, "crm_contact:7", "crm_account:001X") };
        let back = event(30 * DAY, &["crm_contact:7"], Body::Retract(Retract::default()));
        let back = Event { event_id: "wrong".into(), ..back };
        world.say(at(10 * DAY, "crm_contact:7", "crm_account:001A"));
        let (first, second) = if late { (wrong, back) } else { (back, wrong) };
        world.say(first);
        world.say(second);
        assert_eq!(spans(&mut world, "crm_contact:7"), told(&[(0, "001A")]), "late: {late}");
    }
}

#[test]
fn on_the_day_of_an_erasure_only_the_last_assertion_counts_whatever_came_first() {
    let at_hour = |hour: i64, person: &str, account: &str| at(20 * DAY + hour * HOUR, person, account);
    let erase = || event(20 * DAY + HOUR, &["crm_contact:7"], Body::Erase(Erase::default()));
    let told_after = |events: Vec<Event>| {
        let mut world = World::new(Settings::default());
        world.say(at_hour(4, "email:zhang@qq.com", "crm_account:001C"));
        events.into_iter().for_each(|event| drop(world.say(event)));
        world.say(event(21 * DAY, &["crm_contact:7", "email:zhang@qq.com"], Body::Identify(Identify {})));
        let placement = world.person("crm_contact:7").placement;
        placement.stays().map(|stay| (stay.account_id.to_owned(), stay.from_ms)).collect::<Vec<_>>()
    };
    let (first, last) =
        (|| at_hour(3, "crm_contact:7", "crm_account:001B"), || at_hour(5, "crm_contact:7", "crm_account:001B"));
    let expected = vec![("001C".to_owned(), i64::MIN), ("001B".to_owned(), 20 * DAY + 5 * HOUR)];
    assert_eq!(told_after(vec![first(), last(), erase()]), expected, "erased last");
    assert_eq!(told_after(vec![erase(), last(), first()]), expected, "erased first, the last before the first");
    assert_eq!(told_after(vec![erase(), first(), last()]), expected, "erased first");
}

#[test]
fn a_retracted_statement_hides_earlier_ones_of_its_day_in_any_order() {
    let said = |hour: i64, account: &str| at(20 * DAY + hour * HOUR, "crm_contact:7", account);
    let wrong = || Event { event_id: "wrong".into(), ..said(4, "crm_account:001A") };
    let back = || Event { event_id: "wrong".into(), ..event(30 * DAY, &["crm_contact:7"], Body::Retract(Retract::default())) };
    let others = || vec![said(1, "crm_account:001A"), said(3, "crm_account:001A"), said(2, "crm_account:001C")];
    let told_after = |events: Vec<Event>| {
        let mut world = World::new(Settings::default());
        events.into_iter().for_each(|event| drop(world.say(event)));
        let placement = world.person("crm_contact:7").placement;
        placement.stays().map(|stay| (stay.account_id.to_owned(), stay.from_ms)).collect::<Vec<_>>()
    };
    let expected = vec![("001A".to_owned(), i64::MIN), ("001C".to_owned(), 20 * DAY + 2 * HOUR)];
    for (order, events) in [
        ("back, others, wrong", [vec![back()], others(), vec![wrong()]].concat()),
        ("wrong, back, others", [vec![wrong(), back()], others()].concat()),
        ("others, wrong, back", [others(), vec![wrong(), back()]].concat()),
        ("back, wrong, others", [vec![back(), wrong()], others()].concat()),
    ] {
        assert_eq!(told_after(events), expected, "{order}");
    }
}

#[test]
fn a_statement_and_a_consent_are_retracted() {
    let mut world = World::new(Settings::default());
    let pair = ["email:a@qq.com", "phone:+8613800000000"];
    world.say(Event { event_id: "l".into(), ..event(DAY, &pair, Body::Link(Link {})) });
    world.say(Event { event_id: "u".into(), ..event(2 * DAY, &pair, Body::Unlink(tributary_proto::Unlink {})) });
    assert_eq!(world.joined(pair[0]).len(), 1);
    world.say(Event { event_id: "u".into(), ..event(3 * DAY, &pair, Body::Retract(Retract::default())) });
    assert_eq!(world.joined(pair[0]).len(), 2, "the unlink no longer counts");
    world.say(Event { event_id: "c".into(), ..event(DAY, &pair, Body::Consent(Consent { granted: false })) });
    assert!(world.person(pair[0]).placement.revoked);
    world.say(Event { event_id: "c".into(), ..event(3 * DAY, &pair, Body::Retract(Retract::default())) });
    assert!(!world.person(pair[0]).placement.revoked);
}

#[test]
fn a_role_is_that_of_the_latest_statement_not_retracted() {
    let mut world = World::new(Settings::default());
    world.touch(1, &["crm_contact:7"]);
    let mut tell = |event_id: &str, day: i64, role: &str, removed: bool, body: Body| {
        let contact = Contact { identifier: Some(named("crm_contact:7")), role: role.into(), removed };
        let contacts = if matches!(body, Body::Retract(_)) { Vec::new() } else { vec![contact] };
        let identifiers = vec![named("crm_contact:0")];
        world.say(Event {
            event_id: event_id.into(),
            time_ms: day * DAY,
            identifiers,
            contacts,
            body: Some(body),
            ..Event::default()
        });
        let roles = world.person("crm_contact:7").record.roles;
        roles.into_iter().map(|role| format!("{} {}", role.object_id, role.role)).collect::<Vec<_>>()
    };
    let of = |object_id: &str| Body::ObjectContacts(ObjectContacts { object_id: object_id.into() });
    assert_eq!(tell("1", 2, "Champion", false, of("006A")), ["006A Champion"]);
    assert_eq!(tell("2", 1, "User", false, of("006A")), ["006A Champion"]);
    assert_eq!(tell("3", 2, "Buyer", false, of("006B")), ["006A Champion", "006B Buyer"]);
    assert_eq!(tell("4", 3, "", true, of("006A")), ["006B Buyer"]);
    let back = Body::Retract(Retract { object_id: "006A".into(), ..Retract::default() });
    assert_eq!(tell("4", 9, "", true, back), ["006A Champion", "006B Buyer"]);
}

/// A CRM deletes a record: earlier statements of the record no longer count, whichever arrives first, and later ones do.
#[test]
fn deleting_a_record_retracts_its_statements() {
    let of_record = |event: Event, day: i64| Event { record: "task:7".into(), recorded_ms: day * DAY, ..event };
    let role = |day: i64, role: &str| {
        let contact = Contact { identifier: Some(named("crm_contact:7")), role: role.into(), removed: false };
        let body = Body::ObjectContacts(ObjectContacts { object_id: "006A".into() });
        of_record(Event { contacts: vec![contact], ..event(day * DAY, &["crm_contact:0"], body) }, day)
    };
    let account = Event {
        account_identifiers: vec![named("crm_account:001")],
        // It happened long before the record reported it.
        event_id: "account".into(),
        ..event(DAY, &["crm_contact:7"], Body::Identify(Identify {}))
    };
    let other = Event { event_id: "other".into(), ..event(2 * DAY, &["crm_contact:7"], Body::Identify(Identify {})) };
    let words = [of_record(account, 4), Event { event_id: "role".into(), ..role(4, "Champion") }];
    let gone = |day: i64| {
        let body = Body::Retract(Retract { record: "task:7".into(), ..Retract::default() });
        Event { event_id: format!("gone {day}"), ..event(day * DAY, &["crm_contact:0"], body) }
    };
    let told = |events: &[Event]| {
        let mut world = World::new(Settings::default());
        events.iter().cloned().for_each(|event| drop(world.say(event)));
        let person = world.person("crm_contact:7");
        let roles: Vec<String> = person.record.roles.iter().map(|role| role.role.clone()).collect();
        (person.placement.account_id, roles)
    };
    let (there, nothing) = (("001".to_owned(), vec!["Champion".to_owned()]), (String::new(), Vec::new()));
    let [account, champion] = words;
    let of = |more: &[Event]| [std::slice::from_ref(&other), more].concat();
    assert_eq!(told(&of(&[account.clone(), champion.clone()])), there);
    // Before what it takes back, between, behind, and twice.
    for events in [
        [gone(5), account.clone(), champion.clone(), gone(4)],
        [account.clone(), gone(4), champion.clone(), gone(5)],
        [account.clone(), champion.clone(), gone(5), gone(4)],
        [champion.clone(), gone(5), account.clone(), gone(5)],
    ] {
        assert_eq!(told(&of(&events)), nothing);
    }
    // An earlier deletion retracts nothing, and statements made after a deletion count.
    assert_eq!(told(&of(&[gone(3), account.clone(), champion.clone()])), there);
    let again = Event { event_id: "again".into(), ..role(6, "Buyer") };
    for events in [[champion.clone(), gone(5), again.clone()], [again, champion.clone(), gone(5)]] {
        assert_eq!(told(&of(&events)).1, ["Buyer"]);
    }
}

/// What a record's actor keeps names nobody.
#[test]
fn a_retracted_record_keeps_no_erased_identifier() {
    let mut world = World::new(Settings::default());
    let touch = Event {
        record: "task:7".into(),
        recorded_ms: DAY,
        ..event(DAY, &["email:li@b.example"], Body::Touch(Touch::default()))
    };
    world.say(touch);
    world.say(event(2 * DAY, &["email:li@b.example"], Body::Erase(Erase::default())));
    assert_eq!(world.holds("li@b.example"), 0);
    let body = Body::Retract(Retract { record: "task:7".into(), ..Retract::default() });
    world.say(Event { event_id: "gone".into(), ..event(3 * DAY, &["crm_contact:0"], body) });
    assert_eq!(world.holds("li@b.example"), 0);
}
