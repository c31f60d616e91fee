//! Messages of an identifier to the units of its placement: its spans, and its touches and milestones.

use std::collections::BTreeSet;

use tributary_proto::attributor_message::Body as ToUnit;
use tributary_proto::{Arrive, Item, Placement, item};
use tributary_runtime::mailbox::Mail;
use tributary_runtime::stage::Context;

use crate::node::Node;

/// Sends all units of an identifier's placement that it belongs to them, with the erasures that void its touches.
pub(crate) fn send_arrive(cx: &mut Context<'_>, node: &Node, placement: &Placement) {
    tell_units(cx, node, None, placement);
}

/// Notifies the current and the former units of an identifier.
pub(crate) fn tell_units(cx: &mut Context<'_>, node: &Node, before: Option<&Placement>, now: &Placement) {
    let stays = now.stays().chain(before.into_iter().flat_map(Placement::stays));
    let units: BTreeSet<&str> = stays.map(|stay| stay.unit).collect();
    for unit in units {
        send_to_unit(cx, unit, ToUnit::Arrive(arrive(node, now)));
    }
}

fn arrive(node: &Node, placement: &Placement) -> Arrive {
    Arrive {
        identifier: node.state.identifier.clone(),
        placement: Some(placement.clone()),
        identifier_hash: node.hash.to_bytes().to_vec(),
        erasures: node.erasures(),
        // An identifier that no event names any more has no roles.
        roles: if node.state.present { node.state.roles.clone() } else { Vec::new() },
    }
}

/// Sends an identifier's touch or milestone to its unit: by its placement, or by a provisional one of the identifier alone.
pub(crate) fn pass_from(cx: &mut Context<'_>, node: &mut Node, what: item::What) {
    node.place_alone();
    let first = !node.state.brings;
    if first {
        node.edit().brings = true;
    }
    let Some(placement) = &node.state.placement else { return };
    if first {
        send_arrive(cx, node, placement);
    }
    let time_ms = time_of(&what);
    let item = Item { identifier_hash: node.hash.to_bytes().to_vec(), epoch: placement.epoch, what: Some(what) };
    send_to_unit(cx, placement.at(time_ms).0, ToUnit::Item(item));
}

/// The time that decides which unit gets it.
fn time_of(what: &item::What) -> i64 {
    match what {
        item::What::Touch(touch) => touch.time_ms,
        item::What::Track(track) => track.milestone.as_ref().map_or(track.at_ms, |milestone| milestone.time_ms),
    }
}

/// Sends a message to a unit.
fn send_to_unit(cx: &mut Context<'_>, unit: &str, body: ToUnit) {
    body.post(cx.outbox, unit.as_bytes().to_vec());
}
