//! Public events: visitors who fill in forms, and senders who invent whatever does harm.

use tributary_proto::event::Body;
use tributary_proto::{Consent, Decimal, Event, Identifier, Identify, MilestoneVersion, Trait};

use super::{DAY_MS, HOUR_MS, Pool, touch};
use crate::draw::Draw;

/// Visitors of a site.
pub(super) fn visits(draw: &mut Draw, pool: &mut Pool<'_>) {
    let count = draw.below(15);
    (0..count).for_each(|_| visit(draw, pool));
}

/// A hostile sender who mostly repeats one attack.
pub(super) fn attacks(draw: &mut Draw, pool: &mut Pool<'_>) {
    let (count, habit) = (draw.between(1, 20), draw.below(9));
    for _ in 0..count {
        let way = if draw.percent(60) { habit } else { draw.below(9) };
        attack(draw, pool, way);
    }
}

/// A visitor browses, and then gives an identifier in a form.
fn visit(draw: &mut Draw, pool: &mut Pool<'_>) {
    let mut who = if draw.percent(50) { vec![cookie(draw)] } else { known(draw, pool) };
    if draw.percent(40) {
        who.extend(known(draw, pool));
    }
    if draw.percent(20) {
        who.push(Identifier::new("email", "", format!("visitor{}@{}", draw.below(3), draw.pick(&COMPANIES))));
    }
    let time_ms = pool.time(draw);
    let body = if draw.percent(70) { Body::Touch(touch(draw, true)) } else { Body::Identify(Identify {}) };
    say(draw, pool, time_ms, who, body);
}

const COMPANIES: [&str; 4] = ["a-corp.example", "b-corp.example", "d-corp.example", "qq.com"];

fn cookie(draw: &mut Draw) -> Identifier {
    Identifier::new("anonymous_id", "", format!("browser-{}", draw.below(6)))
}

fn invented(draw: &mut Draw) -> Identifier {
    match draw.below(3) {
        0 => Identifier::new("device_id", "", format!("evil-{}", draw.below(4))),
        1 => Identifier::new("anonymous_id", "", format!("evil-{}", draw.below(4))),
        _ => Identifier::new("user_id", "", format!("evil-{}", draw.below(4))),
    }
}

/// Identifiers that other events name and that public events may name.
fn known(draw: &mut Draw, pool: &Pool<'_>) -> Vec<Identifier> {
    let may = |identifier: &Identifier| !["crm_contact", "crm_lead"].contains(&identifier.kind.as_str());
    Some(pool.person(draw)).filter(may).into_iter().collect()
}

fn attack(draw: &mut Draw, pool: &mut Pool<'_>, way: usize) {
    // Back-dated as far as ingest accepts.
    let time_ms = pool.time(draw) - draw.pick(&[0, 0, 1, HOUR_MS, DAY_MS, 2 * DAY_MS]);
    let mut who = known(draw, pool);
    match way {
        // A known address or cookie together with an invented identifier, or several.
        0 | 1 => who.push(invented(draw)),
        2 => who.extend(known(draw, pool)),
        // A chain of cookies, or a star around one identifier.
        3 => {
            let at = draw.below(8);
            who.truncate(usize::from(draw.percent(15)));
            who.extend([at, at + 1].map(|at| Identifier::new("anonymous_id", "", format!("chain-{at}"))));
        }
        4 => who = vec![pool.person(draw), Identifier::new("anonymous_id", "", format!("star-{}", draw.below(20)))],
        // A copy of a trusted event, under the same id.
        5 => return copy(draw, pool, time_ms),
        6 => {
            let granted = draw.percent(40);
            return say(draw, pool, time_ms, who, Body::Consent(Consent { granted }));
        }
        7 => {
            let version = version(draw, pool);
            return say(draw, pool, time_ms, who, Body::Milestone(version));
        }
        _ => {}
    }
    who.retain(|identifier| !["crm_contact", "crm_lead"].contains(&identifier.kind.as_str()));
    let body = if draw.percent(50) { Body::Touch(touch(draw, true)) } else { Body::Identify(Identify {}) };
    say(draw, pool, time_ms, who, body);
}

/// An event under the id of another one, about the same people or others.
fn copy(draw: &mut Draw, pool: &mut Pool<'_>, time_ms: i64) {
    let Some(of) = pool.any(draw) else { return };
    let mut who = if draw.percent(70) { of.identifiers.clone() } else { known(draw, pool) };
    who.retain(|identifier| !["crm_contact", "crm_lead"].contains(&identifier.kind.as_str()));
    let time_ms = if draw.percent(50) { of.time_ms } else { time_ms };
    let body = match of.body {
        Some(Body::Milestone(version)) => Body::Milestone(version),
        _ => Body::Touch(touch(draw, true)),
    };
    let at = pool.said.len();
    say(draw, pool, time_ms, who, body);
    if let Some(event) = pool.said.get_mut(at) {
        event.event_id = of.event_id;
    }
}

/// A version of a milestone that trusted events report, too.
fn version(draw: &mut Draw, pool: &Pool<'_>) -> MilestoneVersion {
    let told = pool.any(draw).and_then(|event| match event.body {
        Some(Body::Milestone(version)) => Some(version),
        _ => None,
    });
    let kind = draw.pick(&["lead", "mql", "opportunity", "closed_won"]).to_owned();
    let object_id = format!("o{}", draw.below(5));
    let (kind, object_id) = told.map_or((kind, object_id), |told| (told.kind, told.object_id));
    MilestoneVersion {
        milestone_id: format!("{kind}:{object_id}"),
        kind,
        object_id,
        occurred_at_ms: draw.percent(30).then(|| pool.time(draw)),
        currency: draw.pick(&["", "", "USD", "JPY"]).to_owned(),
        withdrawn: draw.percent(20),
        amends: draw.percent(30),
        value_cleared: draw.percent(10),
        refund: draw.percent(15).then_some(Decimal { digits: 5, scale: 0 }),
        value: draw.percent(50).then_some(Decimal { digits: 1_000_000, scale: 0 }),
        occurrence: draw.pick(&[0, 0, 0, 1, 2]),
        ..MilestoneVersion::default()
    }
}

fn say(draw: &mut Draw, pool: &mut Pool<'_>, time_ms: i64, who: Vec<Identifier>, body: Body) {
    if who.is_empty() && !matches!(body, Body::Milestone(_)) {
        return;
    }
    let event = pool.event(draw, time_ms, who, body);
    let states = draw.percent(15);
    let traits = Vec::from_iter(states.then(|| Trait {
        name: draw.pick(&["role", "title"]).to_owned(),
        value: draw.pick(&["boss", "user", "evil"]).to_owned(),
    }));
    // Received at once, late, out of order, or at an unknown time.
    let delay_ms = [0, HOUR_MS, 1, 2 * DAY_MS, -HOUR_MS, 0, 5 * DAY_MS].get(pool.said.len() % 7);
    let received_ms = delay_ms.filter(|_| !pool.said.len().is_multiple_of(3)).map_or(0, |delay_ms| time_ms + delay_ms);
    pool.say(Event { public: true, received_ms, traits, ..event });
}
