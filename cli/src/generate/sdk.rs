//! Messages of the Segment specification.

use serde::Serialize;

use super::draw::pick;
use super::scene::{EventId, Moment, Scene};
use super::words::{CAMPAIGNS, FORMS, OFFICIAL_ACCOUNT, PAGES, SITE};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    message_id: EventId,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(flatten)]
    times: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<Traits<'a>>,
    context: Context<'a>,
}

/// Some SDKs send the corrected time, others the data for the correction.
#[derive(Serialize)]
#[serde(untagged)]
enum Times {
    Corrected {
        timestamp: Moment,
        #[serde(rename = "receivedAt")]
        received_at: Moment,
    },
    #[serde(rename_all = "camelCase")]
    Skewed { original_timestamp: Moment, sent_at: Moment, received_at: Moment },
}

impl Times {
    fn of(scene: &Scene<'_>) -> Self {
        let step = scene.step;
        let received_at = Moment::Rfc3339(step.received_ms);
        if scene.choose(10, 3) > 0 {
            return Self::Corrected { timestamp: Moment::Rfc3339(step.at_ms), received_at };
        }
        // The device's clock is wrong by up to ten minutes, and so are both of its times.
        let skew_ms = (i64::from(scene.choose(11, 1_201)) - 600) * 1_000;
        Self::Skewed {
            original_timestamp: Moment::Rfc3339(step.at_ms + skew_ms),
            sent_at: Moment::Rfc3339(step.received_ms + skew_ms),
            received_at,
        }
    }
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Page>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traits: Option<Traits<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<Campaign>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_ids: Option<[ExternalId; 1]>,
}

#[derive(Serialize)]
struct Page {
    url: String,
    referrer: String,
}

#[derive(Serialize)]
struct Traits<'a> {
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<&'a str>,
}

#[derive(Serialize)]
struct Campaign {
    source: &'static str,
    medium: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
struct ExternalId {
    r#type: &'static str,
    id: String,
    collection: &'static str,
    encoding: &'static str,
}

fn page_of(scene: &Scene<'_>) -> Page {
    Page {
        url: format!("{SITE}{}", pick(&PAGES, scene.choose(12, 64))),
        referrer: format!("{SITE}{}", pick(&PAGES, scene.choose(13, 64))),
    }
}

/// A page view that follows another one on our site.
pub(super) fn page(scene: &Scene<'_>, cookie: u8, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let message = Message {
        r#type: "page",
        event: None,
        message_id: scene.event_id(),
        anonymous_id: Some(scene.cookie(cookie)),
        user_id: None,
        times: Times::of(scene),
        traits: None,
        context: Context { page: Some(page_of(scene)), ..Context::default() },
    };
    serde_json::to_writer(out, &message)
}

/// A form that names the person.
pub(super) fn form(scene: &Scene<'_>, cookie: u8, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let traits = Traits {
        email: scene.typed_email(),
        phone: Some(scene.typed_phone()),
        name: &scene.person.name,
        company: Some(&scene.company.name),
    };
    let message = Message {
        r#type: "track",
        event: Some(pick(&FORMS, scene.choose(14, 64))),
        message_id: scene.event_id(),
        anonymous_id: Some(scene.cookie(cookie)),
        user_id: None,
        times: Times::of(scene),
        traits: None,
        context: Context { page: Some(page_of(scene)), traits: Some(traits), ..Context::default() },
    };
    serde_json::to_writer(out, &message)
}

/// A login.
pub(super) fn login(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let traits = Traits { email: scene.typed_email(), phone: None, name: &scene.person.name, company: None };
    let message = Message {
        r#type: "identify",
        event: None,
        message_id: scene.event_id(),
        anonymous_id: Some(scene.cookie(0)),
        user_id: Some(&scene.person.user),
        times: Times::of(scene),
        traits: Some(traits),
        context: Context::default(),
    };
    serde_json::to_writer(out, &message)
}

/// An article read inside WeChat, where there is an OpenID and no cookie.
pub(super) fn article(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let id = format!("{OFFICIAL_ACCOUNT}:{}", scene.person.openid);
    let name = pick(&CAMPAIGNS, scene.choose(15, 64));
    let message = Message {
        r#type: "track",
        event: Some("Content Downloaded"),
        message_id: scene.event_id(),
        anonymous_id: None,
        user_id: None,
        times: Times::of(scene),
        traits: None,
        context: Context {
            campaign: Some(Campaign { source: "official_account", medium: "article", name }),
            external_ids: Some([ExternalId { r#type: "wechat_openid", id, collection: "users", encoding: "none" }]),
            ..Context::default()
        },
    };
    serde_json::to_writer(out, &message)
}
