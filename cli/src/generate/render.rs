//! Renders a step as the bytes that its sender would send.

use tributary_runtime::topic::Topic;

use super::scene::Scene;
use super::step::Kind;
use super::{broken, crm, offline, sdk, utm, webhook};

/// Renders a step. Returns the topic, and whether the record is a row of a spreadsheet.
pub(super) fn render(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<(Topic, bool)> {
    let (topic, sheet) = match scene.step.kind {
        Kind::Landing { cookie } => (Topic::Utm, utm::landing(scene, cookie, out)),
        Kind::Page { cookie } => (Topic::Sdk, sdk::page(scene, cookie, out)),
        Kind::Form { cookie } => (Topic::Sdk, sdk::form(scene, cookie, out)),
        Kind::Login => (Topic::Sdk, sdk::login(scene, out)),
        Kind::Article => (Topic::Sdk, sdk::article(scene, out)),
        Kind::Scan => (Topic::Webhook, webhook::scan(scene, out)),
        Kind::UnionId => (Topic::Webhook, webhook::union_id(scene, out)),
        Kind::Webinar => (Topic::Webhook, webhook::webinar(scene, out)),
        Kind::LeadCreated => (Topic::Webhook, crm::lead_created(scene, out)),
        Kind::Converted => (Topic::Webhook, crm::converted(scene, out)),
        Kind::Account => (Topic::Webhook, crm::account(scene, out)),
        Kind::Milestone(version) => (Topic::Webhook, crm::milestone(scene, version, out)),
        Kind::Booth => return offline::booth(scene, out).map(|()| (Topic::Offline, true)),
        Kind::Call => (Topic::Offline, offline::call(scene, out)),
        Kind::Broken => return broken::record(scene, out).map(|topic| (topic, false)),
    };
    sheet.map(|()| (topic, false))
}
