//! Retractions and erasures.

use tributary_proto::event::Body;
use tributary_proto::{Erase, Event, Retract};

use super::{DAY_MS, HOUR_MS, MINUTE_MS, Pool};
use crate::draw::Draw;

pub(super) fn draw(draw: &mut Draw, pool: &mut Pool<'_>) {
    let retracted = if draw.percent(30) { 0 } else { draw.between(1, 8) };
    for _ in 0..retracted {
        if let Some(of) = pool.any(draw) {
            let event = retract(draw, pool, &of);
            pool.say(event);
        }
    }
    let erased = if draw.percent(60) { 0 } else { draw.between(1, 2) };
    for _ in 0..erased {
        let Some(of) = pool.any(draw).filter(|event| !event.identifiers.is_empty()) else { continue };
        let name = draw.pick(&of.identifiers);
        let time_ms = of.time_ms + draw.pick(&[0, 0, -1, 1, MINUTE_MS, -MINUTE_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS]);
        let event = pool.event(draw, time_ms, vec![name], Body::Erase(Erase { person: time_ms % 2 == 0 }));
        pool.say(event);
    }
}

/// A retraction of an event. Some name other identifiers, and so retract nothing.
fn retract(draw: &mut Draw, pool: &Pool<'_>, of: &Event) -> Event {
    let mut back = Retract::default();
    let mut event = Event { event_id: of.event_id.clone(), time_ms: pool.time(draw), source: of.source, ..Event::default() };
    match &of.body {
        Some(Body::Milestone(version)) => back.milestone_id.clone_from(&version.milestone_id),
        Some(Body::ObjectContacts(object)) => back.object_id.clone_from(&object.object_id),
        // A retraction cannot be retracted: it repeats the first one then.
        Some(Body::Retract(other)) => back.clone_from(other),
        _ => {}
    }
    if back == Retract::default() {
        event.identifiers.clone_from(&of.identifiers);
        event.account_identifiers.clone_from(&of.account_identifiers);
    }
    if draw.percent(5) {
        event.identifiers = pool.mention(draw);
    } else if draw.percent(20) {
        event.identifiers.truncate(1);
    }
    Event { body: Some(Body::Retract(back)), ..event }
}
