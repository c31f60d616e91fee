//! Roles in deals.

use tributary_proto::event::Body;
use tributary_proto::{Contact, Event, ObjectContacts};

use super::{Pool, moves};
use crate::draw::Draw;

pub(super) fn draw(draw: &mut Draw, pool: &mut Pool<'_>) {
    let count = draw.below(8);
    for _ in 0..count {
        let contacts: Vec<Contact> = (0..draw.between(1, 3)).map(|_| contact(draw, pool)).collect();
        let time_ms = pool.time(draw);
        let event = if draw.percent(40) {
            let (who, body) = (pool.mention(draw), moves::milestone(draw));
            pool.event(draw, time_ms, who, body)
        } else {
            let object_id = format!("o{}", draw.below(5));
            pool.event(draw, time_ms, Vec::new(), Body::ObjectContacts(ObjectContacts { object_id }))
        };
        pool.say(Event { contacts, ..event });
    }
}

fn contact(draw: &mut Draw, pool: &Pool<'_>) -> Contact {
    let role = if draw.percent(15) { "" } else { draw.pick(&["boss", "user", "other"]) };
    Contact { identifier: Some(pool.person(draw)), role: role.to_owned(), removed: draw.percent(20) }
}
