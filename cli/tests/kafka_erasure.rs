//! What an operator's topics still hold of somebody who was erased, and until when: found whether it was committed or not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use support::{Raw, finish, pipeline, send, succeed, tributary};
use tributary_runtime::topic::Topic;

const EMAIL: &str = "Vqxz.Wkrt@qq.com";
const PHONE: &str = "139 7218 4635";

fn verify(sets: &[String]) -> (Option<i32>, Value) {
    let found =
        tributary(sets).args(["erase", "--verify", "--json", "email:vqxz.wkrt@qq.com", "phone:13972184635"]).output().unwrap();
    (
        found.status.code(),
        serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&found.stderr))),
    )
}

fn place<'a>(report: &'a Value, what: &str) -> &'a Value {
    report["places"].as_array().unwrap().iter().find(|place| place["what"] == what).unwrap()
}

#[test]
fn what_topics_still_hold_is_found_with_its_end() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&brokers, "erasure", folder.path(), &["topics.credits_retention_days=0".into()]);
    let record = |text: Value| -> Raw { (Topic::Offline, text.to_string().into_bytes()) };
    send(
        &sets,
        &[
            record(json!({"timestamp": "2024-03-01T10:00:00+08:00", "email": EMAIL, "phone": PHONE})),
            record(json!({"timestamp": "2024-03-01T10:00:00+08:00", "email": "others@qq.com"})),
            record(json!({"timestamp": "yesterday", "email": EMAIL})),
        ],
    );
    finish(&sets);
    let (code, report) = verify(&sets);
    assert_eq!(code, Some(1), "{report}");
    for (what, held) in [("offline", 2), ("dead-letters", 1), ("sdk", 0), ("credits", 0)] {
        assert_eq!(place(&report, what)["held"], held, "{what}: {report}");
    }
    for what in ["identity-inbox", "profiles", "identity-changelog"] {
        assert!(place(&report, what)["held"].as_u64().unwrap() > 0, "{what}: {report}");
    }
    // A week, and as long as a segment is written to.
    let offline = place(&report, "offline");
    let stays = offline["until_ms"].as_i64().unwrap() - offline["newest_ms"].as_i64().unwrap();
    assert!(stays >= 7 * 86_400_000 && offline["because"] == "retention.ms=604800000", "{offline}");
    let profiles = place(&report, "profiles");
    assert!(
        profiles["until_ms"].is_null() && profiles["because"].as_str().unwrap().contains("max.compaction.lag.ms"),
        "{profiles}"
    );

    // What was aborted is in the broker's files, too.
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &brokers).set("transactional.id", "a-stranger").create().unwrap();
    producer.init_transactions(Duration::from_secs(30)).unwrap();
    producer.begin_transaction().unwrap();
    producer
        .send(BaseRecord::<[u8], [u8]>::to("erasure.utm").payload(format!("{{\"email\": \"{EMAIL}\"}}").as_bytes()))
        .unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();
    assert_eq!(place(&verify(&sets).1, "utm")["held"], 1, "not committed yet");
    producer.abort_transaction(Duration::from_secs(30)).unwrap();
    assert_eq!(place(&verify(&sets).1, "utm")["held"], 1, "aborted");

    let mut erase = tributary(&sets);
    erase.args(["erase", "--yes", "email:vqxz.wkrt@qq.com", "phone:13972184635"]);
    succeed(erase);
    finish(&sets);
    let (code, report) = verify(&sets);
    assert_eq!((code, &place(&report, "offline")["held"]), (Some(1), &json!(3)), "the erasure names them, too: {report}");
    let nobody = tributary(&sets).args(["erase", "--verify", "email:zzzz.nobody@qq.com"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(0), "{}", String::from_utf8_lossy(&nobody.stdout));
}
