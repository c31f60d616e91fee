//! Pushes of providers: WeChat's XML, and native records of the webinar tool and the WeChat back end.

use serde::Serialize;

use super::draw::pick;
use super::scene::{EventId, Moment, Scene};
use super::words::{CAMPAIGNS, OFFICIAL_ACCOUNT, OPEN_PLATFORM};

/// The envelope that the receiver of a webhook writes to the topic.
#[derive(Serialize)]
pub(super) struct Push<B> {
    provider: &'static str,
    received_at: Moment,
    headers: Headers,
    body: B,
}

#[derive(Serialize)]
struct Headers {}

impl<B: Serialize> Push<B> {
    /// A push as it was received.
    pub(super) fn new(scene: &Scene<'_>, provider: &'static str, body: B) -> Self {
        Self { provider, received_at: Moment::Rfc3339(scene.step.received_ms), headers: Headers {}, body }
    }
}

/// A scan of a QR code with the cookie: the first scan follows the account, later ones only scan.
pub(super) fn scan(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let (event, key) = if scene.choose(30, 5) > 0 { ("subscribe", "qrscene_aid_") } else { ("SCAN", "aid_") };
    let body = format!(
        "<xml><ToUserName><![CDATA[{OFFICIAL_ACCOUNT}]]></ToUserName><FromUserName><![CDATA[{}]]></FromUserName>\
         <CreateTime>{}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>\
         <EventKey><![CDATA[{key}{}]]></EventKey><Ticket><![CDATA[T{:08x}]]></Ticket></xml>",
        scene.person.openid,
        scene.step.at_ms / 1_000,
        scene.cookie(0),
        scene.step.detail,
    );
    serde_json::to_writer(out, &Push::new(scene, "wechat", body))
}

#[derive(Serialize)]
struct Follower<'a> {
    kind: &'static str,
    event_id: EventId,
    timestamp: Moment,
    wechat_openid: String,
    wechat_unionid: String,
    traits: FollowerTraits<'a>,
}

#[derive(Serialize)]
struct FollowerTraits<'a> {
    name: &'a str,
}

/// The UnionID of a follower.
pub(super) fn union_id(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let body = Follower {
        kind: "identify",
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        wechat_openid: format!("{OFFICIAL_ACCOUNT}:{}", scene.person.openid),
        wechat_unionid: format!("{OPEN_PLATFORM}:{}", scene.person.unionid),
        traits: FollowerTraits { name: &scene.person.name },
    };
    serde_json::to_writer(out, &Push::new(scene, "native", body))
}

#[derive(Serialize)]
struct Attendance {
    event_id: EventId,
    timestamp: Moment,
    wechat_openid: String,
    phone: String,
    channel: &'static str,
    source: &'static str,
    medium: &'static str,
    campaign: &'static str,
}

/// A webinar attended, under OpenID and phone.
pub(super) fn webinar(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let body = Attendance {
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        wechat_openid: format!("{OFFICIAL_ACCOUNT}:{}", scene.person.openid),
        phone: format!("+86{}", scene.person.phone),
        channel: "live_stream",
        source: "live_tool",
        medium: "live",
        campaign: pick(&CAMPAIGNS, scene.choose(31, 64)),
    };
    serde_json::to_writer(out, &Push::new(scene, "native", body))
}
