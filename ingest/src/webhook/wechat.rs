//! Pushes of a WeChat official account or mini-program: XML with the tags below its root, or JSON with the same names.
//!
//! Field names and meaning: <https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html> and
//! <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::push::{Push, event_id, need_somebody, says};
use super::settings::Leaving;
use super::tags::{Form, Tags, seconds};
use crate::decoded::Decoded;
use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::reason;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::touch::TouchFields;

const FORM: Form = Form {
    tags: &[
        "ToUserName",
        "FromUserName",
        "CreateTime",
        "MsgType",
        "Event",
        "EventKey",
        "SessionFrom",
        "UnionId",
        "Encrypt",
        "InfoType",
        "action",
    ],
    expected: "a push of an official account or mini-program, XML or JSON with ToUserName, FromUserName, CreateTime and MsgType",
};

/// Events sent by WeChat itself, not by a person: results of mass messages, verification and review of the account, warnings. Their
/// `FromUserName` is a system account.
const OF_WECHAT: [&str; 16] = [
    "MASSSENDJOBFINISH",
    "PUBLISHJOBFINISH",
    "qualification_verify_success",
    "qualification_verify_fail",
    "naming_verify_success",
    "naming_verify_fail",
    "annual_renew",
    "verify_expired",
    "weapp_audit_success",
    "weapp_audit_fail",
    "weapp_audit_delay",
    "wxa_nickname_audit",
    "wxa_category_audit",
    "wxa_illegal_record",
    "wxa_appeal_record",
    "wxa_media_check",
];

/// Prefix of `EventKey` when somebody who did not follow the account scanned its QR code.
const SCENE_PREFIX: &str = "qrscene_";

/// The meaning of a push.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A touch with this medium; the scene is in `EventKey` (or in a session's `SessionFrom`).
    Scanned(&'static str),
    /// A touch with this medium: a menu item was chosen.
    Menu(&'static str),
    Unsubscribed,
    /// Any other message: it only shows that this OpenID exists.
    Contact,
}

/// Decodes one push. WeChat sends a push up to three times more if it gets no answer: all copies have one event id.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(super) fn decode(rules: &Rules, raw: &RawValue, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let push = Tags::read(raw, &FORM)?;
    if names_nobody(&push) {
        out.without_event += 1;
        return Ok(());
    }
    if push.has("Encrypt") && push.get("MsgType").is_empty() {
        let detail = "the push is encrypted; decrypt it where the request enters, or choose the plain mode";
        return Err(Rejection::new(reason::XML_ENCRYPTED, "Encrypt", detail));
    }
    let (to, from, created) = (push.need("ToUserName")?, push.need("FromUserName")?, push.need("CreateTime")?);
    let what = match push.need("MsgType")? {
        "event" => push.need("Event")?,
        other => other,
    };
    let kind = kind(&push);
    let event_id = event_id(format!("wechat:{to}:{from}:{created}:{what}"))?;
    let time_ms = seconds(created, "CreateTime")?;
    rules.check_time(time_ms, &receipt, "CreateTime")?;

    let mut ignored = push.left_out();
    let (mut identifiers, undeclared) = identifiers(rules, &push, &mut ignored)?;
    let fields = match kind {
        Kind::Scanned(medium) => Some(scanned(rules, &push, medium, &mut identifiers, &mut ignored)),
        Kind::Menu(medium) => Some(chosen(&push, medium)),
        Kind::Unsubscribed | Kind::Contact => None,
    };
    need_somebody(&identifiers, "FromUserName", "the push names no OpenID that is not blocked")?;
    let left = (kind == Kind::Unsubscribed).then_some(rules.webhook.settings.wechat_unsubscribe);
    let returns = push.get("Event") == "subscribe" && rules.webhook.settings.wechat_unsubscribe == Leaving::Revoke;
    Push { event_id, time_ms, identifiers, says: says(fields, left), returns, ignored }.add(rules, receipt, out)?;
    out.undeclared += undeclared;
    Ok(())
}

/// Pushes without a person: tickets and authorisations of a third-party platform, tests of a container, and WeChat's own events.
fn names_nobody(push: &Tags) -> bool {
    !push.get("InfoType").is_empty()
        || (!push.get("action").is_empty() && push.get("MsgType").is_empty())
        || (push.get("MsgType") == "event" && OF_WECHAT.contains(&push.get("Event")))
}

fn kind(push: &Tags) -> Kind {
    if push.get("MsgType") != "event" {
        return Kind::Contact;
    }
    match push.get("Event") {
        "subscribe" if push.get("EventKey").starts_with(SCENE_PREFIX) => Kind::Scanned("qr_subscribe"),
        "subscribe" => Kind::Scanned("subscribe"),
        "SCAN" => Kind::Scanned("scan"),
        "CLICK" => Kind::Menu("menu_click"),
        "VIEW" => Kind::Menu("menu_view"),
        "view_miniprogram" => Kind::Menu("menu_mini_program"),
        "user_enter_tempsession" => Kind::Scanned("mini_program_session"),
        "unsubscribe" => Kind::Unsubscribed,
        _ => Kind::Contact,
    }
}

/// A QR code was scanned, or a session was started from a place that the mini-program names.
fn scanned<'a>(
    rules: &Rules,
    push: &'a Tags,
    medium: &'static str,
    identifiers: &mut Identifiers,
    ignored: &mut Ignored,
) -> TouchFields<'a> {
    let (scene, source) = match push.get("Event") {
        "subscribe" => (push.get("EventKey").strip_prefix(SCENE_PREFIX).unwrap_or_default(), "official_account"),
        "SCAN" => (push.get("EventKey"), "official_account"),
        _ => (push.get("SessionFrom"), "mini_program"),
    };
    let scene = rules.webhook.scenes.read(scene, "EventKey", &rules.identifiers, identifiers, ignored);
    TouchFields {
        channel: "wechat".into(),
        source: source.into(),
        medium: medium.into(),
        campaign: scene.campaign.into(),
        content: scene.content.into(),
        term: scene.term.into(),
        ..TouchFields::default()
    }
}

/// `EventKey` is the URL that a menu item opens, the page of a mini-program, or the key of the item.
fn chosen<'a>(push: &'a Tags, medium: &'static str) -> TouchFields<'a> {
    let (url, content) = if medium == "menu_view" { (push.get("EventKey"), "") } else { ("", push.get("EventKey")) };
    TouchFields {
        channel: "wechat".into(),
        source: "official_account".into(),
        medium: medium.into(),
        content: content.into(),
        url: url.into(),
        ..TouchFields::default()
    }
}

/// The OpenID in the scope of its app, and the UnionID if the push has one and the account's open platform is configured; and how many were
/// dropped because it is not.
fn identifiers(rules: &Rules, push: &Tags, ignored: &mut Ignored) -> Result<(Identifiers, u64), Rejection> {
    let kinds = &rules.identifiers;
    let (mut out, mut undeclared) = (Identifiers::default(), 0);
    let account = push.get("ToUserName");
    let scope = rules.webhook.wechat_appids.get(account).map_or(account, String::as_str);
    if let Some(rule) = kinds.find("wechat_openid") {
        out.add(kinds, rule, &Scalar::Text(format!("{scope}:{}", push.get("FromUserName")).into()), "FromUserName")?;
    }
    let union_id = push.get("UnionId");
    match (kinds.find("wechat_unionid"), rules.webhook.settings.wechat_open_platforms.get(account)) {
        _ if union_id.is_empty() => {}
        (Some(rule), Some(platform)) => {
            ignored.read(out.add(kinds, rule, &Scalar::Text(format!("{platform}:{union_id}").into()), "UnionId"));
        }
        _ => undeclared = 1,
    }
    Ok((out, undeclared))
}
