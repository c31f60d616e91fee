//! What is told to the world while identities come together, fall apart and are erased.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_identity::cluster::Refusal;
use tributary_identity::{IdentityStage, Rules, Settings, read};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{
    Erase, Event, Identifier, Identify, IdentityMessage, Link, Message, Profile, Touch, Unlink, identity_message,
};
use tributary_runtime::config::Section;
use tributary_runtime::stage::{Context, Outbox, Record, Share, Stage};
use tributary_runtime::state::{EmptyBase, Overlay, Snapshot, State, StateError};
use tributary_runtime::topic::Topic;

/// One partition, with what it has published and stored.
struct World {
    rules: Arc<Rules>,
    stage: IdentityStage,
    state: Overlay<EmptyBase>,
    outbox: Outbox,
    stored: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    count: usize,
}

fn named(name: &str) -> Identifier {
    let (kind, value) = name.split_once(':').unwrap();
    Identifier::new(kind, "", value)
}

fn profile_id(name: &str) -> String {
    format!("p_{}", named(name).hash())
}

impl Snapshot for World {
    fn partitions(&self, _: &str) -> u32 {
        1
    }

    fn state(&mut self, _: &'static str, _: u32) -> Result<&mut dyn State, StateError> {
        Ok(&mut self.state)
    }
}

impl World {
    fn new(settings: Settings) -> Self {
        let rules = Arc::new(settings.compiled(&Kinds::default()).unwrap());
        let stage = IdentityStage::new(rules.clone(), Share { partition: 0, partitions: 1 });
        let (state, outbox) = (Overlay::new(EmptyBase), Outbox::default());
        Self { rules, stage, state, outbox, stored: BTreeMap::new(), count: 0 }
    }

    /// An event in a batch of its own; returns the profiles published, tombstones as `None`.
    fn event(&mut self, hour: i64, names: &[&str], body: Body) -> Vec<(String, Option<Profile>)> {
        self.count += 1;
        let identifiers: Vec<_> = names.iter().map(|name| named(name)).collect();
        let key = identifiers[0].key();
        let event_id = format!("e{}", self.count);
        let event = Event { event_id, time_ms: hour * 3_600_000, identifiers, body: Some(body), ..Event::default() };
        let value = IdentityMessage { body: Some(identity_message::Body::Event(event)) }.encode_to_vec();
        let record = Record { topic: Topic::IdentityInbox, partition: 0, offset: 0, timestamp_ms: 0, key: &key, value: &value };
        let mut context = Context { state: &mut self.state, outbox: &mut self.outbox };
        self.stage.handle(&record, &mut context).unwrap();
        self.stage.end_batch(&mut context).unwrap();
        for write in self.state.writes() {
            self.stored.insert(write.key, write.value);
        }
        self.state.settle(usize::MAX);
        let outbox = std::mem::take(&mut self.outbox);
        let profiles = outbox.outputs.into_iter().filter(|output| output.topic == Topic::Profiles);
        profiles
            .map(|output| {
                let profile = output.value.map(|value| Profile::decode(value.as_slice()).unwrap());
                (String::from_utf8(output.key).unwrap(), profile)
            })
            .collect()
    }

    fn touch(&mut self, hour: i64, names: &[&str]) -> Vec<(String, Option<Profile>)> {
        self.event(hour, names, Body::Touch(Touch::default()))
    }

    /// How many live values of the state hold these bytes.
    fn holds(&self, bytes: &str) -> usize {
        let live = self.stored.values().flatten();
        live.filter(|value| value.windows(bytes.len()).any(|window| window == bytes.as_bytes())).count()
    }
}

#[test]
fn a_merge_says_where_to_and_an_unlink_where_from() {
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
fn a_phone_that_too_many_contacts_have_lets_them_go() {
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
    assert_eq!(find("crm_contact:2"), (Refusal::Limit, Some(("crm_contact".to_owned(), 1))));
    assert_eq!(find("phone:2"), (Refusal::NeverJoin, None));
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
fn of_an_erased_person_nothing_stays_but_the_mark_and_nothing_returns() {
    let mut world = World::new(Settings::default());
    world.touch(1, &["email:secret@qq.com"]);
    world.touch(2, &["email:secret@qq.com", "anonymous_id:hidden"]);
    let erased = world.event(5, &["email:secret@qq.com", "anonymous_id:hidden"], Body::Erase(Erase {}));
    let id = profile_id("email:secret@qq.com");
    let of_it: Vec<_> = erased.into_iter().filter(|(of, _)| *of == id).map(|(_, profile)| profile).collect();
    let row = Profile { profile_id: id, erased: true, ..Profile::default() };
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
