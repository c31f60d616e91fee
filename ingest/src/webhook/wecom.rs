//! Events of WeCom about external contacts (`change_external_contact`), of an app of one's own or of a third party's suite.
//!
//! Field names and meaning: <https://developer.work.weixin.qq.com/document/path/92130> and, of suites, `path/92277`.

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
        "CreateTime",
        "MsgType",
        "Event",
        "SuiteId",
        "AuthCorpId",
        "TimeStamp",
        "InfoType",
        "ChangeType",
        "UserID",
        "ExternalUserID",
        "State",
        "Encrypt",
    ],
    expected: "an event of WeCom, XML with ToUserName, CreateTime, MsgType and Event, or of a suite, with AuthCorpId, TimeStamp and InfoType",
};

/// Decodes one event.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(super) fn decode(rules: &Rules, raw: &RawValue, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let push = Tags::read(raw, &FORM)?;
    // A suite sends the corporation, the time and the event in other tags.
    let of_suite = push.has("InfoType");
    // A message from staff to an app is not an event.
    let of_staff = !matches!(push.get("MsgType"), "" | "event");
    if push.has("Encrypt") && !of_suite && !of_staff && push.get("Event").is_empty() {
        let detail = "the event is encrypted; decrypt it where the request enters";
        return Err(Rejection::new(reason::XML_ENCRYPTED, "Encrypt", detail));
    }
    let [corp, time, event] =
        if of_suite { ["AuthCorpId", "TimeStamp", "InfoType"] } else { ["ToUserName", "CreateTime", "Event"] };
    let external = push.get("ExternalUserID");
    if of_staff || push.need(event)? != "change_external_contact" || external.is_empty() {
        // Groups, tags, members, messages of staff, tickets and authorisations of a suite: they name no customer.
        out.without_event += 1;
        return Ok(());
    }
    let (corp, created) = (push.need(corp)?, push.need(time)?);
    let time_ms = seconds(created, time)?;
    rules.check_time(time_ms, &receipt, time)?;
    let change = push.need("ChangeType")?;
    let mut identifiers = identifiers(rules, corp, push.get("SuiteId"), external)?;
    let added = matches!(change, "add_external_contact" | "add_half_external_contact");
    let mut ignored = push.left_out();
    let touched = added.then(|| touch(rules, &push, &mut identifiers, &mut ignored));
    need_somebody(&identifiers, "ExternalUserID", "the event names no contact that is not blocked")?;
    let left = (change == "del_follow_user").then_some(rules.webhook.settings.wecom_unfollow);
    let event_id = event_id(format!("wecom:{corp}:{}:{external}:{created}:{change}", push.get("UserID")))?;
    let returns = added && rules.webhook.settings.wecom_unfollow == Leaving::Revoke;
    Push { event_id, time_ms, identifiers, says: says(touched, left), returns, ignored }.add(rules, receipt, out)
}

/// An external user id is unique within the corporation; a suite has ids of its own.
fn identifiers(rules: &Rules, corp: &str, suite: &str, external: &str) -> Result<Identifiers, Rejection> {
    let kinds = &rules.identifiers;
    let own = if suite.is_empty() { corp.to_owned() } else { format!("{corp}/{suite}") };
    let scope = rules.webhook.settings.wecom_scopes.get(&own).unwrap_or(&own);
    let mut out = Identifiers::default();
    if let Some(rule) = kinds.find("wecom_external_userid") {
        out.add(kinds, rule, &Scalar::Text(format!("{scope}:{external}").into()), "ExternalUserID")?;
    }
    Ok(out)
}

/// A customer was added. One addition sends two events (`add_half_` before the member of staff has accepted). Their touches differ only in
/// type, so the session gap makes one visit of them.
fn touch<'a>(rules: &Rules, push: &'a Tags, identifiers: &mut Identifiers, ignored: &mut Ignored) -> TouchFields<'a> {
    let scene = rules.webhook.scenes.read(push.get("State"), "State", &rules.identifiers, identifiers, ignored);
    TouchFields {
        channel: "wecom".into(),
        source: "wecom".into(),
        medium: "add_contact".into(),
        campaign: scene.campaign.into(),
        content: scene.content.into(),
        term: scene.term.into(),
        touch_type: push.get("ChangeType").into(),
        ..TouchFields::default()
    }
}
