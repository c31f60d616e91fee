//! People change companies: reported late, twice, out of order, to the millisecond, and several on one day.

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Decimal, Event, Identifier, Identify, Link, MilestoneVersion};

use super::{DAY_MS, HOUR_MS, MINUTE_MS, Pool, touch};
use crate::draw::Draw;

/// A person who changes companies, and events on the way.
pub(super) fn draw(draw: &mut Draw, pool: &mut Pool<'_>) {
    let person = pool.mention(draw);
    let gap_ms = draw.pick(&[0, 1, MINUTE_MS, HOUR_MS, 7 * HOUR_MS, DAY_MS, 5 * DAY_MS]);
    let mut time_ms = pool.time(draw);
    let stays = draw.between(1, 4);
    for _ in 0..stays {
        let who = if draw.percent(60) { person.clone() } else { pool.mention(draw) };
        match draw.below(8) {
            0 => address(draw, pool, who, time_ms),
            1 => company(draw, pool, time_ms),
            2 => back_and_forth(draw, pool, &who, time_ms),
            _ => asserts(draw, pool, &who, time_ms),
        }
        let around = draw.below(4);
        for _ in 0..around {
            let near_ms = time_ms + draw.pick(&[-1, 0, 0, 1, gap_ms, -gap_ms]);
            happens(draw, pool, person.clone(), near_ms);
        }
        time_ms += gap_ms;
    }
}

/// One event, or several on one day, each asserting an account.
fn asserts(draw: &mut Draw, pool: &mut Pool<'_>, who: &[Identifier], time_ms: i64) {
    let account = draw.pick(&pool.accounts);
    let times = if draw.percent(30) { draw.between(2, 4) } else { 1 };
    for _ in 0..times {
        let body = match draw.below(4) {
            0 => Body::Touch(touch(draw, false)),
            1 => milestone(draw),
            _ => Body::Identify(Identify {}),
        };
        let at_ms = if times == 1 { time_ms } else { time_ms + draw.pick(&[0, 1, 2, MINUTE_MS, HOUR_MS]) };
        let other = if draw.percent(15) { draw.pick(&pool.accounts) } else { account.clone() };
        let left = left(draw, &body, &other);
        let event = pool.event(draw, at_ms, who.to_vec(), body);
        let account_identifiers = pool.sorted_accounts(vec![other]);
        pool.say(Event { account_identifiers, ..event });
        if let Some(left) = left {
            let later_ms = at_ms + draw.pick(&[-MINUTE_MS, MINUTE_MS, HOUR_MS]);
            let event = pool.event(draw, later_ms, who.to_vec(), left);
            pool.say(event);
        }
    }
}

/// Sometimes a version that takes a milestone off an account.
fn left(draw: &mut Draw, said: &Body, account: &Identifier) -> Option<Body> {
    let Body::Milestone(MilestoneVersion { milestone_id, kind, object_id, .. }) = said else { return None };
    draw.percent(40).then(|| {
        let (milestone_id, kind, object_id) = (milestone_id.clone(), kind.clone(), object_id.clone());
        let former_account = Some(account.clone());
        Body::Milestone(MilestoneVersion { milestone_id, kind, object_id, amends: true, former_account, ..Default::default() })
    })
}

/// The person gets an address at another company.
fn address(draw: &mut Draw, pool: &mut Pool<'_>, mut who: Vec<Identifier>, time_ms: i64) {
    let at = draw.pick(&["a-corp.example", "b-corp.example", "c-corp.example", "qq.com"]);
    who.push(Identifier::new("email", "", format!("mover{}@{at}", draw.below(3))));
    let event = pool.event(draw, time_ms, who, Body::Identify(Identify {}));
    pool.say(event);
}

/// A domain is linked to a CRM record or to another domain.
fn company(draw: &mut Draw, pool: &mut Pool<'_>, time_ms: i64) {
    let both = vec![draw.pick(&pool.accounts), draw.pick(&pool.accounts)];
    let body = if draw.percent(50) { Body::Account(AccountRecord::default()) } else { Body::Link(Link {}) };
    let account_identifiers = pool.sorted_accounts(both);
    if account_identifiers.len() < 2 && matches!(body, Body::Link(_)) {
        return;
    }
    let event = pool.event(draw, time_ms, Vec::new(), body);
    pool.say(Event { account_identifiers, ..event });
}

/// A milestone is reached, withdrawn, and its withdrawal cancelled, in any order.
fn back_and_forth(draw: &mut Draw, pool: &mut Pool<'_>, who: &[Identifier], time_ms: i64) {
    let (kind, object_id) = (draw.pick(&["mql", "closed_won"]).to_owned(), format!("o{}", draw.below(3)));
    let words = draw.between(3, 6);
    let mut at_ms = time_ms;
    for _ in 0..words {
        let (withdrawn, amends) = draw.pick(&[(false, false), (false, false), (true, true), (true, false), (false, true)]);
        let body = Body::Milestone(MilestoneVersion {
            milestone_id: format!("{kind}:{object_id}"),
            kind: kind.clone(),
            object_id: object_id.clone(),
            withdrawn,
            amends,
            restored: amends && !withdrawn,
            ..MilestoneVersion::default()
        });
        let event = pool.event(draw, at_ms, who.to_vec(), body);
        pool.say(event);
        at_ms += draw.pick(&[-1, 1, MINUTE_MS, HOUR_MS, DAY_MS, DAY_MS]);
    }
}

/// An event that names no account.
fn happens(draw: &mut Draw, pool: &mut Pool<'_>, who: Vec<Identifier>, time_ms: i64) {
    let body = if draw.percent(60) { Body::Touch(touch(draw, false)) } else { milestone(draw) };
    let event = pool.event(draw, time_ms, who, body);
    pool.say(event);
}

/// A version of a milestone with few fields.
pub(super) fn milestone(draw: &mut Draw) -> Body {
    let kind = draw.pick(&["lead", "mql", "opportunity", "closed_won"]).to_owned();
    let object_id = format!("o{}", draw.below(5));
    let value = draw.percent(60).then(|| Decimal { digits: draw.pick(&[0, 7, 250]), scale: draw.pick(&[0, 1]) });
    let (withdrawn, amends) = (draw.percent(12), draw.percent(15));
    let former_account = draw.percent(8).then(|| Identifier::new("crm_account", "", draw.pick(&["000", "001"])));
    Body::Milestone(MilestoneVersion {
        milestone_id: format!("{kind}:{object_id}"),
        kind,
        object_id,
        value,
        withdrawn,
        amends,
        restored: amends && !withdrawn && draw.percent(40),
        former_account,
        ..MilestoneVersion::default()
    })
}
