//! Records of accounts: they claim domains and names, are deleted and restored, out of order, several a day, and are retracted. People
//! state the names of their companies.

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Event, Identifier, Identify, Link, Retract, Trait, kind};

use super::{DAY_MS, HOUR_MS, MINUTE_MS, Pool, touch};
use crate::draw::Draw;

pub(super) fn draw(draw: &mut Draw, pool: &mut Pool<'_>) {
    let lives = if draw.percent(45) { 0 } else { draw.between(1, 3) };
    for _ in 0..lives {
        life(draw, pool);
    }
    let named = if draw.percent(60) { 0 } else { draw.between(1, 6) };
    for _ in 0..named {
        company(draw, pool);
    }
}

/// A CRM's records of one account, at times that are close together.
fn life(draw: &mut Draw, pool: &mut Pool<'_>) {
    let own = Identifier::new(kind::CRM_ACCOUNT, "", draw.pick(&["000", "001", "002"]));
    let mut time_ms = pool.time(draw);
    let words = draw.between(2, 6);
    for _ in 0..words {
        let gone = draw.percent(40);
        let mut event =
            pool.event(draw, time_ms, Vec::new(), Body::Account(AccountRecord { gone, ..AccountRecord::default() }));
        let mut accounts = vec![own.clone()];
        if !gone {
            (0..draw.below(3)).for_each(|_| accounts.push(claimed(draw, pool)));
            if draw.percent(10) {
                event.body = Some(Body::Link(Link {}));
            }
        }
        if draw.percent(20) {
            event.traits = vec![Trait { name: "name".into(), value: draw.pick(&["A", "B"]).to_owned() }];
        }
        event.account_identifiers = pool.sorted_accounts(accounts);
        let is_nothing = matches!(event.body, Some(Body::Link(_))) && event.account_identifiers.len() < 2;
        let back = Event { body: Some(Body::Retract(Retract::default())), traits: Vec::new(), ..event.clone() };
        if !is_nothing {
            pool.say(event);
        }
        if draw.percent(20) {
            pool.say(back);
        }
        time_ms += draw.pick(&[-1, 0, 1, MINUTE_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS, -DAY_MS]);
    }
}

/// An identifier that belongs to an account, as its record states.
fn claimed(draw: &mut Draw, pool: &Pool<'_>) -> Identifier {
    match draw.below(4) {
        0 => name(draw),
        1 => draw.pick(&pool.accounts),
        _ => Identifier::new(kind::DOMAIN, "", draw.pick(&["a-corp.example", "b-corp.example", "c-corp.example"])),
    }
}

/// Somebody states the name of their company, and a colleague has no corporate address.
fn company(draw: &mut Draw, pool: &mut Pool<'_>) {
    let who = match draw.below(3) {
        0 => pool.mention(draw),
        1 => vec![Identifier::new("email", "", format!("guest{}@qq.com", draw.below(3)))],
        _ => vec![Identifier::new("phone", "", format!("+8613900{:06}", draw.below(3)))],
    };
    let time_ms = pool.time(draw);
    let body = if draw.percent(50) { Body::Touch(touch(draw, false)) } else { Body::Identify(Identify {}) };
    let event = pool.event(draw, time_ms, who, body);
    let named = name(draw);
    pool.say(Event { account_identifiers: vec![named], ..event });
}

fn name(draw: &mut Draw) -> Identifier {
    Identifier::new(kind::COMPANY_NAME, "", draw.pick(&["acorp", "bcorp", "ccorp"]))
}
