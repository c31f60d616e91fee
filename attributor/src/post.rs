//! How the actors of a partition reach one another and the world.

use std::collections::VecDeque;

use tributary_proto::{AttributorMessage, attributor_message::Body};
use tributary_runtime::stage::{Outbox, Share};
use tributary_runtime::topic::Topic;

/// The most bytes of a message between actors, unless a plan says less: what is larger travels in parts. Well below Kafka's default limit of 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Sends mail: to actors of this partition without the log, in the same batch; to others by the inbox topic.
///
/// Either way what one partition sends to another arrives in the order in which it was sent.
pub struct Post<'a> {
    /// Which actors live here.
    pub share: Share,
    /// Mail to actors of this partition.
    pub local: &'a mut VecDeque<(Vec<u8>, Body)>,
    /// What leaves the partition.
    pub outbox: &'a mut Outbox,
}

impl Post<'_> {
    /// Sends `body` to the actor with this key.
    pub fn send(&mut self, key: Vec<u8>, body: Body) {
        if self.share.owns(&key) {
            self.local.push_back((key, body));
        } else {
            self.outbox.send(Topic::AttributorInbox, key, &AttributorMessage { body: Some(body) });
        }
    }
}
