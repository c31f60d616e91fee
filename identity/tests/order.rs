//! Same events, same profiles: any order, any partitioning, any batching; judged by a naive computation over the set of all events.
//!
//! The judge shares nothing with the core but the message types and the settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tributary_identity::{IdentityStage, LOG, Rules, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{
    Account, AccountRecord, Consent, Erase, Event, Identifier, Identify, IdentityMessage, Link, Message, MilestoneVersion,
    Profile, Touch, Trait, Unlink, identity_message,
};
use tributary_runtime::config::Section;
use tributary_runtime::log::{BatchLimits, MemoryLog};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};
use tributary_simulator::oracle::{self, judge};

const MAX_CLUSTER: usize = 9;

fn settings() -> Settings {
    Settings { shared_after: 2, shared_any: 6, max_cluster: MAX_CLUSTER as u32, ..Settings::default() }
}

/// Runs the stage over events; returns the live profiles and accounts.
fn run(events: &[Event], partitions: u32, records_max: usize) -> (BTreeMap<String, Profile>, BTreeMap<String, Account>) {
    let mut rules: Rules = settings().compiled(&Kinds::default()).unwrap();
    if records_max % 2 == 1 {
        // What is sent in parts arrives in many batches.
        rules.part_bytes_max = 200;
        rules.rest_after = 3;
    }
    let rules = Arc::new(rules);
    let log = MemoryLog::new(partitions);
    let limits = BatchLimits { records_max, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let build = Box::new(move |share| Box::new(IdentityStage::new(rules.clone(), share)) as Box<_>);
    let mut worker = Worker::new(log.session(LOG), LOG, build, WorkerOptions::in_memory(limits));
    for event in events {
        let primary = event.identifiers.first().or(event.account_identifiers.first()).unwrap();
        let key = match &event.body {
            Some(Body::Milestone(version)) => version.milestone_id.clone().into_bytes(),
            _ => primary.key(),
        };
        let message = IdentityMessage { body: Some(identity_message::Body::Event(event.clone())) };
        log.append(Topic::IdentityInbox, event.time_ms, key, message.encode_to_vec());
    }
    let mut steps = 0;
    while worker.step().unwrap() > 0 {
        steps += 1;
        assert!(steps < 200_000, "the messages never drain");
    }
    let mut profiles = BTreeMap::new();
    let mut revisions = BTreeMap::new();
    // Revisions grow by key, and how far depends on the batches.
    let mut grows = |topic: Topic, key: &[u8], revision: u64| {
        let before = revisions.insert((topic, key.to_vec()), revision);
        assert!(before.unwrap_or(0) < revision, "{before:?}, then {revision}");
    };
    for output in log.drain(Topic::Profiles) {
        let Some(value) = output.value else {
            profiles.remove(&String::from_utf8(output.key).unwrap());
            continue;
        };
        let profile = Profile::decode(value.as_slice()).unwrap();
        assert_eq!(output.key, profile.profile_id.as_bytes());
        grows(Topic::Profiles, &output.key, profile.revision);
        profiles.insert(profile.profile_id.clone(), Profile { revision: 0, ..profile });
    }
    let mut accounts = BTreeMap::new();
    for output in log.drain(Topic::Accounts) {
        let Some(value) = output.value else {
            accounts.remove(&String::from_utf8(output.key).unwrap());
            continue;
        };
        let account = Account::decode(value.as_slice()).unwrap();
        grows(Topic::Accounts, &output.key, account.revision);
        accounts.insert(account.account_id.clone(), Account { revision: 0, ..account });
    }
    assert!(profiles.values().all(|profile| profile.split_from.is_empty()), "a notice that nothing follows");
    assert!(accounts.values().all(|account| account.split_from.is_empty()), "a notice that nothing follows");
    profiles.retain(|_, profile| profile.merged_into.is_empty());
    accounts.retain(|_, account| account.merged_into.is_empty());
    (profiles, accounts)
}

const HOUR_MS: i64 = 3_600_000;

fn identifier() -> impl Strategy<Value = Identifier> {
    let plain =
        (prop::sample::select(vec!["crm_contact", "user_id", "phone", "anonymous_id", "crm_lead", "device_id"]), 0u8..4)
            .prop_map(|(kind, value)| Identifier::new(kind, "", format!("{kind}-{value}")));
    let email = (0u8..4, prop::sample::select(vec!["a.example", "b.example", "qq.com"]))
        .prop_map(|(name, domain)| Identifier::new("email", "", format!("{name}@{domain}")));
    prop_oneof![3 => plain, 1 => email]
}

fn account_identifier() -> impl Strategy<Value = Identifier> {
    (any::<bool>(), prop::sample::select(vec!["a.example", "b.example", "c.example"])).prop_map(|(crm, name)| {
        if crm { Identifier::new("crm_account", "", format!("crm-{name}")) } else { Identifier::new("domain", "", name) }
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let people = prop::collection::vec(identifier(), 1..4);
    let accounts = prop::collection::vec(account_identifier(), 0..3);
    let one = (people, accounts, 0i64..50, 0u8..24, 0u8..6).prop_map(|(mut people, mut accounts, time, what, some_trait)| {
        // Some hours hold several events.
        let time_ms = time * HOUR_MS / 4;
        let order = tributary_proto::kind::Kinds::default();
        let sort = |list: &mut Vec<Identifier>| {
            list.sort_by_key(|of| (order.rank(&of.kind), of.value.clone()));
            list.dedup();
        };
        sort(&mut people);
        sort(&mut accounts);
        if what > 2 {
            accounts.truncate(usize::from(what % 4 == 0));
        }
        let body = match what {
            0 | 1 if !accounts.is_empty() => {
                people.clear();
                Body::Account(AccountRecord::default())
            }
            2 if !accounts.is_empty() => Body::Account(AccountRecord::default()),
            3 => Body::Link(Link {}),
            4 => Body::Unlink(Unlink {}),
            5 => Body::Consent(Consent { granted: time % 2 == 0 }),
            20 | 21 => Body::Erase(Erase::default()),
            22 | 23 => {
                let object_id = format!("{}", time % 3);
                let (milestone_id, kind) = (format!("mql:{object_id}"), "mql".to_owned());
                Body::Milestone(MilestoneVersion { milestone_id, kind, object_id, ..MilestoneVersion::default() })
            }
            6..10 => Body::Identify(Identify {}),
            _ => Body::Touch(Touch { channel: "direct".into(), ..Touch::default() }),
        };
        let named = matches!(body, Body::Erase(_) | Body::Unlink(_)) || some_trait > 1;
        let traits = if named { vec![] } else { vec![Trait { name: format!("t{some_trait}"), value: format!("{time}") }] };
        Event { time_ms, identifiers: people, account_identifiers: accounts, traits, body: Some(body), ..Event::default() }
    });
    prop::collection::vec(one, 1..40).prop_map(|mut all| {
        for (at, event) in all.iter_mut().enumerate() {
            event.event_id = format!("e{at}");
        }
        all
    })
}

fn check(events: &[Event], partitions: u32, records_max: usize) {
    let (profiles, accounts) = run(events, partitions, records_max);
    let verdict = judge(events, &oracle::Rules { identity: settings(), ..oracle::Rules::default() });
    assert_same(events, &profiles, &verdict.profiles);
    assert_same(events, &accounts, &verdict.accounts);
}

/// Panics with what differs.
fn assert_same<T: PartialEq + std::fmt::Debug>(events: &[Event], found: &BTreeMap<String, T>, expected: &BTreeMap<String, T>) {
    let differs = |key: &&String| found.get(*key) != expected.get(*key);
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).filter(differs).collect();
    let all: Vec<_> = keys.iter().map(|key| (key, found.get(*key), expected.get(*key))).collect();
    assert!(all.is_empty(), "{}found and expected: {all:#?}", compact(events));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_partitioning_and_batching_gives_the_same_result(
        events in events(), partitions in 1u32..9, records_max in prop::sample::select(vec![1usize, 2, 7, 1000])
    ) {
        check(&events, partitions, records_max);
    }

    #[test]
    fn any_order_of_events_gives_the_same_result(events in events().prop_shuffle(), partitions in 1u32..5) {
        let mut twice = events.clone();
        twice.extend(events.iter().rev().cloned());
        let ((profiles, accounts), (expected, companies)) = (run(&twice, partitions, 3), run(&events, 1, 1000));
        assert_same(&events, &profiles, &expected);
        assert_same(&events, &accounts, &companies);
    }
}

fn compact(events: &[Event]) -> String {
    let names = |list: &[Identifier]| list.iter().map(|of| of.value.clone()).collect::<Vec<_>>().join(",");
    events
        .iter()
        .map(|event| {
            let body = format!("{:?}", event.body).chars().skip(5).take_while(|c| *c != '(').collect::<String>();
            format!(
                "{} {} {} | {} {}\n",
                event.event_id,
                event.time_ms / (HOUR_MS / 4),
                body,
                names(&event.identifiers),
                names(&event.account_identifiers)
            )
        })
        .collect()
}

#[test]
fn an_event_without_a_person_reaches_all_accounts_it_names() {
    let accounts = vec![Identifier::new("crm_account", "", "001"), Identifier::new("domain", "", "a.example")];
    let body = Some(Body::Touch(Touch { channel: "events".into(), ..Touch::default() }));
    let event = Event { event_id: "e".into(), time_ms: 5, account_identifiers: accounts, body, ..Event::default() };
    for partitions in [1, 4] {
        check(std::slice::from_ref(&event), partitions, 1);
    }
}
