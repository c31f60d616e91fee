//! Account hierarchies: parents are stated late, out of order, several a day, in cycles, and are retracted.

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Event, Identifier, Retract, kind};

use super::{DAY_MS, MINUTE_MS, Pool};
use crate::draw::Draw;

pub(super) fn draw(draw: &mut Draw, pool: &mut Pool<'_>) {
    let records = if draw.percent(40) { 0 } else { draw.between(1, 8) };
    for _ in 0..records {
        let time_ms = pool.time(draw) + draw.pick(&[0, 0, 1, MINUTE_MS, DAY_MS]);
        let own = if draw.percent(60) { crm(draw) } else { draw.pick(&pool.accounts) };
        let mut record = AccountRecord::default();
        match draw.below(6) {
            0 => record.parent_cleared = true,
            _ => record.parent = Some(crm(draw)),
        }
        let mut accounts = vec![own];
        if draw.percent(20) {
            accounts.push(draw.pick(&pool.accounts));
        }
        // Only records of a CRM without people state a parent: some name people, and so state none.
        let people = if draw.percent(8) { pool.mention(draw) } else { Vec::new() };
        let mut event = pool.event(draw, time_ms, people, Body::Account(record));
        event.account_identifiers = pool.sorted_accounts(accounts);
        let public = draw.percent(5);
        event.public = public && event.identifiers.is_empty();
        let back = Event { body: Some(Body::Retract(Retract::default())), public: false, ..event.clone() };
        pool.say(event);
        if draw.percent(15) {
            pool.say(back);
        }
    }
}

fn crm(draw: &mut Draw) -> Identifier {
    Identifier::new(kind::CRM_ACCOUNT, "", draw.pick(&["000", "001", "002", "003", "top"]))
}
