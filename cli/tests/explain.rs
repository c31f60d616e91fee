//! `explain` and `profile`: the credit they show is the credit that was emitted, and their reasons name what made it so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

#[path = "explain/standings.rs"]
mod standings;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use serde_json::{Value, json};
use support::{RECEIVED_MS, Raw, golden, golden_folder, history, settings, succeed, tributary, write_files};
use tributary_cli::answers::{print_explanation, print_profile};
use tributary_pipeline::explain::{ExplainError, Explanation, LinkUsed, Profile, explain, profile};
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::topic::Topic;

const DEAL: &str = "closed_won:006X";

/// A replay to be explained.
struct Asked {
    replay: Replay,
    pipeline: Pipeline,
}

impl Asked {
    fn new(records: &[Raw], settings: &Settings, partitions: u32) -> Self {
        let mut replay = Replay::new(settings, partitions).unwrap_or_else(|problems| panic!("{problems:?}"));
        for (topic, record) in records {
            replay.append(*topic, RECEIVED_MS, record);
        }
        replay.run().unwrap();
        Self { replay, pipeline: Pipeline::compile(settings).unwrap_or_else(|problems| panic!("{problems:?}")) }
    }

    fn golden() -> Self {
        Self::new(&golden(), &settings(), 4)
    }

    /// Over native records.
    fn of(records: &[Value], settings: &Settings) -> Self {
        let records: Vec<Raw> = records.iter().map(|record| (Topic::Offline, record.to_string().into_bytes())).collect();
        Self::new(&records, settings, 3)
    }

    fn milestone(&mut self, id: &str) -> Explanation {
        explain(self.replay.snapshot(), &self.pipeline, id, None).unwrap()
    }

    fn profile(&mut self, identifier: &str) -> Profile {
        profile(self.replay.snapshot(), &self.pipeline, identifier).unwrap()
    }

    fn refusal(&mut self, identifier: &str) -> ExplainError {
        profile(self.replay.snapshot(), &self.pipeline, identifier).unwrap_err()
    }
}

fn touch(id: &str, time: &str, more: Value) -> Value {
    let mut record = json!({"event_id": id, "timestamp": time, "anonymous_id": "c", "channel": "email", "campaign": id});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn won(time: &str) -> Value {
    json!({"kind": "milestone", "milestone": "closed_won", "object_id": "1", "timestamp": time, "anonymous_id": "c"})
}

/// The touches of the milestone, by id.
fn ends(link: &LinkUsed) -> [&str; 2] {
    let mut ends = [link.a.as_str(), link.b.as_str()];
    ends.sort_unstable();
    ends
}

#[test]
fn the_rows_explained_are_those_of_the_golden_credit_table() {
    let text = fs::read_to_string(golden_folder().join("credit-table.ndjson")).unwrap();
    let wanted: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut asked = Asked::golden();
    let mut rows = BTreeMap::new();
    for id in ["mql:00Q1", "opportunity:006X", DEAL] {
        let explanation = asked.milestone(id);
        assert!(explanation.current);
        for row in explanation.credit {
            assert!(row.current && !row.reason.is_empty(), "{row:?}");
            rows.insert((id.to_owned(), row.model.clone(), row.touch_id.clone()), row);
        }
    }
    assert_eq!(rows.len(), wanted.len());
    for wanted in wanted {
        let text = |field: &str| wanted[field].as_str().unwrap().to_owned();
        let row = &rows[&(text("milestone_id"), text("model"), text("touch_id"))];
        assert!(row.weight_nano.cast_signed().abs_diff(wanted["weight_nano"].as_i64().unwrap()) <= 2, "{row:?}");
        assert!(row.value_minor.abs_diff(wanted["value_minor"].as_i64().unwrap()) <= 1, "{row:?}");
        assert_eq!((&row.channel, &row.currency), (&text("channel"), &text("currency")));
    }
}

#[test]
fn reasons_name_the_identifiers_links_and_anchors() {
    let explanation = Asked::golden().milestone(DEAL);
    let brought: Vec<(&str, &str)> =
        explanation.touches.iter().map(|touch| (touch.touch_id.as_str(), touch.identifier.as_str())).collect();
    let expected = [
        ("A", "anonymous_id||cookie-7f3a"),
        ("wechat:gh_acorp:oZhang:1646013960:subscribe", "wechat_openid|gh_acorp|oZhang"),
        ("C", "wechat_openid|gh_acorp|oZhang"),
        ("D", "phone||+8613800001111"),
        ("E", "email||zhang@b-corp.example"),
        ("F", "crm_contact||003Z"),
        ("G", "wechat_openid|gh_acorp|oZhang"),
    ];
    assert_eq!(brought, expected);
    assert!(explanation.touches.iter().all(|touch| touch.in_journey));

    let person = explanation.owners.iter().find(|owner| !owner.profile_id.is_empty()).unwrap();
    let why = person.account_why.as_ref().unwrap();
    assert_eq!((why.how, why.by.as_str(), why.names.as_str()), ("asserted", "crm_contact||003Z", "crm_account||001B"));
    let path_of = |identifier: &str| {
        let via = person.identifiers.iter().find(|via| via.identifier == identifier).unwrap();
        via.path.iter().map(ends).collect::<Vec<_>>()
    };
    assert_eq!(path_of("anonymous_id||cookie-7f3a"), Vec::<[&str; 2]>::new());
    let cookie_openid = ["anonymous_id||cookie-7f3a", "wechat_openid|gh_acorp|oZhang"];
    assert_eq!(path_of("wechat_openid|gh_acorp|oZhang"), [cookie_openid]);
    let phone_openid = ["phone||+8613800001111", "wechat_openid|gh_acorp|oZhang"];
    assert_eq!(path_of("phone||+8613800001111"), [phone_openid, cookie_openid]);
    assert_eq!(path_of("crm_contact||003Z")[0], ["crm_contact||003Z", "email||zhang@b-corp.example"]);

    let anchors = |touch: &str| {
        let row = explanation.credit.iter().find(|row| row.model == "full_path" && row.touch_id == touch).unwrap();
        row.anchors.join(" ")
    };
    assert_eq!(
        (anchors("A"), anchors("E"), anchors("F"), anchors("G")),
        ("first".into(), "lead".into(), "opportunity".into(), "close".into())
    );
    assert_eq!(anchors("D"), "");
}

#[test]
fn a_model_can_be_picked_and_an_unknown_one_is_refused() {
    let mut asked = Asked::golden();
    let found = explain(asked.replay.snapshot(), &asked.pipeline, DEAL, Some("w_shaped")).unwrap();
    assert!(found.current && !found.credit.is_empty() && found.credit.iter().all(|row| row.model == "w_shaped"));
    let refused = explain(asked.replay.snapshot(), &asked.pipeline, DEAL, Some("w_sharp")).unwrap_err();
    assert!(matches!(&refused, ExplainError::Usage(why) if why.contains("w_shaped")), "{refused}");
}

#[test]
fn explaining_a_profile_lists_its_links() {
    let mut asked = Asked::golden();
    let found = asked.profile("email: Zhang@B-Corp.example ");
    assert_eq!(found.profile_id, "p_9ce777b87b508996b703dd2922724c92");
    assert_eq!((found.account_id.as_str(), found.unit.as_str()), ("001B", "a:crm_account:001B"));
    assert_eq!(found.identifiers[0].identifier, "anonymous_id||cookie-7f3a");
    assert_eq!(found.identifiers.len(), 6);
    assert_eq!(found.links.iter().filter(|link| link.joins).count(), 5, "a tree");
    assert!(found.current && found.refused.is_empty());
    let brought: usize = found.identifiers.iter().map(|known| known.brought.touches).sum();
    assert_eq!(brought, 7);
    // The answer is the same in every way of asking.
    for identifier in [
        "email||zhang@b-corp.example",
        "zhang@b-corp.example",
        "wechat_openid:gh_acorp:oZhang",
        "phone:138 0000 1111",
        "p_9ce777b87b508996b703dd2922724c92",
    ] {
        let other = asked.profile(identifier);
        assert_eq!((&other.profile_id, &other.identifiers), (&found.profile_id, &found.identifiers), "{identifier}");
    }
    let account = asked.profile("account:001B");
    assert_eq!((account.profile_id.as_str(), account.account_id.as_str()), ("", "001B"));
    let milestones: Vec<&str> =
        account.identifiers[0].brought.milestones.iter().map(|anchor| anchor.milestone_id.as_str()).collect();
    assert_eq!(milestones, ["opportunity:006X", DEAL]);
}

#[test]
fn merges_are_listed_in_the_order_of_the_events() {
    let mut asked = Asked::of(
        &[
            json!({"timestamp": "2023-01-01T00:00:00Z", "anonymous_id": "older"}),
            json!({"timestamp": "2023-01-02T00:00:00Z", "phone": "+8613800002222"}),
            json!({"timestamp": "2023-01-03T00:00:00Z", "anonymous_id": "older", "phone": "+8613800002222"}),
        ],
        &settings(),
    );
    let found = asked.profile("anonymous_id:older");
    let merged: Vec<(i64, i64)> = found.former.iter().map(|former| (former.from_ms, former.until_ms)).collect();
    assert_eq!(merged, [(1_672_617_600_000, 1_672_704_000_000)]);
    assert_eq!(asked.profile(&found.former[0].id).profile_id, found.profile_id);
}

#[test]
fn an_unknown_person_is_reported_without_the_identifier() {
    let mut asked = Asked::golden();
    let unknown = asked.refusal("phone:13912345678");
    assert!(matches!(unknown, ExplainError::Unknown(_)) && !unknown.to_string().contains("3912345678"), "{unknown}");
    for (wrong, hint) in
        [("telephone:13912345678", "phone"), ("13912345678", "kind:value"), ("p_12", "32"), ("email:null", "email")]
    {
        let refused = asked.refusal(wrong);
        assert!(matches!(refused, ExplainError::Usage(_)) && refused.to_string().contains(hint), "{wrong}: {refused}");
        assert!(!refused.to_string().contains("3912345678"), "{refused}");
    }
    for (wrong, hint) in
        [("won:006X", "opportunity:006X or closed_won:006X"), ("006X", "did you mean"), ("mql:nobody", "kind:object_id")]
    {
        let refused = explain(asked.replay.snapshot(), &asked.pipeline, wrong, None).unwrap_err();
        assert!(matches!(refused, ExplainError::Unknown(_)) && refused.to_string().contains(hint), "{wrong}: {refused}");
    }
}

#[test]
fn what_is_erased_leaves_its_mark_alone() {
    let erase = json!({"kind": "erase", "timestamp": "2023-06-02T00:00:00Z", "anonymous_id": "c"});
    let records = [touch("in", "2023-01-01T00:00:00Z", json!({"phone": "+8613800002222"})), won("2023-06-01T00:00:00Z"), erase];
    let mut asked = Asked::of(&records, &settings());
    let found = asked.profile("anonymous_id:c");
    assert_eq!(found.erased_until_ms, Some(1_685_664_000_000));
    assert!(found.identifiers.is_empty() && found.links.is_empty() && found.traits.is_empty());
    let explanation = asked.milestone("closed_won:1");
    assert!(explanation.credit.is_empty() && explanation.milestone.versions.is_empty() && explanation.current);
    assert_eq!((explanation.milestone.erased, explanation.milestone.erased_until_ms), (true, Some(1_685_664_000_000)));
    let told = printed(|out| print_explanation(&explanation, out));
    assert!(told.contains("closed_won:1 was ERASED") && told.contains("2023-06-02") && !told.contains("1970"), "{told}");
    let told = printed(|out| print_profile(&found, out));
    assert!(told.contains("ERASED") && told.contains("nothing is known of it") && !told.contains("on their way"), "{told}");
    // By the profile's former id: the identifier that gave it is erased.
    let by_id = asked.refusal(&found.profile_id);
    assert!(by_id.to_string().contains("is erased: events that name it up to 2023-06-02"), "{by_id}");
}

fn printed(print: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    print(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The identifiers of a person of a company are erased one after the other: at every step, explaining any of them gives the right answer.
#[test]
fn no_identifier_is_shown_as_moving_after_erasures() {
    let people = ["email:z@b-corp.example", "phone:+8613800002222", "anonymous_id:c", "user_id:u-1234567"];
    let seen = json!({"kind": "identify", "timestamp": "2023-01-02T00:00:00Z", "email": "z@b-corp.example", "phone": "+8613800002222",
        "account": "001B", "traits": {"title": "CEO"}});
    let mut records = vec![
        seen,
        json!({"kind": "identify", "timestamp": "2023-01-03T00:00:00Z", "anonymous_id": "c", "email": "z@b-corp.example", "user_id": "u-1234567"}),
        touch("in", "2023-01-01T00:00:00Z", json!({})),
        won("2023-06-01T00:00:00Z"),
    ];
    for (at, of) in people.iter().enumerate() {
        let (kind, value) = of.split_once(':').unwrap();
        records.push(json!({"kind": "erase", "timestamp": format!("2023-07-0{}T00:00:00Z", at + 1), kind: value}));
        let mut asked = Asked::of(&records, &settings());
        for (other, identifier) in people.iter().enumerate() {
            let found = asked.profile(identifier);
            assert_eq!((found.present, found.current), (other > at && found.present, true), "{at} {identifier}: {found:?}");
            let told = printed(|out| print_profile(&found, out));
            assert_eq!(
                (told.contains("ERASED"), told.contains("on their way")),
                (other <= at, false),
                "{at} {identifier}: {told}"
            );
        }
    }
}

#[test]
fn a_milestone_that_was_not_reached_has_no_time() {
    let amends = json!({"kind": "milestone", "milestone": "closed_won", "object_id": "1", "timestamp": "2023-06-02T00:00:00Z",
        "email": "a@qq.com", "value": "7", "currency": "CNY", "amends": true});
    let explanation = Asked::of(&[amends], &settings()).milestone("closed_won:1");
    let told = printed(|out| print_explanation(&explanation, out));
    assert!(!explanation.milestone.reached && told.contains("was not reached") && !told.contains("1970"), "{told}");

    let nobodys =
        json!({"kind": "milestone", "milestone": "closed_won", "object_id": "1", "timestamp": "2023-06-02T00:00:00Z"});
    let mut asked = Asked::of(&[nobodys], &settings());
    if let Ok(explanation) = explain(asked.replay.snapshot(), &asked.pipeline, "closed_won:1", None) {
        let told = printed(|out| print_explanation(&explanation, out));
        assert!(told.contains("reached 2023-06-02") && told.contains("has no anchor"), "{told}");
    }
}

#[test]
fn an_empty_journey_and_a_withdrawn_milestone_are_explained() {
    let explanation = Asked::of(&[won("2023-06-01T00:00:00Z")], &settings()).milestone("closed_won:1");
    assert!(explanation.current && explanation.touches.is_empty());
    assert!(explanation.credit.iter().all(|row| row.touch_id == "unattributed" && row.reason == "no touch in the journey"));
    assert_eq!(explanation.credit.len(), 10);

    let mut withdrawn = won("2023-06-02T00:00:00Z");
    withdrawn["withdrawn"] = true.into();
    let records = [touch("in", "2023-01-01T00:00:00Z", json!({})), won("2023-06-01T00:00:00Z"), withdrawn];
    let explanation = Asked::of(&records, &settings()).milestone("closed_won:1");
    assert!(explanation.milestone.withdrawn && explanation.current && explanation.credit.is_empty());
    assert!(explanation.milestone.versions.iter().all(|version| !version.amends));
}

#[test]
fn an_amendment_is_distinguished_from_a_version() {
    let amends = json!({"kind": "milestone", "milestone": "closed_won", "object_id": "1", "timestamp": "2023-06-02T00:00:00Z",
        "value": "7", "currency": "CNY", "amends": true});
    let mut asked = Asked::of(&[won("2023-06-01T00:00:00Z"), amends], &settings());
    let explanation = asked.milestone("closed_won:1");
    let told: Vec<(bool, Option<&str>)> =
        explanation.milestone.versions.iter().map(|version| (version.amends, version.value.as_deref())).collect();
    assert_eq!(told, [(false, explanation.milestone.versions[0].value.as_deref()), (true, Some("7"))]);
    let mut out = Vec::new();
    print_explanation(&explanation, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("  amendment "));
    assert_eq!(explanation.milestone.versions.len(), 2);
}

#[test]
fn the_account_of_an_address_is_its_domain_and_what_that_is_linked_to() {
    let records = [
        json!({"kind": "account", "timestamp": "2023-01-01T00:00:00Z", "account": "001B", "domain": "b-corp.example"}),
        json!({"timestamp": "2023-01-02T00:00:00Z", "email": "li@b-corp.example"}),
    ];
    let found = Asked::of(&records, &settings()).profile("li@b-corp.example");
    let why = found.account_why.unwrap();
    assert_eq!((found.account_id.as_str(), why.how, why.names.as_str()), ("001B", "email_domain", "domain||b-corp.example"));
    let path: Vec<_> = why.path.iter().map(|link| (link.a.as_str(), link.b.as_str())).collect();
    assert_eq!(path, [("domain||b-corp.example", "crm_account||001B")]);
}

/// All that is explained does not depend on how many partitions hold it, and holds for every milestone of a history.
#[test]
fn every_milestone_of_a_history_is_explained_the_same_over_any_partitions() {
    let records = history(60, 3, false);
    let (mut one, mut many) = (Asked::new(&records, &settings(), 1), Asked::new(&records, &settings(), 5));
    let ids: Vec<String> = {
        let mut replay = Replay::new(&settings(), 1).unwrap_or_else(|problems| panic!("{problems:?}"));
        records.iter().for_each(|(topic, record)| replay.append(*topic, RECEIVED_MS, record));
        let results = replay.finish().unwrap();
        let mut ids: Vec<String> = results.table().rows().map(|row| row.milestone_id.to_owned()).collect();
        ids.dedup();
        ids
    };
    assert!(ids.len() > 10);
    for id in ids {
        let explanation = one.milestone(&id);
        assert!(explanation.current, "{id}");
        assert_eq!(explanation, many.milestone(&id));
        for owner in explanation.owners.iter().filter(|owner| !owner.profile_id.is_empty()) {
            let found = one.profile(&owner.profile_id);
            assert!(found.current && found.profile_id == owner.profile_id);
            assert_eq!(found, many.profile(&owner.profile_id));
        }
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ask(sets: &[String], args: &[&str]) -> Output {
    let mut command = tributary(sets);
    command.args(args).arg("--json");
    command.output().unwrap()
}

#[test]
fn the_embedded_log_and_replay_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [format!("state.path={}", folder.path().join("state").display()), "topics.partitions=3".to_owned()];
    let files = write_files(folder.path(), &golden());
    let unknown = ask(&sets, &["explain", DEAL]);
    assert_eq!(unknown.status.code(), Some(1), "there is no state yet");
    let mut send = tributary(&sets);
    send.arg("send").args(&files);
    succeed(send);
    let mut run = tributary(&sets);
    run.args(["run", "--until-idle", "1"]);
    succeed(run);
    // A service has the folder open meanwhile.
    let mut run = tributary(&sets);
    run.arg("run");
    let running = support::Running::start(run);

    let found = ask(&sets, &["explain", DEAL]);
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let fresh = &json_of(&found)["freshness"];
    assert_eq!((&fresh["current"], &fresh["newer_records"]), (&true.into(), &0.into()), "{fresh}");
    let timeless = |output: &Output| {
        let mut answer = json_of(output);
        answer["freshness"].take();
        answer
    };
    let mut replay: Vec<&str> = vec!["replay", "--explain", DEAL, "--partitions", "2"];
    replay.extend(files.iter().map(String::as_str));
    assert_eq!(timeless(&found), json_of(&ask(&[], &replay)));
    let shape: Vec<&str> = ["milestone", "touches", "stages", "credit", "owners", "current", "freshness"].into();
    assert!(shape.iter().all(|field| json_of(&found).get(field).is_some()));
    let row = json_of(&found)["credit"][0].clone();
    for field in [
        "model",
        "model_version",
        "touch_id",
        "touch",
        "channel",
        "weight_nano",
        "value_minor",
        "currency",
        "anchors",
        "reason",
    ] {
        assert!(row.get(field).is_some(), "{field}");
    }

    let found = ask(&sets, &["profile", "phone:13800001111"]);
    let mut replay: Vec<&str> = vec!["replay", "--profile", "phone:13800001111"];
    replay.extend(files.iter().map(String::as_str));
    assert_eq!(timeless(&found), json_of(&ask(&[], &replay)));
    assert_eq!(json_of(&found)["identifiers"].as_array().unwrap().len(), 6);

    assert_eq!(ask(&sets, &["explain", "closed_won:none"]).status.code(), Some(1));
    assert_eq!(ask(&sets, &["profile", "phone:13912345678"]).status.code(), Some(1));
    assert_eq!(ask(&sets, &["profile", "fax:1"]).status.code(), Some(2));
    assert_eq!(ask(&sets, &["explain"]).status.code(), Some(2));
    running.terminate();
}
