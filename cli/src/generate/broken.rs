//! Records that must become dead letters: valid JSON with wrong content.

use serde_json::json;
use tributary_runtime::topic::Topic;

use super::scene::{Moment, Scene};
use super::webhook::Push;

/// A record that must be refused, and its topic.
pub(super) fn record(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<Topic> {
    let event_id = scene.event_id().to_string();
    let timestamp = Moment::Rfc3339(scene.step.at_ms).to_string();
    let (topic, record) = match scene.choose(60, 8) {
        0 => (Topic::Utm, json!({"event_id": event_id, "url": "https://www.a-corp.example/", "anonymous_id": scene.cookie(0)})),
        1 => (Topic::Offline, json!({"event_id": event_id, "timestamp": "30/02/2023", "phone": scene.person.phone})),
        2 => (Topic::Offline, json!({"event_id": event_id, "timestamp": timestamp, "wechat_openid": scene.person.openid})),
        3 => (Topic::Sdk, json!({"type": "page", "messageId": event_id, "timestamp": timestamp, "anonymousId": "null"})),
        4 => (Topic::Webhook, native(scene, milestone(scene, "milestone", "closed_one"))?),
        5 => (Topic::Webhook, native(scene, milestone(scene, "object_id", ""))?),
        6 => (Topic::Webhook, native(scene, milestone(scene, "withdrawn", "perhaps"))?),
        _ => {
            let body = "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/hostname\">]><xml><FromUserName>&e;</FromUserName></xml>";
            (Topic::Webhook, serde_json::to_value(Push::new(scene, "wechat", body))?)
        }
    };
    serde_json::to_writer(out, &record).map(|()| topic)
}

fn native(scene: &Scene<'_>, body: serde_json::Value) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Push::new(scene, "native", body))
}

/// A milestone with one wrong field.
fn milestone(scene: &Scene<'_>, field: &str, wrong: &str) -> serde_json::Value {
    let mut record = json!({
        "kind": "milestone",
        "event_id": scene.event_id().to_string(),
        "timestamp": Moment::Rfc3339(scene.step.at_ms).to_string(),
        "milestone": "opportunity",
        "object_id": format!("006broken{}", scene.step.serial),
        "account": scene.company.account,
        "value": "1.00",
        "currency": "CNY",
    });
    if let Some(record) = record.as_object_mut() {
        record.insert(field.to_owned(), wrong.into());
    }
    record
}
