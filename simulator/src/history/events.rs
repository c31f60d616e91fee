//! The events of a small market in which senders contradict each other.

use super::Raw;
use super::render::{self, Draft, Moment};
use crate::draw::Draw;

/// A custom kind of identifier.
pub(super) const CUSTOM_KIND: &str = "badge";
/// A custom kind of milestone.
pub(super) const CUSTOM_MILESTONE: &str = "poc_passed";

const MILESTONES: [&str; 9] =
    ["lead", "mql", "meeting", "opportunity", "closed_won", "closed_won", "closed_lost", "expansion", CUSTOM_MILESTONE];
const PAGE: &str = "https://www.seller.example/p";
const CHANNELS: [&str; 4] = ["direct", "email", "paid_search", "events"];

/// The frequencies in this history.
struct Mood {
    people: usize,
    accounts: usize,
    objects: usize,
    /// Percent of identifiers that are one of two shared ones.
    sharing: usize,
    /// Percent of events that name an account.
    naming: usize,
    /// Percent of records that must be refused.
    poison: usize,
    /// Percent of event ids that were used before.
    reuse: usize,
    /// Percent of records that repeat a touch under its id with other content.
    again: usize,
    /// Weights of the kinds of records.
    kinds: Vec<(Said, usize)>,
    /// Times are multiples of this, milliseconds.
    step_ms: i64,
    steps: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Touch,
    AccountTouch,
    Milestone,
    Identify,
    Account,
    Link,
    Unlink,
    Consent,
    Erase,
}

fn mood(draw: &mut Draw) -> Mood {
    let often = |draw: &mut Draw, most: usize| if draw.percent(35) { 0 } else { draw.between(1, most) };
    let kinds = vec![
        (Said::Touch, draw.between(20, 60)),
        (Said::AccountTouch, often(draw, 8)),
        (Said::Milestone, draw.between(5, 30)),
        (Said::Identify, draw.between(1, 30)),
        (Said::Account, often(draw, 12)),
        (Said::Link, often(draw, 10)),
        (Said::Unlink, often(draw, 15)),
        (Said::Consent, often(draw, 10)),
        (Said::Erase, if draw.percent(60) { 0 } else { draw.between(1, 6) }),
    ];
    Mood {
        people: draw.between(2, 12),
        accounts: draw.between(1, 4),
        objects: draw.between(1, 4),
        sharing: if draw.percent(50) { 0 } else { draw.between(3, 30) },
        naming: if draw.percent(20) { 0 } else { draw.between(5, 60) },
        poison: often(draw, 10),
        reuse: often(draw, 8),
        again: often(draw, 12),
        kinds,
        step_ms: draw.pick(&[60_000, 20 * 60_000, 20 * 60_000, 7 * 3_600_000, 5 * 86_400_000]),
        steps: draw.pick(&[4, 30, 200, 200]),
    }
}

pub(super) fn draw(draw: &mut Draw) -> Vec<Raw> {
    let mood = mood(draw);
    let count = if draw.percent(15) { draw.between(1, 12) } else { draw.between(12, 110) };
    let mut records = Vec::new();
    let mut touches: Vec<Draft> = Vec::new();
    let mut used = 0;
    while records.len() < count {
        if draw.percent(mood.poison) {
            records.push(render::poison(draw));
            continue;
        }
        if draw.percent(mood.again) && !touches.is_empty() {
            let former = draw.below(touches.len());
            if let Some(second) = touches.get(former).map(|former| second_version(draw, &mood, former)) {
                records.push(render::record(draw, &[second]));
            }
            continue;
        }
        let several = if draw.percent(4) { draw.between(2, 4) } else { 1 };
        let drafts: Vec<Draft> = (0..several).map(|_| draft(draw, &mood, &mut used)).collect();
        records.push(render::record(draw, &drafts));
        touches.extend(drafts.into_iter().filter(Draft::is_touch));
    }
    records
}

/// Another version of a touch: same people, mostly same time, another source. Time and content decide which of the two counts.
fn second_version(draw: &mut Draw, mood: &Mood, of: &Draft) -> Draft {
    let mut second = of.without_fields();
    if draw.percent(30) {
        second.time = Moment(draw.below(mood.steps) as i64 * mood.step_ms);
    }
    if draw.percent(20) {
        people(draw, mood, &mut second, 1, 1);
    }
    touch(draw, &mut second);
    second
}

/// The content of an event.
fn said(draw: &mut Draw, mood: &Mood) -> Said {
    let total: usize = mood.kinds.iter().map(|(_, weight)| weight).sum();
    let mut at = draw.below(total);
    let mut said = Said::default();
    for (kind, weight) in &mood.kinds {
        said = *kind;
        if at < *weight {
            break;
        }
        at -= weight;
    }
    said
}

fn draft(draw: &mut Draw, mood: &Mood, used: &mut usize) -> Draft {
    let said = said(draw, mood);
    let id = if *used > 0 && draw.percent(mood.reuse) { draw.below(*used) } else { *used };
    *used += 1;
    let time = Moment(draw.below(mood.steps) as i64 * mood.step_ms);
    let mut draft = Draft::new(format!("e{id}"), time);
    match said {
        Said::Touch => {
            people(draw, mood, &mut draft, 1, 3);
            name_account(draw, mood, &mut draft);
            touch(draw, &mut draft);
        }
        Said::AccountTouch => {
            account(draw, mood, &mut draft);
            touch(draw, &mut draft);
        }
        Said::Milestone => milestone(draw, mood, &mut draft),
        Said::Identify => {
            draft.set("kind", "identify");
            people(draw, mood, &mut draft, 1, 4);
            name_account(draw, mood, &mut draft);
            traits(draw, &mut draft);
        }
        Said::Account => {
            draft.set("kind", "account");
            account(draw, mood, &mut draft);
            if draw.percent(70) {
                draft.add("domain", domain(draw.below(mood.accounts)));
            }
            if draw.percent(15) {
                people(draw, mood, &mut draft, 1, 2);
            }
            traits(draw, &mut draft);
        }
        Said::Link | Said::Unlink => {
            draft.set("kind", if said == Said::Link { "link" } else { "unlink" });
            linked(draw, mood, &mut draft);
        }
        Said::Erase => {
            draft.set("kind", "erase");
            people(draw, mood, &mut draft, 1, 2);
        }
        Said::Consent => {
            draft.set("kind", "consent");
            draft.set("consent", if draw.percent(60) { "revoked" } else { "granted" });
            people(draw, mood, &mut draft, 1, 2);
        }
    }
    draft
}

/// The identifiers that a link or an unlink names.
fn linked(draw: &mut Draw, mood: &Mood, draft: &mut Draft) {
    if draw.percent(15) {
        account(draw, mood, draft);
        draft.add("domain", domain(draw.below(mood.accounts + 1)));
        draft.add("domain", domain(draw.below(mood.accounts)));
    } else if draw.percent(25) {
        merge(draw, mood, draft);
    } else {
        people(draw, mood, draft, 2, 3);
        if draw.percent(10) {
            name_account(draw, mood, draft);
        }
    }
}

fn touch(draw: &mut Draw, draft: &mut Draft) {
    if draw.percent(40) {
        hit(draw, draft);
        return;
    }
    draft.set("channel", draw.pick(&CHANNELS));
    if draw.percent(10) {
        draft.set("url", PAGE);
    }
    for (field, percent) in [("source", 30), ("medium", 15), ("campaign", 20), ("content", 10), ("term", 10)] {
        if draw.percent(percent) {
            draft.set(field, draw.pick(&["a", "b"]));
        }
    }
    if draw.percent(20) {
        draft.set("touch_type", "form");
    }
    if draw.percent(10) {
        traits(draw, draft);
    }
}

/// A hit on a site with its source in the URL, in the referrer, or nowhere.
fn hit(draw: &mut Draw, draft: &mut Draft) {
    let parameters = ["", "", "", "?utm_source=a&utm_campaign=a", "?utm_source=a&utm_campaign=b&utm_content=b", "?gclid=1"];
    draft.set("url", format!("{PAGE}{}", draw.pick(&parameters)));
    if draw.percent(40) {
        draft.set("referrer", draw.pick(&["https://www.baidu.com/", "https://news.example/", PAGE]));
    }
    if draw.percent(60) {
        draft.set("touch_type", draw.pick(&["page", "form", "call"]));
    }
}

fn traits(draw: &mut Draw, draft: &mut Draft) {
    for name in ["role", "title"] {
        if draw.percent(50) {
            draft.traits.push((name, draw.pick(&["boss", "user", "other"])));
        }
    }
}

fn milestone(draw: &mut Draw, mood: &Mood, draft: &mut Draft) {
    draft.set("kind", "milestone");
    draft.set("milestone", draw.pick(&MILESTONES));
    draft.set("object_id", format!("o{}", draw.below(mood.objects)));
    if draw.percent(5) {
        draft.clear("occurred_at");
    } else if draw.percent(40) {
        draft.occurred_at = Some(Moment(draw.below(mood.steps) as i64 * mood.step_ms));
    }
    if draw.percent(60) {
        let amounts =
            ["0", "0.01", "7", "100.03", "300000.00", "90071992547409.91", "-5", "29.990000000000002", "1.2e3", "0.005"];
        draft.set("value", draw.pick(&amounts));
    } else if draw.percent(10) {
        draft.clear("value");
    }
    if draw.percent(15) {
        draft.set("refund", draw.pick(&["0.01", "7", "50", "1e6", "-1"]));
    }
    match draw.below(10) {
        0..=4 => draft.set("currency", draw.pick(&["USD", "CNY", "JPY"])),
        5 => draft.clear("currency"),
        _ => {}
    }
    if draw.percent(12) {
        draft.set("occurrence", draw.pick(&["1", "2", "2", "3"]));
    }
    if draw.percent(20) {
        draft.set("withdrawn", draw.pick(&["true", "true", "true", "false"]));
    }
    if draw.percent(15) {
        draft.set("amends", "true");
    }
    if draw.percent(60) {
        name_account(draw, mood, draft);
    }
    if draw.percent(75) {
        people(draw, mood, draft, 1, 2);
    }
}

fn name_account(draw: &mut Draw, mood: &Mood, draft: &mut Draft) {
    if draw.percent(mood.naming) {
        account(draw, mood, draft);
    }
}

fn account(draw: &mut Draw, mood: &Mood, draft: &mut Draft) {
    let which = draw.below(mood.accounts);
    let both = draw.percent(25);
    if both || draw.percent(50) {
        draft.add("account", format!("00{which}"));
    }
    if both || !draft.names_account() {
        draft.add("domain", domain(which));
    }
}

fn domain(which: usize) -> String {
    format!("{}-corp.example", ["a", "b", "c", "d", "e"].get(which).unwrap_or(&"f"))
}

/// Adds identifiers of one person; in some histories sometimes a stranger's.
fn people(draw: &mut Draw, mood: &Mood, draft: &mut Draft, low: usize, high: usize) {
    let person = draw.below(mood.people);
    for _ in 0..draw.between(low, high) {
        let stranger = draw.percent(8);
        let of = if stranger { draw.below(mood.people) } else { person };
        let (kind, value) = if draw.percent(mood.sharing) { shared(draw) } else { identifier(draw, of, mood) };
        draft.add(kind, value);
    }
}

/// Two records of one kind; the second may be another person's.
fn merge(draw: &mut Draw, mood: &Mood, draft: &mut Draft) {
    let person = draw.below(mood.people);
    let other = if draw.percent(60) { person } else { draw.below(mood.people) };
    let kind = draw.below(4);
    for (nth, of) in [person, other].into_iter().enumerate() {
        match kind {
            0 => draft.add("account", format!("00{}", (of + nth) % mood.accounts.max(1))),
            1 => draft.add("crm_lead", format!("00Q-{of}-{nth}")),
            2 => draft.add(CUSTOM_KIND, format!("B-{of}-{nth}")),
            _ => draft.add("crm_contact", format!("003-{of}-{nth}")),
        }
    }
}

/// A shared identifier: the phone of a front desk, the cookie of a kiosk.
fn shared(draw: &mut Draw) -> (&'static str, String) {
    if draw.percent(50) { ("phone", "+8613800009999".to_owned()) } else { ("anonymous_id", "kiosk".to_owned()) }
}

fn identifier(draw: &mut Draw, of: usize, mood: &Mood) -> (&'static str, String) {
    let nth = draw.below(2);
    match draw.below(14) {
        0 => ("crm_contact", format!("003-{of}-{nth}")),
        1 => ("crm_lead", format!("00Q-{of}-{nth}")),
        2 => ("user_id", format!("u-{of}")),
        3 => ("wechat_unionid", format!("open-1:U{of}")),
        4 => ("wechat_openid", format!("wx-{nth}:O{of}")),
        5 => ("wecom_external_userid", format!("corp-1:W{of}-{nth}")),
        6 | 7 => {
            let mail = match draw.below(4) {
                0 => "qq.com".to_owned(),
                1 => "private.example".to_owned(),
                _ => domain((of + nth) % mood.accounts.max(1)),
            };
            ("email", format!("person{of}@{mail}"))
        }
        8 => ("email_sha256", format!("{:064x}", 0xabc0 + of)),
        9 => ("phone", format!("+86138000010{:02}", of * 2 + nth)),
        10 => (CUSTOM_KIND, format!("B-{of}-{nth}")),
        11 | 12 => ("anonymous_id", format!("cookie-{of}-{}", draw.below(4))),
        _ => ("device_id", format!("device-{of}-{nth}")),
    }
}
