//! Imported rows: trade-show lists and sales activities.

use serde::Serialize;

use super::draw::pick;
use super::scene::{EventId, Moment, Scene};
use super::words::SHOWS;

/// The columns of the spreadsheet, as fields of the native record. Some organisers also give the visitor's region: the last column.
pub(super) const COLUMNS: [&str; 10] = [
    "event_id",
    "timestamp",
    "channel",
    "source",
    "medium",
    "campaign",
    "phone",
    "anonymous_id",
    "traits.name",
    "dimensions.region",
];

#[derive(Serialize)]
struct Badge<'a> {
    event_id: EventId,
    timestamp: Moment,
    channel: &'static str,
    source: &'static str,
    medium: &'static str,
    campaign: &'static str,
    phone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'static str>,
    traits: Traits<'a>,
}

#[derive(Serialize)]
struct Traits<'a> {
    name: &'a str,
}

/// A badge scanned at a trade show. In messy data some visitors typed on the booth's tablet, which has one cookie for all.
pub(super) fn booth(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let badge = Badge {
        event_id: scene.event_id(),
        timestamp: Moment::Local(scene.step.at_ms),
        channel: "offline_event",
        source: "summit",
        medium: "booth",
        campaign: pick(&SHOWS, scene.choose(50, 64)),
        phone: scene.person.phone.clone(),
        anonymous_id: (scene.messy && scene.choose(51, 4) == 0).then_some("kiosk-tablet-1"),
        traits: Traits { name: &scene.person.name },
    };
    serde_json::to_writer(out, &badge)
}

#[derive(Serialize)]
struct Activity<'a> {
    event_id: EventId,
    timestamp: Moment,
    channel: &'static str,
    source: &'static str,
    medium: &'static str,
    crm_contact: &'a str,
    email: &'a str,
    account: &'a str,
}

/// A call or a visit by sales.
pub(super) fn call(scene: &Scene<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let (source, medium) = if scene.choose(52, 3) > 0 { ("inside", "call") } else { ("field", "meeting") };
    let activity = Activity {
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        channel: "sales",
        source,
        medium,
        crm_contact: &scene.person.contact,
        email: &scene.person.email,
        account: &scene.company.account,
    };
    serde_json::to_writer(out, &activity)
}
