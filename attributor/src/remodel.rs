//! Changed settings take hold of all units: see [`tributary_runtime::remodel`]. Rows of models that are gone are taken back by the ledgers,
//! which are told of all models there are.

use tributary_proto::{AttributorMessage, Remodel, attributor_message::Body};
use tributary_runtime::remodel::Walk;
use tributary_runtime::stage::{Context, Share};
use tributary_runtime::topic::Topic;

use crate::unit::keys;

/// Where it stands is part of the stored format: do not change.
pub(crate) const WALK: Walk = Walk { tag: b'p', sub: [b'h'], over: &[keys::TAG] };

/// Sends to the partition itself.
pub(crate) fn send(context: &mut Context<'_>, share: Share, message: Remodel) {
    let message = AttributorMessage { body: Some(Body::Remodel(message)) };
    context.outbox.send(Topic::AttributorInbox, share.some_key("remodel:"), &message);
}
