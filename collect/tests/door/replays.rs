//! Who has seen a signature, and has a use of its own for it.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use sha1::{Digest, Sha1};
use tributary_collect::Settings;
use tributary_collect::settings::Format;
use tributary_collect::settings::WebhookSettings;
use tributary_runtime::config::Secret;
use tributary_runtime::topic::Topic;

use crate::support::{Served, call, settings};

const TOKEN: &str = "tokentoken";

fn wechat() -> Served {
    let webhook = WebhookSettings {
        provider: "wechat".into(),
        signature: Some(Format::Wechat),
        secrets: vec![Secret::new(TOKEN)],
        ..WebhookSettings::default()
    };
    Served::start(&Settings { webhooks: [("gh".to_owned(), webhook)].into(), ..settings() })
}

/// A path that WeChat has signed just now.
fn signed(nonce: &str) -> String {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string();
    let mut parts = [TOKEN, &time, nonce];
    parts.sort_unstable();
    let mut signature = String::new();
    Sha1::digest(parts.concat()).iter().for_each(|byte| write!(signature, "{byte:02x}").unwrap());
    format!("/webhooks/gh?timestamp={time}&nonce={nonce}&signature={signature}")
}

fn push(served: &Served, path: &str, body: &str) -> (u16, String) {
    let answer = call(served.address, "POST", path, &[("content-type", "text/xml")], body.as_bytes());
    (answer.status, String::from_utf8(answer.body).unwrap())
}

#[test]
fn the_signature_of_a_handshake_is_not_valid_for_a_push() {
    let served = wechat();
    let path = signed("1");
    for _ in 0..2 {
        let asked = call(served.address, "GET", &format!("{path}&echostr=5948109"), &[], b"");
        assert_eq!((asked.status, asked.body.as_slice()), (200, b"5948109".as_slice()));
    }
    for path in [
        path.clone(),
        format!("{path}&echostr=5948109"),
        format!("{path}&openid=o"),
        path.replace("signature=", "x=1&signature="),
    ] {
        let (status, said) = push(&served, &path, "<xml><Event>unsubscribe</Event></xml>");
        assert!(status == 409 && said.contains("replayed"), "{path}: {status} {said}");
    }
    assert!(served.records(Topic::Webhook).is_empty());
    assert_eq!(push(&served, &signed("2"), "<xml/>").0, 200);
}

#[test]
fn a_push_is_taken_once_in_any_spelling() {
    let served = wechat();
    let path = signed("3");
    assert_eq!(push(&served, &path, "<xml/>").0, 200);
    let (before, signature) = path.split_once("signature=").unwrap();
    let upper = format!("{before}signature={}", signature.to_ascii_uppercase());
    let escaped = path.replace("nonce=3", "nonce=%33");
    for again in [path.as_str(), &upper, &escaped] {
        assert_eq!(push(&served, again, "<xml><other/></xml>").0, 409, "{again}");
    }
    // A question with it is answered, and makes it good for nothing else.
    assert_eq!(call(served.address, "GET", &format!("{path}&echostr=1"), &[], b"").status, 200);
    assert_eq!(push(&served, &path, "<xml/>").0, 409);
    assert_eq!(served.records(Topic::Webhook).len(), 1);
}
