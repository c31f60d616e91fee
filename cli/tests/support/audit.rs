//! What a pipeline on Kafka has left in its topics, beside what `replay` leaves of the same records: once and no more, and nothing less.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tributary_cli::source::{self, Found, Next};
use tributary_ingest::{Decoded, Decoder};
use tributary_pipeline::credit_table::CreditTable;
use tributary_pipeline::replay::{Replay, Results};
use tributary_pipeline::settings::Settings;
use tributary_proto::{
    Account, CreditUpdate, DeadLetter, Hash128, IdentityMessage, Message, Profile, Source, identity_message::Body,
};
use tributary_runtime::topic::Topic;

use super::{RECEIVED_MS, Raw};

/// Longest wait for the next record of a topic that has more.
const PATIENCE: Duration = Duration::from_secs(120);

/// What differs, in words; empty when all is as it should be.
pub fn differences(settings: &Settings, records: &[Raw]) -> Vec<String> {
    let mut found = Vec::new();
    let expected = replayed(settings, records);
    let (left, chain) = left(settings);
    found.extend(chain);
    found.extend(left.credits.imbalances().iter().map(|imbalance| format!("{imbalance:?}")));
    let texts = |results: &Results| -> Vec<String> { results.text().unwrap().lines().map(str::to_owned).collect() };
    found.extend(compare("credit rows and profiles", &texts(&left), &texts(&expected)));
    let accounts = |results: &Results| -> Vec<String> {
        let names = |account: &Account| account.identifiers.iter().map(|name| name.display()).collect::<Vec<_>>();
        results.accounts.values().map(|account| format!("{} {:?}", account.account_id, names(account))).collect()
    };
    found.extend(compare("accounts", &accounts(&left), &accounts(&expected)));
    let letters = |results: &Results| {
        let mut letters: Vec<String> = results.dead_letters.iter().map(letter_text).collect();
        letters.sort();
        letters
    };
    found.extend(compare("dead letters", &letters(&left), &letters(&expected)));
    found.extend(compare("events in identity's inbox", &inbox(settings), &events(settings, records)));
    found
}

fn compare(what: &str, found: &[String], expected: &[String]) -> Option<String> {
    if found == expected {
        return None;
    }
    let count = |lines: &[String]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        lines.iter().for_each(|line| *counts.entry(line.clone()).or_default() += 1);
        counts
    };
    let (found, expected) = (count(found), count(expected));
    let less = |a: &BTreeMap<String, usize>, b: &BTreeMap<String, usize>| -> usize {
        a.iter().map(|(line, times)| times.saturating_sub(b.get(line).copied().unwrap_or(0))).sum()
    };
    let (surplus, missing) = (less(&found, &expected), less(&expected, &found));
    let first = found.keys().chain(expected.keys()).find(|line| found.get(*line) != expected.get(*line));
    Some(format!("{what}: {surplus} too many, {missing} missing; the first is {first:?}"))
}

fn letter_text(letter: &DeadLetter) -> String {
    format!("{} {} {} {}", letter.stage, letter.reason, letter.index, String::from_utf8_lossy(&letter.payload))
}

fn replayed(settings: &Settings, records: &[Raw]) -> Results {
    let mut replay = Replay::new(settings, 1).unwrap_or_else(|problems| panic!("{problems:?}"));
    for (topic, record) in records {
        replay.append(*topic, RECEIVED_MS, record);
        replay.advance().unwrap();
    }
    replay.finish().unwrap()
}

/// The events that the raw records hold, as identity's inbox must hold them.
fn events(settings: &Settings, records: &[Raw]) -> Vec<String> {
    let decoder = Decoder::new(&settings.ingest, &settings.kinds.kinds()).unwrap();
    let mut decoded = Decoded::default();
    let mut all = Vec::new();
    for (topic, record) in records {
        let source = match topic {
            Topic::Sdk => Source::Sdk,
            Topic::Utm => Source::Utm,
            Topic::Webhook => Source::Webhook,
            _ => Source::Offline,
        };
        decoded.clear();
        if decoder.decode(source, record, Some(RECEIVED_MS), &mut decoded).is_ok() {
            all.extend(decoded.events.iter().map(digest));
        }
    }
    all.sort();
    all
}

fn inbox(settings: &Settings) -> Vec<String> {
    let mut all = Vec::new();
    read(settings, Topic::IdentityInbox, |found| {
        let message = IdentityMessage::decode(found.value.unwrap().as_slice()).unwrap();
        if let Some(Body::Event(event)) = message.body {
            all.push(digest(&event));
        }
    });
    all.sort();
    all
}

fn digest(event: &impl Message) -> String {
    format!("{:?}", Hash128::of(&event.encode_to_vec()))
}

/// What the output topics hold, and where the revisions of a milestone's credits have a gap or come again.
fn left(settings: &Settings) -> (Results, Option<String>) {
    let mut results = Results { credits: CreditTable::default(), ..Results::default() };
    let mut revisions: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut broken = 0;
    read(settings, Topic::Credits, |found| {
        let update = CreditUpdate::decode(found.value.unwrap().as_slice()).unwrap();
        let last = revisions.entry((update.milestone_id.clone(), update.model.clone())).or_default();
        broken += usize::from(update.revision != *last && update.revision != *last + 1);
        *last = update.revision;
        results.credits.add(&update);
    });
    latest::<Profile>(settings, Topic::Profiles, &mut results.profiles);
    latest::<Account>(settings, Topic::Accounts, &mut results.accounts);
    results.profiles.retain(|_, profile| profile.merged_into.is_empty() && !profile.erased);
    results.accounts.retain(|_, account| account.merged_into.is_empty() && !account.erased);
    read(settings, Topic::DeadLetters, |found| {
        results.dead_letters.push(DeadLetter::decode(found.value.unwrap().as_slice()).unwrap());
    });
    (results, (broken > 0).then(|| format!("{broken} revisions of credits do not follow the one before")))
}

fn latest<M: Message + Default>(settings: &Settings, topic: Topic, all: &mut BTreeMap<String, M>) {
    read(settings, topic, |found| {
        let id = String::from_utf8(found.key).unwrap();
        match found.value {
            Some(bytes) => drop(all.insert(id, M::decode(bytes.as_slice()).unwrap())),
            None => drop(all.remove(&id)),
        }
    });
}

/// Reads a topic to its end.
fn read(settings: &Settings, topic: Topic, mut each: impl FnMut(Found)) {
    let mut reader = source::open(settings, topic, true).unwrap();
    let mut since = Instant::now();
    loop {
        match reader.next(Duration::from_millis(200)).unwrap() {
            Next::Record(found) => {
                each(found);
                since = Instant::now();
            }
            Next::Idle => assert!(since.elapsed() < PATIENCE, "the end of {topic:?} is not reached"),
            Next::End => return,
        }
    }
}
