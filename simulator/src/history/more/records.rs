//! CRM records: their statements, deletions and restorations.

use tributary_proto::event::Body;
use tributary_proto::{Event, Retract};

use super::{DAY_MS, HOUR_MS, MINUTE_MS, Pool};
use crate::draw::Draw;

pub(super) fn draw(draw: &mut Draw, pool: &mut Pool<'_>) {
    let words = if draw.percent(50) { 0 } else { draw.between(1, 8) };
    for _ in 0..words {
        let of = pool.any(draw).filter(|of| !of.public && !matches!(of.body, Some(Body::Erase(_) | Body::Retract(_))));
        let Some(of) = of else { continue };
        let record = format!("00T{}", draw.below(3));
        // What a record states may have happened earlier. Some of it is sent once more, or by another record, too.
        let recorded_ms = of.time_ms + draw.pick(&[0, 0, MINUTE_MS, DAY_MS]);
        let event_id = if draw.percent(50) { of.event_id.clone() } else { format!("r{}", pool.said.len()) };
        pool.say(Event { event_id, record: record.clone(), recorded_ms, ..of });
        if draw.percent(60) {
            let time_ms = recorded_ms + draw.pick(&[0, 1, -1, MINUTE_MS, -HOUR_MS, DAY_MS]);
            let back = Body::Retract(Retract { record, ..Retract::default() });
            let event = pool.event(draw, time_ms, Vec::new(), back);
            pool.say(event);
        }
    }
}
