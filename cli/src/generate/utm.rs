//! Landing hits.

use encoding_rs::GBK;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Serialize;

use super::company::names;
use super::draw::pick;
use super::scene::{EventId, Moment, Scene};
use super::words::{ARRIVALS, CAMPAIGNS, CAMPAIGNS_ZH, PAGES, SITE};

/// Characters that browsers do not escape in a query value.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Serialize)]
struct Hit<'a> {
    event_id: EventId,
    timestamp: Moment,
    url: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    referrer: &'static str,
    anonymous_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a str>,
}

/// A landing hit.
pub(super) fn landing(scene: &Scene<'_>, cookie: u8, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let (query, referrer) = pick(&ARRIVALS, scene.choose(20, 1_024));
    let has_device = scene.person.used & names::DEVICE != 0;
    // A broken tag manager sends a word for "no value".
    let lost = scene.messy && scene.choose(21, 100) == 0 && has_device;
    let hit = Hit {
        event_id: scene.event_id(),
        timestamp: Moment::Rfc3339(scene.step.at_ms),
        url: url(scene, query),
        referrer,
        anonymous_id: if lost { "undefined" } else { scene.cookie(cookie) },
        device_id: has_device.then_some(scene.person.device.as_str()),
    };
    serde_json::to_writer(out, &hit)
}

fn url(scene: &Scene<'_>, query: &str) -> String {
    let page = pick(&PAGES, scene.choose(22, 64));
    if query.is_empty() {
        return format!("{SITE}{page}");
    }
    let click = format!("{:08x}{}", scene.step.detail, scene.step.serial);
    let query = query.replace("{}", &campaign(scene)).replace("[]", &click);
    if !scene.messy {
        return format!("{SITE}{page}?{query}");
    }
    match scene.choose(23, 12) {
        0 => format!("{SITE}{page}?from=app?{query}"),
        1 => format!("{SITE}{page}?{}", query.replace("utm_source=", "utm_source[]=")),
        2 => format!("{SITE}{page}#{query}"),
        3 => format!("{SITE}{page}?{}", query.replace('&', ";")),
        4 => format!("{SITE}{page}?{}", query.replace("utm_", "UTM_")),
        _ => format!("{SITE}{page}?{query}"),
    }
}

fn campaign(scene: &Scene<'_>) -> String {
    if scene.choose(24, 5) > 0 {
        return pick(&CAMPAIGNS, scene.choose(25, 64)).to_owned();
    }
    let name = pick(&CAMPAIGNS_ZH, scene.choose(26, 64));
    if scene.messy && scene.choose(27, 3) == 0 {
        // As pages in the legacy encoding send it.
        return percent_encode(&GBK.encode(name).0, QUERY).to_string();
    }
    percent_encode(name.as_bytes(), QUERY).to_string()
}
