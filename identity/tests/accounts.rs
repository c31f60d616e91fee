//! Who belongs to an account, as its row tells.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod world;

use tributary_identity::Settings;
use tributary_identity::hierarchy::LEVELS_MAX;
use tributary_proto::event::Body;
use tributary_proto::{Account, AccountRecord, Event, Identify, Retract, Touch, Trait};
use tributary_runtime::config::AccountLevel;
use world::{World, named, profile_id};

const DAY: i64 = 86_400_000;

/// A trusted event of a person on a day that names an account.
fn at(day: i64, person: &str, account: &str) -> Event {
    Event {
        event_id: format!("{person} at {account} on {day}"),
        time_ms: day * DAY,
        identifiers: vec![named(person)],
        account_identifiers: vec![named(account)],
        body: Some(Body::Identify(Identify {})),
        ..Event::default()
    }
}

fn record(day: i64, accounts: &[&str]) -> Event {
    let account_identifiers = accounts.iter().map(|name| named(name)).collect();
    Event { time_ms: day * DAY, account_identifiers, body: Some(Body::Account(AccountRecord::default())), ..Event::default() }
}

fn row(world: &mut World, account: &str) -> Account {
    world.person(account).row.unwrap()
}

/// Profile, and the days from when and until when it belongs to the account.
fn people(world: &mut World, account: &str) -> Vec<(String, i64, i64)> {
    row(world, account).people.into_iter().map(|of| (of.profile_id, of.from_ms / DAY, of.to_ms / DAY)).collect()
}

#[test]
fn who_changes_companies_is_listed_in_both_with_the_time_of_each() {
    let mut world = World::new(Settings::default());
    world.say(at(5, "crm_contact:1", "crm_account:A"));
    world.say(at(9, "crm_contact:1", "crm_account:B"));
    let id = profile_id("crm_contact:1");
    assert_eq!(people(&mut world, "crm_account:A"), [(id.clone(), 0, 9)]);
    assert_eq!(people(&mut world, "crm_account:B"), [(id.clone(), 9, 0)]);

    world.say(at(12, "crm_contact:1", "crm_account:A"));
    assert_eq!(people(&mut world, "crm_account:A"), [(id.clone(), 0, 9), (id.clone(), 12, 0)]);
    assert_eq!(row(&mut world, "crm_account:A").people_count, 1);

    let wrong = Event { body: Some(Body::Retract(Retract::default())), ..at(9, "crm_contact:1", "crm_account:B") };
    world.say(wrong);
    assert_eq!(people(&mut world, "crm_account:A"), [(id, 0, 0)]);
    assert_eq!(row(&mut world, "crm_account:B").people_count, 0);
}

#[test]
fn merged_accounts_list_the_people_of_both_and_split_ones_their_own() {
    let mut world = World::new(Settings::default());
    let touch = |day: i64, person: &str| Event {
        time_ms: day * DAY,
        identifiers: vec![named(person)],
        body: Some(Body::Touch(Touch::default())),
        ..Event::default()
    };
    world.say(touch(2, "email:li@a.example"));
    world.say(touch(3, "email:wu@b.example"));
    assert_eq!(people(&mut world, "domain:a.example").len(), 1);
    let joined = Event { event_id: "joined".into(), ..record(4, &["domain:a.example", "domain:b.example"]) };
    world.say(joined);
    assert_eq!(people(&mut world, "domain:b.example").len(), 2);
    assert_eq!(row(&mut world, "domain:b.example").account_id, "a.example");
    world.say(Event {
        body: Some(Body::Unlink(tributary_proto::Unlink {})),
        ..record(5, &["domain:a.example", "domain:b.example"])
    });
    assert_eq!(people(&mut world, "domain:a.example"), [(profile_id("email:li@a.example"), 0, 0)]);
    assert_eq!(people(&mut world, "domain:b.example"), [(profile_id("email:wu@b.example"), 0, 0)]);
}

#[test]
fn the_list_is_bounded_and_people_of_public_events_come_last() {
    let mut world = World::new(Settings { account_people: 3, ..Settings::default() });
    for number in 0..20 {
        world.say(Event {
            time_ms: DAY + number,
            identifiers: vec![named(&format!("email:invented{number}@a.example"))],
            body: Some(Body::Touch(Touch::default())),
            public: true,
            ..Event::default()
        });
    }
    let role = Trait { name: "role".into(), value: "buyer".into() };
    world.say(Event { traits: vec![role], ..at(5, "crm_contact:1", "domain:a.example") });
    world.say(at(6, "crm_contact:2", "domain:a.example"));
    let row = row(&mut world, "domain:a.example");
    assert_eq!((row.people.len(), row.people_count), (3, 22));
    let known: Vec<_> = row.people.iter().filter(|of| !of.public).collect();
    assert_eq!(known.len(), 2);
    assert!(known.iter().any(|of| of.profile_id == profile_id("crm_contact:1") && of.role == "buyer"), "{known:?}");
}

/// What a CRM sends on the day when it deletes an account.
#[test]
fn accounts_that_are_named_at_one_time_give_the_same_in_any_order() {
    let on_the_day = |hour: i64, account: &str| {
        let event_id = format!("{account} at {hour}");
        Event { event_id, time_ms: 5 * DAY + hour * DAY / 24, ..at(0, "crm_contact:1", account) }
    };
    for (one, other) in [("crm_account:A", "crm_account:B"), ("crm_account:B", "crm_account:A")] {
        let mut events = [on_the_day(1, one), on_the_day(2, one), on_the_day(2, other), on_the_day(3, one)].map(Some).to_vec();
        let mut seen = Vec::new();
        permute(&mut events, &mut Vec::new(), &mut |order| {
            let mut world = World::new(Settings::default());
            order.iter().for_each(|event| drop(world.say((*event).clone())));
            seen.push((people(&mut world, one).len(), people(&mut world, other).len()));
        });
        assert_eq!(seen, [(2, 1); 24]);
    }
}

/// Calls `with` for every order of the events.
fn permute(left: &mut Vec<Option<Event>>, order: &mut Vec<Event>, with: &mut dyn FnMut(&[Event])) {
    if left.iter().all(Option::is_none) {
        return with(order);
    }
    for at in 0..left.len() {
        if let Some(event) = left[at].take() {
            order.push(event);
            permute(left, order, with);
            left[at] = order.pop();
        }
    }
}

fn deleted(day: i64, account: &str) -> Event {
    let gone = AccountRecord { gone: true, ..AccountRecord::default() };
    Event { event_id: format!("{account} deleted on {day}"), body: Some(Body::Account(gone)), ..record(day, &[account]) }
}

#[test]
fn a_deleted_account_frees_its_domain_until_it_is_restored() {
    let mut world = World::new(Settings::default());
    let of = |world: &mut World| world.person("domain:b.example").row.map(|row: Account| row.account_id);
    let records = |day: i64, account: &str| Event {
        event_id: format!("{account} on {day}"),
        ..record(day, &[account, "domain:b.example"])
    };
    world.say(records(1, "crm_account:A"));
    world.say(at(2, "email:li@b.example", "crm_account:A"));
    world.say(records(3, "crm_account:B"));
    assert_eq!(of(&mut world).as_deref(), Some("A"), "who claimed it first");
    world.say(deleted(5, "crm_account:A"));
    assert_eq!(of(&mut world).as_deref(), Some("B"), "who has it next");
    assert_eq!(people(&mut world, "crm_account:A").len(), 1, "who was named as belonging to it stays");
    world.say(records(4, "crm_account:A"));
    assert_eq!(of(&mut world).as_deref(), Some("B"), "an older record is no news");
    let there = Event { event_id: "there".into(), ..record(6, &["crm_account:A"]) };
    world.say(there.clone());
    assert_eq!(of(&mut world).as_deref(), Some("A"), "all that it claimed comes back");
    let back = |event: Event| Event { body: Some(Body::Retract(Retract::default())), ..event };
    world.say(back(there));
    assert_eq!(of(&mut world).as_deref(), Some("B"));
    world.say(back(deleted(5, "crm_account:A")));
    assert_eq!(of(&mut world).as_deref(), Some("A"));
}

#[test]
fn the_domain_of_a_deleted_account_has_no_account_unless_another_claims_it() {
    let mut world = World::new(Settings::default());
    let present = |world: &mut World, name: &str| {
        let rules = world.rules.clone();
        let found = tributary_identity::read::person(world, &named(name), &rules).unwrap();
        found.is_some_and(|found| found.record.present)
    };
    world.say(deleted(5, "crm_account:A"));
    assert!(!present(&mut world, "crm_account:A"), "of an account that was never there its deletion makes none");
    world.say(record(1, &["crm_account:A", "domain:b.example"]));
    assert!(!present(&mut world, "domain:b.example"));
    assert_eq!(row(&mut world, "crm_account:A").identifiers, [named("crm_account:A")]);
    world.say(Event {
        time_ms: 2 * DAY,
        identifiers: vec![named("email:li@b.example")],
        body: Some(Body::Touch(Touch::default())),
        ..Event::default()
    });
    assert_eq!(row(&mut world, "domain:b.example").account_id, "b.example");
    let link = Event { body: Some(Body::Link(tributary_proto::Link {})), ..record(3, &["crm_account:A", "domain:b.example"]) };
    world.say(Event { event_id: "one".into(), ..link });
    assert_eq!(row(&mut world, "domain:b.example").account_id, "A", "a explicit that they are one is no part of the record");
}

#[test]
fn a_company_name_is_an_account_of_last_resort() {
    let mut world = World::new(Settings::default());
    let account = |world: &mut World, person: &str| {
        world.person(person).placement.stays().last().map_or_else(String::new, |stay| stay.account_id.to_owned())
    };
    world.say(at(1, "email:li@qq.com", "company_name:acorp"));
    world.say(at(2, "phone:+8613800001111", "company_name:acorp"));
    assert_eq!(account(&mut world, "email:li@qq.com"), "acorp");
    assert_eq!(row(&mut world, "company_name:acorp").people_count, 2);
    assert_eq!(world.joined("email:li@qq.com"), ["email:li@qq.com"], "a name joins no people");
    world.say(Event { event_id: "first".into(), ..record(3, &["crm_account:A", "domain:a.example", "company_name:acorp"]) });
    world.say(Event { event_id: "second".into(), ..record(4, &["crm_account:B", "domain:b.example", "company_name:acorp"]) });
    assert_eq!(account(&mut world, "email:li@qq.com"), "A", "the account of that name whose record came first");
    assert_eq!(row(&mut world, "domain:b.example").account_id, "B", "a name joins no accounts");
    world.say(at(1, "email:wu@c.example", "company_name:acorp"));
    assert_eq!(account(&mut world, "email:wu@c.example"), "c.example", "an address says more");
    world.say(at(9, "email:li@qq.com", "crm_account:C"));
    world.say(at(10, "email:li@qq.com", "company_name:acorp"));
    assert_eq!(account(&mut world, "email:li@qq.com"), "C", "and so does a record, whenever it is named");
    assert_eq!(world.person("email:li@qq.com").placement.later, []);
}

/// An account record of a day that names the account above.
fn below(day: i64, account: &str, parent: Option<&str>) -> Event {
    let record = AccountRecord { parent: parent.map(named), parent_cleared: parent.is_none(), ..AccountRecord::default() };
    let event_id = format!("{account} under {parent:?} on {day}");
    Event { event_id, body: Some(Body::Account(record)), ..self::record(day, &[account]) }
}

/// The ids of the account right above and of the one at the top.
fn above(world: &mut World, account: &str) -> (String, String) {
    let row = row(world, account);
    (row.parent_id, row.root_id)
}

fn ids(parent: &str, root: &str) -> (String, String) {
    (parent.to_owned(), root.to_owned())
}

#[test]
fn an_account_has_its_parent_and_root_in_any_order_of_events() {
    let mut world = World::new(Settings::default());
    world.say(below(3, "crm_account:C", Some("crm_account:B")));
    assert_eq!(above(&mut world, "crm_account:C"), ids("B", "B"));
    world.say(below(5, "crm_account:B", Some("crm_account:A")));
    assert_eq!(above(&mut world, "crm_account:C"), ids("B", "A"));
    world.say(below(1, "crm_account:C", Some("crm_account:X")));
    assert_eq!(above(&mut world, "crm_account:C"), ids("B", "A"), "what was said before counts no more");
    world.say(Event { public: true, ..below(9, "crm_account:C", Some("crm_account:X")) });
    assert_eq!(above(&mut world, "crm_account:C"), ids("B", "A"), "outsiders name no parent");
    let back = Event { body: Some(Body::Retract(Retract::default())), ..below(3, "crm_account:C", Some("crm_account:B")) };
    world.say(back);
    assert_eq!(above(&mut world, "crm_account:C"), ids("X", "X"));
    world.say(below(8, "crm_account:C", None));
    assert_eq!(above(&mut world, "crm_account:C"), ids("", ""));
}

#[test]
fn in_a_circle_the_smallest_is_the_root_and_has_no_parent() {
    let mut world = World::new(Settings::default());
    world.say(below(1, "crm_account:B", Some("crm_account:C")));
    world.say(below(1, "crm_account:C", Some("crm_account:A")));
    world.say(below(1, "crm_account:X", Some("crm_account:B")));
    assert_eq!(above(&mut world, "crm_account:X"), ids("B", "A"));
    world.say(below(1, "crm_account:A", Some("crm_account:B")));
    assert_eq!(above(&mut world, "crm_account:A"), ids("", ""));
    assert_eq!(above(&mut world, "crm_account:C"), ids("A", "A"));
    assert_eq!(above(&mut world, "crm_account:X"), ids("B", "A"));
    world.say(below(2, "crm_account:B", Some("crm_account:B")));
    assert_eq!(above(&mut world, "crm_account:A"), ids("B", "B"), "above itself is nobody");
    assert_eq!(above(&mut world, "crm_account:B"), ids("", ""));
}

#[test]
fn the_number_of_parents_above_an_account_is_bounded() {
    let mut world = World::new(Settings::default());
    for level in 0..80 {
        world.say(below(1, &format!("crm_account:{level}"), Some(&format!("crm_account:{}", level + 1))));
    }
    assert_eq!(above(&mut world, "crm_account:0"), ids("1", &(LEVELS_MAX - 1).to_string()));
    assert_eq!(above(&mut world, "crm_account:70"), ids("71", "80"));
}

#[test]
fn at_the_level_of_the_root_people_of_subsidiaries_are_of_one_unit_and_belong_to_their_own_account() {
    let mut world = World::new(Settings { account_level: AccountLevel::Root, ..Settings::default() });
    world.say(at(2, "crm_contact:1", "crm_account:B"));
    world.say(at(5, "crm_contact:1", "crm_account:C"));
    world.say(below(3, "crm_account:B", Some("crm_account:A")));
    world.say(below(3, "crm_account:C", Some("crm_account:A")));
    let placement = world.person("crm_contact:1").placement;
    let stays: Vec<(&str, &str)> = placement.stays().map(|stay| (stay.unit, stay.account_id)).collect();
    assert_eq!(stays, [("a:crm_account:A", "B"), ("a:crm_account:A", "C")]);
    assert_eq!(people(&mut world, "crm_account:B"), [(profile_id("crm_contact:1"), 0, 5)]);
    assert_eq!(people(&mut world, "crm_account:C"), [(profile_id("crm_contact:1"), 5, 0)]);
    assert_eq!(world.person("crm_account:C").placement.unit, "a:crm_account:A");
}
